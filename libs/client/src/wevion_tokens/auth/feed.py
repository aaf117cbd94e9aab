"""Keeps the revocation set in step with the compacted topic `token.state`.

Every process reads every partition from the beginning, without a group: each verifier must know all of it, and a
crash of another process must not delay it. Until the end of the topic at start is reached, the set is not complete and
verifiers answer 503. One record never stops the feed: what cannot be read or applied is counted and passed over.
"""

import asyncio
import contextlib
from datetime import datetime

from wevion_tokens.auth.keys import Keys, KeysUnavailableError
from wevion_tokens.auth.metrics import FEED_DELAY, FEED_RECORDS, REVOCATIONS_BEHIND, REVOKED_SESSIONS
from wevion_tokens.auth.refusals import Reason
from wevion_tokens.auth.revocations import Ending, RevocationSet, ending_for, is_past
from wevion_tokens.auth.signatures import fits, key_of
from wevion_tokens.contracts import (
    Event,
    EventBody,
    InvalidEventError,
    TokenKind,
    TokenStateV1,
    TokenStatus,
    decode,
    signed_content,
)
from wevion_tokens.kafka import KafkaSettings, Record, TopicReader
from wevion_tokens.runtime.clock import Clock, SystemClock
from wevion_tokens.telemetry.logs import get_logger

TOPIC = "token.state"
MAX_STALE_S = 900.0
"""How long revocations may be unknown before a session's older JWTs have to be renewed."""
_TEND_EVERY_S = 1.0  # one shard of 256 is emptied each time: a round in about four minutes
_YIELD_EVERY = 500  # records; while a long topic is read the process must still answer its probes

_log = get_logger(__name__)


_SESSION = f'"{TokenKind.SESSION.value}"'.encode()
"""Every record about a session has this in it; one that has it without being about a session is decoded in vain."""


_OTHER_KIND = FEED_RECORDS.labels("other_kind")
_INVALID = FEED_RECORDS.labels("invalid")  # made here, so that the first one is an increase


class RevocationFeed:
    """Follows `token.state` into a RevocationSet. `run` never returns; run it as a supervised task."""

    def __init__(
        self,
        kafka: KafkaSettings,
        revocations: RevocationSet,
        keys: Keys,
        *,
        clock: Clock | None = None,
        max_stale_s: float = MAX_STALE_S,
        accept_unsigned: bool = True,
    ) -> None:
        self._reader = TopicReader(kafka, TOPIC)
        self._set = revocations
        self._keys = keys
        self._accept_unsigned = accept_unsigned
        self._clock = clock or SystemClock()
        self._max_stale_s = max_stale_s
        REVOKED_SESSIONS.set_function(lambda: len(revocations))
        REVOCATIONS_BEHIND.set_function(lambda: revocations.behind_s(self._clock.now()))

    @property
    def caught_up(self) -> asyncio.Event:
        """Set while everything that was in the topic at the (re)start is in force."""
        return self._reader.caught_up

    def ready(self) -> str | None:
        """For /readyz: why not, if not."""
        return (
            None if self.caught_up.is_set() and self._set.complete else "has not caught up with the revocation stream"
        )

    async def run(self) -> None:
        """Follow for ever."""
        tending = asyncio.create_task(self._tend(), name="revocations-tend")
        try:
            done = 0
            async for record in self._reader:
                await self.apply(record)
                done += 1
                if done % _YIELD_EVERY == 0:
                    await asyncio.sleep(0)
        finally:
            tending.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await tending

    async def apply(self, record: Record) -> None:
        """Bring one record into force. One that cannot be read or applied is counted and passed over."""
        try:
            await self._apply(record)
        except Exception as error:  # noqa: BLE001  whatever is wrong with one record, the ones after it are needed
            _INVALID.inc()
            why = str(error) if isinstance(error, InvalidEventError) else type(error).__name__
            _log.error("revocation_record_unreadable", partition=record.partition, offset=record.offset, why=why)

    async def _apply(self, record: Record) -> None:
        if record.value is None:
            # A tombstone comes after the last JWT of the session has expired; the set forgets by time, not by it.
            FEED_RECORDS.labels("tombstone").inc()
            return
        if _SESSION not in record.value:
            # Grants and links share the topic and outnumber sessions; a look at the bytes is 20 times cheaper.
            _OTHER_KIND.inc()
            return
        event = decode(record.value, record.headers)
        if isinstance(event.body, TokenStateV1) and event.body.token.kind is TokenKind.SESSION:
            now = self._clock.now()
            if is_past(max(event.body.since, event.time), now):
                FEED_RECORDS.labels("no_effect").inc()  # nor is the key that signed it published any more
                return
            await self._check_signature(event, record)
            changed = self._apply_state(event.body, event.time, now)
            FEED_RECORDS.labels("applied" if changed else "no_effect").inc()
            if changed and self.caught_up.is_set():
                FEED_DELAY.observe(max(0.0, (now - event.time).total_seconds()))
        else:
            _OTHER_KIND.inc()

    async def _check_signature(self, event: Event[EventBody], record: Record) -> None:
        """Believe the issuer only.

        An issuer that cannot be asked for a key that is new is believed unread: a session that is ended wrongly costs
        a sign-in, one that lives on wrongly costs more.

        Raises:
            InvalidEventError: the signature is missing, or not the issuer's.

        """
        if event.signature is None:
            if not self._accept_unsigned:
                raise InvalidEventError("ce_signature: missing")
            return
        kid = key_of(event.signature)
        key = None
        if kid is not None:
            with contextlib.suppress(KeysUnavailableError):
                await self._keys.fresh()
            key = self._keys.current.get(kid) or await self._keys.find(kid)
            if key is None and not self._keys.answers:
                FEED_RECORDS.labels("unchecked").inc()
                return
        headers = {name: value.decode() for name, value in record.headers}
        if key is None or not fits(event.signature, signed_content(headers, record.value or b""), key):
            raise InvalidEventError("ce_signature: is not the issuer's")

    def _apply_state(self, state: TokenStateV1, emitted_at: datetime, now: datetime) -> bool:
        """Return only ever adds: an ended session does not come back, so late or repeated records do no harm."""
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

    async def _tend(self) -> None:
        """Keep the set's word about how complete it is, and forget what is past."""
        await self.caught_up.wait()
        while True:
            now = self._clock.now()
            if self.caught_up.is_set():
                self._set.note_in_step(now)
            else:
                self._set.note_behind(now, self._max_stale_s)
            self._set.evict_some(now)
            await asyncio.sleep(_TEND_EVERY_S)
