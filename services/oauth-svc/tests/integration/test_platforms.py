"""The table: platform x ability, every cell against the simulator."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from common.testing import eventually
from oauth_svc.operations import disconnect

if TYPE_CHECKING:
    from tests.conftest import Person, Reply, Stage


@dataclass(frozen=True)
class Case:
    """What differs between platforms, from the outside."""

    provider: str
    accounts: int = 3
    role: str = "member"
    access_life: timedelta | None = timedelta(hours=1)
    full_life: timedelta | None = None
    renews: bool = True
    credentials: tuple[tuple[str, str], ...] = ()
    new_credentials: tuple[tuple[str, str], ...] = ()
    revokes_remotely: bool = True
    error_with_200: dict[str, Any] | None = None

    def __str__(self) -> str:
        return self.provider


META = Case(
    "meta",
    access_life=timedelta(days=60),
    full_life=timedelta(days=60),
    error_with_200={"endpoint": "token", "kind": "status", "status": 200, "code": 2},
)
CASES = (
    META,
    Case("google-ads", accounts=4),
    Case("google-drive", accounts=1, role="admin"),
    Case(
        "tiktok",
        access_life=None,
        renews=False,
        error_with_200={"endpoint": "accounts", "kind": "status", "status": 200, "code": 50000},
    ),
    Case(
        "taboola",
        access_life=timedelta(hours=12),
        credentials=(("client_id", "taboola-avery"), ("client_secret", "secret-avery")),
        new_credentials=(("client_id", "taboola-avery-2"), ("client_secret", "secret-avery-2")),
        revokes_remotely=False,
    ),
    Case("snapchat", access_life=timedelta(minutes=30), revokes_remotely=False),
    Case(
        "outbrain",
        accounts=2,
        access_life=timedelta(days=30),
        credentials=(("username", "avery@northwind.example"), ("password", "pw-avery-2026")),
        new_credentials=(("username", "avery@northwind.example"), ("password", "pw-avery-2026-2")),
        revokes_remotely=False,
    ),
    Case("stripe", accounts=1, role="owner", access_life=None, renews=False),
    Case("rfc6749", accounts=2, full_life=timedelta(days=30)),
)
every = pytest.mark.parametrize("case", CASES, ids=str)
renewing = pytest.mark.parametrize("case", [case for case in CASES if case.renews], ids=str)


async def connect(stage: Stage, case: Case, person: Person, *, again: bool = False, **query: str) -> Reply:
    if case.credentials:
        pairs = case.new_credentials if again else case.credentials
        form = dict(pairs) | query
        if case.provider == "outbrain":
            people = await stage.sim("GET", "people")
            avery = next(p for p in people["people"] if p["key"] == "avery")
            form |= {"username": avery["email"], "password": avery["password"]}
        return await stage.enter(person, case.provider, form)
    return await stage.connect(person, case.provider, "avery", (), **query)


async def connected(stage: Stage, case: Case) -> Person:
    person = stage.person(role=case.role)
    reply = await connect(stage, case, person)
    assert reply.status == 302, reply.text
    return person


async def token(stage: Stage, person: Person) -> str:
    account_id = (await stage.connection(person))["accounts"][0]["account_id"]
    reply = await stage.ask("GET", f"/api/v1/accounts/{account_id}/access-token", stage.service())
    assert reply.status == 200, reply.text
    found: str = reply.json["access_token"]
    return found


@every
async def test_connect(stage: Stage, case: Case) -> None:
    person = await connected(stage, case)
    connection = await stage.connection(person)
    assert connection["status"] == "active"
    assert connection["missing"] == []
    assert len(connection["accounts"]) == case.accounts
    assert [topic for topic, _ in await stage.events()] == ["token.issued", "token.state"]


@every
async def test_longest_lived(stage: Stage, case: Case) -> None:
    person = await connected(stage, case)
    connection = await stage.connection(person)
    for field, life in (("access_expires_at", case.access_life), ("expires_at", case.full_life)):
        seconds = await stage.pool.fetchval(f"SELECT extract(epoch FROM {field} - now())::float8 FROM connection")
        if life is None:
            assert seconds is None, (field, connection[field])
        else:
            assert abs(seconds - life.total_seconds()) < 120, (field, seconds)


@renewing
async def test_refresh(stage: Stage, case: Case) -> None:
    person = await connected(stage, case)
    before = await token(stage, person)
    await stage.events()
    await stage.make_due(case.provider)
    assert await stage.refresh_due() == 1
    assert await token(stage, person) != before
    assert [topic for topic, _ in await stage.events()] == ["token.refreshed", "token.state"]
    assert await stage.refresh_due() == 0


@pytest.mark.parametrize(
    "case", [c for c in CASES if c.provider in ("google-ads", "google-drive", "snapchat")], ids=str
)
async def test_rotate(stage: Stage, case: Case) -> None:
    await stage.sim("PUT", f"modes/{case.provider}", {"rotates": True})
    person = await connected(stage, case)
    for _ in range(3):
        await stage.make_due(case.provider)
        await stage.refresh_due()
    assert (await stage.connection(person))["status"] == "active"
    ledger = await stage.sim("GET", f"ledger?provider={case.provider}")
    assert ledger["presented_twice"] == {}


@every
async def test_revoked_by_user(stage: Stage, case: Case) -> None:
    person = await connected(stage, case)
    await stage.events()
    await stage.sim("POST", f"grants/{case.provider}/avery/revoke", {"cause": "user_revoked", "webhook": "none"})
    await stage.probe_all()
    connection = await stage.connection(person)
    assert (connection["status"], connection["cause"]) == ("revoked", "user_revoked")
    topics = [topic for topic, _ in await stage.events()]
    assert topics.count("token.revoked") == 1


@pytest.mark.parametrize("case", [c for c in CASES if c.accounts > 1], ids=str)
async def test_permission_change_on_one_account(stage: Stage, case: Case) -> None:
    person = await connected(stage, case)
    accounts = (await stage.connection(person))["accounts"]
    lost = accounts[0]["external_id"]
    await stage.sim("PUT", f"people/avery/accounts/{case.provider}/{lost}", {"lost": True})
    await stage.events()
    await stage.probe_all()
    connection = await stage.connection(person)
    access = {a["external_id"]: a["access"] for a in connection["accounts"]}
    assert access.pop(lost) == "lost"
    assert set(access.values()) == {"granted"}
    assert connection["status"] == "active"
    assert [topic for topic, _ in await stage.events()] == ["account.access_changed", "token.state"]


@every
async def test_forced_reconsent(stage: Stage, case: Case) -> None:
    person = await connected(stage, case)
    await stage.sim("POST", f"grants/{case.provider}/avery/revoke", {"cause": "platform_enforced", "webhook": "none"})
    await stage.probe_all()
    connection = await stage.connection(person)
    assert connection["status"] in ("revoked", "expired")
    assert connection["fix_url"].endswith(f"/connect/{case.provider}?connection_id={connection['connection_id']}")
    if case.provider in ("meta", "google-ads", "google-drive"):
        assert connection["cause"] == "platform_enforced"


@every
async def test_rate_limit(stage: Stage, case: Case) -> None:
    person = await connected(stage, case)
    await stage.events()
    await stage.sim(
        "POST", "faults", {"provider": case.provider, "endpoint": "*", "kind": "rate_limit", "retry_after": 7}
    )
    await stage.make_due(case.provider)
    await stage.refresh_due()
    await stage.probe_all()
    connection = await stage.connection(person)
    assert connection["status"] in ("active", "degraded"), "nobody is bothered for it"
    events = await stage.events()
    assert not {"token.revoked", "account.access_changed"} & {topic for topic, _ in events}
    if case.renews:
        assert connection["last_failure"].startswith("rate_limited")


@every
async def test_outage(stage: Stage, case: Case) -> None:
    person = await connected(stage, case)
    for fault in ({"kind": "status", "status": 503}, {"kind": "html"}, {"kind": "reset"}):
        await stage.sim("DELETE", "faults")
        await stage.sim("POST", "faults", {"provider": case.provider, "endpoint": "*", **fault})
        await stage.pool.execute("UPDATE schedule SET unknown_count = 0")
        await stage.make_due(case.provider)
        await stage.refresh_due()
        await stage.probe_all()
        assert (await stage.connection(person))["status"] in ("active", "degraded", "expiring")
    assert "token.revoked" not in {topic for topic, _ in await stage.events()}


@pytest.mark.parametrize("case", [c for c in CASES if c.error_with_200], ids=str)
async def test_error_with_status_200(stage: Stage, case: Case) -> None:
    person = await connected(stage, case)
    await stage.sim("POST", "faults", {"provider": case.provider, **(case.error_with_200 or {})})
    await stage.make_due(case.provider)
    await stage.refresh_due()
    await stage.probe_all()
    connection = await stage.connection(person)
    assert connection["status"] in ("active", "degraded")
    assert {a["access"] for a in connection["accounts"]} == {"granted"}


@every
async def test_reauthorise(stage: Stage, case: Case) -> None:
    person = await connected(stage, case)
    first = await stage.connection(person)
    await stage.sim("POST", f"grants/{case.provider}/avery/revoke", {"cause": "user_revoked", "webhook": "none"})
    await stage.probe_all()
    assert (await stage.connection(person))["status"] == "revoked"
    await stage.pool.execute("DELETE FROM login_budget")
    await stage.sim("POST", "clock", {"advance_s": 7200})
    stage.clock.advance(timedelta(hours=2))
    reply = await connect(stage, case, person, again=True, connection_id=first["connection_id"])
    assert reply.status == 302, reply.text
    assert "how=reauthorize" in reply.location
    healed = await stage.connection(person)
    assert healed["status"] == "active"
    assert {a["account_id"] for a in healed["accounts"]} == {a["account_id"] for a in first["accounts"]}


@every
async def test_disconnect(stage: Stage, case: Case) -> None:
    person = await connected(stage, case)
    connection = await stage.connection(person)
    path = f"/api/v1/connections/{connection['connection_id']}"
    reply = await stage.ask("DELETE", path, person.headers)
    assert (reply.status, reply.json["cause"]) == (200, "disconnected")
    await disconnect.sweep_remote(stage.deps)
    assert await stage.pool.fetchval("SELECT count(*) FROM credential") == 0
    alive = (await stage.sim("GET", f"grants?provider={case.provider}&person=avery&alive=1"))["grants"]
    assert (alive == []) is case.revokes_remotely
    again = await stage.ask("DELETE", path, person.headers)
    assert again.status == 200


async def test_webhooks_end_the_grant_at_once(stage: Stage) -> None:
    for case in (c for c in CASES if c.provider in ("meta", "google-ads", "google-drive", "stripe")):
        apps = (await stage.sim("GET", "apps"))["apps"]
        app = next(a for a in apps if a["provider"] == case.provider)
        await stage.sim(
            "PUT",
            f"apps/{case.provider}/{app['client_id']}",
            {k: v for k, v in app.items() if k not in ("provider", "client_id")}
            | {"webhook_url": f"{stage.url}/webhooks/{case.provider}"},
        )
        person = await connected(stage, case)
        await stage.events()
        await stage.sim("POST", f"grants/{case.provider}/avery/revoke", {"cause": "user_revoked", "webhook": "twice"})

        async def revoked(person: Person = person) -> bool:
            connection = await stage.connection(person)
            return (connection["status"], connection["detected_by"]) == ("revoked", "webhook")

        await eventually(revoked, what=case.provider)
        assert [topic for topic, _ in await stage.events()] == ["token.revoked", "token.state"]


async def test_members_may_not_touch_integrations(stage: Stage) -> None:
    admin = stage.person(role="admin")
    member = stage.person(role="member", workspace_id=admin.workspace_id)
    assert (await stage.connect(admin, "stripe")).status == 302
    connection = await stage.connection(admin)
    refused = await stage.ask("GET", "/connect/stripe", member.headers)
    assert refused.status == 403
    assert "Ask an admin" in refused.text
    refused = await stage.ask("DELETE", f"/api/v1/connections/{connection['connection_id']}", member.headers)
    assert (refused.status, refused.json["code"]) == (403, "admin_required")
    integrations = (await stage.ask("GET", "/api/v1/integrations", member.headers)).json["items"]
    stripe = next(i for i in integrations if i["provider"] == "stripe")
    assert stripe["connection"]["status"] == "active"
    assert (stripe["can_manage"], stripe["connect_url"]) == (False, None)
    assert stripe["ask"]
    assert (await stage.connection(admin))["status"] == "active"


async def test_third_login_in_an_hour_is_planned_not_sent(stage: Stage) -> None:
    case = next(c for c in CASES if c.provider == "outbrain")
    await connected(stage, case)
    for _ in range(3):
        await stage.make_due("outbrain")
        await stage.refresh_due()
    entries = (await stage.sim("GET", "ledger?provider=outbrain"))["entries"]
    assert len(entries) == 2
    assert {entry["outcome"] for entry in entries} == {"issued"}
    wait = await stage.pool.fetchval("SELECT extract(epoch FROM refresh_at - now())::float8 FROM schedule")
    assert 3000 < wait <= 3600
