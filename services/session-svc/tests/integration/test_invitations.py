"""T1.10: a membership begins when the person accepts; a workspace has power over a person only in that workspace."""

from datetime import timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest

from common.testing import eventually
from session_svc.core.people import Role
from session_svc.store import people

if TYPE_CHECKING:
    from testbed import Answer, Browser, Person, World

pytestmark = pytest.mark.asyncio(loop_scope="session")

NEW_PASSWORD = "an entirely new passphrase"


async def _mailed(world: "World", address: str, count: int = 1) -> list[dict[str, Any]]:
    def sent() -> list[dict[str, Any]]:
        return [message for message in world.system.notifier.messages if message.get("to") == address]

    async def arrived() -> bool:
        return len(sent()) >= count

    assert await eventually(arrived)
    return sent()


async def _secret(world: "World", address: str) -> str:
    link = str((await _mailed(world, address))[-1]["link"])
    assert link.startswith(f"{world.gateway_url}/invitation#token=")
    return link.partition("#token=")[2]


async def _join(world: "World", person: "Person", workspace_id: UUID, role: Role = Role.MEMBER) -> None:
    async with world.pool.acquire() as db:
        await people.put_membership(db, person.user_id, workspace_id, role, world.clock.now())


async def _members(world: "World", workspace_id: UUID) -> set[str]:
    rows = await world.pool.fetch(
        "SELECT u.email FROM memberships AS m JOIN users AS u USING (user_id) WHERE m.workspace_id = $1", workspace_id
    )
    return {row["email"] for row in rows}


async def _invite(browser: "Browser", email: str, role: str = "member") -> "Answer":
    return await browser.post("/api/v1/admin/users", {"email": email, "role": role})


async def test_known_and_unknown_addresses_get_the_same_answer_and_no_membership(world: "World") -> None:
    evil = await world.workspace("Evil")
    ed = await world.signed_in(await world.person("ed", Role.ADMIN, evil))
    olivia = await world.person("olivia", Role.OWNER)

    known, unknown = await _invite(ed, olivia.email), await _invite(ed, world.email("nobody"))

    assert (known.status, unknown.status) == (201, 201)
    assert known.body.keys() == unknown.body.keys() == {"invitation_id", "expires_at"}
    assert await _members(world, evil) == {world.email("ed")}
    found = (await ed.get("/api/v1/admin/users?search=olivia")).body["items"]
    assert found == []
    shown = (await ed.get("/api/v1/admin/invitations")).body["items"]
    assert {one["email"] for one in shown} == {olivia.email, world.email("nobody")}
    assert all("name" not in one and "time_zone" not in one for one in shown)


async def test_an_invitation_gives_no_power_over_the_invited_person(world: "World") -> None:
    ed = await world.signed_in(await world.person("ed", Role.ADMIN, await world.workspace("Evil")))
    olivia = await world.person("olivia", Role.OWNER)
    browser = await world.signed_in(olivia)
    await _invite(ed, olivia.email)

    answer = await ed.post(f"/api/v1/admin/users/{olivia.user_id}/force-logout")

    assert (answer.status, answer.code) == (404, "not_found")
    assert (await browser.token()).status == 200


async def test_a_membership_gives_power_in_that_workspace_only(world: "World") -> None:
    evil = await world.workspace("Evil")
    ed = await world.signed_in(await world.person("ed", Role.ADMIN, evil))
    olivia = await world.person("olivia", Role.OWNER)
    browser = await world.signed_in(olivia)
    await _join(world, olivia, evil)

    answer = await ed.post(f"/api/v1/admin/users/{olivia.user_id}/force-logout")
    removed = await ed.delete(f"/api/v1/admin/users/{olivia.user_id}")

    assert (answer.status, answer.body) == (200, {"sessions_ended": 0})
    assert removed.status == 204
    assert (await browser.token()).status == 200


