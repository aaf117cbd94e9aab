"""The API: what is shown to whom, what is refused, and how a refusal reads."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar

import pytest
from aiohttp import web

from common.contracts import RevocationCause, TokenKind, TokenStatus
from common.runtime.ids import new_id
from common.web import serve
from expiry_watcher.operations import Deps, track

Stories = Callable[..., Any]
SOON = datetime.now(UTC) + timedelta(days=5)


async def test_a_workspace_sees_its_tokens_of_all_kinds(api: Any, deps: Deps, story: Stories) -> None:
    tokens = [story(kind=kind, provider="x") for kind in TokenKind]
    stranger = story(workspace_id=new_id())
    await track(deps, [token.issued(SOON) for token in (*tokens, stranger)])
    workspace_id = tokens[0].members["workspace_id"]
    for caller in (api.person(workspace_id), api.person(workspace_id, "admin")):
        found = (await api.call("GET", "/api/v1/tokens", caller)).body
        assert {item["token_id"] for item in found["items"]} == {str(token.token_id) for token in tokens}
        assert sum(count["count"] for count in found["counts"]) == 4
    member = (await api.call("GET", "/api/v1/tokens", api.person(workspace_id, "member"))).body
    assert {item["kind"] for item in member["items"]} == {"platform_oauth", "integration"}
    own = api.person(workspace_id, "member", sub=str(tokens[0].members["owner_user_id"]))
    assert len((await api.call("GET", "/api/v1/tokens", own)).body["items"]) == 4


async def test_services_name_the_workspace_and_support_sees_its_own_only(api: Any, deps: Deps, story: Stories) -> None:
    token = story()
    await track(deps, [token.issued(SOON)])
    workspace_id, elsewhere = token.members["workspace_id"], new_id()
    service, support = api.service("tokens:read"), api.person(elsewhere, "support_admin")
    found = await api.call("GET", f"/api/v1/tokens?workspace_id={workspace_id}", service)
    assert [item["token_id"] for item in found.body["items"]] == [str(token.token_id)]
    assert (await api.call("GET", f"/api/v1/tokens/{token.token_id}", service)).status == 200
    assert (await api.call("GET", f"/api/v1/tokens?workspace_id={workspace_id}", support)).status == 403
    assert (await api.call("GET", f"/api/v1/tokens/{token.token_id}", support)).status == 404
    refused = await api.call("GET", "/api/v1/tokens", api.service("tokens:read"))
    assert (refused.status, refused.body["errors"][0]["field"]) == (400, "workspace_id")
    assert (await api.call("GET", "/api/v1/tokens", api.service("other"))).status == 403
    assert (await api.call("GET", f"/api/v1/tokens?workspace_id={workspace_id}", api.person(elsewhere))).status == 403


async def test_one_token_with_its_history_in_words(api: Any, deps: Deps, story: Stories) -> None:
    token = story()
    await track(deps, [token.issued(SOON), token.refreshed(SOON), token.revoked(RevocationCause.USER_REVOKED)])
    person = api.person(token.members["workspace_id"])
    found = (await api.call("GET", f"/api/v1/tokens/{token.token_id}", person)).body
    assert found["status"] == "revoked"
    assert found["fix_url"] == f"http://gateway.test/connect/meta?connection_id={token.token_id}"
    assert [line["what"] for line in found["history"]] == ["revoked", "refreshed", "issued"]
    assert found["history"][0]["words"] == "Somebody removed Wevion at Meta (Meta told us)."


async def test_a_token_of_another_workspace_is_no_token(api: Any, deps: Deps, story: Stories) -> None:
    token = story()
    await track(deps, [token.issued(SOON)])
    for token_id in (token.token_id, new_id()):
        answer = await api.call("GET", f"/api/v1/tokens/{token_id}", api.person(new_id()))
        assert (answer.status, answer.body["code"]) == (404, "token_unknown")


async def test_filters(api: Any, deps: Deps, story: Stories) -> None:
    meta, drive, far = story(), story(kind=TokenKind.INTEGRATION, provider="google-drive"), story(provider="tiktok")
    await track(deps, [meta.issued(SOON), drive.issued(None), drive.revoked(), far.issued(SOON + timedelta(days=30))])
    person = api.person(meta.members["workspace_id"])
    account = meta.members["accounts"][0].account_id
    for query, expected in (
        ("kind=integration", [drive]),
        ("provider=tiktok", [far]),
        ("status=revoked", [drive]),
        (f"account={account}", [meta]),
        ("expiring_within=7d", [meta]),
        ("expiring_within=60d", [meta, far]),
        ("expiring_within=1m", []),
    ):
        found = (await api.call("GET", f"/api/v1/tokens?{query}", person)).body
        assert {item["token_id"] for item in found["items"]} == {str(token.token_id) for token in expected}, query


async def test_counts_are_of_everything_that_the_caller_sees_as_it_is_now(api: Any, deps: Deps, story: Stories) -> None:
    past = datetime.now(UTC) - timedelta(seconds=1)
    alive, ended, passed, drive = story(), story(), story(), story(kind=TokenKind.INTEGRATION, provider="google-drive")
    session = story(kind=TokenKind.SESSION, provider="wevion")
    await track(
        deps, [alive.issued(SOON), ended.issued(SOON), ended.revoked(), passed.issued(past), drive.issued(None)]
    )
    await track(deps, [session.issued(SOON)])
    workspace_id = alive.members["workspace_id"]
    expected = {
        ("platform_oauth", "active"): 1,
        ("platform_oauth", "revoked"): 1,
        ("platform_oauth", "expired"): 1,
        ("integration", "active"): 1,
    }
    for role, more in (("owner", {("session", "active"): 1}), ("member", {})):
        for query in ("", "?status=revoked", "?limit=1"):
            found = (await api.call("GET", f"/api/v1/tokens{query}", api.person(workspace_id, role))).body
            counts = {(each["kind"], each["status"]): each["count"] for each in found["counts"]}
            assert counts == expected | more, (role, query)
    expired = (await api.call("GET", "/api/v1/tokens?status=expired", api.person(workspace_id))).body["items"]
    assert [item["token_id"] for item in expired] == [str(passed.token_id)]
    combined = "kind=platform_oauth&provider=meta&status=active&expiring_within=7d"
    only = (await api.call("GET", f"/api/v1/tokens?{combined}", api.person(workspace_id))).body["items"]
    assert [item["token_id"] for item in only] == [str(alive.token_id)]


async def test_pages(api: Any, deps: Deps, story: Stories) -> None:
    tokens = [story() for _ in range(5)]
    await track(deps, [token.issued(SOON) for token in tokens])
    person, seen, cursor = api.person(tokens[0].members["workspace_id"]), [], ""
    for _ in range(3):
        found = (await api.call("GET", f"/api/v1/tokens?limit=2{cursor}", person)).body
        seen += [item["token_id"] for item in found["items"]]
        cursor = f"&cursor={found['next_cursor']}"
    assert seen == sorted(str(token.token_id) for token in tokens)
    assert found["next_cursor"] is None
    assert found["counts"] is None, "on the first page only"
    first = (await api.call("GET", "/api/v1/tokens?limit=2", person)).body["next_cursor"]
    for other in ("expiring_within=9d", "status=active", "provider=meta"):
        answer = await api.call("GET", f"/api/v1/tokens?{other}&limit=2&cursor={first}", person)
        assert (answer.status, answer.body["errors"][0]["field"]) == (400, "cursor"), "a cursor is of one listing"


BAD_QUERIES = (
    ("kind=cookie", "kind"),
    ("status=fine", "status"),
    ("expiring_within=soon", "expiring_within"),
    ("expiring_within=0d", "expiring_within"),
    ("limit=0", "limit"),
    ("limit=9999", "limit"),
    ("account=7", "account"),
    ("colour=red", "colour"),
    ("cursor=nonsense", "cursor"),
    ("kind=session&kind=session", "kind"),
)


async def test_a_bad_query_is_named(api: Any) -> None:
    person = api.person(new_id())
    for query, field in BAD_QUERIES:
        answer = await api.call("GET", f"/api/v1/tokens?{query}", person)
        assert (answer.status, answer.body["errors"][0]["field"]) == (400, field), query


async def test_without_a_token_nothing_is_shown(api: Any) -> None:
    for method, path in (
        ("GET", "/api/v1/tokens"),
        ("GET", f"/api/v1/tokens/{new_id()}"),
        ("GET", "/api/v1/tokens/ladder"),
        ("POST", "/api/v1/tokens/diagnose"),
    ):
        answer = await api.call(method, path, None, {} if method == "POST" else None)
        assert (answer.status, answer.body["code"], answer.body["token_kind"]) == (401, "token_missing", "session")


async def test_a_workspace_chooses_its_ladder(api: Any) -> None:
    workspace_id = new_id()
    owner = api.person(workspace_id)
    assert (await api.call("GET", "/api/v1/tokens/ladder", owner)).body["chosen"] is False
    answer = await api.call("PUT", "/api/v1/tokens/ladder", owner, {"stages": ["1h", "10d"]})
    assert answer.body == {"stages": ["10d", "1h"], "chosen": True}
    assert (await api.call("GET", "/api/v1/tokens/ladder", api.person(new_id()))).body["chosen"] is False
    assert (await api.call("DELETE", "/api/v1/tokens/ladder", owner)).status == 204
    assert (await api.call("GET", "/api/v1/tokens/ladder", owner)).body["chosen"] is False


BAD_LADDERS: tuple[Any, ...] = ([], ["7"], ["7w"], ["0d"], ["-1d"], ["7d", "168h"], ["90d"], ["1d"] * 13, "7d", [7])


async def test_a_ladder_that_cannot_be_is_refused(api: Any) -> None:
    person = api.person(new_id())
    for stages in BAD_LADDERS:
        answer = await api.call("PUT", "/api/v1/tokens/ladder", person, {"stages": stages})
        assert answer.status == 400, stages
        assert answer.body["errors"][0]["field"].startswith("stages"), stages
    assert (await api.call("GET", "/api/v1/tokens/ladder", person)).body["chosen"] is False


async def test_a_member_does_not_choose_the_ladder(api: Any) -> None:
    answer = await api.call("PUT", "/api/v1/tokens/ladder", api.person(new_id(), "member"), {"stages": ["1d"]})
    assert answer.status == 403


async def test_diagnosis_names_the_very_token_its_state_and_the_fix(api: Any, deps: Deps, story: Stories) -> None:
    dead, alive = story(), story(provider="tiktok")
    await track(deps, [dead.issued(SOON), dead.revoked(), alive.issued(None)])
    person = api.person(dead.members["workspace_id"])
    error = {"error": {"message": "removed", "type": "OAuthException", "code": 190, "error_subcode": 458}}
    found = (await api.call("POST", "/api/v1/tokens/diagnose", person, {"status": 400, "body": error})).body
    assert (found["kind"], found["certainty"], found["problem"]) == ("platform_oauth", "high", "reauthorize")
    assert (found["token"]["token_id"], found["token"]["status"]) == (str(dead.token_id), "revoked")
    assert found["cause"] == "user_revoked"
    assert found["fix_url"].endswith(f"/connect/meta?connection_id={dead.token_id}")
    assert found["nothing_wrong"] is False
    vague = (await api.call("POST", "/api/v1/tokens/diagnose", person, {"text": "token expired"})).body
    assert vague["token"]["token_id"] == str(dead.token_id), "the only one that fails is the likeliest"


async def test_diagnosis_says_when_nothing_is_wrong_now(api: Any, deps: Deps, story: Stories) -> None:
    token = story(provider="tiktok")
    await track(deps, [token.issued(None)])
    person = api.person(token.members["workspace_id"])
    body = {"code": 40105, "message": "Access token is incorrect or has been revoked.", "request_id": "1"}
    found = (await api.call("POST", "/api/v1/tokens/diagnose", person, {"http_status": 200, "http_body": body})).body
    assert found["nothing_wrong"] is True
    assert found["words"].startswith("Nothing is wrong with your tokens now")
    assert any("Access to the one ad account may have been removed" in other for other in found["otherwise"])
    assert any("incident" in other for other in found["otherwise"])


async def test_a_dead_connection_is_not_blamed_for_what_speaks_of_no_token(
    api: Any, deps: Deps, story: Stories
) -> None:
    dead, alive = story(provider="google-ads"), story(provider="tiktok")
    await track(deps, [dead.issued(SOON), dead.revoked(), alive.issued(None)])
    person = api.person(dead.members["workspace_id"])
    for text, known in (("disk full on node 3", True), ("\N{GRINNING FACE}", False), ("502 Bad Gateway nginx", True)):
        found = (await api.call("POST", "/api/v1/tokens/diagnose", person, {"text": text})).body
        assert (found["kind"], found["token"], found["nothing_wrong"]) == (None, None, known), text
        assert "Google Ads connection does not work now" in found["otherwise"][0]
    lost = (await api.call("POST", "/api/v1/tokens/diagnose", person, {"text": "access_lost"})).body
    assert (lost["problem"], lost["token"]) == ("account_lost_access", None), "that it is dead does not explain this"


async def test_what_else_it_is_when_it_is_not_the_token(api: Any, deps: Deps, story: Stories) -> None:
    token = story()
    await track(deps, [token.issued(None)])
    person = api.person(token.members["workspace_id"])
    lost = {"error": {"message": "(#10) no permission", "type": "OAuthException", "code": 10, "fbtrace_id": "A"}}
    down = {"error": {"message": "retry later", "type": "OAuthException", "code": 2, "fbtrace_id": "B"}}
    removed = (await api.call("POST", "/api/v1/tokens/diagnose", person, {"body": lost})).body
    assert (removed["problem"], removed["nothing_wrong"]) == ("account_lost_access", False)
    assert removed["token"]["status"] == "active"
    incident = (await api.call("POST", "/api/v1/tokens/diagnose", person, {"body": down})).body
    assert (incident["problem"], incident["nothing_wrong"], incident["fix_url"]) == ("retry_later", True, None)


async def test_a_huge_or_deep_answer_of_a_platform_is_read_as_far_as_it_helps(api: Any) -> None:
    person = api.person(new_id())
    deep: Any = {"code": 190}
    for _ in range(50):
        deep = {"error": [deep]}
    huge = {"error": {"type": "OAuthException", "code": 190, "fbtrace_id": "x", "message": "x" * 50_000}}
    for body in (deep, huge, "x" * 50_000, ["x"] * 5_000):
        answer = await api.call("POST", "/api/v1/tokens/diagnose", person, {"body": body, "provider": "meta"})
        assert (answer.status, answer.body["kind"]) == (200, "platform_oauth")


async def test_diagnosis_of_a_session_is_about_the_callers_own(api: Any, deps: Deps, story: Stories) -> None:
    session = story(kind=TokenKind.SESSION, provider="wevion")
    await track(deps, [session.issued(SOON)])
    mine = {"sid": str(session.token_id), "sub": str(session.members["owner_user_id"])}
    person = api.person(session.members["workspace_id"], "member", **mine)
    found = (await api.call("POST", "/api/v1/tokens/diagnose", person, {"path": "/chat", "status": 401})).body
    assert (found["kind"], found["token"]["token_id"], found["nothing_wrong"]) == (
        "session",
        str(session.token_id),
        True,
    )


async def test_diagnosis_by_account_and_by_id(api: Any, deps: Deps, story: Stories) -> None:
    first, second = story(), story()
    await track(deps, [first.issued(SOON), second.issued(SOON), first.revoked(), second.revoked()])
    person = api.person(first.members["workspace_id"])
    account = {"text": "sync failed", "account_id": str(second.members["accounts"][0].account_id)}
    found = (await api.call("POST", "/api/v1/tokens/diagnose", person, account)).body
    assert found["token"]["token_id"] == str(second.token_id)
    link = {"text": f"http://gateway.test/connect/meta?connection_id={first.token_id}"}
    assert (await api.call("POST", "/api/v1/tokens/diagnose", person, link)).body["token"]["token_id"] == str(
        first.token_id
    )


async def test_diagnosis_shows_nothing_of_other_workspaces(api: Any, deps: Deps, story: Stories) -> None:
    token = story()
    await track(deps, [token.issued(SOON), token.revoked()])
    question = {"token_id": str(token.token_id), "provider": "meta"}
    found = (await api.call("POST", "/api/v1/tokens/diagnose", api.person(new_id()), question)).body
    assert found["kind"] == "platform_oauth"
    assert found["token"] is None


async def test_a_service_names_the_workspace_of_its_question(api: Any) -> None:
    answer = await api.call("POST", "/api/v1/tokens/diagnose", api.service("tokens:read"), {"provider": "meta"})
    assert answer.status == 400
    assert (answer.body["errors"][0]["field"], answer.body["errors"][0]["in"]) == ("workspace_id", "body")


async def test_diagnosis_without_a_clue_asks_for_one(api: Any) -> None:
    found = (await api.call("POST", "/api/v1/tokens/diagnose", api.person(new_id()), {"text": "hello"})).body
    assert (found["kind"], found["confidence"], found["candidates"]) == (None, 0.0, [])


class TestNotices:
    """A notice is read as the person who asks."""

    @pytest.fixture
    async def notices_url(self, story: Stories) -> Any:
        self.token = story(kind=TokenKind.INTEGRATION, provider="stripe")
        self.asked: list[str] = []

        async def notice(request: web.Request) -> web.Response:
            self.asked.append(request.headers["Authorization"])
            return web.json_response(
                {
                    "code": "TOKEN_REVOKED",
                    "title": "Stripe was disconnected",
                    "provider": "stripe",
                    "token_id": str(self.token.token_id),
                    "token_kind": "integration",
                    "cause": "disconnected",
                }
            )

        app = web.Application()
        app.router.add_get("/api/v1/notices/{id}", notice)
        async with serve(app) as server:
            yield server.url

    async def test_a_notice_names_its_token(self, api: Any, deps: Deps) -> None:
        await track(deps, [self.token.issued(None), self.token.revoked(RevocationCause.DISCONNECTED)])
        person = api.person(self.token.members["workspace_id"])
        found = (await api.call("POST", "/api/v1/tokens/diagnose", person, {"notice_id": str(new_id())})).body
        assert (found["kind"], found["certainty"], found["cause"]) == ("integration", "high", "disconnected")
        assert found["token"]["token_id"] == str(self.token.token_id)
        assert found["fix_url"] == "http://gateway.test/settings/integrations"
        assert self.asked == [f"Bearer {person}"]


class TestChecks:
    """A token that is believed alive is checked at its platform, if that is wished, as the person who asks."""

    QUESTION: ClassVar = {"http_status": 200, "http_body": {"code": 40105, "message": "revoked", "request_id": "1"}}

    @pytest.fixture
    async def oauth_url(self, story: Stories) -> Any:
        self.token = story(provider="tiktok")
        self.asked: list[tuple[str, str]] = []
        self.answer: dict[str, Any] = {}
        self.status = 200

        async def check(request: web.Request) -> web.Response:
            self.asked.append((request.match_info["id"], request.headers["Authorization"]))
            return web.json_response(self.answer, status=self.status)

        app = web.Application()
        app.router.add_post("/api/v1/connections/{id}/check", check)
        async with serve(app) as server:
            yield server.url

    async def diagnosed(self, api: Any, deps: Deps, **more: Any) -> dict[str, Any]:
        await track(deps, [self.token.issued(None)])
        self.person = api.person(self.token.members["workspace_id"])
        reply = await api.call("POST", "/api/v1/tokens/diagnose", self.person, self.QUESTION | more)
        assert reply.status == 200
        found: dict[str, Any] = reply.body
        return found

    def says(self, status: str, *, verified: bool = False, cause: str | None = None) -> None:
        connection = {"status": status, "cause": cause, "provider": "tiktok"}
        self.answer = {"connection": connection, "verified": verified, "explanation": "TikTok says so."}

    async def test_it_is_offered_and_not_done_unasked(self, api: Any, deps: Deps) -> None:
        found = await self.diagnosed(api, deps)
        assert found["check"] == {
            "token_id": str(self.token.token_id),
            "url": f"http://gateway.test/api/v1/connections/{self.token.token_id}/check",
            "asked": False,
            "verified": None,
        }
        assert self.asked == []

    async def test_one_that_works_is_confirmed(self, api: Any, deps: Deps) -> None:
        self.says("active", verified=True)
        found = await self.diagnosed(api, deps, check=True)
        assert (found["check"]["asked"], found["check"]["verified"]) == (True, True)
        assert (found["words"], found["nothing_wrong"]) == ("TikTok says so.", True)
        assert self.asked == [(str(self.token.token_id), f"Bearer {self.person}")]

    async def test_one_that_turns_out_dead_is_the_problem(self, api: Any, deps: Deps) -> None:
        self.says("revoked", cause="user_revoked")
        found = await self.diagnosed(api, deps, check=True)
        assert (found["words"], found["nothing_wrong"]) == ("TikTok says so.", False)
        assert (found["problem"], found["cause"], found["otherwise"]) == ("reauthorize", "user_revoked", [])
        assert found["fix_url"] == f"http://gateway.test/connect/tiktok?connection_id={self.token.token_id}"

    @pytest.mark.parametrize(("status", "answer"), [(503, {}), (404, {}), (200, {}), (200, {"verified": "?"})])
    async def test_without_an_answer_the_diagnosis_stays(
        self, api: Any, deps: Deps, status: int, answer: dict[str, Any]
    ) -> None:
        self.status, self.answer = status, answer
        found = await self.diagnosed(api, deps, check=True)
        assert (found["check"]["asked"], found["check"]["verified"]) == (False, None)
        assert found["words"].startswith("Nothing is wrong with your tokens now")

    async def test_a_dead_one_is_not_checked(self, api: Any, deps: Deps) -> None:
        await track(deps, [self.token.issued(None), self.token.revoked()])
        person = api.person(self.token.members["workspace_id"])
        found = (await api.call("POST", "/api/v1/tokens/diagnose", person, self.QUESTION | {"check": True})).body
        assert (found["check"], found["token"]["status"], self.asked) == (None, "revoked", [])


BAD_QUESTIONS: tuple[Any, ...] = (
    {},
    {"text": ""},
    {"text": "  "},
    {"text": 7},
    {"status": 99},
    {"status": "401"},
    {"notice_id": "x"},
    {"colour": "red"},
    {"text": "x" * 20_001},
    [],
    "text",
)


async def test_a_question_that_cannot_be_is_refused(api: Any) -> None:
    person = api.person(new_id())
    for body in BAD_QUESTIONS:
        answer = await api.call("POST", "/api/v1/tokens/diagnose", person, body)
        assert answer.status == 400, body
        assert answer.body["errors"], body


async def test_the_present_status_is_as_of_now(api: Any, deps: Deps, story: Stories) -> None:
    token = story()
    await track(deps, [token.issued(datetime.now(UTC) - timedelta(seconds=1))])
    found = (await api.call("GET", f"/api/v1/tokens/{token.token_id}", api.person(token.members["workspace_id"]))).body
    assert found["status"] == TokenStatus.EXPIRED
    assert found["remaining_s"] is None


async def test_support_does_not_choose_the_stages_of_a_workspace(api: Any) -> None:
    acting = api.person(new_id(), "owner", act={"sub": str(new_id())})
    for method, body in (("PUT", {"stages": ["7d"]}), ("DELETE", None)):
        answer = await api.call(method, "/api/v1/tokens/ladder", acting, body)
        assert (answer.status, answer.body["code"]) == (403, "impersonation_refused")
