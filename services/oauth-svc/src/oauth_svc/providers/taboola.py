"""Taboola Backstage: the customer's own client, which asks again every 12 hours (platforms/taboola.md)."""

from collections.abc import Mapping
from datetime import datetime

from common.platforms.errors import Call, retry_later
from common.platforms.taboola import TABOOLA
from oauth_svc.core.connection import Listing, PlatformAccount
from oauth_svc.core.flow import Flow, FormField, OnUnknown, Profile
from oauth_svc.core.grant import MalformedAnswerError, Secrets, TokenAnswer, after, read_token_answer, seconds
from oauth_svc.providers.base import Inspection, PlatformError, Seen, json_object, unseen
from oauth_svc.providers.calling import Calling, objects, text
from oauth_svc.providers.wire import Request, Wire

PROFILE = Profile(
    provider=TABOOLA.provider,
    title=TABOOLA.title,
    kind=TABOOLA.kind,
    flow=Flow.CLIENT_CREDENTIALS,
    on_unknown=OnUnknown.REPEAT,
    form=(
        FormField("client_id", "Client ID", hint="From your Taboola account manager."),
        FormField("client_secret", "Client secret", secret=True),
    ),
    requests_per_s=5,
    burst=10,
    remove_hint="Ask your Taboola account manager to withdraw the client.",
)


class TaboolaProvider(Calling):
    """The Backstage API. `Accept: application/json` goes with each call, else errors come as XML."""

    def __init__(self, profile: Profile, wire: Wire, *, token_url: str, api_url: str) -> None:
        super().__init__(profile, wire)
        self._token_url = token_url
        self._api_url = api_url

    async def login(self, credentials: Mapping[str, str], now: datetime) -> TokenAnswer:
        answer = await self.ask(
            Request(
                "POST",
                self._token_url,
                form={
                    "grant_type": "client_credentials",
                    "client_id": credentials.get("client_id", ""),
                    "client_secret": credentials.get("client_secret", ""),
                },
            ),
            repeatable=True,
        )
        failure = self.judge(answer, Call.LOGIN)
        if failure is not None:
            raise PlatformError(failure)
        try:
            return read_token_answer(json_object(answer) or {}, now)
        except MalformedAnswerError as error:
            raise PlatformError(retry_later("unreadable_answer", unrecognised=True)) from error

    async def refresh(self, secrets: Secrets, now: datetime) -> TokenAnswer:
        return await self.login(secrets.credentials, now)

    async def inspect(self, secrets: Secrets, now: datetime) -> Inspection:
        """The account is the subject, because a new pair of credentials has another client id."""
        body = await self.read(self._get("/token-details", secrets))
        return Inspection(
            subject=text(body.get("account_id")) or text(body.get("username")),
            subject_name=text(body.get("full_name")) or "",
            access_expires_at=after(now, seconds(body.get("expires_in"))),
        )

    async def accounts(self, secrets: Secrets, seen: Seen = unseen) -> Listing:
        """By the alphabetic `account_id`, which is what URLs want; the network itself is not an ad account."""
        body = await self.read(self._get("/users/current/allowed-accounts", secrets))
        found = tuple(
            PlatformAccount(
                str(item["account_id"]),
                text(item.get("name")) or str(item["account_id"]),
                usable=item.get("is_active") is not False,
            )
            for item in objects(body.get("results"), "accounts_malformed")
            if item.get("account_id") and item.get("type") != "NETWORK"
        )
        seen(len(found))
        return Listing(found)

    def _get(self, path: str, secrets: Secrets) -> Request:
        return Request(
            "GET",
            f"{self._api_url}{path}",
            headers={"Authorization": f"Bearer {secrets.access_token}", "Accept": "application/json"},
        )
