"""A spent credential is never presented again, whatever the status that came instead of the platform's answer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.conftest import Person, Stage

PAGE = {"body": "<html>a proxy in front</html>", "content_type": "text/html"}
JSON = {"body": '{"error": "server_error"}', "content_type": "application/json"}
ANSWERS: list[dict[str, Any]] = [
    *({"kind": "status", "status": status} for status in (408, 409, 425, 500, 502, 503, 504)),
    *({"kind": "status", "status": status, **PAGE} for status in (401, 403, 413, 451, 504)),
    {"kind": "status", "status": 500, **JSON},
    {"kind": "status", "status": 400, **JSON},
    {"kind": "status", "status": 403, "body": "", "content_type": "text/plain"},
    {"kind": "status", "status": 403, "body": '{"message": "Forbidden"}', "content_type": "application/json"},
    {"kind": "status", "status": 400, "body": "{}", "content_type": "application/json"},
    {"kind": "html"},
]
ROTATING = ["rfc6749", "snapchat"]


async def connected(stage: Stage, provider: str) -> Person:
    person = stage.person(role="owner")
    if provider == "snapchat":
        await stage.sim("PUT", "modes/snapchat", {"rotates": True})
    if provider == "tiktok":
        await stage.sim("PUT", "lifetimes/tiktok", {"access_s": 3600, "refresh_s": 86400})
    assert (await stage.connect(person, provider)).status == 302
    await stage.events()
    return person


async def trouble(stage: Stage, provider: str, answer: dict[str, Any]) -> None:
    await stage.sim("POST", "faults", {"provider": provider, "endpoint": "token", "count": 1, **answer})


async def refreshed(stage: Stage, provider: str) -> None:
    await stage.make_due(provider)
    await stage.refresh_due()


async def ledger(stage: Stage, provider: str) -> Any:
    return await stage.sim("GET", f"ledger?provider={provider}")


@pytest.mark.parametrize("provider", ROTATING)
@pytest.mark.parametrize("answer", ANSWERS, ids=lambda a: f"{a['kind']} {a.get('status', '')} {a.get('body', '')[:9]}")
async def test_what_the_platform_has_taken_is_not_presented_again_and_nobody_is_accused(
    stage: Stage, provider: str, answer: dict[str, Any]
) -> None:
    person = await connected(stage, provider)
    await trouble(stage, provider, answer)
    await refreshed(stage, provider)
    for _ in range(3):  # the back-off is over, and a person presses "retry now"
        await refreshed(stage, provider)
        connection = await stage.connection(person)
        await stage.ask("POST", f"/api/v1/connections/{connection['connection_id']}/refresh", person.headers)
    assert (await ledger(stage, provider))["presented_twice"] == {}
    connection = await stage.connection(person)
    assert connection["status"] in ("degraded", "expiring")
    assert connection["last_failure"].startswith("unknown_outcome")
    assert connection["expires_at"] == connection["access_expires_at"], "what is left of it"
    account = connection["accounts"][0]["account_id"]
    token = await stage.ask("GET", f"/api/v1/accounts/{account}/access-token", stage.service())
    assert token.status == 200, "the access token works to its end"
    assert "token.revoked" not in [topic for topic, _ in await stage.events()]


@pytest.mark.parametrize("answer", ANSWERS[:4], ids=lambda a: str(a["status"]))
async def test_what_the_platform_has_not_taken_is_presented_again_once_it_says_so(
    stage: Stage, answer: dict[str, Any]
) -> None:
    person = await connected(stage, "rfc6749")
    await trouble(stage, "rfc6749", {**answer, "when": "before"})
    await refreshed(stage, "rfc6749")
    await refreshed(stage, "rfc6749")
    connection = await stage.connection(person)
    assert (connection["status"], connection["last_failure"]) == ("active", None)
    assert (await ledger(stage, "rfc6749"))["presented_twice"] == {}


@pytest.mark.parametrize("answer", [{"kind": "html"}, {"kind": "reset_after_answer"}], ids=lambda a: str(a["kind"]))
async def test_a_refresh_token_that_was_kept_before_is_no_single_use_one(stage: Stage, answer: dict[str, Any]) -> None:
    person = stage.person()
    assert (await stage.connect(person, "snapchat")).status == 302
    await refreshed(stage, "snapchat")
    await trouble(stage, "snapchat", answer)
    await refreshed(stage, "snapchat")
    assert (await stage.connection(person))["last_failure"].startswith("unknown_outcome")
    await refreshed(stage, "snapchat")
    connection = await stage.connection(person)
    assert (connection["status"], connection["last_failure"]) == ("active", None)


async def test_a_platform_that_rotates_and_then_refuses_the_access_token_accuses_nobody(stage: Stage) -> None:
    """Whoever took the answer may have ended the old access token with it; the probe hears of that."""
    person = await connected(stage, "rfc6749")
    await trouble(stage, "rfc6749", {"kind": "html"})
    await refreshed(stage, "rfc6749")
    await stage.sim("POST", "grants/rfc6749/avery/revoke", {"cause": "user_revoked", "webhook": "none"})
    await stage.probe_all()
    await refreshed(stage, "rfc6749")
    connection = await stage.connection(person)
    assert connection["cause"] != "user_revoked"
    assert "removed" not in connection["summary"]


@pytest.mark.parametrize("provider", ["rfc6749", "snapchat", "tiktok", "stripe", "google-ads", "meta"])
async def test_the_code_of_a_consent_is_sent_once(stage: Stage, provider: str) -> None:
    person = stage.person(role="owner")
    back = await stage.agree(await stage.consent_url(person, provider), ("user", "avery"))
    await stage.sim("POST", "faults", {"provider": provider, "endpoint": "token", "kind": "status", "status": 504})
    for _ in range(2):
        reply = await stage.ask("GET", f"/connect/{provider}/callback", person.headers, params=back)
        assert reply.status == 502, reply.text
    codes = [line for line in (await ledger(stage, provider))["entries"] if line["operation"] == "code"]
    assert len(codes) == 1
    assert (await ledger(stage, provider))["presented_twice"] == {}


async def test_a_login_that_was_counted_is_not_made_again_while_its_token_may_live(stage: Stage) -> None:
    person = stage.person()
    (avery,) = [p for p in (await stage.sim("GET", "people"))["people"] if p["key"] == "avery"]
    form = {"username": avery["email"], "password": avery["password"]}
    assert (await stage.enter(person, "outbrain", form)).status == 302
    await trouble(stage, "outbrain", {"kind": "html"})
    await refreshed(stage, "outbrain")
    connection = await stage.connection(person)
    assert connection["last_failure"].startswith("unknown_outcome")
    await refreshed(stage, "outbrain")
    assert [line["outcome"] for line in (await ledger(stage, "outbrain"))["entries"]] == ["issued", "issued"]
