"""Keeps the revocation set in step with the compacted topic `token.state`.

Every process reads every partition from the beginning, without a group: each verifier must know all of it, and a
crash of another process must not delay it. Until the end of the topic at start is reached, the process is not ready.
"""

import asyncio
import contextlib
from datetime import datetime

from common.auth.metrics import FEED_DELAY, FEED_RECORDS, REVOKED_SESSIONS
from common.auth.refusals import Reason
from common.auth.revocations import Ending, RevocationSet, ending_for
from common.contracts import InvalidEventError, TokenKind, TokenStateV1, TokenStatus, decode
from common.kafka import KafkaSettings, Record, TopicReader
from common.runtime.clock import Clock, SystemClock
from common.telemetry.logs import get_logger

TOPIC = "token.state"
_EVICT_EVERY_S = 1.0  # one shard of 256 each time: a round in about four minutes
_YIELD_EVERY = 500  # records; while a long topic is read the process must still answer its probes

_log = get_logger(__name__)


_SESSION = f'"{TokenKind.SESSION.value}"'.encode()
"""Every record about a session has this in it; one that has it without being about a session is decoded in vain."""


_OTHER_KIND = FEED_RECORDS.labels("other_kind")


class RevocationFeed:
    """Follows `token.state` into a RevocationSet. `run` never returns; run it as a supervised task."""

    def __init__(self, kafka: KafkaSettings, revocations: RevocationSet, *, clock: Clock | None = None) -> None:
        self._reader = TopicReader(kafka, TOPIC)
        self._set = revocations
        self._clock = clock or SystemClock()
        REVOKED_SESSIONS.set_function(lambda: len(revocations))

    @property
    def caught_up(self) -> asyncio.Event:
        """Set while everything that was in the topic at the (re)start is in force."""
        return self._reader.caught_up

    def ready(self) -> str | None:
        """For /readyz: why not, if not."""
        return None if self.caught_up.is_set() else "has not caught up with the revocation stream"

    async def run(self) -> None:
        """Follow for ever."""
        eviction = asyncio.create_task(self._evict(), name="revocations-evict")
        try:
            done = 0
            async for record in self._reader:
                self.apply(record)
                done += 1
                if done % _YIELD_EVERY == 0:
                    await asyncio.sleep(0)
        finally:
            eviction.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await eviction

    def apply(self, record: Record) -> None:
        """Bring one record into force. A record that cannot be read is counted and passed over: it ends no session."""
        if record.value is None:
            # A tombstone comes after the last JWT of the session has expired; the set forgets by time, not by it.
            FEED_RECORDS.labels("tombstone").inc()
            return
        if _SESSION not in record.value:
            # Grants and links share the topic and outnumber sessions; a look at the bytes is 20 times cheaper.
            _OTHER_KIND.inc()
            return
        try:
            event = decode(record.value, record.headers)
        except InvalidEventError as error:
            FEED_RECORDS.labels("invalid").inc()
            _log.error("revocation_record_unreadable", partition=record.partition, offset=record.offset, why=str(error))
            return
        if isinstance(event.body, TokenStateV1) and event.body.token.kind is TokenKind.SESSION:
            now = self._clock.now()
            changed = self._apply(event.body, event.time, now)
            FEED_RECORDS.labels("applied" if changed else "no_effect").inc()
            if changed and self.caught_up.is_set():
                FEED_DELAY.observe(max(0.0, (now - event.time).total_seconds()))
        else:
            _OTHER_KIND.inc()

    def _apply(self, state: TokenStateV1, emitted_at: datetime, now: datetime) -> bool:
        """Only ever adds: an ended session does not come back, so late or repeated records do no harm."""
        changed = False
        ending = ending_for(state.cause)
        if state.status is TokenStatus.REVOKED:
            changed = self._set.end_session(state.token.token_id, state.since, now, ending)
        elif state.status is TokenStatus.EXPIRED:
            changed = self._set.end_session(state.token.token_id, state.since, now, Ending(Reason.SESSION_EXPIRED))
        if state.user_epoch is not None:
            # A living session's state may carry an epoch that was raised after `since`: the later time is the safe one.
            raised_at = max(state.since, emitted_at)
            changed |= self._set.raise_epoch(state.token.owner_user_id, state.user_epoch, raised_at, now, ending)
        return changed

    async def _evict(self) -> None:
        while True:
            await asyncio.sleep(_EVICT_EVERY_S)
            self._set.evict_some(self._clock.now())
