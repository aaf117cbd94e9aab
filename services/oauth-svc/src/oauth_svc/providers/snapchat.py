"""Snapchat Marketing API: RFC 6749 without PKCE, rotation not known, wrapped lists (providers.md section 7)."""

from datetime import datetime
from urllib.parse import parse_qs, urlsplit

from common.contracts import RevocationCause, TokenKind
from oauth_svc.core.connection import PlatformAccount
from oauth_svc.core.failure import Failure, by_status, lost_access, reauthorize
from oauth_svc.core.flow import Flow, OnUnknown, Profile
from oauth_svc.core.grant import Secrets

from .base import Inspection
from .calling import objects, text
from .rfc6749 import Client, Rfc6749Provider
from .wire import Answer, Wire

SCOPE = "snapchat-marketing-api"
MAX_PAGES = 100

PROFILE = Profile(
    provider="snapchat",
    title="Snapchat",
    kind=TokenKind.PLATFORM_OAUTH,
    flow=Flow.REFRESH,
    on_unknown=OnUnknown.PROBE_THEN_ONCE,
    scopes=(SCOPE,),
    features={SCOPE: "Publishing, automation rules and reports"},
    requests_per_s=15,
    burst=20,
    remove_hint="accounts.snapchat.com/accounts/oauth2/apps",
)


class SnapchatProvider(Rfc6749Provider):
    """The Ads API."""

    def __init__(self, profile: Profile, client: Client, wire: Wire, *, api_url: str) -> None:
        super().__init__(profile, client, wire)
        self._api_url = api_url

    async def inspect(self, secrets: Secrets, now: datetime) -> Inspection:  # noqa: ARG002 - no figure to compute
        body = await self.read_api(f"{self._api_url}/me", secrets.access_token)
        me = body.get("me")
        me = me if isinstance(me, dict) else {}
        return Inspection(subject=text(me.get("id")), subject_name=text(me.get("display_name")) or "")

    async def accounts(self, secrets: Secrets) -> tuple[PlatformAccount, ...]:
        token = secrets.access_token
        body = await self.read_api(f"{self._api_url}/me/organizations", token)
        found: list[PlatformAccount] = []
        for wrapped in objects(body.get("organizations"), "organizations_malformed"):
            organization = wrapped.get("organization")
            organization_id = text(organization.get("id")) if isinstance(organization, dict) else None
            if organization_id is not None:
                found.extend(await self._of(organization_id, token))
        return tuple(found)

    def judge(self, answer: Answer) -> Failure | None:
        if answer.status == 401:  # noqa: PLR2004
            return reauthorize("http_401", RevocationCause.USER_REVOKED, refresh_first=True)
        if answer.status in (403, 404, 410):
            return lost_access(f"http_{answer.status}")
        return by_status(answer.status, retry_after_s=answer.retry_after_s)

    async def _of(self, organization_id: str, token: str) -> list[PlatformAccount]:
        """All pages. Of `next_link` only the cursor is taken: an answer does not choose whom we call."""
        found: list[PlatformAccount] = []
        url = f"{self._api_url}/organizations/{organization_id}/adaccounts"
        cursor = ""
        for _ in range(MAX_PAGES):
            body = await self.read_api(f"{url}?limit=200&cursor={cursor}" if cursor else f"{url}?limit=200", token)
            for wrapped in objects(body.get("adaccounts"), "adaccounts_malformed"):
                account = wrapped.get("adaccount")
                external_id = text(account.get("id")) if isinstance(account, dict) else None
                if isinstance(account, dict) and external_id is not None:
                    usable = account.get("status", "ACTIVE") == "ACTIVE"
                    found.append(PlatformAccount(external_id, text(account.get("name")) or external_id, usable))
            paging = body.get("paging")
            following = text(paging.get("next_link")) if isinstance(paging, dict) else None
            cursors = parse_qs(urlsplit(following).query).get("cursor", [""]) if following else [""]
            if not cursors[0] or cursors[0] == cursor:
                break
            cursor = cursors[0]
        return found