async def test_a_session_that_left_the_workspace_ends_while_its_jwt_may_live_and_not_later(world: "World") -> None:
    mine, other = await world.workspace(), await world.workspace("Other")
    admin = await world.signed_in(await world.person("adm", Role.OWNER, mine))
    ann = await world.person("ann", workspace_id=mine)
    await _join(world, ann, other)
    left_now, left_long_ago = await world.signed_in(ann), await world.signed_in(ann)
    assert (await left_long_ago.post("/api/v1/auth/workspace", {"workspace_id": str(other)})).status == 200
    world.advance(timedelta(hours=2))
    for step in (mine, other):  # through the workspace once more, on to the next
        await left_now.post("/api/v1/auth/workspace", {"workspace_id": str(step)})
    admin = await world.signed_in(await world.person("adm2", Role.OWNER, mine))

    answer = await admin.post(f"/api/v1/admin/users/{ann.user_id}/force-logout")

    assert answer.body == {"sessions_ended": 1}
    assert ((await left_now.token()).status, (await left_long_ago.token()).status) == (401, 200)


async def test_a_new_person_accepts_by_the_mailed_link_and_says_who_they_are(world: "World") -> None:
    workspace = await world.workspace()
    owner = await world.signed_in(await world.person("own", Role.OWNER, workspace))
    address = world.email("new")
    await _invite(owner, address, "admin")
    mail = (await _mailed(world, address))[0]
    assert (mail["template"], mail["facts"]["role"], mail["facts"]["inviter"]) == ("invitation", "admin", "Own")
    browser, token = world.browser(), await _secret(world, address)

    seen = await browser.post("/api/v1/invitations/by-link", {"token": token})
    nameless = await browser.post("/api/v1/invitations/by-link/accept", {"token": token, "password": NEW_PASSWORD})
    weak = await browser.post(
        "/api/v1/invitations/by-link/accept", {"token": token, "password": "short", "name": "Newton"}
    )
    joined = await browser.post(
        "/api/v1/invitations/by-link/accept", {"token": token, "password": NEW_PASSWORD, "name": "Newton"}
    )

    assert (seen.body["has_account"], seen.body["email"], seen.body["role"]) == (False, address, "admin")
    assert (nameless.status, nameless.code, weak.status) == (403, "name_needed", 400)
    assert (joined.status, joined.body) == (200, {"workspace_id": str(workspace)})
    signed_in = await browser.post("/api/v1/auth/sign-in", {"email": address, "password": NEW_PASSWORD})
    assert (signed_in.status, signed_in.body["session"]["role"]) == (200, "admin")
    again = await browser.post("/api/v1/invitations/by-link", {"token": token})
    assert (again.status, again.code) == (410, "invitation_used")


@pytest.mark.parametrize("name", ["Visit https://evil.example/verify", "www.evil.example", "Bob\nBcc: x", "x\u202ey"])
async def test_a_name_is_a_name(world: "World", name: str) -> None:
    owner = await world.signed_in(await world.person("own", Role.OWNER))
    address = world.email("new")
    await _invite(owner, address)

    answer = await world.browser().post(
        "/api/v1/invitations/by-link/accept",
        {"token": await _secret(world, address), "password": NEW_PASSWORD, "name": name},
    )

    assert (answer.status, answer.code) == (400, "invalid_request")
    assert address not in await _members(world, await world.workspace())


async def test_a_known_person_accepts_signed_in_or_with_their_password(world: "World") -> None:
    workspace, second = await world.workspace(), await world.workspace("Second")
    owner = await world.signed_in(await world.person("own", Role.OWNER, workspace))
    other = await world.signed_in(await world.person("two", Role.OWNER, second))
    ann = await world.person("ann", workspace_id=await world.workspace("Home"))
    browser = await world.signed_in(ann)
    await _invite(owner, ann.email.upper())
    await _invite(other, ann.email)

    invitations = {one["inviter_name"]: one for one in (await browser.get("/api/v1/invitations")).body["items"]}
    accepted = await browser.post(f"/api/v1/invitations/{invitations['Own']['invitation_id']}/accept")
    link = {"token": await _secret(world, ann.email)}
    wrong = await world.browser().post("/api/v1/invitations/by-link/accept", {**link, "password": NEW_PASSWORD})
    right = await world.browser().post("/api/v1/invitations/by-link/accept", {**link, "password": ann.password})

    assert (accepted.status, wrong.code, right.status) == (200, "wrong_credentials", 200)
    assert ann.email in await _members(world, workspace) & await _members(world, second)


