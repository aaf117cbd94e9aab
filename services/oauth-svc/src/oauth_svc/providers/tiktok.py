"""TikTok for Business, advertiser flow: own names, JSON bodies, and HTTP 200 for everything (platforms/tiktok.md).

An expiry is kept only if the answer brings one, and a refresh is made only if it brings a refresh token.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from common.contracts import Verdict
from common.platforms.errors import Call, unknown_outcome
from common.platforms.tiktok import TIKTOK
from oauth_svc.core.connection import Listing, PlatformAccount
from oauth_svc.core.flow import Flow, OnUnknown, Profile, RevokeScope
from oauth_svc.core.grant import MalformedAnswerError, Secrets, TokenAnswer, read_token_answer
from oauth_svc.providers.base import Callback, Consent, Inspection, PlatformError, Seen, json_object, unseen
from oauth_svc.providers.calling import Calling, objects, text
from oauth_svc.providers.wire import Request, Wire

PROFILE = Profile(
    provider=TIKTOK.provider,
    title=TIKTOK.title,
    kind=TIKTOK.kind,
    flow=Flow.REFRESH,
    on_unknown=OnUnknown.WAIT,
    revoke_scope=RevokeScope.TOKEN,
    requests_per_s=10,
    burst=20,
    remove_hint="TikTok for Business: Settings, Connected partners",
    access_header="Access-Token",
    access_scheme="",
)


@dataclass(frozen=True, slots=True)
class TikTokApp:
    """Our app at TikTok."""

    client_id: str
    client_secret: str = field(repr=False)
    authorize_url: str
    api_url: str


class TikTokProvider(Calling):
    """TikTok's Marketing API."""

    def __init__(self, profile: Profile, app: TikTokApp, wire: Wire) -> None:
        super().__init__(profile, wire)
        self._app = app

    def consent_url(self, consent: Consent) -> str:
        query = {"app_id": self._app.client_id, "redirect_uri": consent.redirect_uri, "state": consent.state}
        return f"{self._app.authorize_url}?{urlencode(query)}"

    async def exchange(self, callback: Callback, now: datetime) -> TokenAnswer:
        code = callback.query.get("auth_code") or callback.query.get("code", "")
        return await self._tokens("/oauth2/access_token/", {"auth_code": code}, now, Call.EXCHANGE)

    async def refresh(self, secrets: Secrets, now: datetime) -> TokenAnswer:
        return await self._tokens(
            "/oauth2/refresh_token/", {"refresh_token": secrets.refresh_secret()}, now, Call.REFRESH
        )

    async def inspect(self, secrets: Secrets, now: datetime) -> Inspection:  # noqa: ARG002 - no figure to compute
        try:
            data = await self._data("/user/info/", secrets)
        except PlatformError as error:
            if error.failure.verdict is not Verdict.ACCOUNT_LOST_ACCESS:
                raise
            # The call needs a permission of its own, without which nobody is named; the list of advertisers tells more.
            return Inspection(asked=False)
        subject = text(data.get("core_user_id")) or text(data.get("email"))
        return Inspection(subject=subject, subject_name=text(data.get("display_name")) or "")

    async def accounts(self, secrets: Secrets, seen: Seen = unseen) -> Listing:
        """Return the list of now, which may differ from the one in the token answer. The secret is in the query."""
        data = await self._data(
            "/oauth2/advertiser/get/", secrets, {"app_id": self._app.client_id, "secret": self._app.client_secret}
        )
        found = tuple(
            PlatformAccount(str(item["advertiser_id"]), text(item.get("advertiser_name")) or str(item["advertiser_id"]))
            for item in objects(data.get("list"), "advertisers_malformed")
            if item.get("advertiser_id") is not None
        )
        seen(len(found))
        return Listing(found)

    async def revoke(self, secrets: Secrets) -> None:
        token = secrets.access_token
        answer = await self.ask(
            Request(
                "POST",
                f"{self._app.api_url}/oauth2/revoke_token/",
                headers={"Access-Token": token},
                json={"app_id": self._app.client_id, "secret": self._app.client_secret, "access_token": token},
            ),
            repeatable=True,
        )
        failure = self.judge(answer)
        if failure is not None and not failure.verdict.only_a_person_helps:
            raise PlatformError(failure)

    async def _tokens(self, path: str, given: Mapping[str, str], now: datetime, call: Call) -> TokenAnswer:
        answer = await self.ask(
            Request(
                "POST",
                f"{self._app.api_url}{path}",
                json={"app_id": self._app.client_id, "secret": self._app.client_secret, **given},
            ),
            repeatable=False,
        )
        failure = self.judge(answer, call)
        if failure is not None:
            raise PlatformError(failure)
        body = json_object(answer) or {}
        data = body.get("data")
        try:
            return read_token_answer(data if isinstance(data, dict) else {}, now)
        except MalformedAnswerError as error:
            raise PlatformError(unknown_outcome("unreadable_answer")) from error

    async def _data(self, path: str, secrets: Secrets, query: Mapping[str, str] | None = None) -> dict[str, Any]:
        body = await self.read(
            Request(
                "GET",
                f"{self._app.api_url}{path}",
                query=query or {},
                headers={"Access-Token": secrets.access_token},
            )
        )
        data = body.get("data")
        return data if isinstance(data, dict) else {}
