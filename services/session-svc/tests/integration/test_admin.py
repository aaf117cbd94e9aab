"""T1.6, T1.7: forcing people out, roles, acting as a user, and the audit trail."""

from datetime import timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest

from common.contracts import TokenRevokedV1
from common.runtime.ids import new_id
from common.testing import eventually
from session_svc.core.people import Role
from session_svc.store import people

if TYPE_CHECKING:
    from testbed import Browser, Person, World

pytestmark = pytest.mark.asyncio(loop_scope="session")

REASON = "customer cannot see their campaigns"


async def test_admin_forces_out_a_user_and_says_so(world: "World") -> None:
    workspace = await world.workspace()
    admin = await world.signed_in(await world.person("adm", Role.ADMIN, workspace))
    person = await world.person("ann", workspace_id=workspace)
    browser = await world.signed_in(person)
    await world.signed_in(person)
    jwt = (await browser.token()).body["token"]

    answer = await admin.post(f"/api/v1/admin/users/{person.user_id}/force-logout")

    assert (answer.status, answer.body) == (200, {"sessions_ended": 2})
    refused = await browser.token()
    assert (refused.status, refused.code, refused.body["cause"]) == (401, "session_revoked", "admin_forced")

    async def jwt_is_refused_by_the_verifier() -> bool:
        url = f"{world.identity_url}/api/v1/auth/sessions"
        async with world.http.get(url, headers={"Authorization": f"Bearer {jwt}"}) as response:
            problem = await response.json(content_type=None)
            return response.status == 401 and problem["code"] == "session_revoked"

    assert await eventually(jwt_is_refused_by_the_verifier)


async def test_gateway_refuses_a_forced_out_user_at_once(world: "World") -> None:
    workspace = await world.workspace()
    admin = await world.signed_in(await world.person("adm", Role.ADMIN, workspace))
    person = await world.person("ann", workspace_id=workspace)
    browser = await world.signed_in(person)
    assert (await browser.get("/api/v1/auth/sessions")).status == 200

    await admin.post(f"/api/v1/admin/users/{person.user_id}/force-logout")

    async def refused() -> bool:
        answer = await browser.get("/api/v1/auth/sessions")
        return answer.status == 401 and answer.body["cause"] == "admin_forced"

    assert await eventually(refused)


async def test_admin_forces_out_a_workspace_and_nobody_else(world: "World") -> None:
    workspace, elsewhere = await world.workspace(), await world.workspace("Elsewhere")
    admin = await world.signed_in(await world.person("adm", Role.ADMIN, workspace))
    member = await world.signed_in(await world.person("ann", workspace_id=workspace))
    other = await world.signed_in(await world.person("bob", workspace_id=elsewhere))

    answer = await admin.post(f"/api/v1/admin/workspaces/{workspace}/force-logout")

    assert (answer.status, answer.body) == (200, {"sessions_ended": 2, "sessions_kept": 0})
    assert (await member.token()).body["cause"] == "admin_forced"
    assert (await other.token()).status == 200


async def test_admin_ends_one_session(world: "World") -> None:
    workspace = await world.workspace()
    admin = await world.signed_in(await world.person("adm", Role.ADMIN, workspace))
    person = await world.person("ann", workspace_id=workspace)
    one, two = await world.signed_in(person), await world.signed_in(person)
    session_id = (await one.get("/api/v1/auth/session")).body["session_id"]

    assert (await admin.delete(f"/api/v1/admin/sessions/{session_id}")).status == 204

    assert (await one.token()).body["cause"] == "admin_forced"
    assert (await two.token()).status == 200
    assert (await admin.delete(f"/api/v1/admin/sessions/{session_id}")).status == 404


