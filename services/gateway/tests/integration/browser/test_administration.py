"""Rows T1.6 and T1.7 by mouse and keyboard: members and sessions, acting as a user, the audit log, workspaces."""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from playwright.async_api import expect

from common.testing import eventually
from session_svc.core.people import Role
from session_svc.store import people

if TYPE_CHECKING:
    from playwright.async_api import Locator, Page
    from tests.integration.browser.conftest import Profile

    from testbed import World

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(120)]

SOON_MS = 15_000
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
REASON = "customer cannot see their campaigns"


def member(page: "Page", name: str) -> "Locator":
    """The card of somebody."""
    return page.get_by_role("article", name=name)


async def find(page: "Page", email: str) -> None:
    """Look for somebody in all workspaces, by keyboard."""
    await page.get_by_label("Name or address").fill(email)
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("article")).to_have_count(1, timeout=SOON_MS)


async def test_admin_ends_one_session_and_then_all_of_a_member(world: "World", profile: "Profile") -> None:
    ann = await world.person("ann")
    laptop, phone = world.browser(), await world.signed_in(ann)
    sign_in = {"email": ann.email, "password": ann.password}
    await laptop.post("/api/v1/auth/sign-in", sign_in, User_Agent=FIREFOX)
    page = await profile.looks_at(await world.person("adm", Role.ADMIN), "/admin/members")

    await member(page, "Ann").get_by_role("button", name="Show sessions").press("Enter")
    await page.get_by_role("button", name="End the session on Firefox on Linux").press("Enter")

    await expect(page.get_by_text("Firefox on Linux")).to_have_count(0, timeout=SOON_MS)
    assert (await laptop.token()).body["cause"] == "admin_forced"
    assert (await phone.token()).status == 200

    await member(page, "Ann").get_by_role("button", name="Sign out everywhere").click()
    await page.get_by_role("dialog").get_by_role("button", name="Cancel").click()
    assert (await phone.token()).status == 200
    await member(page, "Ann").get_by_role("button", name="Sign out everywhere").click()
    await page.get_by_role("dialog").get_by_role("button", name="Sign out").click()

    await expect(page.get_by_text("Ann is signed out: 1 session ended.")).to_be_visible(timeout=SOON_MS)
    await expect(member(page, "Ann").get_by_text("Not signed in to this workspace.")).to_be_visible()
    assert (await phone.token()).body["cause"] == "admin_forced"


async def test_owner_signs_everybody_out_and_is_told_why(world: "World", profile: "Profile") -> None:
    ann = await world.signed_in(await world.person("ann"))
    page = await profile.looks_at(await world.person("own", Role.OWNER), "/admin/members")

    await page.get_by_role("button", name="Sign everybody out").click()
    await page.get_by_role("dialog").get_by_role("button", name="Sign everybody out").click()

    await expect(page.get_by_text("An administrator signed you out")).to_be_visible(timeout=SOON_MS)
    assert (await ann.token()).body["cause"] == "admin_forced"


async def test_owner_invites_a_person_who_joins_by_the_mail_gets_another_role_and_is_removed(
    world: "World", profile: "Profile", other_profile: "Profile"
) -> None:
    owner = await world.person("own", Role.OWNER)
    page = await profile.looks_at(owner, "/admin/members")
    await page.get_by_role("button", name="Invite a person").click()
    await page.get_by_label("Email address").fill(world.email("new"))
    await page.get_by_role("button", name="Invite", exact=True).click()
    await expect(page.get_by_text("The invitation is on its way.")).to_be_visible(timeout=SOON_MS)
    await expect(member(page, "Newton")).to_have_count(0)

    door = await other_profile.tab(await _invitation(world, world.email("new")))
    await expect(door.get_by_text("invites", exact=False)).to_be_visible(timeout=SOON_MS)
    await door.get_by_label("Choose a password").fill("an entirely new passphrase")
    await door.get_by_role("button", name="Accept").click()
    await expect(door.get_by_role("alert")).to_contain_text("name", timeout=SOON_MS)
    await door.get_by_label("Your name").fill("Newton")
    await door.get_by_role("button", name="Accept").click()
    await expect(door.get_by_text("You are a member now.")).to_be_visible(timeout=SOON_MS)

    await page.reload()
    await member(page, "Newton").get_by_role("button", name="Change the role").click()
    await page.get_by_role("dialog").get_by_role("combobox").select_option("admin")
    await page.get_by_role("button", name="Change it").click()
    await expect(member(page, "Newton").get_by_text("Admin", exact=True)).to_be_visible(timeout=SOON_MS)

    await member(page, "Newton").get_by_role("button", name="Remove").click()
    await page.get_by_role("dialog").get_by_role("button", name="Remove").click()
    await expect(member(page, "Newton")).to_have_count(0, timeout=SOON_MS)
    members = "SELECT count(*) FROM memberships WHERE workspace_id = $1"
    assert await world.pool.fetchval(members, owner.workspace_id) == 1


