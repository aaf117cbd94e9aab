"""Snapchat Marketing API: RFC 6749 without PKCE, rotation not known, wrapped lists (platforms/snapchat.md)."""

from datetime import datetime
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from common.contracts import Verdict
from common.platforms.snapchat import SNAPCHAT
from oauth_svc.core.connection import Listing, PlatformAccount
from oauth_svc.core.flow import Flow, OnUnknown, Profile
from oauth_svc.core.grant import Secrets
from oauth_svc.providers.base import Inspection, PlatformError, Seen, unseen
from oauth_svc.providers.calling import objects, text
from oauth_svc.providers.rfc6749 import Client, Rfc6749Provider
from oauth_svc.providers.wire import Wire

SCOPE = "snapchat-marketing-api"
MAX_PAGES = 1000
MAX_LINK = 4096

PROFILE = Profile(
    provider=SNAPCHAT.provider,
    title=SNAPCHAT.title,
    kind=SNAPCHAT.kind,
    flow=Flow.REFRESH,
    on_unknown=OnUnknown.IF_PROVEN,
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

    async def accounts(self, secrets: Secrets, seen: Seen = unseen) -> Listing:
        """List every page of organizations and of their ad accounts.

        An organization that answers 403 (this person has no rights to its ads now), and an item that says that its part
        of the answer failed, leave the list incomplete: of accounts that are missing in it nothing is known.
        """
        token = secrets.access_token
        organizations, complete = await self._pages("/me/organizations", "organizations", "organization", token)
        found: list[PlatformAccount] = []
        for organization in organizations:
            organization_id = text(organization.get("id"))
            if organization_id is None:
                continue
            path = f"/organizations/{organization_id}/adaccounts"
            try:
                accounts, whole = await self._pages(path, "adaccounts", "adaccount", token, limit=1000)
            except PlatformError as error:
                if error.failure.verdict is not Verdict.ACCOUNT_LOST_ACCESS:
                    raise
                complete = False
                continue
            complete = complete and whole
            for account in accounts:
                external_id = text(account.get("id"))
                if external_id is not None:
                    usable = account.get("status", "ACTIVE") == "ACTIVE"
                    found.append(PlatformAccount(external_id, text(account.get("name")) or external_id, usable))
            seen(len(found))
        return Listing(tuple(found), complete=complete)

    async def _pages(
        self, path: str, many: str, one: str, token: str, *, limit: int = 50
    ) -> tuple[list[dict[str, Any]], bool]:
        """Read all items of a wrapped list. Of `next_link` only the cursor is used: no answer says whom to call.

        Args:
            path: below the API's base.
            many: the list's name in the answer.
            one: the name in which each item is wrapped.
            token: the access token.
            limit: items a page.

        Returns:
            The items, and whether they are all: not if an item's own request failed, or there are more pages than are
            read.

        """
        found: list[dict[str, Any]] = []
        whole, cursor = True, ""
        for _ in range(MAX_PAGES):
            query = urlencode({"limit": limit, **({"cursor": cursor} if cursor else {})})
            body = await self.read_api(f"{self._api_url}{path}?{query}", token)
            for wrapped in objects(body.get(many), f"{many}_malformed"):
                item = wrapped.get(one)
                if str(wrapped.get("sub_request_status", "SUCCESS")).upper() != "SUCCESS":
                    whole = False
                elif isinstance(item, dict):
                    found.append(item)
            paging = body.get("paging")
            following = text(paging.get("next_link"), MAX_LINK) if isinstance(paging, dict) else None
            cursors = parse_qs(urlsplit(following).query).get("cursor", [""]) if following else [""]
            if not cursors[0] or cursors[0] == cursor:
                return found, whole
            cursor = cursors[0]
        return found, False
