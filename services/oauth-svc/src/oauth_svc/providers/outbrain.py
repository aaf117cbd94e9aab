"""Outbrain Amplify: a password, two logins an hour, a token of 30 days that no answer tells (section 8)."""

import base64
from collections.abc import Mapping
from datetime import datetime, timedelta

from common.platforms.errors import Call, unknown_outcome
from common.platforms.outbrain import OUTBRAIN
from oauth_svc.core.connection import Listing, PlatformAccount
from oauth_svc.core.flow import Budget, Flow, FormField, OnUnknown, Profile
from oauth_svc.core.grant import MalformedAnswerError, Secrets, TokenAnswer, token_text
from oauth_svc.providers.base import Inspection, PlatformError, Seen, json_object, unseen
from oauth_svc.providers.calling import Calling, objects, text
from oauth_svc.providers.wire import Request, Wire

HEADER = "OB-TOKEN-V1"
TOKEN_LIFE = timedelta(days=30)

PROFILE = Profile(
    provider=OUTBRAIN.provider,
    title=OUTBRAIN.title,
    kind=OUTBRAIN.kind,
    flow=Flow.LOGIN,
    on_unknown=OnUnknown.PROBE_THEN_REPEAT,
    form=(
        FormField("username", "User name", hint="The one you sign in to Amplify with."),
        FormField("password", "Password", secret=True),
    ),
    budget=Budget(calls=2, per=timedelta(hours=1)),
    requests_per_s=5,
    burst=10,
    remove_hint="Change the password of the Outbrain user.",
    access_header=HEADER,
    access_scheme="",
)


class OutbrainProvider(Calling):
    """The Amplify API."""

    def __init__(self, profile: Profile, wire: Wire, *, api_url: str) -> None:
        super().__init__(profile, wire)
        self._api_url = api_url

    async def login(self, credentials: Mapping[str, str], now: datetime) -> TokenAnswer:
        """Return one of the two logins of the hour, whatever comes of it."""
        pair = f"{credentials.get('username', '')}:{credentials.get('password', '')}"
        basic = base64.b64encode(pair.encode()).decode()
        answer = await self.ask(
            Request("GET", f"{self._api_url}/login", headers={"Authorization": f"Basic {basic}"}), repeatable=False
        )
        failure = self.judge(answer, Call.LOGIN)
        if failure is not None:
            raise PlatformError(failure)
        try:
            token = token_text((json_object(answer) or {}).get(HEADER), HEADER)
        except MalformedAnswerError as error:
            raise PlatformError(unknown_outcome("unreadable_answer")) from error
        return TokenAnswer(access_token=token, issued_at=now, expires_at=now + TOKEN_LIFE)

    async def refresh(self, secrets: Secrets, now: datetime) -> TokenAnswer:
        return await self.login(secrets.credentials, now)

    async def inspect(self, secrets: Secrets, now: datetime) -> Inspection:  # noqa: ARG002 - no figure to compute
        """There is no identity call: the list of marketers tells that the token lives, the user name who it is."""
        await self.accounts(secrets)
        username = secrets.credentials.get("username", "").strip().lower()
        return Inspection(subject=username or None, subject_name=username)

    async def accounts(self, secrets: Secrets, seen: Seen = unseen) -> Listing:
        body = await self.read(Request("GET", f"{self._api_url}/marketers", headers={HEADER: secrets.access_token}))
        found = tuple(
            PlatformAccount(
                str(item["id"]), text(item.get("name")) or str(item["id"]), item.get("enabled") is not False
            )
            for item in objects(body.get("marketers"), "marketers_malformed")
            if item.get("id") is not None
        )
        seen(len(found))
        return Listing(found)