async def test_invited_person_declines(world: "World", profile: "Profile") -> None:
    owner = await world.person("own", Role.OWNER)
    browser = await world.signed_in(owner)
    await browser.post("/api/v1/admin/users", {"email": world.email("new"), "role": "member"})
    door = await profile.tab(await _invitation(world, world.email("new")))

    await door.get_by_role("button", name="Decline").click()

    await expect(door.get_by_text("You declined.")).to_be_visible(timeout=SOON_MS)
    assert (await browser.get("/api/v1/admin/invitations")).body["items"] == []


async def _invitation(world: "World", address: str) -> str:
    """The path of the page to which the mail leads."""

    def links() -> list[str]:
        return [one["link"] for one in world.system.notifier.messages if one.get("to") == address]

    async def mailed() -> bool:
        return bool(links())

    assert await eventually(mailed)
    return str(links()[-1]).removeprefix(world.gateway_url)


async def test_refused_address_is_said_in_the_dialog_and_nobody_is_invited(world: "World", profile: "Profile") -> None:
    owner = await world.person("own", Role.OWNER)
    page = await profile.looks_at(owner, "/admin/members")
    await page.get_by_role("button", name="Invite a person").click()
    await page.get_by_label("Email address").fill("new@localhost")  # an address to the browser, not to us

    await page.get_by_role("button", name="Invite", exact=True).click()

    await expect(page.get_by_role("alert")).to_contain_text("email", timeout=SOON_MS)
    await expect(page.get_by_label("Email address")).to_have_value("new@localhost")
    assert (
        await world.pool.fetchval("SELECT count(*) FROM invitations WHERE workspace_id = $1", owner.workspace_id) == 0
    )


async def test_admin_has_no_button_against_an_owner(world: "World", profile: "Profile") -> None:
    await world.person("own", Role.OWNER)
    page = await profile.looks_at(await world.person("adm", Role.ADMIN), "/admin/members")

    await expect(member(page, "Own")).to_be_visible(timeout=SOON_MS)
    await expect(member(page, "Own").get_by_role("button", name="Sign out everywhere")).to_have_count(0)
    await expect(page.get_by_role("button", name="Act as")).to_have_count(0)


async def test_member_finds_no_administration_and_is_told_whom_to_ask(world: "World", profile: "Profile") -> None:
    page = await profile.looks_at(await world.person("ann"), "/admin/audit")

    await expect(page.get_by_text("Your role does not allow this")).to_be_visible(timeout=SOON_MS)
    await expect(page.get_by_text("Ask the workspace's admin or owner to do it.")).to_be_visible()
    await expect(page.get_by_role("link", name="Members")).to_have_count(0)


async def test_support_finds_a_user_and_acts_as_them_with_a_reason(
    world: "World", profile: "Profile", other_profile: "Profile"
) -> None:
    ann = await world.person("ann")
    own = await other_profile.looks_at(ann)
    page = await profile.looks_at(await world.person("sam", support=True), "/admin/members")
    await find(page, ann.email)

    await member(page, "Ann").get_by_role("button", name="Act as").click()
    reason = page.get_by_label("Reason")
    await expect(reason).to_be_focused()
    await reason.fill(" " * 12)  # long enough for the browser, not for the server
    await page.get_by_role("button", name="Act as this user").click()
    await expect(page.get_by_role("alert")).to_contain_text("reason", timeout=SOON_MS)
    assert await world.live_sessions(ann) == 1  # their own
    await reason.fill(REASON)
    await page.get_by_role("button", name="Act as this user").click()

    await expect(page.get_by_text("Wevion support (Sam) is acting as Ann.")).to_be_visible(timeout=SOON_MS)
    await expect(page.locator(".who-name")).to_have_text("Ann")
    await expect(page.get_by_role("link", name="Members")).to_have_count(0)
    await expect(own.get_by_text(REASON)).to_be_visible(timeout=SOON_MS)
    await page.get_by_role("button", name="Stop acting").click()
    await expect(page.get_by_text("Sign in again as yourself, the original administrator.")).to_be_visible(
        timeout=SOON_MS
    )


async def test_dialog_is_left_by_escape_and_nothing_has_happened(world: "World", profile: "Profile") -> None:
    ann = await world.person("ann")
    page = await profile.looks_at(await world.person("sam", support=True), "/admin/members")
    await find(page, ann.email)

    await member(page, "Ann").get_by_role("button", name="Act as").press("Enter")
    await page.get_by_label("Reason").fill(REASON)
    await page.keyboard.press("Escape")

    await expect(page.get_by_role("dialog")).to_have_count(0)
    await expect(member(page, "Ann").get_by_role("button", name="Act as")).to_be_focused()
    assert await world.live_sessions(ann) == 0


