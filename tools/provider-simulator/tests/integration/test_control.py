"""The control API: grants, switches, apps, people, time, restart."""

from __future__ import annotations

import asyncio
from hashlib import sha256
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from provider_simulator.app import Simulator
from provider_simulator.settings import Settings
from provider_simulator.testing import PUBLIC_URL, Client, Receiver

APP = {"client_id": "wevion", "client_secret": "sim-rfc6749-secret"}
TOKEN = "rfc6749.example/token"


def settings(state: Path | None = None, seed: int = 1) -> Settings:
    return Settings(port=0, control_port=0, smtp_port=0, public_url=PUBLIC_URL, seed=seed, state_file=state)


async def refused(client: Client, method: str, path: str, body: Any = None) -> tuple[int, str]:
    answer = await client.ask(method, f"{client.simulator.control_url}/_sim/{path}", json=body)
    assert answer.headers["Content-Type"].startswith("application/problem+json")
    return answer.status, answer.json["detail"]


async def test_grants_are_listed_with_hashes_and_never_tokens(client: Client) -> None:
    made = (await client.sim("POST", "grants/rfc6749", {"person": "jordan"}))["grants"][0]
    listed = await client.ask("GET", f"{client.simulator.control_url}/_sim/grants?provider=rfc6749&alive=1")
    assert made["refresh_token"] not in listed.text
    (grant,) = listed.json["grants"]
    assert (grant["id"], grant["person"], grant["alive"], len(grant["accounts"])) == (made["grant"], "jordan", True, 2)
    assert {t["kind"] for t in grant["tokens"]} == {"access", "refresh"}


@pytest.mark.parametrize(
    "provider", ["meta", "google-ads", "google-drive", "tiktok", "taboola", "snapchat", "outbrain", "stripe", "rfc6749"]
)
async def test_every_platform_opens_grants_for_load_and_ends_them(client: Client, provider: str) -> None:
    made = (await client.sim("POST", f"grants/{provider}", {"count": 2}))["grants"]
    assert len(made) == 2
    await client.sim("POST", f"grants/{provider}/*/revoke", {"webhook": "none"})
    assert (await client.sim("GET", "grants", provider=provider, alive="1"))["grants"] == []
    again = await client.sim("POST", f"grants/{provider}", {})
    assert again["grants"][0]["grant"] not in {m["grant"] for m in made}


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("POST", "grants/rfc6749/nobody/revoke", {}, 404),
        ("POST", "grants/myspace/avery/revoke", {}, 404),
        ("POST", "grants/rfc6749/avery/revoke", {"cause": "boredom"}, 422),
        ("POST", "grants/rfc6749/avery/revoke", {"cause": "permission_changed"}, 422),
        ("POST", "grants/rfc6749/avery/revoke", {"cause": "permission_changed", "account": "acc-0"}, 422),
        ("POST", "grants/rfc6749/avery/revoke", {"cause": "permission_changed", "scope": "everything"}, 422),
        ("POST", "grants/telegram", {}, 422),
        ("POST", "grants/rfc6749", {"person": "nobody"}, 404),
        ("POST", "events/rfc6749", {"kind": "party"}, 422),
        ("PUT", "lifetimes/rfc6749", {"access_s": 0}, 422),
        ("PUT", "lifetimes/rfc6749", {"access_s": "long"}, 422),
        ("PUT", "lifetimes/rfc6749", {"forever_s": 1}, 404),
        ("PUT", "modes/rfc6749", {"mood": "good"}, 404),
        ("PUT", "limits/rfc6749", {"per_second": 0}, 422),
        ("PUT", "apps/rfc6749/new", {"name": "x"}, 422),
        ("PUT", "apps/myspace/new", {"client_secret": "x"}, 404),
        ("DELETE", "apps/rfc6749/none", None, 404),
        ("POST", "people", {"key": "A b", "name": "x", "email": "x"}, 422),
        ("PUT", "people/avery/accounts/meta/act_1", {"lost": True}, 404),
        ("POST", "clock", {"advance_s": -1}, 422),
        ("POST", "webhooks/99/again", {}, 404),
        ("POST", "faults", [], 422),
    ],
)
async def test_wrong_orders_are_refused(client: Client, method: str, path: str, body: Any, status: int) -> None:
    await client.sim("POST", "grants/rfc6749", {})
    assert (await refused(client, method, path, body))[0] == status


