"""Tells the cache of every change of a connection or an account, as it happens. Needs the extra `events`."""

import asyncio

from wevion_tokens.kafka.connection import KafkaSettings
from wevion_tokens.kafka.reader import TopicReader
from wevion_tokens.runtime.tasks import cancel
from wevion_tokens.tokens.cache import TokenCache
from wevion_tokens.tokens.metrics import DROPS

TOPICS = ("token.issued", "token.refreshed", "token.expired", "token.revoked", "account.access_changed")


class Changes:
    """Follows these topics from now on; a record's key says whom it is about, which is all that a cache must know.

    What a record says is not read: whoever could write one could at most have a token asked for again.
    """

    def __init__(self, kafka: KafkaSettings, cache: TokenCache) -> None:
        self._reader = TopicReader(kafka, *TOPICS, start="latest")
        self._cache = cache
        self._began = False

    def in_step(self) -> bool:
        """Return whether every change up to now has been told."""
        return self._began and self._reader.caught_up.is_set()

    async def run(self) -> None:
        """Follow for ever."""
        beginning = asyncio.create_task(self._begin(), name="token-changes-begin")
        try:
            async for record in self._reader:
                self._cache.drop(record.key)
                DROPS.inc()
        finally:
            await cancel(beginning)

    async def _begin(self) -> None:
        """Forget what was cached before the reader had its place on the topics: it could have changed unseen."""
        await self._reader.caught_up.wait()
        if not self._began:
            self._cache.clear()
            self._began = True
