"""T1.3 and own sessions: extension by use, the list, ending others, and moving between workspaces."""

import asyncio
from datetime import datetime, timedelta
from typing import TYPE_CHECKING
from uuid import UUID

import jwt
import pytest

from common.contracts import TokenRefreshedV1
from common.testing import eventually
from session_svc.core.people import Role
from session_svc.operations import upkeep
from session_svc.store import people

if TYPE_CHECKING:
    from testbed import Browser, Person, World

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_session_in_use_is_extended_once_a_day(world: "World") -> None:
    person = await world.person()
    browser = await world.signed_in(person)
    begun = world.clock.now()

    world.advance(timedelta(hours=24))
    assert (await _ends(browser)) == begun + timedelta(days=7)
    world.advance(timedelta(seconds=1))
    extended = world.clock.now() + timedelta(days=7)

    ends = await asyncio.gather(*(_ends(browser) for _ in range(5)))

    assert set(ends) == {extended}
    session_id = await browser.session_id()
    async with world.events("token.refreshed") as seen:
        mine = await eventually(lambda: [event.body for event in seen if event.body.subject() == session_id], 15)
    assert len(mine) == 1
    assert isinstance(mine[0], TokenRefreshedV1)
    assert mine[0].expires_at == extended
    assert not mine[0].rotated


async def test_asking_by_get_never_writes(world: "World") -> None:
    person = await world.person()
    browser = await world.signed_in(person)
    world.advance(timedelta(hours=30))
    before = await _row(world, person)

    answer = await browser.get("/api/v1/auth/token")

    assert answer.status == 200
    assert answer.body["extension_due"] is True
    assert await _row(world, person) == before
    assert (await browser.token()).body["extension_due"] is False
    assert await _row(world, person) != before


async def test_session_kept_in_use_lives_on(world: "World") -> None:
    browser = await world.signed_in(await world.person())

    for _ in range(4):
        world.advance(timedelta(days=6, hours=23))
        assert (await browser.token()).status == 200


async def test_impersonation_is_never_extended(world: "World") -> None:
    support = await world.signed_in(await world.person("sup", support=True))
    person = await world.person()
    await support.post("/api/v1/admin/impersonations", {"user_id": str(person.user_id), "reason": "they asked for it"})
    ends = await _ends(support)

    world.advance(timedelta(minutes=50))

    assert await _ends(support) == ends


async def test_own_sessions_show_device_and_place(world: "World") -> None:
    person = await world.person()
    agent = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
    browser = world.browser()
    sign_in = {"email": person.email, "password": person.password}
    await browser.post("/api/v1/auth/sign-in", sign_in, User_Agent=agent)

    found = (await browser.get("/api/v1/auth/sessions")).body["items"][0]

    assert (found["device"], found["address"], found["current"]) == ("Firefox on Linux", world.address, True)


async def test_ending_all_others_leaves_this_one(world: "World") -> None:
    person = await world.person()
    browser, other, third = [await world.signed_in(person) for _ in range(3)]

    answer = await browser.delete("/api/v1/auth/sessions")

    assert answer.body == {"sessions_ended": 2}
    assert [(await one.token()).status for one in (browser, other, third)] == [200, 401, 401]


async def test_nobody_ends_the_session_of_another(world: "World") -> None:
    mine = await world.signed_in(await world.person("ann"))
    theirs = await world.signed_in(await world.person("eve"))

    answer = await mine.delete(f"/api/v1/auth/sessions/{await theirs.session_id()}")

    assert (answer.status, answer.code) == (404, "not_found")
    assert (await theirs.token()).status == 200


async def test_user_goes_on_in_another_workspace(world: "World") -> None:
    person, elsewhere = await _in_two_workspaces(world)
    browser = await world.signed_in(person)
    cookie = browser.cookie
    assert (await browser.get("/api/v1/people")).status == 200

    answer = await browser.post("/api/v1/auth/workspace", {"workspace_id": str(elsewhere)})

    assert answer.status == 200
    assert browser.cookie == cookie
    claims = jwt.decode(answer.body["token"]["token"], options={"verify_signature": False})
    assert (claims["wid"], claims["role"]) == (str(elsewhere), "owner")
    # The gateway uses the new JWT from now on.
    people_there = (await browser.get("/api/v1/people")).body["items"]
    assert [one["role"] for one in people_there] == ["owner"]


async def test_nobody_goes_on_where_they_do_not_belong(world: "World") -> None:
    browser = await world.signed_in(await world.person())

    answer = await browser.post("/api/v1/auth/workspace", {"workspace_id": str(await world.workspace("Elsewhere"))})

    assert (answer.status, answer.code) == (403, "not_a_member")


async def test_forced_logout_of_a_workspace_reaches_who_just_left_it(world: "World") -> None:
    person, elsewhere = await _in_two_workspaces(world)
    admin = await world.signed_in(await world.person("adm", Role.OWNER, person.workspace_id))
    browser = await world.signed_in(person)
    await browser.post("/api/v1/auth/workspace", {"workspace_id": str(elsewhere)})

    await admin.post(f"/api/v1/admin/workspaces/{person.workspace_id}/force-logout")

    # A JWT for the workspace could still be in somebody's hands.
    assert (await browser.token()).body["cause"] == "admin_forced"


async def test_removed_member_is_out_of_that_workspace_only(world: "World") -> None:
    person, elsewhere = await _in_two_workspaces(world)
    owner = await world.signed_in(await world.person("own", Role.OWNER, person.workspace_id))
    here, there = await world.signed_in(person), await world.signed_in(person)
    await there.post("/api/v1/auth/workspace", {"workspace_id": str(elsewhere)})
    world.advance(timedelta(hours=2))

    assert (await owner.delete(f"/api/v1/admin/users/{person.user_id}")).status == 204

    assert (await here.token()).body["cause"] == "permission_changed"
    assert (await there.token()).status == 200


async def test_verifiers_forget_an_ended_session_when_its_last_jwt_is_dead(world: "World") -> None:
    person = await world.person()
    browser = await world.signed_in(person)
    session_id = await browser.session_id()
    await browser.post("/api/v1/auth/sign-out")

    async def purged() -> datetime | None:
        at: datetime | None = await world.pool.fetchval(
            "SELECT purged_at FROM sessions WHERE session_id = $1", UUID(session_id)
        )
        return at

    assert await purged() is None
    world.advance(timedelta(hours=1, minutes=3))
    await _upkeep_round(world)

    assert await purged() == world.clock.now()


async def _upkeep_round(world: "World") -> None:
    """What the sweep does each minute."""
    deps = world.deps()
    while (await upkeep.purge_ended(deps, world.clock.now())).more:
        pass


async def _ends(browser: "Browser") -> datetime:
    answer = await browser.token()
    assert answer.status == 200
    return datetime.fromisoformat(answer.body["session_expires_at"])


async def _row(world: "World", person: "Person") -> str:
    row: str = await world.pool.fetchval("SELECT s::text FROM sessions AS s WHERE user_id = $1", person.user_id)
    return row


async def _in_two_workspaces(world: "World") -> tuple["Person", UUID]:
    person = await world.person()
    elsewhere = await world.workspace("Elsewhere")
    async with world.pool.acquire() as db:
        later = world.clock.now() + timedelta(seconds=1)
        await people.put_membership(db, person.user_id, elsewhere, Role.OWNER, later)
    return person, elsewhere
