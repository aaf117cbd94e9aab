"""The API of rules: what is stored, what is refused, and how a refusal reads."""

from collections.abc import Callable
from typing import Any
from uuid import UUID

from common.contracts import IssuedHow
from common.runtime.ids import new_id

Grants = Callable[..., Any]


def definition(*account_ids: UUID, **more: Any) -> dict[str, Any]:
    return {"name": "Stop losers", "account_ids": [str(item) for item in account_ids], "revision": 1} | more


async def test_the_life_of_a_rule(api: Any, house: Any, grant: Grants) -> None:
    meta, rule = grant(), new_id()
    await house.hear(meta.issued())
    service, person = api.service("rules:write"), api.person(meta.workspace_id, "member")
    path, body = f"/api/v1/rules/{rule}", definition(*meta.account_ids)
    made = await api.call("PUT", path, service, body | {"workspace_id": str(meta.workspace_id)})
    assert (made.status, made.body["running"], made.body["reasons"]) == (200, True, [])
    assert (await api.call("PUT", path, person, body)).body["version"] == 1
    await house.hear(meta.revoked())
    paused = (await api.call("GET", path, person)).body
    assert paused["auto_paused_at"] is not None
    assert paused["reasons"][0]["words"] == "the Meta connection of Shop 0 has ended: somebody removed Wevion at Meta."
    assert paused["reasons"][0]["fix_url"].endswith(f"/connect/meta?connection_id={meta.token_id}")
    refused = await api.call("POST", f"{path}/resume", person)
    assert (refused.status, refused.body["code"], refused.body["cause"]) == (409, "token_dead", "user_revoked")
    assert refused.body["token_id"] == str(meta.token_id)
    assert refused.body["fix_url"] == paused["reasons"][0]["fix_url"]
    await house.hear(meta.issued(IssuedHow.REAUTHORIZE))
    assert (await api.call("GET", path, person)).body["running"] is True
    assert (await api.call("POST", f"{path}/pause", person)).body["person_paused_at"] is not None
    resumed = (await api.call("POST", f"{path}/resume", person)).body
    assert resumed["running"] is True
    assert [line["what"] for line in resumed["history"]] == [
        "resumed",
        "paused_by_person",
        "resumed",
        "paused",
        "created",
    ]
    operations = (await api.call("GET", "/api/v1/rules/operations", person)).body["items"]
    assert [item["paused"] + item["resumed"] for item in operations[:2]] == [1, 1]
    assert (await api.call("DELETE", path, person)).status == 204
    gone = await api.call("GET", path, person)
    assert (gone.status, gone.body["code"]) == (404, "rule_unknown")


async def test_lists_and_filters(api: Any, house: Any, grant: Grants) -> None:
    meta, tiktok = grant(), grant(provider="tiktok")
    await house.hear(meta.issued(), tiktok.issued())
    first, second = await house.define(*meta.account_ids), await house.define(*tiktok.account_ids)
    await house.hear(tiktok.revoked())
    person = api.person(meta.workspace_id)
    for query, expected in (
        ("", [first, second]),
        ("?auto_paused=true", [second]),
        ("?auto_paused=false", [first]),
        (f"?account={meta.account_ids[0]}", [first]),
        (f"?account={new_id()}", []),
    ):
        found = (await api.call("GET", f"/api/v1/rules{query}", person)).body["items"]
        assert {item["rule_id"] for item in found} == {str(rule) for rule in expected}, query
    page = (await api.call("GET", "/api/v1/rules?limit=1", person)).body
    rest = (await api.call("GET", f"/api/v1/rules?limit=1&cursor={page['next_cursor']}", person)).body
    assert {page["items"][0]["rule_id"], rest["items"][0]["rule_id"]} == {str(first), str(second)}
    assert rest["next_cursor"] is None


async def test_workspaces_are_apart(api: Any, house: Any, grant: Grants) -> None:
    meta = grant()
    await house.hear(meta.issued())
    rule = await house.define(*meta.account_ids)
    stranger, path = api.person(new_id()), f"/api/v1/rules/{rule}"
    assert (await api.call("GET", "/api/v1/rules", stranger)).body["items"] == []
    for method, where in (("GET", path), ("DELETE", path), ("POST", f"{path}/pause"), ("POST", f"{path}/resume")):
        assert (await api.call(method, where, stranger)).status == 404
    taken = await api.call("PUT", path, stranger, definition(new_id(), revision=2))
    assert (taken.status, taken.body["code"]) == (403, "forbidden")
    foreign = await api.call("PUT", f"/api/v1/rules/{new_id()}", stranger, definition(*meta.account_ids))
    assert (foreign.status, foreign.body["errors"][0]["rule"]) == (400, "foreign_account")
    theirs = f"/api/v1/rules?workspace_id={meta.workspace_id}"
    assert (await api.call("GET", theirs, stranger)).status == 403
    support = api.person(new_id(), "support_admin")
    assert (await api.call("GET", theirs, support)).status == 403, "support sees it by acting as one of its people"
    assert (await api.call("POST", f"{path}/pause", support)).status == 404
    assert (await house.rule(rule)).rule.running, "nothing of this changed the rule"


