"""Send the outbox: own shards by lease and epoch, send undelivered rows in id order, delete what the broker has.

Who commits events pokes the relay of its process, and that relay wakes the one that holds the shards by NOTIFY, at
most every few milliseconds and outside of any business transaction (in it, NOTIFY cost a third of the commits at 8
clients). Looking from time to time is the truth; a wake-up is only a hint.

No cursor: a late committer is simply found on the next look (L5).
One relay per shard keeps the order of each key; a zombie relay can only repeat old events, which readers drop by
their version.
"""

import asyncio
from collections import Counter
from dataclasses import dataclass, replace
from uuid import UUID

from common.kafka import VALUE_LEFT_OUT, EventProducer, Outgoing, dead_letter
from common.outbox import metrics
from common.outbox.enqueue import SHARDS
from common.postgres import Pool, Record, translate_errors
from common.runtime.clock import monotonic
from common.runtime.errors import PermanentError, RetryableError
from common.runtime.ids import new_id
from common.runtime.retry import Backoff, retry_until
from common.runtime.tasks import describe
from common.telemetry.logs import get_logger

_log = get_logger(__name__)

BATCH = 500
"""Rows of one shard in one round. All our shards share a round, so this bounds how long one waits for another."""
COMPANY = 32
"""A round with so many rows says that more are coming; the next one lingers, and costs the same for more of them."""
LINGER_S = 0.02
"""How long a round waits for company."""
WAITS = Backoff(base_s=0.1, cap_s=5)
"""After a round that found the database or Kafka away."""
POLL_S = 2.0
"""How late an event is sent at most when nobody pokes. The lease has to be renewed as often anyway."""
CHANNEL = "outbox"
"""Where a relay that is poked and does not hold all shards notifies the others."""
LEASE_S = 6.0
"""How long the events of a killed relay wait at most. Shorter would hand shards around at every hiccup."""
RENEW_AFTER_S = 2.0
"""No batch starts later than this after the lease was asked for. One that takes so long that the lease ends is only a
repeat: the delete is fenced by the epoch, and readers drop what they have."""

_TAKE = """
INSERT INTO relay_lease AS held (shard, owner, epoch, expires_at)
SELECT shard, $2, 1, now() + $3 * interval '1 second' FROM unnest($1::smallint[]) AS shard
ON CONFLICT (shard) DO UPDATE
   SET owner = $2,
       epoch = held.epoch + (CASE WHEN held.owner = $2 THEN 0 ELSE 1 END),
       expires_at = now() + $3 * interval '1 second'
 WHERE held.owner = $2 OR held.expires_at < now()
RETURNING shard, epoch
"""
_READ = """
SELECT waiting.* FROM unnest($1::smallint[]) AS mine(shard), LATERAL (
  SELECT shard, id, topic, key, payload, headers FROM outbox WHERE outbox.shard = mine.shard ORDER BY id LIMIT $2
) waiting
"""
_DELETE = """
WITH held AS MATERIALIZED (
  SELECT shard FROM relay_lease JOIN unnest($1::smallint[], $2::bigint[]) AS mine(shard, epoch) USING (shard, epoch)
   WHERE owner = $4 AND expires_at > now()
), gone AS (
  DELETE FROM outbox WHERE shard = ANY($1::smallint[]) AND id = ANY($3::bigint[]) AND shard IN (SELECT shard FROM held)
  RETURNING shard
) SELECT shard, count(*) AS rows FROM gone GROUP BY shard
"""
_SET_ASIDE = """
WITH moved AS (DELETE FROM outbox WHERE shard = $1 AND id = $2 RETURNING *)
INSERT INTO outbox_unsendable (event_id, topic, key, aggregate_version, payload, headers, created_at, reason)
SELECT event_id, topic, key, aggregate_version, payload, headers, created_at, $3 FROM moved
ON CONFLICT (event_id) DO NOTHING
"""
_RELEASE = "UPDATE relay_lease SET expires_at = '-infinity' WHERE owner = $1"
_MEASURE = """
SELECT shard, count(*) AS depth, extract(epoch FROM now() - min(created_at)) AS age FROM outbox GROUP BY shard
"""


@dataclass(frozen=True, slots=True)
class RelayStatus:
    """What one round did."""

    sent: int
    more: bool
    passed_on: bool = False