@pytest.mark.parametrize("path", ["users/{user}/force-logout", "workspaces/{workspace}/force-logout"])
async def test_nobody_forces_out_people_of_another_workspace(world: "World", path: str) -> None:
    admin = await world.signed_in(await world.person("adm", Role.OWNER))
    elsewhere = await world.workspace("Elsewhere")
    victim = await world.person("ann", workspace_id=elsewhere)
    browser = await world.signed_in(victim)

    answer = await admin.post("/api/v1/admin/" + path.format(user=victim.user_id, workspace=elsewhere))

    assert (answer.status, answer.code) == (404, "not_found")
    assert (await browser.token()).status == 200


@pytest.mark.parametrize("role", [Role.MEMBER])
async def test_members_do_not_administrate(world: "World", role: Role) -> None:
    browser = await world.signed_in(await world.person("ann", role))

    for method, path in (
        ("GET", "/users"),
        ("GET", "/sessions"),
        ("GET", "/audit"),
        ("POST", "/users/{id}/force-logout"),
    ):
        answer = await browser.call(method, "/api/v1/admin" + path.replace("{id}", str(await _own(browser))))
        assert (answer.status, answer.code) == (403, "forbidden_role")


async def test_admin_does_not_force_out_an_owner(world: "World") -> None:
    workspace = await world.workspace()
    admin = await world.signed_in(await world.person("adm", Role.ADMIN, workspace))
    owner = await world.person("own", Role.OWNER, workspace)
    browser = await world.signed_in(owner)

    answer = await admin.post(f"/api/v1/admin/users/{owner.user_id}/force-logout")

    assert (answer.status, answer.code) == (403, "outranked")
    assert (await browser.token()).status == 200


async def test_role_change_ends_the_sessions_in_that_workspace(world: "World") -> None:
    workspace = await world.workspace()
    owner = await world.signed_in(await world.person("own", Role.OWNER, workspace))
    person = await world.person("ann", Role.ADMIN, workspace)
    browser = await world.signed_in(person)

    answer = await owner.put(f"/api/v1/admin/users/{person.user_id}/role", {"role": "member"})

    assert answer.status == 204
    assert (await browser.token()).body["cause"] == "permission_changed"
    again = await world.signed_in(person)
    assert (await again.get("/api/v1/auth/session")).body["role"] == "member"


async def test_last_owner_stays(world: "World") -> None:
    person = await world.person("own", Role.OWNER)
    owner = await world.signed_in(person)

    for answer in (
        await owner.put(f"/api/v1/admin/users/{person.user_id}/role", {"role": "member"}),
        await owner.delete(f"/api/v1/admin/users/{person.user_id}"),
    ):
        assert (answer.status, answer.code) == (403, "last_owner")
    assert (await owner.token()).status == 200


async def test_disabled_user_is_out_and_stays_out(world: "World") -> None:
    support = await world.signed_in(await world.person("sup", support=True))
    person = await world.person("ann")
    browser = await world.signed_in(person)

    assert (await support.post(f"/api/v1/admin/users/{person.user_id}/disable")).status == 204

    assert (await browser.token()).code == "user_disabled"
    sign_in = {"email": person.email, "password": person.password}
    refused = await world.browser().post("/api/v1/auth/sign-in", sign_in)
    assert (refused.status, refused.code) == (403, "user_disabled")
    assert (await support.post(f"/api/v1/admin/users/{person.user_id}/enable")).status == 204
    assert await world.signed_in(person)


async def test_jwt_of_a_disabled_user_is_refused_with_words_that_help(world: "World") -> None:
    support = await world.signed_in(await world.person("sup", support=True))
    person = await world.person("ann")
    token = (await (await world.signed_in(person)).token()).body["token"]

    async def said() -> tuple[int, Any]:
        headers = {"Authorization": f"Bearer {token}"}
        async with world.http.get(f"{world.identity_url}/api/v1/auth/sessions", headers=headers) as answer:
            return answer.status, await answer.json(content_type=None)

    assert (await said())[0] == 200
    await support.post(f"/api/v1/admin/users/{person.user_id}/disable")

    async def refused() -> Any:
        status, body = await said()
        return status == 401 and body

    problem = await eventually(refused)
    # The wire has one cause for a forced logout and a disabled account, so the words have to name both.
    assert (problem["code"], problem["cause"]) == ("session_revoked", "admin_forced")
    assert "disabled the account" in problem["detail"]
    assert "Sign in again" in problem["fix"]