async def test_revisions(api: Any, house: Any) -> None:
    rule, account, person = new_id(), new_id(), api.person(new_id())
    path = f"/api/v1/rules/{rule}"
    assert (await api.call("PUT", path, person, definition(account, revision=5))).status == 200
    for body in (definition(account, revision=4), definition(account, revision=5, name="Another")):
        answer = await api.call("PUT", path, person, body)
        assert (answer.status, answer.body["code"], answer.body["held_revision"]) == (409, "revision_conflict", 5)


BAD_BODIES: tuple[tuple[Any, str], ...] = (
    ({}, "name"),
    ({"name": ""}, "name"),
    ({"name": "   "}, "name"),
    ({"name": "x" * 201}, "name"),
    ({"account_ids": []}, "account_ids"),
    ({"account_ids": ["x"]}, "account_ids.0"),
    ({"account_ids": [str(new_id()) for _ in range(201)]}, "account_ids"),
    ({"revision": 0}, "revision"),
    ({"revision": "1"}, "revision"),
    ({"revision": True}, "revision"),
    ({"enabled": "yes"}, "enabled"),
    ({"colour": "red"}, "colour"),
)


async def test_a_bad_definition_is_named(api: Any) -> None:
    person, path = api.person(new_id()), f"/api/v1/rules/{new_id()}"
    for wrong, field in BAD_BODIES:
        body = definition(new_id()) | wrong if wrong else {}
        answer = await api.call("PUT", path, person, body)
        assert answer.status == 400, wrong
        assert field in {error["field"] for error in answer.body["errors"]}, wrong
    assert (await api.call("GET", path, person)).status == 404
    assert (await api.call("PUT", "/api/v1/rules/7", person, definition(new_id()))).status == 400
    nameless = await api.call("PUT", path, api.service("rules:write"), definition(new_id()))
    assert nameless.body["errors"][0]["field"] == "workspace_id"


async def test_who_may(api: Any) -> None:
    workspace_id, rule = new_id(), new_id()
    assert (await api.call("GET", "/api/v1/rules", None)).status == 401
    assert (await api.call("GET", "/api/v1/rules", api.service("tokens:read"))).status == 403
    member, admin = api.person(workspace_id, "member"), api.person(workspace_id, "admin")
    assert (await api.call("PUT", "/api/v1/rules/settings", member, {"mode": "off"})).status == 403
    assert (await api.call("PUT", "/api/v1/rules/settings", admin, {"mode": "sometimes"})).status == 400
    assert (await api.call("PUT", "/api/v1/rules/settings", admin, {"mode": "dry_run"})).status == 200
    assert (await api.call("GET", "/api/v1/rules/settings", member)).body == {"mode": "dry_run"}
    assert (await api.call("GET", f"/api/v1/rules/{rule}", member)).status == 404


async def test_the_history_says_who_paused_and_resumed_and_for_whom(api: Any, house: Any, grant: Grants) -> None:
    meta = grant()
    await house.hear(meta.issued())
    rule = await house.define(*meta.account_ids)
    user, admin = str(new_id()), str(new_id())
    acting = api.person(meta.workspace_id, "owner", sub=user, act={"sub": admin})
    path = f"/api/v1/rules/{rule}"

    assert (await api.call("POST", f"{path}/pause", acting)).status == 200
    assert (await api.call("POST", f"{path}/resume", api.service("rules:write", "sync"))).status == 200

    resumed, paused = (await api.call("GET", path, acting)).body["history"][:2]
    assert (paused["actor"], paused["words"]) == (
        f"{user} (support admin {admin})",
        "Paused by Wevion support, acting as a person.",
    )
    assert (resumed["actor"], resumed["words"]) == ("sync", "Resumed by a service.")


async def test_support_does_not_change_the_mode_of_a_workspace(api: Any) -> None:
    acting = api.person(new_id(), "owner", act={"sub": str(new_id())})
    answer = await api.call("PUT", "/api/v1/rules/settings", acting, {"mode": "off"})
    assert (answer.status, answer.body["code"]) == (403, "impersonation_refused")