async def test_declining_leaves_nothing(world: "World") -> None:
    workspace = await world.workspace()
    owner = await world.signed_in(await world.person("own", Role.OWNER, workspace))
    ann = await world.person("ann", workspace_id=await world.workspace("Home"))
    browser = await world.signed_in(ann)
    await _invite(owner, ann.email)
    stranger = world.email("stranger")
    await _invite(owner, stranger)
    invitation = (await browser.get("/api/v1/invitations")).body["items"][0]["invitation_id"]

    declined = await browser.post(f"/api/v1/invitations/{invitation}/decline")
    by_link = await world.browser().post(
        "/api/v1/invitations/by-link/decline", {"token": await _secret(world, stranger)}
    )

    assert (declined.status, by_link.status) == (204, 204)
    assert (await browser.post(f"/api/v1/invitations/{invitation}/accept")).code == "invitation_used"
    assert await _members(world, workspace) == {world.email("own")}
    assert (await owner.get("/api/v1/admin/invitations")).body["items"] == []


async def test_an_invitation_belongs_to_its_address_ends_and_can_be_withdrawn(world: "World") -> None:
    owner = await world.signed_in(await world.person("own", Role.OWNER))
    eve = await world.signed_in(await world.person("eve", workspace_id=await world.workspace("Home")))
    address = world.email("new")
    invitation = (await _invite(owner, address)).body["invitation_id"]
    token = await _secret(world, address)

    stolen = await eve.post(f"/api/v1/invitations/{invitation}/accept")
    foreign = await eve.delete(f"/api/v1/admin/invitations/{invitation}")
    withdrawn = await owner.delete(f"/api/v1/admin/invitations/{invitation}")
    used = await world.browser().post("/api/v1/invitations/by-link", {"token": token})
    unknown = await world.browser().post("/api/v1/invitations/by-link", {"token": "x" * 43})

    assert (stolen.status, foreign.status, withdrawn.status) == (404, 403, 204)
    assert (used.code, unknown.code) == ("invitation_withdrawn", "invitation_unknown")
    late = world.email("late")
    await _invite(owner, late)
    token = await _secret(world, late)
    world.advance(timedelta(days=6, hours=23))
    assert (await world.browser().post("/api/v1/invitations/by-link", {"token": token})).status == 200
    world.advance(timedelta(hours=2))
    assert (await world.browser().post("/api/v1/invitations/by-link", {"token": token})).code == "invitation_expired"


async def test_nobody_invites_above_their_rank_or_a_member_again(world: "World") -> None:
    admin = await world.signed_in(await world.person("adm", Role.ADMIN))
    await world.person("ann")

    above, again = await _invite(admin, world.email("boss"), "owner"), await _invite(admin, world.email("ann"), "admin")

    assert (above.status, above.code, again.status, again.code) == (403, "outranked", 409, "taken")


async def test_invitations_are_limited_by_inviter_and_mails_by_address(world: "World") -> None:
    owner = await world.signed_in(await world.person("own", Role.OWNER))
    victim = world.email("victim")
    renewed = [(await _invite(owner, victim)).status for _ in range(8)]
    statuses = [(await _invite(owner, world.email(f"n{number}"))).status for number in range(30)]

    assert set(renewed) == {201}
    assert statuses.count(429) == 8
    await _mailed(world, world.email("n0"))
    assert len(await _mailed(world, victim)) <= 3


async def test_anyone_can_leave_but_the_last_owner(world: "World") -> None:
    workspace, home = await world.workspace(), await world.workspace("Home")
    owner = await world.signed_in(await world.person("own", Role.OWNER, workspace))
    ann = await world.person("ann", workspace_id=workspace)
    await _join(world, ann, home)
    inside, elsewhere = await world.signed_in(ann), await world.signed_in(ann)
    await elsewhere.post("/api/v1/auth/workspace", {"workspace_id": str(home)})
    world.advance(timedelta(hours=2))

    kept = await owner.delete(f"/api/v1/memberships/{workspace}")
    left = await inside.delete(f"/api/v1/memberships/{workspace}")

    assert (kept.status, kept.code, left.status) == (403, "last_owner", 204)
    assert ((await inside.token()).status, (await elsewhere.token()).status) == (401, 200)
    assert await _members(world, workspace) == {world.email("own")}
    actions = [one["action"] for one in (await owner.get("/api/v1/admin/audit")).body["items"]]
    assert "workspace_left" in actions


