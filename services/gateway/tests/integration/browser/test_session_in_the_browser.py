"""Rows T1.4, T1.5, T1.7 and T1.8 as a person meets them: the console in a real browser."""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from playwright.async_api import expect

from common.testing import eventually
from session_svc.core.people import Role

if TYPE_CHECKING:
    from tests.integration.browser.conftest import Profile

    from testbed import Person, World

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(120)]

SOON_MS = 15_000
REASON = "customer cannot see their campaigns"


async def test_signing_in_leads_back_to_the_page_that_was_wanted(world: "World", profile: "Profile") -> None:
    page = await profile.tab("/rules")
    await expect(page.get_by_role("heading", name="Sign in")).to_be_visible(timeout=SOON_MS)
    person = await world.person()

    await page.keyboard.type(person.email)  # the keyboard is enough: the first field has the focus
    await page.keyboard.press("Tab")
    await page.keyboard.type(person.password)
    await page.keyboard.press("Enter")

    await expect(page).to_have_url(f"{world.gateway_url}/rules", timeout=SOON_MS)
    await expect(page.locator(".who-name")).to_have_text("Ann", timeout=SOON_MS)


async def test_wrong_password_is_said_and_can_be_corrected(world: "World", profile: "Profile") -> None:
    person = await world.person()
    page = await profile.tab("/sign-in")

    await profile.fill(page, person.email, "not the password")

    await expect(page.get_by_role("alert")).to_contain_text("Address or password is wrong")
    await expect(page.get_by_label("Password", exact=True)).to_be_focused()
    await profile.fill(page, person.email, person.password)
    await expect(page).to_have_url(f"{world.gateway_url}/connections", timeout=SOON_MS)


async def test_return_to_leads_nowhere_else(profile: "Profile") -> None:
    page = await profile.tab("/reset-password#token=none")
    elsewhere = [
        "//evil.example",
        "https://evil.example/",
        "/\\evil.example",
        "\\\\evil.example",
        "javascript:alert(1)",
        "/\t/evil.example",
        "/%2f/../..//evil.example",
        "evil.example",
        "/sign-in?return_to=/sign-in",
        "",
        None,
    ]

    led = await page.evaluate(
        """async (values) => {
          const { localPath } = await import("/static/latest/paths.js");
          return values.map((value) => localPath(value)).map((path) => path && new URL(path, location.origin).origin);
        }""",
        [*elsewhere, "/rules?x=1"],
    )

    assert [origin for origin in led[:-1] if origin not in {None, profile.world.gateway_url}] == []
    assert led[:6] == [None] * 6
    assert led[-1] == profile.world.gateway_url


async def test_signing_out_in_one_tab_signs_out_all(world: "World", profile: "Profile") -> None:
    first = await profile.looks_at(await world.person())
    others = [await profile.tab(path) for path in ("/settings/sessions", "/rules", "/notices")]
    for tab in others:
        await expect(tab.locator(".who-name")).to_be_visible(timeout=SOON_MS)

    await first.get_by_role("button", name="Sign out").click()

    for tab in [first, *others]:
        await expect(tab.get_by_text("You signed out")).to_be_visible(timeout=2_000)
        assert "cause=signed_out" in tab.url
    # and signing in again in one of them brings the others back to where they were
    await profile.fill(others[0], world.email("ann"), "correct horse battery staple")
    await expect(others[1]).to_have_url(f"{world.gateway_url}/rules", timeout=SOON_MS)
    await expect(others[1].locator(".who-name")).to_be_visible(timeout=SOON_MS)


async def test_signing_out_while_offline_does_not_pretend(world: "World", profile: "Profile") -> None:
    person = await world.person()
    page = await profile.looks_at(person)
    await profile.context.set_offline(True)

    await page.get_by_role("button", name="Sign out").click()

    await expect(page.get_by_text("It could not be done now")).to_be_visible()
    await profile.context.set_offline(False)
    await expect(page.locator("#banner .banner")).to_have_count(0, timeout=SOON_MS)
    assert page.url.endswith("/settings/sessions")
    assert await world.live_sessions(person) == 1


