"""R6: a wire to PostgreSQL, to Kafka, to the platforms goes silent: it takes what is sent, and nothing ever comes back.

Every request is answered within the limit; what cannot be done is refused with a problem document. A service that
needs the silent server says that it is not ready, and why. When the wire is mended, it is ready again by itself.

A silent *platform* makes nobody unready: it is one of nine, and taking oauth-svc out of service would take the other
eight with it. It opens that platform's incident instead, which is what people and alerts look at.
"""

import asyncio
import time
from collections.abc import Awaitable

import pytest

from common.contracts import IncidentState, PlatformIncidentV1
from common.testing import eventually
from devstack.chaos import Chaos, all_ready, complaints, imported, promises_kept
from devstack.platforms import GENERIC
from devstack.services import DATABASES, SERVICES
from devstack.stack import Stack
from devstack.traffic import Traffic
from devstack.tuning import PROXIED

pytestmark = pytest.mark.asyncio(loop_scope="session")

#: Longer than a statement, a call to a platform and a look at the end of a topic may take.
SILENT_S, SILENT_LONG_S = 16.0, 45.0
UNREADY_WITHIN_S = 45.0
GRANTS = 12
ACCESS_S = 6
KAFKA_CHECKS = ("revocations", "consumer", "streams", "live updates")


async def test_nobody_waits_for_a_silent_wire(stack: Stack, chaos: Chaos) -> None:
    before = stack.supervisor.pids()
    await imported(stack, GRANTS)
    await stack.platforms.lifetimes("rfc6749", access_s=ACCESS_S)
    end = time.monotonic() + chaos.seconds(0)
    async with Traffic.flowing(stack.told(), chaos.chance) as traffic:
        while True:
            # in the short form all of them at once, which is what a broken switch does
            for silent in [[name] for name in PROXIED] if chaos.minutes else [list(PROXIED)]:
                await asyncio.sleep(2)
                await silence(stack, chaos, traffic, silent, SILENT_LONG_S if chaos.minutes else SILENT_S)
            if time.monotonic() > end:
                break
        await stack.platforms.lifetimes("rfc6749", access_s=3600)
        await traffic.stop()
        slowest = max(traffic.slowest_s.items(), key=lambda each: each[1])
        chaos.say(f"accepted {traffic.accepted()}; {traffic.count('failed')} refused; slowest {slowest}")
        record = await promises_kept(stack, traffic)
    assert stack.supervisor.pids() == before
    incidents = [
        event.body.state
        for event in record.first
        if isinstance(event.body, PlatformIncidentV1) and event.body.provider == GENERIC
    ]
    assert incidents.count(IncidentState.OPENED) == incidents.count(IncidentState.CLOSED)


async def silence(stack: Stack, chaos: Chaos, traffic: Traffic, names: list[str], seconds: float) -> None:
    """Silence on these wires for so long; every service that needs them says so meanwhile."""
    began = time.monotonic()
    for name in names:
        stack.wires[name].blackhole()
    unready: list[Awaitable[None]] = []
    if "postgres" in names:
        unready += [says_why(stack, chaos, name, "database") for name in DATABASES]
    if "kafka" in names:
        unready += [says_why(stack, chaos, name, *KAFKA_CHECKS) for name in SERVICES]
    was = traffic.count("accepted")
    await asyncio.gather(*unready)
    said_after_s = time.monotonic() - began
    if "postgres" not in names:
        await eventually(lambda: traffic.count("accepted") > was, what="work goes on without Kafka and platforms")
    if names == ["simulator"]:
        assert [await complaints(stack, name) for name in SERVICES] == [""] * len(SERVICES)
    await asyncio.sleep(max(seconds - said_after_s, 0))
    for name in names:
        await stack.wires[name].heal()
    healed = time.monotonic()
    await all_ready(stack)
    chaos.say(
        f"{' and '.join(names)} silent: not ready after {said_after_s:.1f} s, "
        f"ready again {time.monotonic() - healed:.1f} s after it was mended"
    )


async def says_why(stack: Stack, chaos: Chaos, name: str, *checks: str) -> None:
    """Returns when the service is not ready for one of these reasons."""
    began = time.monotonic()
    await eventually(lambda: complains_of(stack, name, *checks), UNREADY_WITHIN_S, what=f"{name} is not ready")
    said = await complaints(stack, name)
    chaos.say(f"{name} said {said!r} after {time.monotonic() - began:.1f} s")


async def complains_of(stack: Stack, name: str, *checks: str) -> bool:
    said = await complaints(stack, name)
    assert any(check in said for check in checks), f"{name} complains of: {said or 'nothing'}"
    return True
