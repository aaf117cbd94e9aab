"""One whole stack for all of the chaos, with proxies on its wires, and the seed that is printed.

`CHAOS_SEED` repeats a run as far as chance decides it; `CHAOS_MINUTES` (which `make chaos` sets) makes each test go on
for so long instead of the few seconds that fit into `make test`.
"""

import os
import random
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from devstack import stack as stacks
from devstack.chaos import PLATFORM_LIMIT, RATE_PER_S, Chaos, all_ready, limited
from devstack.layout import Layout
from devstack.platforms import GENERIC, PROVIDERS
from devstack.stack import Stack
from devstack.terminal import say
from devstack.tuning import Tuning

#: Waits that are made for production, shortened as far as their own rules allow. Passwords are cheap to check here.
EVERY_SERVICE = {"LOG_LEVEL": "warning", "KAFKA_SESSION_TIMEOUT_S": "4"}
SETTINGS = {
    "session-svc": {
        "JWKS_MAX_AGE_S": "1",
        "KEYS_RELOAD_S": "0.2",
        "PASSWORD_MEMORY_KIB": "8",
        "PASSWORD_PASSES": "1",
    },
    "gateway": {"TRUSTED_HOPS": "1"},
    "oauth-svc": {"POLL_S": "0.2", "LEASE_S": "12", "CANARY_EVERY_S": "0.5"},
    "expiry-watcher": {},
    "rule-pauser": {},
    "notifier": {"SETTLE_S": "0.5"},
}
REPLICAS = {"oauth-svc": 3}
#: A platform's deadline, a quarter of the lease; and what each is asked for at most, by all replicas together.
EVERY_PROVIDER = {"timeout_s": 3, "requests_per_s": RATE_PER_S, "burst": RATE_PER_S}


#: For what comes before and after the time that a test was told to go on.
AROUND_S = 600


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A test that hangs is ended, long after the minutes that it was told to take."""
    limit_s = AROUND_S + 2 * 60 * _minutes()
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.timeout(limit_s))


def _minutes() -> float:
    return float(os.environ.get("CHAOS_MINUTES") or 0)


@pytest.fixture
def chaos(request: pytest.FixtureRequest) -> Chaos:
    seed = int(os.environ.get("CHAOS_SEED") or random.SystemRandom().randrange(1_000_000))
    found = Chaos(seed, random.Random(f"{seed} {request.node.name}"), _minutes())  # noqa: S311
    say(f"\n{request.node.name}: seed {seed}")
    return found


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def whole_stack(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stack]:
    """Real Kafka and PostgreSQL, every service, three replicas of oauth-svc."""
    tuning = Tuning(
        settings={service: EVERY_SERVICE | further for service, further in SETTINGS.items()},
        providers=dict.fromkeys((*PROVIDERS, GENERIC), EVERY_PROVIDER),
        proxied=True,
    )
    layout = Layout(tmp_path_factory.mktemp("chaos"))
    async with stacks.running(layout, replicas=REPLICAS, out=say, tuning=tuning) as stack:
        for provider in (*PROVIDERS, GENERIC):
            await limited(stack, provider, *PLATFORM_LIMIT)
        yield stack


@pytest_asyncio.fixture(loop_scope="session")
async def stack(whole_stack: Stack) -> AsyncIterator[Stack]:
    """The stack, well; whatever a test broke is mended after it."""
    yield whole_stack
    for name in whole_stack.supervisor.names():
        whole_stack.supervisor.release(name)
    for wire in whole_stack.wires.values():
        await wire.heal()
    await whole_stack.platforms.order("DELETE", "/_sim/faults")
    await whole_stack.platforms.lifetimes("rfc6749", access_s=3600)
    await all_ready(whole_stack)