async def test_offline_and_back_asks_nobody_to_sign_in(world: "World", profile: "Profile") -> None:
    page = await profile.looks_at(await world.person())
    jwt = (await profile.state(page))["token"]

    await profile.context.set_offline(True)

    await expect(page.get_by_text("This device is offline.")).to_be_visible(timeout=SOON_MS)
    state = await profile.state(page)
    assert (state["kind"], state["cause"], state["last"]["token"]) == ("unreachable", "offline", jwt)
    await profile.context.set_offline(False)
    await expect(page.locator("#banner .banner")).to_have_count(0, timeout=SOON_MS)
    assert page.url.endswith("/settings/sessions")
    assert (await profile.state(page))["kind"] == "live"


async def test_the_part_that_is_down_is_named_and_the_rest_is_shown(world: "World", profile: "Profile") -> None:
    page = await profile.looks_at(await world.person(), "/connections")  # oauth-svc does not run in these tests

    await expect(page.get_by_text("The connections cannot be read now (oauth-svc).")).to_be_visible(timeout=SOON_MS)
    await expect(page.get_by_text("It is tried again by itself.")).to_be_visible()
    await page.get_by_role("link", name="Sessions").click()
    await expect(page.get_by_text("This browser")).to_be_visible(timeout=SOON_MS)


Ending = Callable[["World", "Person", str], Awaitable[None]]


async def by_an_admin(world: "World", person: "Person", session_id: str) -> None:
    admin = await world.signed_in(await world.person("adm", Role.ADMIN, person.workspace_id))
    await admin.delete(f"/api/v1/admin/sessions/{session_id}")


async def by_a_new_role(world: "World", person: "Person", session_id: str) -> None:
    owner = await world.signed_in(await world.person("own", Role.OWNER, person.workspace_id))
    await owner.put(f"/api/v1/admin/users/{person.user_id}/role", {"role": "admin"})


async def by_a_new_password(world: "World", person: "Person", session_id: str) -> None:
    elsewhere = await world.signed_in(person)
    body = {"current_password": person.password, "new_password": "another horse, another staple"}
    assert (await elsewhere.post("/api/v1/auth/password", body)).status == 204


async def from_another_device(world: "World", person: "Person", session_id: str) -> None:
    elsewhere = await world.signed_in(person)
    assert (await elsewhere.delete(f"/api/v1/auth/sessions/{session_id}")).status == 204


async def by_disabling_the_user(world: "World", person: "Person", session_id: str) -> None:
    support = await world.signed_in(await world.person("sup", support=True))
    assert (await support.post(f"/api/v1/admin/users/{person.user_id}/disable")).status == 204


async def by_time(world: "World", person: "Person", session_id: str) -> None:
    world.advance(timedelta(days=7, minutes=1))


@pytest.mark.parametrize(
    ("ending", "query", "words"),
    [
        (by_an_admin, "reason=session_revoked&cause=admin_forced", "An administrator signed you out"),
        (by_a_new_role, "reason=session_revoked&cause=permission_changed", "Your role in the workspace changed"),
        (by_a_new_password, "reason=session_revoked&cause=password_changed", "The password was changed"),
        (from_another_device, "reason=session_revoked&cause=signed_out", "You signed out"),
        (by_disabling_the_user, "reason=user_disabled&cause=account_disabled", "This account is disabled"),
        (by_time, "reason=session_expired&cause=expired", "Your session expired"),
    ],
)
async def test_the_end_of_a_session_is_seen_at_once_with_its_reason(
    world: "World", profile: "Profile", ending: Ending, query: str, words: str
) -> None:
    person = await world.person()
    page = await profile.looks_at(person)
    session_id = str((await profile.state(page))["sid"])

    await ending(world, person, session_id)  # and nobody touches the page

    await expect(page).to_have_url(
        f"{world.gateway_url}/sign-in?{query}&return_to=%2Fsettings%2Fsessions", timeout=SOON_MS
    )
    await expect(page.get_by_text(words)).to_be_visible()


