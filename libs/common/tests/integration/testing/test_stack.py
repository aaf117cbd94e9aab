"""The fixtures that every integration test stands on."""

import asyncpg
from aiokafka.admin import AIOKafkaAdminClient

from common.contracts import TOPICS
from common.testing import DatabaseFactory, KafkaForTest


async def test_each_database_has_the_tables_and_is_its_own(database: DatabaseFactory) -> None:
    first, second = await database("common.outbox"), await database("common.outbox")
    assert first != second
    for dsn in (first, second):
        db = await asyncpg.connect(dsn)
        try:
            assert await db.fetchval("SELECT count(*) FROM outbox") == 0
            await db.execute("CREATE TABLE mine (x int)")
        finally:
            await db.close()


async def test_topics_exist_under_the_tests_own_prefix(kafka: KafkaForTest) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka.bootstrap)
    await admin.start()
    try:
        names = await admin.list_topics()
    finally:
        await admin.close()
    assert {kafka.prefix + name for name in TOPICS} <= set(names)
