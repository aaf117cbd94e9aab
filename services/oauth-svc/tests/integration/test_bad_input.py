"""What a stranger or a tired person can send: each has a clear answer, and nothing changes."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from common.runtime import ids

if TYPE_CHECKING:
    from tests.conftest import Stage

SECRET = "sim-meta-app-secret-0123456789abcdef"
PATH = "/connect/meta/callback"


async def rows(stage: Stage) -> tuple[int, int]:
    found = await stage.pool.fetchrow(
        "SELECT (SELECT count(*) FROM connection) AS connections, (SELECT count(*) FROM outbox) AS events"
    )
    assert found is not None
    return found["connections"], found["events"]


async def test_states_that_are_not_mine_are_refused(stage: Stage) -> None:
    person = stage.person()
    colleague = stage.person(workspace_id=person.workspace_id)
    back = await stage.agree(await stage.consent_url(person), ("user", "avery"))
    for query in ({**back, "state": back["state"].swapcase()}, {"code": back["code"]}, {**back, "state": "é" * 20}):
        reply = await stage.ask("GET", PATH, person.headers, params=query)
        assert (reply.status, "not started by you" in reply.text) == (400, True)
    for other in (colleague, stage.person()):
        reply = await stage.ask("GET", PATH, other.headers, params=back)
        assert reply.status == 400
    person_elsewhere = stage.person(workspace_id=person.workspace_id)
    person_elsewhere.user_id = person.user_id
    assert (await stage.ask("GET", PATH, person_elsewhere.headers, params=back)).status == 400, "another browser"
    wrong_provider = await stage.ask("GET", "/connect/rfc6749/callback", person.headers, params=back)
    assert wrong_provider.status == 400
    assert await rows(stage) == (0, 0)
    assert (await stage.ask("GET", PATH, person.headers, params=back)).status == 302, "and the right one still works"


async def test_doubled_callback_is_one_exchange(stage: Stage) -> None:
    import asyncio  # noqa: PLC0415

    person = stage.person()
    back = await stage.agree(await stage.consent_url(person), ("user", "avery"))
    replies = await asyncio.gather(*(stage.ask("GET", PATH, person.headers, params=back) for _ in range(4)))
    assert {(r.status, r.headers.get("Location")) for r in replies} == {(302, replies[0].location)}
    entries = (await stage.sim("GET", "ledger?provider=meta"))["entries"]
    assert [e["operation"] for e in entries].count("code") == 1


@pytest.mark.parametrize("provider", ["meta", "google-ads", "tiktok", "snapchat", "stripe", "rfc6749"])
@pytest.mark.parametrize(
    "fault",
    [
        {"kind": "html"},
        {"kind": "malformed"},
        {"kind": "hang"},
        {"kind": "reset_after_answer"},
        {"kind": "status", "status": 200, "body": "[]"},
        {"kind": "status", "status": 200, "body": '{"access_token": ' + "[" * 5000},
    ],
    ids=lambda fault: f"{fault['kind']} {fault.get('body', '')[:2]}",
)
async def test_whatever_comes_for_a_code_is_a_clear_no_and_the_code_is_sent_once(
    stage: Stage, provider: str, fault: dict[str, Any]
) -> None:
    person = stage.person(role="owner")
    back = await stage.agree(await stage.consent_url(person, provider), ("user", "avery"))
    await stage.sim("POST", "faults", {"provider": provider, "endpoint": "token", **fault})
    path = f"/connect/{provider}/callback"
    for _ in range(2):
        reply = await stage.ask("GET", path, person.headers, params=back)
        assert (reply.status, "did not complete the connection" in reply.text) == (502, True), reply.text
    standing = (await stage.sim("GET", "faults"))["faults"]
    assert [f["hits"] for f in standing] == [1], "not once more, whoever asks"
    assert await rows(stage) == (0, 0)
    await stage.sim("DELETE", "faults")
    assert (await stage.connect(person, provider)).status == 302, "and starting again works"


async def test_a_code_that_was_used_elsewhere_is_a_clear_no(stage: Stage) -> None:
    person, thief = stage.person(), stage.person()
    back = await stage.agree(await stage.consent_url(person, "rfc6749"), ("user", "avery"))
    own = await stage.agree(await stage.consent_url(thief, "rfc6749"), ("user", "jordan"))
    stolen = await stage.ask("GET", "/connect/rfc6749/callback", thief.headers, params=own | {"code": back["code"]})
    assert stolen.status == 409, "the code is bound to the verifier of the browser that it was given to"
    assert await rows(stage) == (0, 0)


async def test_an_expired_state_and_a_denied_consent_say_so(stage: Stage) -> None:
    person = stage.person()
    back = await stage.agree(await stage.consent_url(person), ("user", "avery"))
    stage.clock.advance(timedelta(minutes=16))
    reply = await stage.ask("GET", PATH, person.headers, params=back)
    assert (reply.status, "took too long" in reply.text) == (400, True)
    back = await stage.agree(await stage.consent_url(person), ("user", "avery"), ("decision", "deny"))
    for _ in range(2):
        reply = await stage.ask("GET", PATH, person.headers, params=back)
        assert (reply.status, "did not give consent" in reply.text) == (400, True)
    assert await rows(stage) == (0, 0)


@pytest.mark.parametrize("path", ["//evil.example", "https://evil.example", "/\\evil.example", "javascript:alert(1)"])
async def test_open_redirects_are_refused(stage: Stage, path: str) -> None:
    reply = await stage.ask("GET", "/connect/meta", stage.person().headers, params={"return_to": path})
    assert (reply.status, "not safe" in reply.text) == (400, True)
    assert await stage.pool.fetchval("SELECT count(*) FROM oauth_state") == 0


async def test_other_workspaces_do_not_exist(stage: Stage) -> None:
    owner, stranger = stage.person(), stage.person(role="owner")
    await stage.connect(owner)
    connection = await stage.connection(owner)
    connection_id, account_id = connection["connection_id"], connection["accounts"][0]["account_id"]
    asked = [
        ("GET", f"/api/v1/connections/{connection_id}"),
        ("DELETE", f"/api/v1/connections/{connection_id}"),
        ("POST", f"/api/v1/connections/{connection_id}/refresh"),
        ("POST", f"/api/v1/accounts/{account_id}/verify"),
        ("GET", f"/connect/meta?connection_id={connection_id}"),
    ]
    for method, path in asked:
        assert (await stage.ask(method, path, stranger.headers)).status == 404, path
    assert await stage.connections(stranger) == []
    assert (await stage.ask("GET", "/api/v1/accounts", stranger.headers)).json["items"] == []
    assert await stage.connection(owner) == connection


async def test_two_workspaces_hold_one_platform_user_without_harm(stage: Stage) -> None:
    from oauth_svc.operations import disconnect  # noqa: PLC0415

    one, two = stage.person(), stage.person()
    await stage.connect(one)
    await stage.connect(two)
    connection = await stage.connection(one)
    await stage.ask("DELETE", f"/api/v1/connections/{connection['connection_id']}", one.headers)
    await disconnect.sweep_remote(stage.deps)
    await stage.probe_all()
    assert (await stage.connection(two))["status"] == "active", "revoked at the platform only with the last sibling"


async def test_nobody_without_a_session(stage: Stage) -> None:
    assert (await stage.ask("GET", "/connect/meta")).location == "/sign-in?return_to=%2Fconnect%2Fmeta"
    for path in ("/api/v1/connections", "/api/v1/accounts", "/api/v1/data-gaps", "/api/v1/providers"):
        reply = await stage.ask("GET", path)
        assert (reply.status, reply.headers["Content-Type"].split(";")[0]) == (401, "application/problem+json")


@pytest.mark.parametrize(
    ("path", "field"),
    [
        ("/api/v1/connections?limit=0", "limit"),
        ("/api/v1/connections?limit=x", "limit"),
        ("/api/v1/connections?cursor=zzz", "cursor"),
        ("/api/v1/connections?kind=session2", "kind"),
        ("/api/v1/connections?nope=1", "nope"),
        ("/api/v1/connections/not-a-uuid", "id"),
        ("/api/v1/data-gaps?account_id=7", "account_id"),
    ],
)
async def test_bad_queries_name_the_field(stage: Stage, path: str, field: str) -> None:
    reply = await stage.ask("GET", path, stage.person().headers)
    assert reply.status == 400
    assert reply.json["errors"][0]["field"] == field


async def test_unknown_provider(stage: Stage) -> None:
    person = stage.person()
    assert (await stage.ask("GET", "/connect/nope", person.headers)).status == 404
    assert (await stage.ask("POST", "/webhooks/nope", data=b"x")).status == 404


async def test_credential_form_refuses_what_the_platform_refuses(stage: Stage) -> None:
    person = stage.person()
    page = await stage.ask("GET", "/connect/taboola", person.headers)
    assert (page.status, 'name="client_secret"' in page.text, "unsafe-inline" in str(page.headers)) == (
        200,
        True,
        False,
    )
    for form in (
        {"client_id": "taboola-avery", "client_secret": "wrong"},
        {"client_id": "taboola-avery"},
        {"client_id": "<script>", "client_secret": "x"},
        {},
    ):
        reply = await stage.enter(person, "taboola", form)
        assert reply.status == 400, reply.text
        assert "<script>" not in reply.text
    assert await rows(stage) == (0, 0)


def signed(payload: dict[str, Any], secret: str = SECRET) -> bytes:
    encoded = base64.urlsafe_b64encode(json.dumps(payload).encode()).rstrip(b"=")
    digest = hmac.new(secret.encode(), encoded, hashlib.sha256).digest()
    return b"signed_request=" + base64.urlsafe_b64encode(digest).rstrip(b"=") + b"." + encoded


async def test_forged_webhooks_are_refused_and_change_nothing(stage: Stage) -> None:
    person = stage.person()
    await stage.connect(person)
    subject = await stage.pool.fetchval("SELECT subject FROM connection")
    now = int(datetime.now(UTC).timestamp())
    good = {"algorithm": "HMAC-SHA256", "user_id": subject, "issued_at": now}
    await stage.events()
    forged = [
        signed(good, "another secret"),
        signed({**good, "algorithm": "none"}),
        signed({**good, "issued_at": now + 90_000}),
        signed({"algorithm": "HMAC-SHA256", "issued_at": now}),
        signed(good).replace(b".", b".x", 1),
        b"signed_request=.",
        b"signed_request=%%%.%%%",
        b"",
        b"\xff\xfe",
    ]
    for body in forged:
        reply = await stage.ask("POST", "/webhooks/meta", data=body)
        assert (reply.status, reply.json["code"]) == (403, "webhook_refused"), body
    for provider, body in (("stripe", b"{}"), ("tiktok", b"{}")):
        assert (await stage.ask("POST", f"/webhooks/{provider}", data=body)).status == 403
    refused = await stage.ask("POST", "/webhooks/google-ads", data=b"a.b.c")
    assert (refused.status, refused.json["err"]) == (400, "authentication_failed")  # as RFC 8935, section 2.4 has it
    assert (await stage.ask("POST", "/webhooks/meta", data=b"x" * 70_000)).status == 413
    assert (await stage.connection(person))["status"] == "active"
    assert await stage.events() == []


@pytest.mark.parametrize("age_s", [60, 90_000, 10**8])
async def test_a_late_webhook_does_not_end_the_new_grant(stage: Stage, age_s: int) -> None:
    person = stage.person()
    await stage.connect(person)
    subject = await stage.pool.fetchval("SELECT subject FROM connection")
    before = int(datetime.now(UTC).timestamp()) - age_s
    late = signed({"algorithm": "HMAC-SHA256", "user_id": subject, "issued_at": before})
    assert (await stage.ask("POST", "/webhooks/meta", data=late)).status == 200
    assert (await stage.connection(person))["status"] == "active"


async def test_a_webhook_that_was_late_by_a_day_ends_the_grant_that_it_is_about(stage: Stage) -> None:
    person = stage.person()
    await stage.connect(person)
    await stage.pool.execute("UPDATE connection SET authorized_at = authorized_at - interval '30 days'")
    subject = await stage.pool.fetchval("SELECT subject FROM connection")
    day_before = int(datetime.now(UTC).timestamp()) - 86_400
    late = signed({"algorithm": "HMAC-SHA256", "user_id": subject, "issued_at": day_before})
    assert (await stage.ask("POST", "/webhooks/meta", data=late)).status == 200
    assert (await stage.connection(person))["status"] == "revoked"


async def test_unknown_ids_are_404(stage: Stage) -> None:
    person = stage.person()
    for path in (f"/api/v1/connections/{ids.new_id()}",):
        assert (await stage.ask("GET", path, person.headers)).status == 404