async def test_lifetimes_hold_for_what_is_issued_from_now_on(client: Client) -> None:
    await client.sim("PUT", "lifetimes/rfc6749", {"access_s": 5, "refresh_s": None})
    made = (await client.sim("POST", "grants/rfc6749", {}))["grants"][0]
    assert (made["expires_in"], "refresh_token_expires_in" in made) == (5, False)
    assert (await client.sim("GET", "lifetimes/rfc6749"))["access_s"] == 5


async def test_an_app_can_be_made_changed_and_removed(client: Client) -> None:
    made = await client.sim("PUT", "apps/meta/42", {"client_secret": "s", "options": {"a": 1}})
    assert made["redirect_uris"] == []
    changed = await client.sim("PUT", "apps/meta/42", {"redirect_uris": ["http://x.example"], "options": {"b": 2}})
    assert (changed["client_secret"], changed["options"]) == ("s", {"a": 1, "b": 2})
    await client.sim("DELETE", "apps/meta/42")
    assert not [a for a in (await client.sim("GET", "apps"))["apps"] if a["client_id"] == "42"]


async def test_a_person_with_many_accounts_can_be_made(client: Client) -> None:
    person = {"key": "giant", "name": "Gia Nt", "email": "g@x.example", "accounts": {"meta": 200, "tiktok": 3}}
    made = await client.sim("POST", "people", person)
    ids = [a["id"] for a in made["accounts"]["meta"]]
    assert len(set(ids)) == 200
    lost = await client.sim("PUT", f"people/giant/accounts/meta/{ids[0]}", {"lost": True, "active": False})
    assert (lost["lost"], lost["active"]) == (True, False)


async def test_clock_moves_forward_and_back_to_the_real_time(client: Client) -> None:
    assert (await client.sim("POST", "clock", {"advance_s": 100}))["offset_s"] == 100
    assert (await client.sim("POST", "clock", {"advance_s": 1}))["offset_s"] == 101
    assert (await client.sim("POST", "clock", {"reset": True}))["offset_s"] == 0


async def test_webhook_is_tried_again_and_can_be_sent_again(client: Client, receiver: Receiver) -> None:
    await client.sim("PUT", "apps/stripe/ca_SimWevion", {"webhook_url": receiver.url})
    await client.sim("POST", "grants/stripe", {})
    receiver.status = 500
    await client.sim("POST", "grants/stripe/avery/revoke", {})
    await receiver.until(1)
    receiver.status = 200
    await receiver.until(2)
    delivery = await settled(client)
    assert (delivery["attempts"], delivery["status"], delivery["kind"]) == (
        2,
        200,
        "account.application.deauthorized",
    )
    await client.sim("POST", f"webhooks/{delivery['id']}/again", {})
    await receiver.until(3)
    assert receiver.got[0][1] == receiver.got[2][1]


async def settled(client: Client) -> dict[str, Any]:
    async with asyncio.timeout(5):
        while True:
            delivery: dict[str, Any] = (await client.sim("GET", "webhooks"))["deliveries"][0]
            if delivery["status"] == 200:
                return delivery


async def test_reset_is_as_at_the_first_start(client: Client) -> None:
    await client.sim("POST", "grants/rfc6749", {"count": 3})
    await client.sim("POST", "clock", {"advance_s": 5})
    await client.sim("PUT", "modes/meta", {"exchange_extends": False})
    await client.fault(provider="meta", kind="hang")
    await client.sim("POST", "reset", {})
    assert (await client.sim("GET", "grants"))["grants"] == []
    assert (await client.sim("GET", "ledger"))["written"] == 0
    assert (await client.sim("GET", "faults"))["faults"] == []
    assert (await client.sim("GET", "modes/meta"))["exchange_extends"] is True
    assert (await client.sim("GET", "clock"))["offset_s"] == 0


async def test_ledger_can_be_read_on_from_a_number(client: Client) -> None:
    grants = (await client.sim("POST", "grants/rfc6749", {"count": 3}))["grants"]
    for grant in grants:
        await client.post(TOKEN, APP | {"grant_type": "refresh_token", "refresh_token": grant["refresh_token"]})
    assert [line["number"] for line in await client.ledger(after="1", limit="1")] == [2]
    ledger = await client.sim("GET", "ledger", grant=grants[0]["grant"])
    (line,) = ledger["entries"]
    presented = grants[0]["refresh_token"]
    assert line["presented_sha256"] == sha256(presented.encode()).hexdigest()
    assert line["prefix_sha256"] == sha256(presented[:16].encode()).hexdigest()
    assert (ledger["outcomes"], ledger["written"]) == ({"rfc6749": {"rotated": 3}}, 3)


