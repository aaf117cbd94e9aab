"""What tests use of the real servers: databases cloned from a migrated template, topics under a prefix of their own."""

import hashlib
import os
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from urllib.parse import urlsplit, urlunsplit

import asyncpg
from aiokafka.admin import AIOKafkaAdminClient

from common.kafka import KafkaSettings, create_topics
from common.postgres import migrate
from common.postgres.migrate import collect

#: `dsn = await database("oauth_svc")`: a new database with that package's tables, which goes away after the test.
DatabaseFactory = Callable[[str], Awaitable[str]]

CONNECT_TIMEOUT_S = 10


def with_database(dsn: str, database: str) -> str:
    """Return the same server and user, another database."""
    return urlunsplit(urlsplit(dsn)._replace(path=f"/{database}"))


def unique_name(kind: str) -> str:
    """Never the same twice, in parallel runs on one shared server too."""
    return f"{kind}_{os.getpid()}_{os.urandom(5).hex()}"


async def ensure_template(server: str, package: str) -> str:
    """Return the name of the package's template database, migrated once per text of its migrations.

    Named by their digest: a changed migration gets a new template, and runs in parallel share one.
    """
    digest = hashlib.sha256("".join(each.name + each.digest for each in collect(package)).encode())
    template = f"template_{package.replace('.', '_')}_{digest.hexdigest()[:12]}"
    connection = await asyncpg.connect(server, timeout=CONNECT_TIMEOUT_S)
    try:
        # from here to the end of the session: whoever comes second finds the finished template
        await connection.execute("SELECT pg_advisory_lock(hashtext($1))", template)
        if not await connection.fetchval("SELECT 1 FROM pg_database WHERE datname = $1", template):
            draft = template + "_draft"
            await connection.execute(f'DROP DATABASE IF EXISTS "{draft}"')
            await connection.execute(f'CREATE DATABASE "{draft}"')
            await migrate(with_database(server, draft), package)
            await connection.execute(f'ALTER DATABASE "{draft}" RENAME TO "{template}"')
    finally:
        await connection.close()
    return template


async def clone_database(server: str, template: str) -> str:
    """Return a new database with the template's tables; returns its address."""
    name = unique_name("test")
    connection = await asyncpg.connect(server, timeout=CONNECT_TIMEOUT_S)
    try:
        await connection.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
    finally:
        await connection.close()
    return with_database(server, name)


async def drop_database(server: str, dsn: str) -> None:
    """Drops it, whoever is still connected."""
    connection = await asyncpg.connect(server, timeout=CONNECT_TIMEOUT_S)
    try:
        name = urlsplit(dsn).path.removeprefix("/")
        await connection.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
    finally:
        await connection.close()


@dataclass(slots=True)
class KafkaForTest:
    """The broker and this test's own topic prefix."""

    bootstrap: str
    prefix: str
    settings: KafkaSettings = field(init=False)

    def __post_init__(self) -> None:
        self.settings = KafkaSettings(bootstrap_servers=self.bootstrap, client_id="test", topic_prefix=self.prefix)

    async def create_topics(self) -> None:
        """Every topic of the contract, under the prefix."""
        await create_topics(self.settings)

    async def delete_topics(self) -> None:
        """Everything under the prefix, so that a long run does not leave thousands of partitions behind."""
        admin = AIOKafkaAdminClient(bootstrap_servers=self.bootstrap)
        await admin.start()
        try:
            mine = [name for name in await admin.list_topics() if name.startswith(self.prefix)]
            if mine:
                await admin.delete_topics(mine)
        finally:
            await admin.close()