async def test_admin_sees_who_is_signed_in_in_their_workspace_and_nowhere_else(world: "World") -> None:
    workspace = await world.workspace()
    admin = await world.signed_in(await world.person("adm", Role.ADMIN, workspace))
    ann = await world.person("ann", workspace_id=workspace)
    eve = await world.person("eve", workspace_id=await world.workspace("Elsewhere"))
    browser, _, gone = [await world.signed_in(ann) for _ in range(3)]
    await gone.post("/api/v1/auth/sign-out")
    await world.signed_in(eve)

    found = (await admin.get("/api/v1/admin/sessions")).body["items"]
    of_ann = (await admin.get(f"/api/v1/admin/sessions?user_id={ann.user_id}")).body["items"]
    of_eve = (await admin.get(f"/api/v1/admin/sessions?user_id={eve.user_id}")).body["items"]

    assert [one["user_id"] for one in found[:2]] == [str(ann.user_id)] * 2
    assert [one["current"] for one in found] == [False, False, True]
    assert {one["session_id"] for one in of_ann} >= {await browser.session_id()}
    assert of_ann == found[:2]
    assert of_eve == []
    assert "secret" not in str(found)


async def test_list_of_sessions_goes_on_where_it_ended(world: "World") -> None:
    admin = await world.signed_in(await world.person("adm", Role.ADMIN))
    ann = await world.person("ann")
    for _ in range(3):
        await world.signed_in(ann)
    path = f"/api/v1/admin/sessions?user_id={ann.user_id}"

    first = (await admin.get(f"{path}&limit=2")).body
    rest = (await admin.get(f"{path}&limit=2&cursor={first['next_cursor']}")).body

    ids = [one["session_id"] for one in [*first["items"], *rest["items"]]]
    assert len(set(ids)) == 3
    assert ids == sorted(ids, reverse=True)
    assert rest["next_cursor"] is None
    other = await admin.get(f"/api/v1/admin/sessions?cursor={first['next_cursor']}")
    assert (other.status, other.code) == (400, "invalid_cursor")


async def test_support_finds_people_by_a_part_of_their_name_or_address(world: "World") -> None:
    support = await world.signed_in(await world.person("sup", support=True))
    person = await world.person("zoe")
    other = await world.person("yan")

    async def found(search: str) -> list[str]:
        answer = await support.get(f"/api/v1/admin/users?limit=200&search={quote(search)}")
        assert answer.status == 200, answer.body
        return [one["user_id"] for one in answer.body["items"]]

    assert await found(person.email.upper()) == [str(person.user_id)]
    assert {str(person.user_id), str(other.user_id)} <= set(await found(world.mark))
    assert await found(f"%{world.mark}") == []  # literally, no pattern
    shown = (await support.get(f"/api/v1/admin/users?user_id={person.user_id}")).body["items"][0]
    assert shown["workspace_name"] == f"Acme {world.mark}"


async def test_audit_trail_has_names(world: "World") -> None:
    workspace = await world.workspace()
    owner = await world.signed_in(await world.person("own", Role.OWNER, workspace))
    ann = await world.person("ann", workspace_id=workspace)

    await owner.post(f"/api/v1/admin/users/{ann.user_id}/force-logout")

    line = (await owner.get("/api/v1/admin/audit?limit=1")).body["items"][0]
    assert (line["action"], line["actor_name"], line["target_name"]) == ("user_forced_out", "Own", "Ann")
    assert line["as_name"] is None