async def test_unknown_hosts_and_paths(client: Client) -> None:
    assert (await client.get("example.com/x")).status == 404
    assert (await client.get("rfc6749.example/nothing")).json == {"error": "not_found"}


async def test_a_second_start_finds_what_the_first_one_knew(tmp_path: Path) -> None:
    state = tmp_path / "deep" / "state.jsonl"
    async with running(state) as client:
        grant, gone = (await client.sim("POST", "grants/rfc6749", {"count": 2}))["grants"]
        await client.sim("POST", f"grants/rfc6749/{gone['grant']}/revoke", {})
        await client.sim("PUT", "apps/rfc6749/wevion", {"redirect_uris": ["http://other.example"]})
        await client.sim("PUT", "lifetimes/rfc6749", {"access_s": 77})
        await client.sim("POST", "clock", {"advance_s": 60})
        await client.sim("POST", "telegram/open", {"payload": "abc"})
        spent = grant["refresh_token"]
        answer = await client.post(TOKEN, APP | {"grant_type": "refresh_token", "refresh_token": spent})
        fresh = answer.json["refresh_token"]
    async with running(state) as client:
        assert (await client.sim("GET", "clock"))["offset_s"] == 60
        assert (await client.sim("GET", "telegram/chats/avery"))["messages"][0]["text"] == "/start abc"
        answer = await client.post(TOKEN, APP | {"grant_type": "refresh_token", "refresh_token": fresh})
        assert (answer.status, answer.json["expires_in"]) == (200, 77)
        assert answer.json["refresh_token"] not in {spent, fresh}
        reused = await client.post(TOKEN, APP | {"grant_type": "refresh_token", "refresh_token": spent})
        assert reused.json["error"] == "invalid_grant"
        assert len((await client.sim("GET", "grants", alive="0"))["grants"]) == 2
        (app,) = [a for a in (await client.sim("GET", "apps"))["apps"] if a["client_id"] == "wevion"]
        assert app["redirect_uris"] == ["http://other.example"]
    async with running(state) as client:
        assert (await client.sim("GET", "ledger"))["presented_twice"] == {grant["grant"]: 1}


async def test_untouched_apps_follow_the_address_of_the_next_start(tmp_path: Path) -> None:
    state = tmp_path / "state.jsonl"
    for public_url in ("http://one.example", "http://two.example"):
        chosen = Settings(port=0, control_port=0, smtp_port=0, public_url=public_url, state_file=state)
        async with Simulator(chosen) as simulator:
            app = simulator.world.apps.of("meta")[0]
            assert app.redirect_uris == [f"{public_url}/connect/meta/callback"]


async def test_a_file_cut_by_a_crash_is_read_up_to_the_cut(tmp_path: Path) -> None:
    state = tmp_path / "state.jsonl"
    async with running(state) as client:
        await client.sim("POST", "grants/rfc6749", {"count": 2})
    with state.open("a", encoding="utf-8") as file:
        file.write('["grants", "rfc6749-avery-3", {"id"')
    async with running(state) as client:
        assert len((await client.sim("GET", "grants"))["grants"]) == 2


@pytest.mark.parametrize(("seed", "same"), [(7, True), (8, False)])
async def test_the_same_seed_gives_the_same_tokens(seed: int, same: bool) -> None:
    tokens = []
    for chosen in (7, seed):
        async with running(None, chosen) as client:
            tokens.append((await client.sim("POST", "grants/rfc6749", {}))["grants"][0]["refresh_token"])
    assert (tokens[0] == tokens[1]) is same


class running:  # noqa: N801  reads as what it is in a `with`
    """A simulator and its client, for tests that start more than one."""

    def __init__(self, state: Path | None, seed: int = 1) -> None:
        self._simulator = Simulator(settings(state, seed))

    async def __aenter__(self) -> Client:
        await self._simulator.__aenter__()
        self._session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=10))
        return Client(self._simulator, self._session)

    async def __aexit__(self, *error: object) -> None:
        await self._session.close()
        await self._simulator.__aexit__(None, None, None)
