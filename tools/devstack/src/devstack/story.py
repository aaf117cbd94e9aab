"""The whole story, told on a running stack.

Each step is done as its real actor would do it, and counts only if its effect was observed from outside.

It makes its own person at the platform and its own connection, so it can be told again on the same stack, and a
service may be killed at any point of it: whoever calls comes back, whoever waits waits for the restart.
"""

import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any
from uuid import UUID

import aiohttp
import jwt
from yarl import URL

from common.contracts import (
    DataGapClosedV1,
    IssuedHow,
    NoticeChannel,
    NoticeCode,
    NoticeSentV1,
    RevocationCause,
    RulePausedV1,
    RuleResumedV1,
    TokenExpiringV1,
    TokenIssuedV1,
    TokenRefreshedV1,
    TokenRevokedV1,
    TokenStateV1,
    TokenStatus,
)
from common.runtime.ids import new_id, random_bytes
from devstack.backend import Backend
from devstack.browser import Browser, Refused
from devstack.platforms import GENERIC, Platforms
from devstack.terminal import Say, paint
from devstack.witness import NotObserved, Witness, becomes, persist

RULES = ("Pause ads that lose money", "Raise budgets of winners", "Sunday night bids")
#: Of the simulator's people that this story makes.
PERSON_PREFIX = "demo-"
HOUR_S = 3600
DAY_S = 86_400
#: The generic platform's access tokens live so long while the story connects it; two thirds later one is renewed.
SHORT_ACCESS_S = 9.0
#: So close to its end the grant comes that the ladder's 7-day stage is due.
NEAR_END_S = 6.5 * DAY_S
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
class Story:
    """One telling. `demo` is the content of demo.json."""

    demo: Mapping[str, Any]
    say: Say
    http: aiohttp.ClientSession
    witness: Witness
    owner: Browser
    platforms: Platforms
    backend: Backend
    began: float = field(default_factory=time.monotonic)
    person: str = field(default_factory=lambda: PERSON_PREFIX + random_bytes(3).hex())
    connection: str = ""
    accounts: dict[str, str] = field(default_factory=dict)
    rules: list[UUID] = field(default_factory=list)
    mail_before: int = 0

    async def tell(self) -> None:
        """Raises `NotObserved` or `Refused` at the first step that does not come true."""
        await self.sign_in()
        await self.forget_earlier()
        await self.connect()
        await self.silent_refresh()
        await self.working_token()
        await self.warning()
        await self.removal()
        await self.consequences()
        await self.refusal()
        await self.reauthorisation()
        await self.forced_logout()

    # -- the steps

    async def sign_in(self) -> None:
        async with self.step("1", "an owner signs in") as line:
            user = self.user("owner")
            await persist(lambda: self.owner.sign_in(user["email"], user["password"]), "the sign-in")
            token = await persist(self.owner.jwt, "the JWT")
            claims = await persist(lambda: self.verified(token), "the verification")
            life_s = claims["exp"] - claims["iat"]
            if life_s != HOUR_S:
                raise NotObserved(f"the JWT lives for {life_s} s, not for an hour")
            line.add(f"cookie; EdDSA JWT of {life_s // 60} minutes, verified against the JWKS")
            for service in USER_PATHS:
                await persist(partial(self.as_user, service, token), f"{service} accepting the JWT")
            line.add(f"accepted by {len(USER_PATHS)} services, each by itself")

    async def forget_earlier(self) -> None:
        """Disconnects what earlier tellings left, so that the workspace does not grow with each."""
        people = (await self.platforms.order("GET", "/_sim/people"))["people"]
        theirs = {
            account["id"]
            for person in people
            if person["key"].startswith(PERSON_PREFIX)
            for accounts in person["accounts"].values()
            for account in accounts
        }
        page = await persist(partial(self.owner.get, "/api/v1/connections", limit="100"), "the connections")
        for connection in page["items"]:
            if theirs & {account["external_id"] for account in connection["accounts"]}:
                path = f"/api/v1/connections/{connection['connection_id']}"
                await persist(partial(self.owner.call, "DELETE", path), "the end of an earlier connection")

    async def connect(self) -> None:
        async with self.step("2", "she connects Meta") as line:
            await self.platforms.order(
                "POST",
                "/_sim/people",
                {
                    "key": self.person,
                    "name": "Dana Demo",
                    "email": f"{self.person}@northwind.example",
                    "brand": "Northwind",
                    "accounts": {"meta": 3, "rfc6749": 2},
                },
            )
            await self.consent("meta")
            issued = await self.witness.saw(
                TokenIssuedV1,
                lambda body: body.token.provider == "meta" and self.is_mine(body),
                "the connection",
            )
            self.connection = str(issued.body.token.token_id)
            self.accounts = {str(each.account_id): each.name for each in issued.body.token.accounts}
            await self.witness.saw(
                TokenStateV1,
                lambda body: self.is_mine(body) and body.status is TokenStatus.ACTIVE,
                "the state of the new connection",
            )
            line.add(f"token.issued ({issued.body.how}) and token.state: {len(self.accounts)} ad accounts")
            if issued.body.expires_at is not None:
                line.add(f"long-lived: until {issued.body.expires_at:%d %B %Y}")
            for name in RULES:
                rule = new_id()
                body = {"name": name, "account_ids": list(self.accounts), "enabled": True, "revision": 1}
                await persist(
                    partial(self.owner.call, "PUT", f"/api/v1/rules/{rule}", json=body),
                    "a rule on the accounts",
                )
                self.rules.append(rule)
            line.add(f"{len(self.rules)} automation rules work on them")

    async def silent_refresh(self) -> None:
        async with self.step("3", "a token is renewed without anyone asking") as line:
            await self.platforms.lifetimes("rfc6749", access_s=SHORT_ACCESS_S)
            try:
                await self.consent(GENERIC)
            finally:
                await self.platforms.lifetimes("rfc6749", access_s=HOUR_S)
            issued = await self.witness.saw(
                TokenIssuedV1, lambda body: body.token.provider == GENERIC, "the connection to refresh"
            )
            token_id = issued.body.token.token_id
            refreshed = await self.witness.saw(
                TokenRefreshedV1, lambda body: body.token.token_id == token_id, "the silent refresh"
            )
            waited = (refreshed.time - issued.time).total_seconds()
            line.add(f"token.refreshed {waited:.1f} s into an access token of {SHORT_ACCESS_S:.0f} s")
            ledger = await self.platforms.order("GET", "/_sim/ledger?provider=rfc6749")
            if ledger["presented_twice"]:
                raise NotObserved("the platform saw a refresh token twice")
            line.add("rotated" if refreshed.body.rotated else "not rotated")
            line.add("no refresh token presented twice")

    async def working_token(self) -> None:
        async with self.step("8", "a backend service asks for an access token") as line:
            account = next(iter(self.accounts))
            answer = await persist(lambda: self.backend.access_token(account), "an access token")
            await self.works_at_the_platform(answer["access_token"])
            line.add("it works at the platform")

    async def warning(self) -> None:
        async with self.step("4", "its full expiry comes near") as line:
            self.mail_before = await self.newest_mail()
            normal = await self.platforms.order("GET", "/_sim/lifetimes/meta")
            await self.platforms.lifetimes("meta", long_s=NEAR_END_S)
            try:
                await persist(
                    lambda: self.owner.post(f"/api/v1/connections/{self.connection}/refresh"), "a refresh on demand"
                )
                expiring = await self.witness.saw(TokenExpiringV1, self.is_mine, "the warning")
            finally:
                await self.platforms.lifetimes("meta", long_s=normal["long_s"])
            days = expiring.body.remaining_s / DAY_S
            line.add(f"token.expiring, stage {expiring.body.stage}: {days:.1f} days left")
            await self.notice(NoticeCode.TOKEN_EXPIRING, line)

    async def removal(self) -> None:
        async with self.step("5", "she removes Wevion at Meta") as line:
            self.mail_before = await self.newest_mail()
            removed = time.monotonic()
            await self.platforms.revoke("meta", self.person, cause="user_revoked")
            revoked = await self.witness.saw(TokenRevokedV1, self.is_mine, "the revocation")
            if revoked.body.cause is not RevocationCause.USER_REVOKED:
                raise NotObserved(f"token.revoked with cause {revoked.body.cause}")
            after_ms = (time.monotonic() - removed) * 1000
            line.add(f"token.revoked, cause {revoked.body.cause}")
            line.add(f"learnt by {revoked.body.detected_by} after {after_ms:.0f} ms")

    async def consequences(self) -> None:
        async with self.step("6", "rules stop, people are told") as line:
            mine = set(self.rules)
            paused = await self.witness.saw_all(
                RulePausedV1, lambda body: body.rule_id in mine, len(mine), "the paused rules"
            )
            for rule in self.rules:
                shown = await persist(partial(self.owner.get, f"/api/v1/rules/{rule}"), "a paused rule")
                if shown["running"] or not shown["auto_paused_at"]:
                    raise NotObserved(f"rule {rule} says that it runs")
            line.add(f"rule.paused x {len({event.body.rule_id for event in paused})}")
            await self.notice(NoticeCode.TOKEN_REVOKED, line)

    async def refusal(self) -> None:
        async with self.step("8", "the backend service is refused") as line:
            account = next(iter(self.accounts))
            try:
                await persist(lambda: self.backend.access_token(account), "the refusal")
            except Refused as refused:
                problem = refused.problem
                missing = [name for name in ("code", "cause", "fix", "fix_url") if not problem.get(name)]
                if missing:
                    raise NotObserved(f"the refusal does not say {', '.join(missing)}: {problem}") from None
                line.add(f"{refused.status} {refused.code}, cause {problem['cause']}")
                line.add(f"“{problem['fix']}”")
            else:
                raise NotObserved("an access token was given out for a dead grant")

    async def reauthorisation(self) -> None:
        async with self.step("7", "she follows the link and consents again") as line:
            again = time.monotonic()
            await self.consent("meta", connection_id=self.connection)
            issued = await self.witness.saw(
                TokenIssuedV1,
                lambda body: self.is_mine(body) and body.how is IssuedHow.REAUTHORIZE,
                "the re-authorisation",
            )
            line.add(f"token.issued ({issued.body.how}), the same connection")
            mine = set(self.rules)
            await self.witness.saw_all(RuleResumedV1, lambda body: body.rule_id in mine, len(mine), "the resumed rules")
            line.add(f"rule.resumed x {len(mine)} after {(time.monotonic() - again) * 1000:.0f} ms")
            gaps = await self.witness.saw_all(
                DataGapClosedV1, lambda body: str(body.account_id) in self.accounts, len(self.accounts), "the data gaps"
            )
            width = max((gap.body.to - gap.body.from_).total_seconds() for gap in gaps)
            line.add(f"data_gap.closed x {len(gaps)}, up to {width:.1f} s on record")
            await becomes(self.all_accounts_work, "every account verified")
            line.add("every account verified at the platform")
            await becomes(self.notices_resolved, "the notices resolved")
            line.add("notices resolved")
            account = next(iter(self.accounts))
            answer = await persist(lambda: self.backend.access_token(account), "an access token again")
            await self.works_at_the_platform(answer["access_token"])
            line.add("access tokens work again")

    async def forced_logout(self) -> None:
        async with self.step("9", "an admin ends all of a member's sessions") as line:
            member, admin = self.user("member"), self.user("admin")
            async with Browser(self.demo["gateway_url"]) as hers, Browser(self.demo["gateway_url"]) as his:
                await persist(lambda: hers.sign_in(member["email"], member["password"]), "the member's sign-in")
                token = await persist(hers.jwt, "the member's JWT")
                for service in USER_PATHS:
                    await persist(partial(self.as_user, service, token), f"{service} accepting it")
                await persist(lambda: his.sign_in(admin["email"], admin["password"]), "the admin's sign-in")
                await persist(
                    lambda: his.post(f"/api/v1/admin/users/{member['user_id']}/force-logout", {}), "the forced logout"
                )
                ended = time.monotonic()
                code = ""
                for service in USER_PATHS:
                    code = await becomes(partial(self.refuses, service, token), f"{service} refusing it")
                took_ms = (time.monotonic() - ended) * 1000
                line.add(f"{len(USER_PATHS)} services refuse the JWT ({code}) after {took_ms:.0f} ms")

    # -- what the steps share

    @asynccontextmanager
    async def step(self, number: str, title: str) -> AsyncIterator[Line]:
        line = Line()
        try:
            yield line
        except BaseException:
            self.say(f"  {time.monotonic() - self.began:5.1f} s  {paint('✗', 31)} {number}  {title}")
            raise
        first, *rest = line.seen or [""]
        self.say(f"  {time.monotonic() - self.began:5.1f} s  {paint('✓', 32)} {number}  {title:<44} {first}")
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
            raise NotObserved(f"the consent at {provider} came back with {back.query_string}")

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
        except Refused as refused:
            if refused.status == UNAUTHORIZED:
                return refused.code
            raise
        return None

    async def works_at_the_platform(self, access_token: str) -> None:
        url = URL(self.demo["simulator_url"]) / "graph.facebook.com/v23.0/me/adaccounts"
        async with self.http.get(url, params={"access_token": access_token}) as response:
            if not response.ok:
                raise NotObserved(f"the platform refuses the access token: {response.status} {await response.text()}")

    async def newest_mail(self) -> int:
        messages = await persist(lambda: self.platforms.mail(limit="1"), "the mailbox")
        return int(messages[0]["id"]) if messages else 0

    async def notice(self, code: NoticeCode, line: Line) -> None:
        """The notice in the app, its event, and the mail that names everything a reader needs."""
        shown = await becomes(lambda: self.open_notice(code), f"the notice {code}")
        if missing := set(self.accounts.values()) - set(shown["account_names"]):
            raise NotObserved(f"the notice does not name {', '.join(sorted(missing))}")
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
            raise NotObserved(f"the mail does not have {', '.join(absent)}")
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
