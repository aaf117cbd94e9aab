"""The session module by itself, in a real browser: renewals, faults, tabs, late answers (T1.2, T1.4, T1.5, T1.8)."""

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from playwright.async_api import Page, Route

from common.auth import Reason
from common.testing import eventually
from session_svc.core.session import EndCause

if TYPE_CHECKING:
    from tests.integration.browser.conftest import Profile

    from testbed import World

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(120)]

TOKEN = "**/api/v1/auth/token"


class Gate:
    """Lets questions for a JWT reach the server, and holds the answers back until it is opened."""

    def __init__(self) -> None:
        self.held = 0
        self._open = asyncio.Event()

    async def __call__(self, route: Route) -> None:
        answer = await route.fetch()
        self.held += 1
        await self._open.wait()
        await route.fulfill(response=answer)

    def open(self) -> None:
        self._open.set()

    async def is_holding(self) -> bool:
        return self.held > 0


async def begin_check(page: Page) -> None:
    """Start to ask, and do not wait for the answer."""
    await page.evaluate("() => { window.asked = window.session.check(); }")


async def asked_for(page: Page) -> None:
    """Wait for the answer to `begin_check`."""
    await page.evaluate("async () => { await window.asked; }")


async def test_module_knows_every_reason_and_cause(profile: "Profile") -> None:
    page = await profile.tab("/reset-password#token=none")

    reasons, unknown = await page.evaluate(
        """async (causes) => {
          const { REMEDIES, wordsFor } = await import("/static/latest/session.js");
          const plain = Object.fromEntries(Object.keys(REMEDIES).map((reason) => [reason, wordsFor(reason).title]));
          const said = (cause) => wordsFor("session_revoked", cause).title !== plain.session_revoked;
          return [plain, causes.filter((cause) => !said(cause))];
        }""",
        [cause.value for cause in EndCause],
    )

    assert set(reasons) == {reason.value for reason in Reason}
    # these two have a code of their own, which says it
    assert set(unknown) == {"expired", "account_disabled"}


async def test_renewals_spread(profile: "Profile") -> None:
    """Lessons I6: up to 5 % of the hour earlier, evenly, and the same for the same session."""
    page = await profile.tab("/reset-password#token=none")

    leads: list[float] = await page.evaluate(
        """async () => {
          const { renewalTime } = await import("/static/latest/session.js");
          const issuedAt = new Date(0), expiresAt = new Date(3_600_000);
          const lead = (sid) => 3600 - renewalTime({ sid, issuedAt, expiresAt }, 300) / 1000;
          const sids = Array.from({ length: 5000 }, () => crypto.randomUUID());
          if (sids.some((sid) => lead(sid) !== lead(sid))) throw new Error("not the same twice");
          return sids.map(lead);
        }"""
    )

    assert min(leads) >= 300
    assert max(leads) <= 300 + 180
    deciles = [sum(300 + 18 * n <= lead < 300 + 18 * (n + 1) for lead in leads) for n in range(10)]
    assert all(400 < count < 600 for count in deciles), deciles


async def test_jwt_is_renewed_ahead_of_its_hour_once_for_all_tabs(world: "World", profile: "Profile") -> None:
    await profile.context.clock.install()
    await profile.has_signed_in(await world.person())
    tabs = [await profile.bare() for _ in range(3)]
    before = (await profile.state(tabs[0]))["renewsAt"]
    world.advance(timedelta(minutes=1))  # so that the next JWT is another one
    profile.asked.clear()

    await profile.context.clock.fast_forward("50:00")
    assert profile.asked == []
    await profile.context.clock.fast_forward("06:00")

    async def all_have_the_next() -> bool:
        return all([(await profile.state(tab))["renewsAt"] > before for tab in tabs])

    assert await eventually(all_have_the_next, what="every tab holds the next JWT")
    assert profile.asked == ["GET"]
    assert len({(await profile.state(tab))["token"] for tab in tabs}) == 1


