"""What the steps of the story share: its person, its connection, and how an effect is looked for from outside."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import aiohttp
import jwt
from yarl import URL

from common.contracts import (
    NoticeChannel,
    NoticeCode,
    NoticeSentV1,
    TokenExpiringV1,
    TokenIssuedV1,
    TokenRevokedV1,
    TokenStateV1,
)
from common.runtime.clock import monotonic
from common.runtime.ids import random_bytes
from devstack.backend import Backend
from devstack.browser import Browser, RefusedError
from devstack.platforms import Platforms
from devstack.terminal import Say, paint
from devstack.witness import NotObservedError, Witness, becomes, persist

#: Of the simulator's people that this story makes.
PERSON_PREFIX = "demo-"
#: Where each service answers a signed-in user, to see that it verifies the JWT by itself.
USER_PATHS = {
    "session-svc": "/api/v1/auth/sessions",
    "oauth-svc": "/api/v1/connections",
    "expiry-watcher": "/api/v1/tokens",
    "rule-pauser": "/api/v1/rules",
    "notifier": "/api/v1/notices",
}
UNAUTHORIZED = 401
ACTIONABLE = {NoticeCode.TOKEN_EXPIRING, NoticeCode.TOKEN_EXPIRED, NoticeCode.TOKEN_REVOKED}


@dataclass(slots=True)
class Line:
    """What a step has to say when it is done."""

    seen: list[str] = field(default_factory=list)

    def add(self, text: str) -> None:
        self.seen.append(text)


@dataclass(slots=True)
class Storyteller:
    """One telling of the story. `demo` is the content of demo.json."""

    demo: Mapping[str, Any]
    say: Say
    http: aiohttp.ClientSession
    witness: Witness
    owner: Browser
    platforms: Platforms
    backend: Backend
    began: float = field(default_factory=monotonic)
    person: str = field(default_factory=lambda: PERSON_PREFIX + random_bytes(3).hex())
    connection: str = ""
    accounts: dict[str, str] = field(default_factory=dict)
    rules: list[UUID] = field(default_factory=list)
    mail_before: int = 0

    @asynccontextmanager
    async def step(self, number: str, title: str) -> AsyncIterator[Line]:
        line = Line()
        try:
            yield line
        except BaseException:
            self.say(f"  {monotonic() - self.began:5.1f} s  {paint('✗', 31)} {number}  {title}")
            raise
        first, *rest = line.seen or [""]
        self.say(f"  {monotonic() - self.began:5.1f} s  {paint('✓', 32)} {number}  {title:<44} {first}")
        for text in rest:
            self.say(f"{'':60}{text}")

    def user(self, role: str) -> dict[str, str]:
        found: dict[str, str] = next(user for user in self.demo["users"] if user["role"] == role)
        return found

    def is_mine(self, body: TokenIssuedV1 | TokenStateV1 | TokenExpiringV1 | TokenRevokedV1) -> bool:
        if self.connection:
            return str(body.token.token_id) == self.connection
        return body.token.provider == "meta" and str(body.token.workspace_id) == self.user("owner")["workspace_id"]

    async def consent(self, provider: str, connection_id: str | None = None) -> None:
        """The consent is begun anew if a part was away in its middle: its state and code are good for once."""
        back = await persist(
            lambda: self.owner.consent(provider, self.person, connection_id=connection_id), f"the consent at {provider}"
        )
        if "error" in back.query or "connect_error" in back.query:
            raise NotObservedError(f"the consent at {provider} came back with {back.query_string}")

    async def verified(self, token: str) -> dict[str, Any]:
        """The claims, with the signature checked against the published keys as any backend would."""
        base = URL(self.demo["services"]["session-svc"])
        async with self.http.get(base.join(URL("/.well-known/jwks.json"))) as response:
            keys = jwt.PyJWKSet.from_dict(await response.json(content_type=None))
        kid = jwt.get_unverified_header(token)["kid"]
        claims: dict[str, Any] = jwt.decode(
            token,
            keys[kid].key,
            algorithms=["EdDSA"],
            audience="wevion",
            options={"require": ["exp", "iat", "sub", "sid"]},
        )
        return claims

    async def as_user(self, service: str, token: str) -> Any:
        return await self.backend.call("GET", service, USER_PATHS[service], jwt=token)

    async def refuses(self, service: str, token: str) -> str | None:
        """The refusal's code once the service refuses the JWT."""
        try:
            await self.as_user(service, token)
        except RefusedError as refused:
            if refused.status == UNAUTHORIZED:
                return refused.code
            raise
        return None

    async def works_at_the_platform(self, access_token: str) -> None:
        url = URL(self.demo["simulator_url"]) / "graph.facebook.com/v23.0/me/adaccounts"
        async with self.http.get(url, params={"access_token": access_token}) as response:
            if not response.ok:
                raise NotObservedError(
                    f"the platform refuses the access token: {response.status} {await response.text()}"
                )

    async def newest_mail(self) -> int:
        messages = await persist(lambda: self.platforms.mail(limit="1"), "the mailbox")
        return int(messages[0]["id"]) if messages else 0

    async def notice(self, code: NoticeCode, line: Line) -> None:
        """The notice in the app, its event, and the mail that names everything a reader needs."""
        shown = await becomes(lambda: self.open_notice(code), f"the notice {code}")
        if missing := set(self.accounts.values()) - set(shown["account_names"]):
            raise NotObservedError(f"the notice does not name {', '.join(sorted(missing))}")
        await self.witness.saw(
            NoticeSentV1,
            lambda body: body.code is code and body.channel is NoticeChannel.EMAIL,
            f"notice.sent for {code}",
        )
        line.add(f"notice {code} in the app: “{shown['title']}”")
        owner = self.user("owner")["email"]
        mail = await becomes(lambda: self.mail_about(owner), f"the mail about {code}")
        text = mail["text"] or mail["html"] or ""
        wanted = ["Meta", *self.accounts.values(), f"connection_id={self.connection}"]
        if absent := [word for word in wanted if word not in text]:
            raise NotObservedError(f"the mail does not have {', '.join(absent)}")
        line.add(f"mail to {owner}: “{mail['subject']}”")

    async def open_notice(self, code: NoticeCode) -> dict[str, Any] | None:
        page = await self.owner.get("/api/v1/notices", state="open")
        found: dict[str, Any] | None = next(
            (each for each in page["items"] if each["token_id"] == self.connection and each["code"] == code), None
        )
        return found

    async def notices_resolved(self) -> bool:
        page = await self.owner.get("/api/v1/notices", limit="100")
        # a gap in the data stays a fact; what asked for an action must be over
        mine = [each for each in page["items"] if each["token_id"] == self.connection and each["code"] in ACTIONABLE]
        return bool(mine) and all(each["state"] == "resolved" for each in mine)

    async def mail_about(self, address: str) -> dict[str, Any] | None:
        messages = await self.platforms.mail(to=address, text=self.connection, after=str(self.mail_before))
        return messages[0] if messages else None

    async def all_accounts_work(self) -> bool:
        shown = await self.owner.get(f"/api/v1/connections/{self.connection}")
        states = {each["account_id"]: each for each in shown["accounts"]}
        return set(states) == set(self.accounts) and all(each["access"] == "granted" for each in states.values())