async def acting(world: "World", profile: "Profile", person: "Person") -> None:
    """A support admin has signed in, in two tabs, and acts as this person."""
    page = await profile.looks_at(await world.person("sam", support=True))
    other = await profile.tab("/settings/sessions")
    await expect(other.locator(".who-name")).to_have_text("Sam", timeout=SOON_MS)
    answer = await profile.call(
        page, "POST", "/api/v1/admin/impersonations", {"user_id": str(person.user_id), "reason": REASON}
    )
    assert answer["status"] == 200, answer
    for tab in (page, other):  # nothing of the old session stays on any screen
        await expect(tab.locator(".who-name")).to_have_text("Ann", timeout=SOON_MS)
        await expect(tab.get_by_text("Wevion support (Sam) is acting as Ann.")).to_be_visible(timeout=SOON_MS)


async def test_acting_as_a_user_is_marked_seen_by_them_and_ended(
    world: "World", profile: "Profile", other_profile: "Profile"
) -> None:
    person = await world.person()
    own = await other_profile.looks_at(person)

    await acting(world, profile, person)

    await expect(own.get_by_text("Support acts as you")).to_be_visible(timeout=SOON_MS)
    await expect(own.get_by_text(REASON)).to_be_visible(timeout=SOON_MS)
    page, other = profile.context.pages
    await page.get_by_role("button", name="Stop acting").click()
    for tab in (page, other):
        await expect(tab.get_by_text("Sign in again as yourself, the original administrator.")).to_be_visible(
            timeout=SOON_MS
        )
        assert "reason=impersonation_ended" in tab.url
    assert (await other_profile.state(own))["kind"] == "live"


async def test_acting_as_a_user_ends_by_itself_after_an_hour(world: "World", profile: "Profile") -> None:
    await acting(world, profile, await world.person())
    page = profile.context.pages[0]

    world.advance(timedelta(hours=1, seconds=1))

    await expect(page.get_by_text("You no longer act as somebody else")).to_be_visible(timeout=SOON_MS)
    assert "reason=impersonation_ended" in page.url


async def test_a_mailed_link_sets_a_new_password_once(world: "World", profile: "Profile") -> None:
    person = await world.person()
    page = await profile.tab("/sign-in")
    await page.get_by_text("Forgotten the password?").click()
    await page.locator("#forgot").get_by_label("Email address").fill(person.email)
    await page.get_by_role("button", name="Send the link").click()
    await expect(page.get_by_text("the link is on its way")).to_be_visible()

    async def mailed() -> str | None:
        links = [m["link"] for m in world.system.notifier.messages if m.get("user_id") == str(person.user_id)]
        return str(links[0]) if links else None

    link = str(await eventually(mailed, what="the mail is handed over"))
    await page.goto(link)
    await expect(page).to_have_url(f"{world.gateway_url}/reset-password")  # its value is out of the address bar

    await page.get_by_label("New password").fill("short")
    await page.get_by_role("button", name="Set the password").click()
    await expect(page.get_by_role("alert")).to_contain_text("12")
    await page.get_by_label("New password").fill("another horse, another staple")
    await page.get_by_role("button", name="Set the password").click()
    await page.get_by_role("link", name="Sign in").click()
    await profile.fill(page, person.email, "another horse, another staple")
    await expect(page).to_have_url(f"{world.gateway_url}/connections", timeout=SOON_MS)

    again = await profile.tab(link.removeprefix(world.gateway_url))
    await again.get_by_label("New password").fill("yet another horse and staple")
    await again.get_by_role("button", name="Set the password").click()
    await expect(again.get_by_role("alert")).to_contain_text("used")