async def test_tabs_that_wait_for_their_turn_share_the_next_answer(world: "World", profile: "Profile") -> None:
    await profile.has_signed_in(await world.person())
    first, *others = [await profile.bare() for _ in range(4)]
    gate = Gate()
    await profile.context.route(TOKEN, gate)
    profile.asked.clear()

    await begin_check(first)
    assert await eventually(gate.is_holding)
    for tab in others:
        await begin_check(tab)
    gate.open()
    for tab in (first, *others):
        await asked_for(tab)

    # the answer to the first question may be from before that for which the others asked; one more is enough for them
    assert len(profile.asked) == 2
    assert {(await profile.state(tab))["kind"] for tab in (first, *others)} == {"live"}


@pytest.mark.parametrize(("hidden", "asked"), [(False, ["GET", "POST"]), (True, ["GET"])])
async def test_session_in_use_is_extended_and_a_forgotten_tab_is_not(
    world: "World", profile: "Profile", *, hidden: bool, asked: list[str]
) -> None:
    person = await world.person()
    await profile.has_signed_in(person)
    page = await profile.bare()
    if hidden:
        await page.evaluate("() => Object.defineProperty(document, 'hidden', { get: () => true })")
    before = (await profile.state(page))["sessionExpiresAt"]
    world.advance(timedelta(hours=25))
    profile.asked.clear()

    await page.evaluate("() => window.session.check()")

    assert profile.asked == asked
    after = (await profile.state(page))["sessionExpiresAt"]
    assert (after > before) is not hidden


async def reset(route: Route) -> None:
    await route.abort("connectionreset")


async def unavailable(route: Route) -> None:
    await route.fulfill(status=503, json={"code": "upstream_unavailable", "service": "session-svc"})


async def captive_portal(route: Route) -> None:
    await route.fulfill(status=200, content_type="text/html", body="<h1>Welcome to the hotel</h1>")


async def somebody_elses_401(route: Route) -> None:
    await route.fulfill(status=401, content_type="text/html", body="<h1>Proxy authentication</h1>")


async def unknown_401(route: Route) -> None:
    await route.fulfill(status=401, json={"code": "something_new"})


async def nonsense(route: Route) -> None:
    await route.fulfill(status=200, json={"token": 42})


FAULTS = {
    reset: "network",
    unavailable: "server",
    captive_portal: "server",
    somebody_elses_401: "server",
    unknown_401: "server",
    nonsense: "server",
}


async def test_a_fault_is_waited_out_and_never_taken_for_the_end(world: "World", profile: "Profile") -> None:
    await profile.has_signed_in(await world.person())
    page = await profile.bare(firstRetryMs=50)
    for fault, cause in FAULTS.items():
        jwt = (await profile.state(page))["token"]
        await page.route(TOKEN, fault, times=2)

        first = await page.evaluate(
            "async () => { const { kind, cause } = await window.session.check(); return [kind, cause]; }"
        )
        while_away = await page.evaluate("() => window.session.token()")

        async def live_again() -> bool:
            return str((await profile.state(page))["kind"]) == "live"

        assert await eventually(live_again, what=f"live after {fault.__name__}")
        assert (fault.__name__, first) == (fault.__name__, ["unreachable", cause])
        assert while_away == jwt
    assert "ended" not in await page.evaluate("() => window.kinds")


async def test_a_server_that_hangs_is_given_up_and_asked_again(world: "World", profile: "Profile") -> None:
    await profile.has_signed_in(await world.person())
    page = await profile.bare(timeoutMs=200, firstRetryMs=50)
    gate = Gate()
    await page.route(TOKEN, gate)

    state = await page.evaluate(
        "async () => { const { kind, cause } = await window.session.check(); return [kind, cause]; }"
    )

    assert state == ["unreachable", "timeout"]
    await page.unroute(TOKEN)  # what was given up stays unanswered


