"""pytest fixtures on the real stack; loaded by `addopts = -p common.testing.plugin` in the root pyproject.toml.

Session fixtures hand out addresses only; pools, producers and consumers belong to one test and its event loop.
`WEVION_TEST_KAFKA` (host:port) and `WEVION_TEST_POSTGRES` (a superuser's address) name servers that already run,
such as those of `devstack infra`; without them a run starts its own, in a folder that goes away with it.

Tests in a folder called `unit` may not open sockets; no test sees `WEVION_*` settings of the person who runs it.
"""

import os
from collections.abc import AsyncIterator, Iterator
from typing import TYPE_CHECKING

import pytest
import pytest_socket

from common.testing.clock import ManualClock

if TYPE_CHECKING:
    from common.testing.stack import DatabaseFactory, KafkaForTest

SETTING_PREFIX = "WEVION_"
TEST_KAFKA = "WEVION_TEST_KAFKA"
TEST_POSTGRES = "WEVION_TEST_POSTGRES"


def pytest_configure() -> None:
    """Takes the developer's own settings away before any module is imported."""
    keep = {TEST_KAFKA, TEST_POSTGRES, "WEVION_CACHE_DIR"}
    for name in [name for name in os.environ if name.startswith(SETTING_PREFIX) and name not in keep]:
        del os.environ[name]


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Unit tests run without a network: what needs one is an integration test."""
    if "unit" in item.path.parts:
        # event loops need socketpair()
        pytest_socket.disable_socket(allow_unix_socket=True)
    else:
        pytest_socket.enable_socket()


@pytest.fixture(scope="session")
def postgres_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Yield a superuser's address of a real PostgreSQL."""
    if shared := os.environ.get(TEST_POSTGRES):
        yield shared
        return
    from common.testing.processes import Postgres  # noqa: PLC0415  # unit runs do not pay for it

    server = Postgres.start(tmp_path_factory.mktemp("postgres"), durable=False)
    yield server.dsn()
    server.stop()


@pytest.fixture(scope="session")
def kafka_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """`host:port` of a real Kafka."""
    if shared := os.environ.get(TEST_KAFKA):
        yield shared
        return
    from common.testing.processes import Kafka  # noqa: PLC0415  # as above

    server = Kafka.start(tmp_path_factory.mktemp("kafka"))
    yield server.bootstrap
    server.stop()


@pytest.fixture
async def database(postgres_server: str) -> "AsyncIterator[DatabaseFactory]":
    """Databases of this test's own, each with the tables of the package that is named: see `DatabaseFactory`."""
    from common.testing import stack  # noqa: PLC0415  # as above

    made: list[str] = []

    async def make(package: str) -> str:
        template = await stack.ensure_template(postgres_server, package)
        dsn = await stack.clone_database(postgres_server, template)
        made.append(dsn)
        return dsn

    yield make
    for dsn in made:
        await stack.drop_database(postgres_server, dsn)


@pytest.fixture
async def kafka(kafka_server: str) -> "AsyncIterator[KafkaForTest]":
    """Return the broker with every topic of the contract, under a prefix of this test's own: `kafka.settings`."""
    from common.testing import stack  # noqa: PLC0415  # as above

    mine = stack.KafkaForTest(bootstrap=kafka_server, prefix=stack.unique_name("test") + ".")
    await mine.create_topics()
    yield mine
    await mine.delete_topics()


@pytest.fixture
def clock() -> ManualClock:
    """Return a clock that stands still until the test moves it."""
    return ManualClock()