async def test_support_admin_acts_as_a_user(world: "World") -> None:
    support, admin, person, _ = await _impersonating(world)

    me = (await support.get("/api/v1/auth/session")).body

    assert me["user_id"] == str(person.user_id)
    assert me["acting_admin_user_id"] == str(admin.user_id)
    assert me["acting_admin_name"] == "Sup"
    token = await support.token()
    assert token.body["expires_at"] - token.body["issued_at"] == 3600
    mine = (await (await world.signed_in(person)).get("/api/v1/auth/sessions")).body
    assert mine["support_access"][0]["by_name"] == "Sup"
    assert mine["support_access"][0]["reason"] == REASON
    assert [one["support"] for one in mine["items"] if not one["current"]] == [True]


async def test_support_admin_chooses_where_to_act(world: "World") -> None:
    person = await world.person("ann")
    elsewhere = await world.workspace("Elsewhere")
    async with world.pool.acquire() as db:
        await people.put_membership(db, person.user_id, elsewhere, Role.OWNER, world.clock.now())
    support = await world.signed_in(await world.person("sup", support=True))
    wanted = {"user_id": str(person.user_id), "reason": REASON}

    nowhere = await support.post("/api/v1/admin/impersonations", {**wanted, "workspace_id": str(new_id())})
    assert (nowhere.status, nowhere.code) == (404, "not_found")
    assert await world.live_sessions(person) == 0
    there = await support.post("/api/v1/admin/impersonations", {**wanted, "workspace_id": str(elsewhere)})

    assert there.status == 200, there.body
    assert (there.body["session"]["workspace_id"], there.body["session"]["role"]) == (str(elsewhere), "owner")


async def test_impersonation_ends_by_itself_and_names_the_fix(world: "World") -> None:
    support, *_ = await _impersonating(world)

    world.advance(timedelta(minutes=59))
    assert (await support.token()).body["expires_at"] == int(world.clock.now().timestamp()) + 60
    world.advance(timedelta(minutes=1))

    answer = await support.token()
    assert (answer.status, answer.code) == (401, "impersonation_ended")
    assert answer.body["fix"] == "Sign in again as the original admin."


async def test_impersonation_is_ended_by_its_admin(world: "World") -> None:
    support, _, person, _ = await _impersonating(world)

    assert (await support.delete("/api/v1/admin/impersonations/current")).status == 204

    assert (await support.token()).code == "impersonation_ended"
    assert await world.live_sessions(person) == 0


async def test_user_ends_an_impersonation(world: "World") -> None:
    support, _, person, session_id = await _impersonating(world)
    browser = await world.signed_in(person)

    assert (await browser.delete(f"/api/v1/auth/sessions/{session_id}")).status == 204

    assert (await support.token()).code == "impersonation_ended"


async def test_endpoints_refuse_act(world: "World") -> None:
    support, _, person, session_id = await _impersonating(world, Role.OWNER)
    passwords = {"current_password": person.password, "new_password": "another long passphrase"}
    calls = [
        ("POST", "/api/v1/auth/password", passwords),
        ("POST", "/api/v1/auth/workspace", {"workspace_id": str(person.workspace_id)}),
        ("DELETE", "/api/v1/auth/sessions", None),
        ("DELETE", f"/api/v1/auth/sessions/{session_id}", None),
        ("GET", "/api/v1/admin/users", None),
        ("GET", "/api/v1/admin/sessions", None),
        ("POST", "/api/v1/admin/users", {"email": "x@example.com", "name": "X"}),
        ("PUT", f"/api/v1/admin/users/{person.user_id}/role", {"role": "member"}),
        ("DELETE", f"/api/v1/admin/users/{person.user_id}", None),
        ("POST", f"/api/v1/admin/users/{person.user_id}/force-logout", None),
        ("POST", f"/api/v1/admin/users/{person.user_id}/disable", None),
        ("POST", f"/api/v1/admin/workspaces/{person.workspace_id}/force-logout", None),
        ("DELETE", f"/api/v1/admin/sessions/{session_id}", None),
        ("POST", "/api/v1/admin/impersonations", {"user_id": str(person.user_id), "reason": REASON}),
        ("GET", "/api/v1/admin/audit", None),
    ]

    for method, path, body in calls:
        answer = await support.call(method, path, body)
        assert (answer.status, answer.code) == (403, "impersonation_refused"), (method, path, answer.body)
    assert (await support.token()).status == 200