async def test_server_that_asks_for_time_gets_it(world: "World", profile: "Profile") -> None:
    await profile.context.clock.install()
    await profile.has_signed_in(await world.person())
    page = await profile.bare(firstRetryMs=50)

    async def busy(route: Route) -> None:
        await route.fulfill(status=503, json={"code": "sign_in_busy"}, headers={"Retry-After": "100"})

    await page.route(TOKEN, busy)
    await page.evaluate("() => window.session.check()")
    await page.unroute(TOKEN)
    profile.asked.clear()

    await profile.context.clock.fast_forward("01:30")
    assert profile.asked == []
    await profile.context.clock.fast_forward("00:15")

    async def live_again() -> bool:
        return str((await profile.state(page))["kind"]) == "live"

    assert await eventually(live_again)


async def test_late_answer_about_an_ended_session_is_dropped(world: "World", profile: "Profile") -> None:
    await profile.has_signed_in(await world.person())
    first, second = await profile.bare(), await profile.bare()
    gate = Gate()
    await first.route(TOKEN, gate)
    await begin_check(first)
    assert await eventually(gate.is_holding)

    await second.evaluate("() => window.session.signOut()")
    gate.open()
    await asked_for(first)

    for tab in (first, second):
        state = await profile.state(tab)
        assert (state["kind"], state["reason"], state["cause"]) == ("ended", "session_revoked", "signed_out")


async def test_session_of_another_person_never_passes_for_the_first_ones(world: "World", profile: "Profile") -> None:
    await profile.has_signed_in(await world.person())
    first, second = await profile.bare(), await profile.bare()
    bob = await world.person("bob")
    gate = Gate()
    await first.route(TOKEN, gate)
    await begin_check(first)
    assert await eventually(gate.is_holding)

    answer = await profile.call(second, "POST", "/api/v1/auth/sign-in", {"email": bob.email, "password": bob.password})
    bobs = answer["body"]["session"]["session_id"]
    await begin_check(second)
    gate.open()
    await asked_for(first)
    await asked_for(second)
    await first.evaluate("() => window.session.check()")

    for tab in (first, second):  # the page has to reload: what it shows is the first one's
        state = await profile.state(tab)
        assert (state["kind"], state.get("sid")) == ("replaced", bobs), state


async def test_refused_jwt_is_renewed_and_the_call_repeated_once(world: "World", profile: "Profile") -> None:
    await profile.has_signed_in(await world.person())
    page = await profile.bare()
    sent: list[str | None] = []

    async def service(route: Route) -> None:
        sent.append(await route.request.header_value("authorization"))
        if len(sent) == 1:
            await route.fulfill(status=401, json={"code": "token_expired"})
        else:
            await route.fulfill(json={"works": True})

    await page.route("**/elsewhere", service)
    world.advance(timedelta(minutes=1))

    answer = await page.evaluate("async () => (await window.session.fetch('/elsewhere')).json()")

    assert answer == {"works": True}
    assert len(set(sent)) == 2
    assert all(header is not None and header.startswith("Bearer ") for header in sent)


async def test_call_is_not_repeated_when_the_session_is_over(world: "World", profile: "Profile") -> None:
    person = await world.person()
    await profile.has_signed_in(person)
    page = await profile.bare()
    sent = 0

    async def service(route: Route) -> None:
        nonlocal sent
        sent += 1
        await route.fulfill(status=401, json={"code": "session_revoked", "cause": "admin_forced"})

    await page.route("**/elsewhere", service)
    elsewhere = await world.signed_in(person)
    await elsewhere.post("/api/v1/auth/sign-out", {"everywhere": True})

    status = await page.evaluate("async () => (await window.session.fetch('/elsewhere')).status")
    refusal = await page.evaluate(
        "() => window.session.token().then(() => '', (error) => `${error.name} ${error.reason}`)"
    )

    assert (status, sent) == (401, 1)
    assert refusal == "SessionEnded session_revoked"