async def test_support_disables_an_account_and_enables_it(world: "World", profile: "Profile") -> None:
    ann = await world.person("ann")
    browser = await world.signed_in(ann)
    page = await profile.looks_at(await world.person("sam", support=True), "/admin/members")
    await find(page, ann.email)
    await page.get_by_role("link", name="Audit log").click()
    await page.get_by_role("link", name="Members").click()
    await expect(page.get_by_label("Name or address")).to_have_value(ann.email, timeout=SOON_MS)

    await member(page, "Ann").get_by_role("button", name="Disable the account").click()
    await page.get_by_role("dialog").get_by_role("button", name="Disable").click()
    await expect(member(page, "Ann").get_by_text("Disabled", exact=True)).to_be_visible(timeout=SOON_MS)
    assert (await browser.token()).code == "user_disabled"

    await member(page, "Ann").get_by_role("button", name="Enable the account").click()
    await expect(member(page, "Ann").get_by_role("button", name="Disable the account")).to_be_visible(timeout=SOON_MS)
    assert await world.signed_in(ann)


async def test_audit_log_tells_what_happened_and_is_read_only_when_asked(world: "World", profile: "Profile") -> None:
    ann = await world.person("ann")
    owner = await world.person("own", Role.OWNER)
    await (await world.signed_in(owner)).post(f"/api/v1/admin/users/{ann.user_id}/force-logout")
    page = await profile.looks_at(owner, "/admin/audit")
    row = page.get_by_role("row").filter(has_text="Signed Ann out everywhere (0 sessions).")
    await expect(row).to_be_visible(timeout=SOON_MS)
    await expect(row).to_contain_text("Own")
    await expect(row).to_contain_text(world.address)

    async def readings() -> int:
        sql = "SELECT count(*) FROM audit WHERE action = 'audit_read' AND workspace_id = $1"
        return int(await world.pool.fetchval(sql, ann.workspace_id))

    assert await readings() == 1
    await world.signed_in(owner)  # a live hint reaches the page
    await page.get_by_role("link", name="Sessions").click()
    await expect(page.get_by_role("article")).to_have_count(3, timeout=SOON_MS)
    assert await readings() == 1
    await page.get_by_role("link", name="Audit log").click()
    await eventually(lambda: _is(readings, 2))
    await expect(page.get_by_text("Read the audit log.").first).to_be_visible(timeout=SOON_MS)


async def test_own_session_on_another_device_is_ended(world: "World", profile: "Profile") -> None:
    person = await world.person()
    elsewhere = await world.signed_in(person)
    page = await profile.looks_at(person)

    await page.get_by_role("button", name="End", exact=True).click()

    await expect(page.get_by_role("article")).to_have_count(1, timeout=SOON_MS)
    assert (await elsewhere.token()).body["cause"] == "signed_out"


async def test_password_is_changed_and_what_is_wrong_is_said_where_it_was_typed(
    world: "World", profile: "Profile"
) -> None:
    person = await world.person()
    elsewhere = await world.signed_in(person)
    page = await profile.looks_at(person)
    await page.get_by_role("button", name="Change the password").press("Enter")
    present, new = page.get_by_label("Present password"), page.get_by_label("New password")

    await present.fill("not this one")
    await new.fill("another horse, another staple")
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("alert")).to_contain_text("The present password is another one", timeout=SOON_MS)
    await present.fill(person.password)
    await new.fill("short")
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("alert")).to_contain_text("new password", timeout=SOON_MS)
    assert (await elsewhere.token()).status == 200
    await new.fill("another horse, another staple")
    await page.keyboard.press("Enter")

    await expect(page.get_by_text("The password is changed.")).to_be_visible(timeout=SOON_MS)
    await expect(page.get_by_role("article")).to_have_count(1, timeout=SOON_MS)
    assert (await elsewhere.token()).body["cause"] == "password_changed"
    assert page.url.endswith("/settings/sessions")  # this one lives on
    assert (await profile.state(page))["kind"] == "live"


async def test_going_on_in_another_workspace_takes_every_tab_along(world: "World", profile: "Profile") -> None:
    person = await world.person(role=Role.OWNER)
    elsewhere = await world.workspace("Elsewhere")
    later = world.clock.now() + timedelta(seconds=1)
    async with world.pool.acquire() as db:
        await people.put_membership(db, person.user_id, elsewhere, Role.ADMIN, later)
    await world.person("bob")
    page = await profile.looks_at(person, "/admin/members")
    await expect(member(page, "Bob")).to_be_visible(timeout=SOON_MS)
    other = await profile.tab("/admin/members")
    await expect(member(other, "Bob")).to_be_visible(timeout=SOON_MS)

    await page.get_by_label("Workspace").select_option(label=f"Elsewhere {world.mark}")

    for tab in (page, other):
        await expect(member(tab, "Bob")).to_have_count(0, timeout=SOON_MS)
        await expect(member(tab, "Ann").get_by_text("Admin")).to_be_visible(timeout=SOON_MS)
        await expect(tab.get_by_label("Workspace")).to_have_value(str(elsewhere))


async def _is(count: Callable[[], Awaitable[int]], wanted: int) -> bool:
    return await count() == wanted