async def test_only_support_admins_act_as_others_and_only_with_a_reason(world: "World") -> None:
    owner = await world.signed_in(await world.person("own", Role.OWNER))
    person = await world.person("ann")
    support = await world.signed_in(await world.person("sup", support=True))
    second = await world.person("sup2", support=True)
    wanted = {"user_id": str(person.user_id), "reason": REASON}

    assert (await owner.post("/api/v1/admin/impersonations", wanted)).code == "forbidden_role"
    assert (await support.post("/api/v1/admin/impersonations", {**wanted, "reason": " because "})).status == 400
    refused = await support.post("/api/v1/admin/impersonations", {**wanted, "user_id": str(second.user_id)})
    assert (refused.status, refused.code) == (403, "cannot_impersonate")
    sql = "SELECT count(*) FROM impersonations WHERE user_id = $1"
    assert await world.pool.fetchval(sql, person.user_id) == 0


async def test_act_in_every_audit_row(world: "World") -> None:
    support, admin, person, _ = await _impersonating(world)
    await support.post("/api/v1/auth/sign-out", {"everywhere": True})
    owner = await world.signed_in(await world.person("own", Role.OWNER, person.workspace_id))

    trail = (await owner.get("/api/v1/admin/audit?limit=200")).body["items"]

    acted = [row for row in trail if row["as_user_id"] == str(person.user_id)]
    assert {row["action"] for row in acted} == {"impersonation_started", "impersonation_ended"}
    assert {row["actor_user_id"] for row in acted} == {str(admin.user_id)}
    assert next(row for row in acted if row["action"] == "impersonation_started")["reason"] == REASON


async def test_reading_the_audit_trail_is_recorded_in_it(world: "World") -> None:
    owner = await world.signed_in(await world.person("own", Role.OWNER))
    other = await world.signed_in(await world.person("eve", Role.OWNER, await world.workspace("Elsewhere")))

    await owner.get("/api/v1/admin/audit")

    actions = [row["action"] for row in (await owner.get("/api/v1/admin/audit?limit=3")).body["items"]]
    assert actions[0] == "audit_read"
    page = (await owner.get("/api/v1/admin/audit?limit=1")).body
    rest = (await owner.get(f"/api/v1/admin/audit?cursor={page['next_cursor']}")).body
    assert page["items"][0] not in rest["items"]
    theirs = await other.get(f"/api/v1/admin/audit?cursor={page['next_cursor']}")
    assert (theirs.status, theirs.code) == (400, "invalid_cursor")


async def test_audit_trail_cannot_be_changed(world: "World") -> None:
    await world.signed_in(await world.person())

    for statement in ("UPDATE audit SET reason = 'x'", "DELETE FROM audit", "TRUNCATE audit"):
        with pytest.raises(Exception, match="append-only"):
            await world.pool.execute(statement)


async def test_services_read_people_with_their_scope_only(world: "World") -> None:
    person = await world.person("ann", Role.ADMIN)
    await world.person("bob", workspace_id=await world.workspace("Elsewhere"))
    url = f"{world.identity_url}/api/v1/admin/users?workspace_id={person.workspace_id}"
    reader = await world.service_token("users:read")
    other = await world.service_token("tokens:read")

    async with world.http.get(url, headers={"Authorization": f"Bearer {reader}"}) as answer:
        found = (await answer.json())["items"]
    async with world.http.get(url, headers={"Authorization": f"Bearer {other}"}) as answer:
        refused = await answer.json(content_type=None)

    assert [(one["user_id"], one["email"], one["role"]) for one in found] == [
        (str(person.user_id), person.email, "admin")
    ]
    assert refused["code"] == "insufficient_scope"


