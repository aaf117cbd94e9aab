"""The whole story, told on a running stack.

Each step is done as its real actor would do it, and counts only if its effect was observed from outside.

It makes its own person at the platform and its own connection, so it can be told again on the same stack, and a
service may be killed at any point of it: whoever calls comes back, whoever waits waits for the restart.
"""

from dataclasses import dataclass
from functools import partial

from common.contracts import (
    DataGapClosedV1,
    IssuedHow,
    NoticeCode,
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
from common.runtime.clock import monotonic
from common.runtime.ids import new_id
from devstack.browser import Browser, RefusedError
from devstack.platforms import GENERIC
from devstack.storyteller import PERSON_PREFIX, USER_PATHS, Storyteller
from devstack.witness import NotObservedError, becomes, persist

RULES = ("Pause ads that lose money", "Raise budgets of winners", "Sunday night bids")
HOUR_S = 3600
DAY_S = 86_400
#: The generic platform's access tokens live so long while the story connects it; two thirds later one is renewed.
SHORT_ACCESS_S = 9.0
#: So close to its end the grant comes that the ladder's 7-day stage is due.
NEAR_END_S = 6.5 * DAY_S


@dataclass(slots=True)
class Story(Storyteller):
    """The steps, in their order."""

    async def tell(self) -> None:
        """Raises `NotObservedError` or `RefusedError` at the first step that does not come true."""
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
                raise NotObservedError(f"the JWT lives for {life_s} s, not for an hour")
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
                raise NotObservedError("the platform saw a refresh token twice")
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
            removed = monotonic()
            await self.platforms.revoke("meta", self.person, cause="user_revoked")
            revoked = await self.witness.saw(TokenRevokedV1, self.is_mine, "the revocation")
            if revoked.body.cause is not RevocationCause.USER_REVOKED:
                raise NotObservedError(f"token.revoked with cause {revoked.body.cause}")
            after_ms = (monotonic() - removed) * 1000
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
                    raise NotObservedError(f"rule {rule} says that it runs")
            line.add(f"rule.paused x {len({event.body.rule_id for event in paused})}")
            await self.notice(NoticeCode.TOKEN_REVOKED, line)

    async def refusal(self) -> None:
        async with self.step("8", "the backend service is refused") as line:
            account = next(iter(self.accounts))
            try:
                await persist(lambda: self.backend.access_token(account), "the refusal")
            except RefusedError as refused:
                problem = refused.problem
                missing = [name for name in ("code", "cause", "fix", "fix_url") if not problem.get(name)]
                if missing:
                    raise NotObservedError(f"the refusal does not say {', '.join(missing)}: {problem}") from None
                line.add(f"{refused.status} {refused.code}, cause {problem['cause']}")
                line.add(f"“{problem['fix']}”")
            else:
                raise NotObservedError("an access token was given out for a dead grant")

    async def reauthorisation(self) -> None:
        async with self.step("7", "she follows the link and consents again") as line:
            again = monotonic()
            await self.consent("meta", connection_id=self.connection)
            issued = await self.witness.saw(
                TokenIssuedV1,
                lambda body: self.is_mine(body) and body.how is IssuedHow.REAUTHORIZE,
                "the re-authorisation",
            )
            line.add(f"token.issued ({issued.body.how}), the same connection")
            mine = set(self.rules)
            await self.witness.saw_all(RuleResumedV1, lambda body: body.rule_id in mine, len(mine), "the resumed rules")
            line.add(f"rule.resumed x {len(mine)} after {(monotonic() - again) * 1000:.0f} ms")
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
                ended = monotonic()
                code = ""
                for service in USER_PATHS:
                    code = await becomes(partial(self.refuses, service, token), f"{service} refusing it")
                took_ms = (monotonic() - ended) * 1000
                line.add(f"{len(USER_PATHS)} services refuse the JWT ({code}) after {took_ms:.0f} ms")
