"""What an SRE sees of all connections at once."""

from __future__ import annotations

from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING

from common.contracts import Verdict
from common.runtime import ids
from common.telemetry import metrics
from oauth_svc import store
from oauth_svc.operations import gauges

if TYPE_CHECKING:
    from tests.conftest import Stage

PROVIDER = "rfc6749"


def due(access_token: str) -> float:
    return metrics.value("wevion_oauth_refreshes_due", {"provider": PROVIDER, "access_token": access_token})


def in_trouble(class_: str, age: str) -> float:
    labels = {"provider": PROVIDER, "class": class_, "age": age}
    return metrics.value("wevion_oauth_connections_in_trouble", labels)


async def test_a_refresh_is_due_then_its_access_token_lapses_then_it_is_done(stage: Stage) -> None:
    await stage.connect(stage.person(), PROVIDER, "avery", ())
    await gauges.count(stage.deps)
    assert (due("in_time"), due("lapsed")) == (0, 0)
    stage.clock.advance(timedelta(minutes=55))  # of an hour
    await gauges.count(stage.deps)
    assert (due("in_time"), due("lapsed")) == (1, 0)
    stage.clock.advance(timedelta(minutes=10))
    await gauges.count(stage.deps)
    assert (due("in_time"), due("lapsed")) == (0, 1)
    await stage.refresh_due()
    await gauges.count(stage.deps)
    assert (due("in_time"), due("lapsed")) == (0, 0)
    assert metrics.value("wevion_oauth_connections", {"provider": PROVIDER, "status": "active"}) == 1


async def test_trouble_grows_old_and_goes_away(stage: Stage) -> None:
    await stage.connect(stage.person(), PROVIDER, "avery", ())
    fault = {"provider": PROVIDER, "endpoint": "token", "kind": "status", "status": 503, "when": "before"}
    await stage.sim("POST", "faults", fault)
    await stage.make_due(PROVIDER)
    await stage.refresh_due()
    for passed, age in ((0, "under_1h"), (2, "under_1d"), (30, "over_1d")):
        stage.clock.advance(timedelta(hours=passed))
        await gauges.count(stage.deps)
        assert [in_trouble("unknown_outcome", each) for each in ("under_1h", "under_1d", "over_1d")] == [
            float(each == age) for each in ("under_1h", "under_1d", "over_1d")
        ]
    await stage.sim("DELETE", "faults")
    await stage.make_due(PROVIDER)
    await stage.refresh_due()
    await gauges.count(stage.deps)
    assert in_trouble("unknown_outcome", "over_1d") == 0


async def test_every_replica_shows_an_incident_as_the_database_has_it(stage: Stage) -> None:
    """The replica that opened it, or never saw it, is not the one that closed it."""
    gauge = partial(metrics.value, "wevion_oauth_incident_open", {"provider": PROVIDER})
    async with stage.pool.acquire() as db:
        await store.health.open_incident(
            db, PROVIDER, incident_id=ids.new_id(), reason=Verdict.RETRY_LATER, affected=9, now=stage.clock.now()
        )
    await gauges.count(stage.deps)
    assert gauge() == 1
    async with stage.pool.acquire() as db:
        await store.health.close_incident(db, PROVIDER)
    await gauges.count(stage.deps)
    assert gauge() == 0