async def test_every_way_to_end_a_session_emits(world: "World") -> None:  # noqa: PLR0915  one story of all the ways
    workspace = await world.workspace()
    owner = await world.signed_in(await world.person("own", Role.OWNER, workspace))
    support = await world.signed_in(await world.person("sup", support=True))
    ann = await world.person("ann", workspace_id=workspace)
    expected: list[tuple[str, str]] = []

    async def session_of_ann() -> tuple["Browser", str]:
        browser = await world.signed_in(ann)
        return browser, str((await browser.get("/api/v1/auth/session")).body["session_id"])

    browser, session_id = await session_of_ann()
    await browser.post("/api/v1/auth/sign-out")
    expected.append((session_id, "signed_out"))
    browser, session_id = await session_of_ann()
    await browser.post("/api/v1/auth/sign-out", {"everywhere": True})
    expected.append((session_id, "signed_out"))
    browser, session_id = await session_of_ann()
    await browser.post("/api/v1/auth/sign-in", {"email": ann.email, "password": ann.password})
    await browser.post("/api/v1/auth/sign-out")
    expected.append((session_id, "superseded"))
    browser, session_id = await session_of_ann()
    await browser.delete(f"/api/v1/auth/sessions/{session_id}")
    expected.append((session_id, "signed_out"))
    browser, session_id = await session_of_ann()
    second, _ = await session_of_ann()
    await second.delete("/api/v1/auth/sessions")
    await second.post("/api/v1/auth/sign-out")
    expected.append((session_id, "signed_out"))
    _, session_id = await session_of_ann()
    await owner.delete(f"/api/v1/admin/sessions/{session_id}")
    expected.append((session_id, "admin_forced"))
    _, session_id = await session_of_ann()
    await owner.post(f"/api/v1/admin/users/{ann.user_id}/force-logout")
    expected.append((session_id, "admin_forced"))
    _, session_id = await session_of_ann()
    await owner.put(f"/api/v1/admin/users/{ann.user_id}/role", {"role": "admin"})
    expected.append((session_id, "permission_changed"))
    _, session_id = await session_of_ann()
    await support.post(f"/api/v1/admin/users/{ann.user_id}/disable")
    await support.post(f"/api/v1/admin/users/{ann.user_id}/enable")
    expected.append((session_id, "admin_forced"))
    browser, session_id = await session_of_ann()
    other, kept_id = await session_of_ann()
    change = {"current_password": ann.password, "new_password": "another long passphrase"}
    assert (await other.post("/api/v1/auth/password", change)).status == 204
    expected.append((session_id, "password_changed"))
    assert (await other.token()).status == 200
    await owner.post(f"/api/v1/admin/workspaces/{workspace}/force-logout")
    expected.append((kept_id, "admin_forced"))

    async with world.events("token.revoked", "token.state") as seen:

        def all_there() -> bool:
            revoked = {
                (event.body.subject(), event.body.cause.value)
                for event in seen
                if isinstance(event.body, TokenRevokedV1)
            }
            stated = {event.body.subject() for event in seen if event.topic == "token.state"}
            assert set(expected) <= revoked
            return {session_id for session_id, _ in expected} <= stated

        await eventually(all_there, 15)


async def _impersonating(world: "World", role: Role = Role.MEMBER) -> tuple["Browser", "Person", "Person", str]:
    """A support admin's browser that acts as a user; the admin, the user, the session's id."""
    admin = await world.person("sup", support=True)
    person = await world.person("ann", role)
    support = await world.signed_in(admin)
    wanted = {"user_id": str(person.user_id), "reason": REASON, "ticket": "SUP-7"}
    answer = await support.post("/api/v1/admin/impersonations", wanted)
    assert answer.status == 200, answer.body
    return support, admin, person, answer.body["session"]["session_id"]


async def _own(browser: "Browser") -> str:
    return str((await browser.get("/api/v1/auth/session")).body["user_id"])
