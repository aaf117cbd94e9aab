"""People and programs at work while parts of the stack break, and what they were promised.

Whatever was answered with success is *accepted*: its effect has to be there afterwards. A clear refusal because a part
is away (5xx with a problem document, a connection that broke) promises nothing; the person tries again. Everything
else is in `wrong`: a live session that is refused, an error without a problem document, a call without an answer.
"""

import asyncio
import random
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeVar

import aiohttp

from common.runtime.clock import monotonic
from common.runtime.ids import new_id, random_bytes
from common.runtime.tasks import cancel
from common.testing import eventually
from devstack.backend import Backend
from devstack.browser import Browser, RefusedError
from devstack.platforms import GENERIC, Platforms, simulated
from devstack.record import some
from devstack.storyteller import USER_PATHS

T = TypeVar("T")

#: No service may keep a caller waiting longer: its own limit for a request is 30 s, the gateway's for a service too.
ANSWER_WITHIN_S = 35.0
#: Between two clicks of one person, at most; a tenth of it at least.
THINKING_S = 0.3
#: Actions of a person in one session, at most.
VISIT = 8
ACCOUNTS_PER_PERSON = 2
#: After the last fault: restarts, backoffs, group rebalances and the relay's lease are over by then.
EFFECT_WITHIN_S = 60.0
#: Answered with a page for people, errors too.
PAGES = frozenset({"connect"})
UNAUTHORIZED = 401
CONFLICT = 409
TOO_MANY_REQUESTS = 429
SERVER_ERRORS_FROM = 500


