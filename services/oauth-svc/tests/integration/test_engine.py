"""The refresh engine against a provider whose refresh tokens are single use, and which punishes reuse."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from common.contracts import RevocationCause
from common.platforms.errors import reauthorize, retry_later
from common.runtime import ids
from common.testing import eventually
from oauth_svc import store
from oauth_svc.operations.engine.breaker import Breakers
from oauth_svc.operations.engine.refreshing import Engine
from oauth_svc.operations.engine.settling import Answered, Result, Settling
from oauth_svc.store.health import ProviderHealth

if TYPE_CHECKING:
    from uuid import UUID

    from tests.conftest import Person, Stage

    from oauth_svc.store.schedule import Claim

PROVIDER = "rfc6749"
NO_TROUBLE = ProviderHealth(
    0, open=False, reason=None, incident_id=None, incident_version=0, since=None, affected=0, wait_s=0.0
)


async def connected(stage: Stage) -> Person:
    person = stage.person()
    reply = await stage.connect(person, PROVIDER)
    assert reply.status == 302, reply.text
    await stage.events()
    return person


async def presented_twice(stage: Stage) -> dict[str, int]:
    found: dict[str, int] = (await stage.sim("GET", "ledger?provider=rfc6749"))["presented_twice"]
    return found


async def only_id(stage: Stage) -> UUID:
    found: UUID = await stage.pool.fetchval("SELECT connection_id FROM connection")
    return found


async def claimed(stage: Stage) -> Claim:
    """What a process holds right before its call: the lease, and the attempt row committed as sent."""
    await stage.make_due(PROVIDER)
    provider = stage.deps.providers[PROVIDER]
    (claim,) = await stage.engine.claims.due(provider.profile, 1, stage.clock.now())
    assert await stage.engine.calls.begin(provider, claim)
    return claim


async def lapse_lease(stage: Stage) -> None:
    """As if the lease's time had passed: leases are on the database's clock."""
    await stage.pool.execute("UPDATE schedule SET leased_until = now() - interval '1 second'")


async def test_rotation_replaces_the_refresh_token_each_time(stage: Stage) -> None:
    person = await connected(stage)
    for _ in range(3):
        await stage.make_due(PROVIDER)
        assert await stage.refresh_due() == 1
    topics = [topic for topic, _ in await stage.events()]
    assert topics == ["token.refreshed", "token.state"] * 3
    assert (await stage.connection(person))["status"] == "active"
    assert await presented_twice(stage) == {}


async def test_eight_callers_at_once_are_one_refresh(stage: Stage) -> None:
    await connected(stage)
    connection_id = await only_id(stage)
    await asyncio.gather(*(stage.engine.refresh_now(connection_id) for _ in range(8)))
    assert [topic for topic, _ in await stage.events()] == ["token.refreshed", "token.state"]


async def test_two_processes_never_hold_one_connection(stage: Stage) -> None:
    await connected(stage)
    other = Engine(stage.deps, Breakers(stage.deps))
    connection_id = await only_id(stage)
    await stage.sim("POST", "faults", {"provider": PROVIDER, "endpoint": "token", "kind": "slow", "delay_ms": 300})
    first, second = await asyncio.gather(stage.engine.refresh_now(connection_id), other.refresh_now(connection_id))
    assert sorted([first, second]) == [False, True]
    assert await presented_twice(stage) == {}


async def test_answer_kept_by_a_killed_process_is_promoted_without_a_call(stage: Stage) -> None:
    """Killed after the answer was kept: the next holder promotes it and presents nothing."""
    person = await connected(stage)
    connection_id = await only_id(stage)
    claim = await claimed(stage)
    provider = stage.deps.providers[PROVIDER]
    answer = await provider.refresh(stage.deps.vault.open_credential(claim.credential), stage.clock.now())
    await stage.engine.keeping.keep(claim, answer)
    await lapse_lease(stage)
    await stage.make_due(PROVIDER)
    before = len((await stage.sim("GET", "ledger?provider=rfc6749"))["entries"])
    assert await stage.refresh_due() == 1
    assert len((await stage.sim("GET", "ledger?provider=rfc6749"))["entries"]) == before
    assert [topic for topic, _ in await stage.events()] == ["token.refreshed", "token.state"]
    credential = await store.credentials.get(stage.pool, connection_id)  # type: ignore[arg-type]
    assert credential is not None
    assert stage.deps.vault.open_credential(credential).refresh_token == answer.refresh_token
    await stage.make_due(PROVIDER)
    await stage.refresh_due()
    assert (await stage.connection(person))["status"] == "active"
    assert await presented_twice(stage) == {}


async def test_an_outcome_that_is_written_twice_counts_once(stage: Stage) -> None:
    """A commit whose answer was lost with the connection is repeated."""
    await connected(stage)
    claim = await claimed(stage)
    secrets = stage.deps.vault.open_credential(claim.credential)
    answer = await stage.deps.providers[PROVIDER].refresh(secrets, stage.clock.now())
    await stage.engine.keeping.keep(claim, answer)
    result = Result(claim, claim.epoch, claim.credential.generation, Answered(answer, secrets), 0)
    settling = Settling(stage.deps, stage.engine.breakers)
    await settling.settle([result])
    await settling.settle([result])
    assert [topic for topic, _ in await stage.events()] == ["token.refreshed", "token.state"]
    assert await stage.pool.fetchval("SELECT generation FROM credential") == claim.credential.generation + 1
    await settling.settle([replace(result, outcome=retry_later("http_503"))])
    assert await stage.events() == []


async def test_killed_before_the_call_is_repeated_only_because_the_platform_says_unspent(stage: Stage) -> None:
    person = await connected(stage)
    await claimed(stage)
    await lapse_lease(stage)
    await stage.make_due(PROVIDER)
    assert await stage.refresh_due() == 1
    assert (await stage.connection(person))["status"] == "active"
    assert [topic for topic, _ in await stage.events()] == ["token.refreshed", "token.state"]
    assert await presented_twice(stage) == {}


async def narrow(stage: Stage) -> Engine:
    """An engine with one slot, which a slow call takes while other grants wait."""
    for _ in range(3):
        await connected(stage)
    stage.deps.limits = replace(stage.deps.limits, in_flight=1)
    await stage.sim("POST", "faults", {"provider": PROVIDER, "endpoint": "token", "kind": "slow", "delay_ms": 400})
    await stage.make_due(PROVIDER)
    engine = Engine(stage.deps, Breakers(stage.deps))
    assert (await engine.sweep()).claimed == 2, "one to call, one to wait"

    async def called() -> bool:
        return bool(await stage.pool.fetchval("SELECT EXISTS (SELECT FROM refresh_attempt WHERE state = 'sent')"))

    await eventually(called, what="the first call is under way")
    return engine


async def test_a_grant_that_waits_for_a_slot_has_no_attempt_and_is_given_back_at_a_stop(stage: Stage) -> None:
    engine = await narrow(stage)
    assert await stage.pool.fetchval("SELECT count(*) FROM schedule WHERE leased_until > now()") == 2
    assert await stage.pool.fetchval("SELECT count(*) FROM refresh_attempt") == 1
    engine.stop()
    await engine.drain(20)
    assert await stage.pool.fetchval("SELECT count(*) FROM schedule WHERE leased_until > now()") == 0
    assert await stage.pool.fetchval("SELECT count(*) FROM refresh_attempt") == 1
    assert await stage.refresh_due() == 2, "it is due for whoever comes next"
    assert await presented_twice(stage) == {}


async def test_a_grant_that_waits_while_an_incident_opens_is_given_back(stage: Stage) -> None:
    engine = await narrow(stage)
    incident = replace(NO_TROUBLE, open=True, incident_id=ids.new_id())
    engine.breakers.saw(PROVIDER, incident)
    await engine.drain(20)
    assert await stage.pool.fetchval("SELECT count(*) FROM refresh_attempt") == 1
    assert await stage.pool.fetchval("SELECT count(*) FROM schedule WHERE leased_until > now()") == 0


async def test_no_call_begins_under_a_lease_that_could_end_before_it(stage: Stage) -> None:
    """The next holder would find the attempt open while the call is under way, and judge it by its silence."""
    await connected(stage)
    await stage.make_due(PROVIDER)
    provider = stage.deps.providers[PROVIDER]
    (claim,) = await stage.engine.claims.due(provider.profile, 1, stage.clock.now())
    await stage.pool.execute("UPDATE schedule SET leased_until = now() + interval '1 second'")
    assert not await stage.engine.calls.begin(provider, claim)
    assert await stage.pool.fetchval("SELECT count(*) FROM refresh_attempt") == 0


async def test_lost_answer_is_held_until_the_access_token_ends_and_never_presented_again(stage: Stage) -> None:
    person = await connected(stage)
    access_end = (await stage.connection(person))["access_expires_at"]
    await stage.sim(
        "POST", "faults", {"provider": PROVIDER, "endpoint": "token", "kind": "reset_after_answer", "count": 1}
    )
    await stage.make_due(PROVIDER)
    await stage.refresh_due()
    for _ in range(3):
        await stage.make_due(PROVIDER)
        await stage.refresh_due()
    connection = await stage.connection(person)
    assert connection["status"] in ("degraded", "expiring"), "not dead while its access token lives"
    assert connection["expires_at"] == access_end
    assert "unknown_outcome" in connection["last_failure"]
    assert await presented_twice(stage) == {}
    stage.clock.advance(timedelta(hours=2))
    await stage.pass_time()
    assert (await stage.connection(person))["status"] == "expired"


async def test_stale_refusal_does_not_kill_the_fresh_credential(stage: Stage) -> None:
    """A holder that lost its lease gets `invalid_grant`, because somebody else was faster: nothing dies."""
    person = await connected(stage)
    connection_id = await only_id(stage)
    stale = await claimed(stage)
    await stage.pool.execute("UPDATE refresh_attempt SET state = 'superseded', settled_at = now()")
    await lapse_lease(stage)
    other = Engine(stage.deps, Breakers(stage.deps))
    assert await other.refresh_now(connection_id)
    refusal = reauthorize("invalid_grant", RevocationCause.USER_REVOKED)
    await Settling(stage.deps, stage.engine.breakers).settle(
        [Result(stale, stale.epoch, stale.credential.generation, refusal, 0)]
    )
    assert (await stage.connection(person))["status"] == "active"


@pytest.mark.parametrize(
    ("fault", "last_failure"),
    [
        ({"kind": "status", "status": 503, "when": "before"}, "unknown_outcome"),
        ({"kind": "rate_limit", "retry_after": 1}, "rate_limited"),
        ({"kind": "html", "when": "before"}, "unknown_outcome"),
        ({"kind": "reset"}, "unknown_outcome"),
    ],
)
async def test_platform_trouble_kills_nobody(stage: Stage, fault: dict[str, Any], last_failure: str) -> None:
    person = await connected(stage)
    await stage.sim("POST", "faults", {"provider": PROVIDER, "endpoint": "token", "count": 1, **fault})
    await stage.make_due(PROVIDER)
    await stage.refresh_due()
    connection = await stage.connection(person)
    assert connection["status"] in ("active", "degraded")
    assert connection["last_failure"].startswith(last_failure)
    ((topic, body), *_) = await stage.events()
    assert topic == "token.refresh_failed"
    assert body["class"] == last_failure
    await stage.pool.execute("UPDATE provider_health SET blocked_until = '-infinity'")
    await stage.make_due(PROVIDER)
    await stage.refresh_due()
    healed = await stage.connection(person)
    assert (healed["status"], healed["last_failure"]) == ("active", None)
    assert await presented_twice(stage) == {}


async def test_removal_at_the_platform_ends_it(stage: Stage) -> None:
    person = await connected(stage)
    await stage.sim("POST", "grants/rfc6749/avery/revoke", {"cause": "user_revoked"})
    await stage.make_due(PROVIDER)
    await stage.refresh_due()
    connection = await stage.connection(person)
    assert (connection["status"], connection["cause"], connection["detected_by"]) == (
        "revoked",
        None,  # `invalid_grant` does not say why (RFC 6749 section 5.2)
        "refresh",
    )
    assert await stage.refresh_due() == 0


async def test_platform_outage_is_one_incident_and_recovers_by_a_canary(stage: Stage) -> None:
    for _ in range(10):
        await connected(stage)
    await stage.sim(
        "POST", f"events/{PROVIDER}", {"kind": "outage", "fault": "status", "status": 503, "when": "before"}
    )
    await stage.make_due(PROVIDER)
    await stage.refresh_due()
    topics = [topic for topic, _ in await stage.events()]
    assert topics.count("platform.incident") == 1
    assert "token.revoked" not in topics
    calls = len((await stage.sim("GET", "ledger?provider=rfc6749"))["entries"])
    await stage.make_due(PROVIDER)
    await stage.engine.sweep()
    await stage.engine.drain(5)
    assert len((await stage.sim("GET", "ledger?provider=rfc6749"))["entries"]) <= calls + 1, (
        "only a canary goes through"
    )
    await stage.sim("POST", f"events/{PROVIDER}", {"kind": "restored"})

    async def closed() -> bool:
        await stage.make_due(PROVIDER)
        await stage.refresh_due()
        return bool(
            await stage.pool.fetchval("SELECT state = 'closed' FROM provider_health WHERE provider = $1", PROVIDER)
        )

    await eventually(closed)
    await stage.refresh_due()
    assert await stage.pool.fetchval("SELECT count(*) FROM connection WHERE status <> 'active'") == 0
    events = await stage.events()
    states = [body["state"] for topic, body in events if topic == "platform.incident"]
    assert states == ["closed"]


async def waits_s(stage: Stage) -> float:
    found: float = await stage.pool.fetchval("SELECT extract(epoch FROM refresh_at - now())::float8 FROM schedule")
    return found


async def failed_often(stage: Stage) -> Person:
    """A connection deep in its back-off."""
    person = await connected(stage)
    fault = {"provider": PROVIDER, "endpoint": "token", "kind": "status", "status": 503, "when": "before"}
    await stage.sim("POST", "faults", fault)
    for _ in range(8):
        await stage.make_due(PROVIDER)
        await stage.refresh_due()
    await stage.sim("DELETE", "faults")
    assert await waits_s(stage) > 300
    await stage.events()
    return person


async def test_backoff_survives_restart(stage: Stage) -> None:
    await failed_often(stage)
    restarted = Engine(stage.deps, Breakers(stage.deps))
    assert (await restarted.sweep()).claimed == 0
    assert await waits_s(stage) > 300
    assert await stage.pool.fetchval("SELECT attempt FROM schedule") == 8


async def test_retry_now_passes_the_backoff(stage: Stage) -> None:
    person = await failed_often(stage)
    connection = await stage.connection(person)
    assert connection["status"] == "degraded"
    path = f"/api/v1/connections/{connection['connection_id']}/refresh"
    reply = await stage.ask("POST", path, person.headers)
    assert (reply.status, reply.json["status"], reply.json["last_failure"]) == (200, "active", None)
    assert await stage.pool.fetchval("SELECT attempt FROM schedule") == 0


async def test_retry_now_is_not_lost_while_the_database_is_compared_with_the_log(stage: Stage) -> None:
    person = await failed_often(stage)
    connection = await stage.connection(person)
    path = f"/api/v1/connections/{connection['connection_id']}/refresh"
    stage.deps.fence._up = True
    refused = await stage.ask("POST", path, person.headers)
    assert (refused.status, (await stage.connection(person))["status"]) == (503, "degraded")
    async with stage.pool.acquire() as db:
        stage.deps.fence.compared(await store.witness.identity(db))
    assert (await stage.ask("POST", path, person.headers)).json["status"] == "active"


async def test_reauthorised_is_tried_at_once(stage: Stage) -> None:
    """A new consent is not punished for what the old one went through."""
    person = await failed_often(stage)
    connection = await stage.connection(person)
    reply = await stage.connect(person, PROVIDER, connection_id=connection["connection_id"])
    assert "how=reauthorize" in reply.location
    assert (await stage.connection(person))["status"] == "active"
    assert await stage.pool.fetchval("SELECT attempt FROM schedule") == 0
    await stage.make_due(PROVIDER)
    assert await stage.refresh_due() == 1
    assert await presented_twice(stage) == {}