class Relay:
    """Moves rows of one database's outbox to Kafka."""

    def __init__(self, pool: Pool, producer: EventProducer, *, poll_s: float = POLL_S, shards: int = SHARDS) -> None:
        self._pool = pool
        self._producer = producer
        self._poll_s = poll_s
        self._shards = list(range(shards))
        self._owner: UUID = new_id()
        self._epochs: dict[int, int] = {}
        self._renew_at = 0.0
        self._poked = asyncio.Event()
        self._pass_on = False

    def poke(self) -> None:
        """Rows were just committed here: look now, or wake the relay that holds their shards. A hint."""
        self._pass_on = True
        self._poked.set()

    def look(self) -> None:
        """Another process has committed rows: look now. A hint."""
        self._poked.set()

    async def run(self) -> None:
        """Relay until cancelled; then give the shards up, so that another replica goes on at once."""

        async def one_round() -> RelayStatus:
            self._poked.clear()
            return await self.run_once()

        def waiting(error: Exception, attempt: int) -> None:
            _log.warning("relay_waits", error=describe(error), attempt=attempt)

        try:
            while True:
                status = await retry_until(one_round, WAITS, seed=str(self._owner), waiting=waiting)
                if status.more:
                    continue
                if status.passed_on:
                    await asyncio.sleep(LINGER_S)
                    continue
                if status.sent >= COMPANY:
                    await asyncio.sleep(LINGER_S)
                else:
                    await self._wait()
        finally:
            await self._release()

    async def run_once(self) -> RelayStatus:
        """Hold what shards can be had, and send a batch of what waits in them.

        Raises:
            RetryableError: the database or Kafka is away; nothing is lost, and the next round repeats.

        """
        await self._hold()
        passed_on = await self._wake_others()
        rows = await self._read()
        if rows:
            await self._send(rows)
        counts = Counter(row["shard"] for row in rows)
        more = any(count >= BATCH for count in counts.values())
        return RelayStatus(sent=len(rows), more=more, passed_on=passed_on)

    async def _wake_others(self) -> bool:
        """Notify the holders of the shards that are not ours, if this process has committed events since."""
        asked, self._pass_on = self._pass_on, False
        if not asked or len(self._epochs) == len(self._shards):
            return False
        with translate_errors():
            await self._pool.execute("SELECT pg_notify($1, '')", CHANNEL)
        return True

    async def _hold(self) -> None:
        if monotonic() < self._renew_at:
            return
        asked = monotonic()
        with translate_errors():
            rows = await self._pool.fetch(_TAKE, self._shards, self._owner, LEASE_S)
        self._epochs = {row["shard"]: row["epoch"] for row in rows}
        self._renew_at = asked + RENEW_AFTER_S if self._epochs else asked + 1.0
        for shard, epoch in self._epochs.items():
            metrics.EPOCH.labels(str(shard)).set(epoch)

    async def _read(self) -> list[Record]:
        """Return the oldest rows of each of our shards; almost always there are none, and the look is cheap."""
        if not self._epochs:
            return []
        with translate_errors():
            return await self._pool.fetch(_READ, list(self._epochs), BATCH)

    async def _send(self, rows: list[Record]) -> None:
        try:
            await self._producer.send_all([_outgoing(row) for row in rows])
        except PermanentError:
            # A single record that can never be sent must not hold up its shard for ever, nor vanish silently.
            await self._send_singly(rows)
        else:
            await self._delete(rows)

    async def _send_singly(self, rows: list[Record]) -> None:
        for row in rows:
            try:
                await self._producer.send_all([_outgoing(row)])
            except PermanentError as error:
                await self._set_aside(row, describe(error))
            else:
                await self._delete([row])

    async def _set_aside(self, row: Record, reason: str) -> None:
        """Keep what can never be sent, in a table of its own, and say so where dead letters are looked for."""
        metrics.UNSENDABLE.labels(row["topic"]).inc()
        _log.error("event_unsendable", topic=row["topic"], key=row["key"], error=reason)
        letter = dead_letter(
            topic=row["topic"],
            partition=-1,
            offset=-1,
            key=row["key"].encode(),
            value=None,
            headers=_outgoing(row).headers,
            consumer="outbox",
            reason=reason,
        )
        left_out = (*letter.headers, (VALUE_LEFT_OUT, b"see the table outbox_unsendable of the producer"))
        await self._producer.send_all([replace(letter, headers=left_out)])
        with translate_errors():
            await self._pool.execute(_SET_ASIDE, row["shard"], row["id"], reason)

    async def _delete(self, rows: list[Record]) -> None:
        sent = Counter(row["shard"] for row in rows)
        shards = [shard for shard in sent if shard in self._epochs]
        epochs = [self._epochs[shard] for shard in shards]
        with translate_errors():
            found = await self._pool.fetch(_DELETE, shards, epochs, [row["id"] for row in rows], self._owner)
        deleted = {row["shard"]: row["rows"] for row in found}
        metrics.SENT.inc(sum(deleted.values()))
        for shard, count in sent.items():
            if deleted.get(shard, 0) < count:
                # The shard has a new owner, who sends these rows again; readers drop the repeats.
                self._epochs.pop(shard, None)
                self._renew_at = 0.0

    async def measure(self) -> None:
        """Show how much waits in the outbox and for how long. Not part of a round: rounds are what may stand still.

        Raises:
            RetryableError: the database is away.

        """
        with translate_errors():
            rows = await self._pool.fetch(_MEASURE)
        found = {row["shard"]: row for row in rows}
        for shard in self._shards:
            row = found.get(shard)
            metrics.DEPTH.labels(str(shard)).set(row["depth"] if row else 0)
            metrics.OLDEST_AGE.labels(str(shard)).set(float(row["age"]) if row else 0.0)

    async def _wait(self) -> None:
        until_renewal = max(self._renew_at - monotonic(), 0.01)
        try:
            async with asyncio.timeout(min(self._poll_s, until_renewal)):
                await self._poked.wait()
        except TimeoutError:
            return

    async def _release(self) -> None:
        try:
            with translate_errors():
                async with asyncio.timeout(2):
                    await self._pool.execute(_RELEASE, self._owner)
        except RetryableError as error:
            _log.info("lease_left_to_expire", error=describe(error))


def _outgoing(row: Record) -> Outgoing:
    headers = tuple((name, value.encode()) for name, value in row["headers"].items())
    return Outgoing(topic=row["topic"], key=row["key"].encode(), value=row["payload"], headers=headers)