@dataclass(slots=True)
class Visit:
    """One session that was accepted."""

    browser: Browser
    session_id: str
    jwt: str
    ended: bool = False
    #: This person's own rules: two people's edits of one rule would be a conflict, which is another story.
    rules: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Traffic:
    """Made by `flowing`; `demo` is the content of demo.json."""

    demo: Mapping[str, Any]
    http: aiohttp.ClientSession
    platforms: Platforms
    chance: random.Random
    stack: AsyncExitStack
    #: (what, outcome) -> how often; the outcomes are accepted, failed and unreachable.
    tries: Counter[tuple[str, str]] = field(default_factory=Counter)
    slowest_s: dict[str, float] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)
    visits: list[Visit] = field(default_factory=list)
    #: Rule -> the newest revision that was accepted.
    rules: dict[str, int] = field(default_factory=dict)
    #: Accounts (as the platform names them) whose connection was accepted.
    connected: list[str] = field(default_factory=list)
    lanes: list[asyncio.Task[None]] = field(default_factory=list)
    _stopping: asyncio.Event = field(default_factory=asyncio.Event)

    @classmethod
    @asynccontextmanager
    async def flowing(
        cls, demo: Mapping[str, Any], chance: random.Random, *, staff: int = 3
    ) -> "AsyncIterator[Traffic]":
        """At work inside the block; `stop` ends it earlier. What was accepted can be checked until the block ends."""
        timeout = aiohttp.ClientTimeout(total=ANSWER_WITHIN_S)
        async with aiohttp.ClientSession(timeout=timeout) as http, AsyncExitStack() as stack:
            traffic = cls(demo, http, Platforms(http, demo["simulator_control_url"]), chance, stack)
            lanes: list[Callable[[], Awaitable[None]]] = [
                *(partial(traffic._staff, number) for number in range(staff)),
                traffic._forced_out,
                traffic._connecting,
            ]
            traffic.lanes = [asyncio.create_task(traffic._lane(lane)) for lane in lanes]
            try:
                yield traffic
                await traffic.stop()
            finally:
                await cancel(*traffic.lanes)

    def count(self, outcome: str) -> int:
        """How many tries ended so."""
        return sum(number for (_, ended), number in self.tries.items() if ended == outcome)

    def accepted(self) -> dict[str, int]:
        """How many were accepted, by what they were."""
        return {what: number for (what, ended), number in sorted(self.tries.items()) if ended == "accepted"}

    async def stop(self) -> None:
        """No new visits; returns when those under way have come to their end."""
        self._stopping.set()
        await asyncio.gather(*self.lanes)

    # -- what was promised

    async def kept(self) -> None:
        """Every accepted request's effect is there. Raises `AssertionError` with what is missing."""
        assert not self.wrong, some(self.wrong)
        await eventually(self._sessions_as_accepted, EFFECT_WITHIN_S, what="sessions live and end as accepted")
        await eventually(self._rules_as_accepted, EFFECT_WITHIN_S, what="rules are as accepted")
        await eventually(self._connections_as_accepted, EFFECT_WITHIN_S, what="connections are there")

    async def _sessions_as_accepted(self) -> bool:
        backend = Backend(self.http, self.demo["service_client"], self.demo["services"])
        for visit in self.visits:
            said = await _answer(visit.browser.jwt)
            assert (said == UNAUTHORIZED) is visit.ended, f"session {visit.session_id}: {said}, ended: {visit.ended}"
            if visit.ended:
                for service, path in USER_PATHS.items():
                    refused = await _answer(partial(backend.call, "GET", service, path, jwt=visit.jwt))
                    assert refused == UNAUTHORIZED, f"{service} on an ended session {visit.session_id}: {refused}"
        return True

    async def _rules_as_accepted(self) -> bool:
        async with self._owner() as owner:
            for rule, revision in self.rules.items():
                shown = await owner.get(f"/api/v1/rules/{rule}")
                assert shown["revision"] >= revision, f"rule {rule}: {shown['revision']}, accepted {revision}"
        return True

    async def _connections_as_accepted(self) -> bool:
        backend = Backend(self.http, self.demo["service_client"], self.demo["services"])
        async with self._owner() as owner:
            known = {each["external_id"]: each for each in await everything(owner, "/api/v1/accounts")}
            missing = set(self.connected) - set(known)
            assert not missing, some(missing)
            for account in self.connected:
                try:
                    assert (await backend.access_token(known[account]["account_id"]))["access_token"]
                except RefusedError as refused:
                    # Killed between a call and its answer, the new single-use token is lost: that, and only that, may
                    # have ended it, and it says so. That one was lost is known to the platform: `held_with_reason`.
                    shown = await owner.get(f"/api/v1/connections/{known[account]['connection_id']}")
                    if not (shown["last_failure"] or "").startswith("unknown_outcome"):
                        raise AssertionError(str(refused)) from refused
        return True

    @asynccontextmanager
    async def _owner(self) -> AsyncIterator[Browser]:
        async with Browser(self.demo["gateway_url"], timeout_s=ANSWER_WITHIN_S) as owner:
            user = self._user("owner")
            await owner.sign_in(user["email"], user["password"])
            yield owner

    # -- lanes

    async def _lane(self, work: Callable[[], Awaitable[None]]) -> None:
        while not self._stopping.is_set():
            try:
                await work()
            except RefusedError as refused:
                self.wrong.append(str(refused))
            await self._think()

    async def _staff(self, number: int) -> None:
        """Signs in, works on rules and looks around, signs out (every second time)."""
        visit = await self._sign_in("owner" if number % 2 else "admin")
        actions = (self._renews, self._looks, self._edits_a_rule, self._edits_a_rule)
        for _ in range(self.chance.randint(1, VISIT)):
            await self.chance.choice(actions)(visit)
            await self._think()
        if self._coin():  # the others close the browser instead
            await self._until_accepted("sign-out", lambda: visit.browser.post("/api/v1/auth/sign-out"))
            visit.ended = True

    async def _forced_out(self) -> None:
        """A member signs in, and an admin ends all of their sessions."""
        visit = await self._sign_in("member")
        admin = await self._sign_in("admin")
        member = self._user("member")["user_id"]
        await self._until_accepted(
            "forced logout", lambda: admin.browser.post(f"/api/v1/admin/users/{member}/force-logout", {})
        )
        visit.ended = True

    async def _connecting(self) -> None:
        """Somebody new connects a platform."""
        owner = await self._sign_in("owner")
        key = f"load-{random_bytes(4).hex()}"
        accounts = {simulated(GENERIC): ACCOUNTS_PER_PERSON}
        order = {"key": key, "name": "Lou Load", "email": f"{key}@northwind.example", "brand": "Northwind"}
        person = await self.platforms.order("POST", "/_sim/people", {**order, "accounts": accounts})
        back = await self._until_accepted("connect", lambda: owner.browser.consent(GENERIC, key))
        if "connect_error" in back.query or "error" in back.query:
            self.tries["connect", "accepted"] -= 1
            self.tries["connect", "failed"] += 1
            return
        self.connected += [account["id"] for account in person["accounts"][simulated(GENERIC)]]

    async def _sign_in(self, role: str) -> Visit:
        # each from an address of their own: sign-ins are limited by address
        address = f"10.{self.chance.randrange(256)}.{self.chance.randrange(256)}.{self.chance.randrange(1, 255)}"
        browser = Browser(self.demo["gateway_url"], timeout_s=ANSWER_WITHIN_S, address=address)
        await self.stack.enter_async_context(browser)
        user = self._user(role)
        answer = await self._until_accepted("sign-in", lambda: browser.sign_in(user["email"], user["password"]))
        visit = Visit(browser, answer["session"]["session_id"], answer["token"]["token"])
        self.visits.append(visit)
        return visit

    async def _renews(self, visit: Visit) -> None:
        if (jwt := await self._attempt("new JWT", visit.browser.jwt)) is not None:
            visit.jwt = jwt

    async def _looks(self, visit: Visit) -> None:
        await self._attempt("look", lambda: visit.browser.get(self.chance.choice(list(USER_PATHS.values()))))

    async def _edits_a_rule(self, visit: Visit) -> None:
        rule = str(new_id()) if self._coin() or not visit.rules else self.chance.choice(visit.rules)
        # higher than any that was tried, so that a lost answer to the last edit is no conflict
        revision = time.monotonic_ns()
        body = {"name": f"Rule {revision}", "account_ids": [str(new_id())], "enabled": True, "revision": revision}
        if await self._attempt("rule edit", lambda: visit.browser.call("PUT", f"/api/v1/rules/{rule}", json=body)):
            self.rules[rule] = revision
            visit.rules.append(rule)

    # -- trying

    async def _until_accepted(self, what: str, call: Callable[[], Awaitable[T]]) -> T:
        while True:
            done = await self._try(what, call)
            if done is not None:
                return done[0]
            await self._think()

    async def _attempt(self, what: str, call: Callable[[], Awaitable[T]]) -> T | None:
        done = await self._try(what, call)
        return None if done is None else done[0]

    async def _try(self, what: str, call: Callable[[], Awaitable[T]]) -> tuple[T] | None:
        """Return the answer in a tuple, or None if a part was away. Raises `RefusedError` for what is neither."""
        began = monotonic()
        outcome = "accepted"
        try:
            return (await call(),)
        except RefusedError as refused:
            if what in PAGES and refused.status == CONFLICT:
                # the replica that had taken the consent was killed in its middle: the page says to begin again
                outcome = "failed"
                return None
            if refused.status < SERVER_ERRORS_FROM and refused.status != TOO_MANY_REQUESTS:
                outcome = "refused"
                raise
            outcome = "failed"
            if not refused.code and what not in PAGES:
                self.wrong.append(f"{what}: {refused.status} without a problem document")
        except TimeoutError:
            outcome = "no answer"
            self.wrong.append(f"{what}: no answer within {ANSWER_WITHIN_S:g} s")
        except (aiohttp.ClientError, OSError):
            outcome = "unreachable"
        finally:
            took_s = monotonic() - began
            self.tries[what, outcome] += 1
            self.slowest_s[what] = max(took_s, self.slowest_s.get(what, 0.0))
        return None

    async def _think(self) -> None:
        await asyncio.sleep(THINKING_S * (0.1 + 0.9 * self.chance.random()))

    def _coin(self) -> bool:
        return bool(self.chance.getrandbits(1))

    def _user(self, role: str) -> dict[str, str]:
        found: dict[str, str] = next(user for user in self.demo["users"] if user["role"] == role)
        return found


async def everything(person: Browser, path: str) -> list[dict[str, Any]]:
    """All pages of a list."""
    items: list[dict[str, Any]] = []
    cursor: dict[str, str] = {}
    while True:
        page = await person.get(path, limit="100", **cursor)
        items += page["items"]
        if not page["next_cursor"]:
            return items
        cursor = {"cursor": page["next_cursor"]}


async def _answer(call: Callable[[], Awaitable[Any]]) -> int:
    """200, or the status of the refusal."""
    try:
        await call()
    except RefusedError as refused:
        return refused.status
    return 200