async def test_the_next_sign_in_begins_where_the_person_worked_last(world: "World") -> None:
    first, second = await world.workspace("First"), await world.workspace("Second")
    ann = await world.person("ann", workspace_id=first)
    await _join(world, ann, second)
    browser = await world.signed_in(ann)
    world.advance(timedelta(seconds=1))
    await browser.post("/api/v1/auth/workspace", {"workspace_id": str(second)})

    again = await world.signed_in(ann)

    assert (await again.get("/api/v1/auth/session")).body["workspace_id"] == str(second)


async def test_support_acts_stand_in_the_trail_of_every_workspace_of_the_person(world: "World") -> None:
    first, second = await world.workspace("First"), await world.workspace("Second")
    owners = [
        await world.signed_in(await world.person(f"own{n}", Role.OWNER, w)) for n, w in enumerate((first, second))
    ]
    ann = await world.person("ann", workspace_id=first)
    await _join(world, ann, second)
    support = await world.signed_in(await world.person("sup", support=True))

    assert (await support.post(f"/api/v1/admin/users/{ann.user_id}/force-logout")).status == 200

    for owner in owners:
        entries = (await owner.get("/api/v1/admin/audit")).body["items"]
        assert [one["target_id"] for one in entries if one["action"] == "user_forced_out"] == [str(ann.user_id)]


async def test_an_admin_does_not_end_an_owners_session_by_way_of_the_workspace(world: "World") -> None:
    workspace = await world.workspace()
    owner = await world.signed_in(await world.person("own", Role.OWNER, workspace))
    admin = await world.signed_in(await world.person("adm", Role.ADMIN, workspace))
    member = await world.signed_in(await world.person("ann", workspace_id=workspace))

    answer = await admin.post(f"/api/v1/admin/workspaces/{workspace}/force-logout")

    assert answer.body == {"sessions_ended": 2, "sessions_kept": 1}
    assert ((await owner.token()).status, (await member.token()).status) == (200, 401)


@pytest.mark.parametrize("ending", ["password", "everywhere"])
async def test_a_mailed_link_ends_with_a_new_password_and_with_every_session(world: "World", ending: str) -> None:
    ann = await world.person("ann")
    browser = await world.signed_in(ann)
    await world.browser().post("/api/v1/auth/password-reset", {"email": ann.email})

    def links() -> list[str]:
        return [m["link"] for m in world.system.notifier.messages if m.get("user_id") == str(ann.user_id)]

    async def mailed() -> bool:
        return bool(links())

    assert await eventually(mailed)
    token = links()[-1].partition("#token=")[2]
    if ending == "password":
        body = {"current_password": ann.password, "new_password": NEW_PASSWORD}
        assert (await browser.post("/api/v1/auth/password", body)).status == 204
    else:
        assert (await browser.post("/api/v1/auth/sign-out", {"everywhere": True})).status == 204

    answer = await world.browser().post(
        "/api/v1/auth/password-reset/confirm", {"token": token, "new_password": "what a stranger chose"}
    )

    assert (answer.status, answer.code) == (410, "reset_link_used")


async def test_a_reset_lifts_the_limits_that_a_guesser_used_up(world: "World") -> None:
    ann = await world.person("ann")
    await world.browser().post("/api/v1/auth/password-reset", {"email": ann.email})
    stranger = world.browser()
    statuses = {
        (await stranger.post("/api/v1/auth/sign-in", {"email": ann.email, "password": f"guess {n}"})).status
        for n in range(12)
    }
    assert 429 in statuses

    async def mailed() -> bool:
        return any(m.get("user_id") == str(ann.user_id) for m in world.system.notifier.messages)

    assert await eventually(mailed)
    token = str(world.system.notifier.messages[-1]["link"]).partition("#token=")[2]
    body = {"token": token, "new_password": NEW_PASSWORD}
    assert (await world.browser().post("/api/v1/auth/password-reset/confirm", body)).status == 204

    answer = await world.browser().post("/api/v1/auth/sign-in", {"email": ann.email, "password": NEW_PASSWORD})

    assert answer.status == 200


async def test_a_stranger_cannot_use_up_the_owners_resets(world: "World") -> None:
    ann = await world.person("ann")
    stranger = world.browser()
    stranger.address = "198.51.100.77"
    asked = [(await stranger.post("/api/v1/auth/password-reset", {"email": ann.email})).status for _ in range(4)]

    own = await world.browser().post("/api/v1/auth/password-reset", {"email": ann.email})

    assert (asked[-1], own.status) == (429, 202)
