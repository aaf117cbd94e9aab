"""Send what is due on one channel: claim by lease, judge and write, present, note behind the fence.

Killed anywhere, it goes on: a claimed message that was not presented is claimed again; a mail that may have been
presented goes out again under the same Message-ID, so it is the same mail; a chat message that may have been
presented is not repeated, because nothing could tell the copy.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from common.postgres import Db, transaction
from common.runtime.clock import monotonic
from common.runtime.errors import RetryableError
from common.runtime.tasks import describe
from common.telemetry.logs import get_logger
from notifier import metrics
from notifier.core.channels import ChannelReach
from notifier.core.deliveries import Claimed, Finished, Kind
from notifier.core.delivery import NextState, Outcome, SendOutcome, State, channel_waits_s, decide
from notifier.core.plans import Delivered
from notifier.operations import directory, telling
from notifier.operations.channel import AnyChannel
from notifier.operations.composing import Batch, Composed, compose
from notifier.operations.deps import Deps
from notifier.store import deliveries, delivery_lines, failed, notices

_log = get_logger(__name__)

NOTE_EVERY_S = 0.05
NOTE_TRIES = 8
NOTE_WAIT_S = 1.0
PEOPLE_WAIT = timedelta(seconds=30)
"""Messages wait so long until session-svc is asked again who belongs to their workspaces."""
_COUNTED = frozenset({SendOutcome.TRY_LATER})


@dataclass(frozen=True, slots=True)
class SendStatus:
    """What one round did. `wait_s`: the other end is to be left alone for so long."""

    sent: int
    dropped: int
    failed: int
    more: bool
    wait_s: float = 0.0


class Waits:
    """Until when the other end is left alone: the whole channel (an empty key), or one address of it."""

    def __init__(self) -> None:
        self._until: dict[str, datetime] = {}

    def left_s(self, key: str, now: datetime) -> float:
        """Return the seconds that are left."""
        until = self._until.get(key)
        return max((until - now) / timedelta(seconds=1), 0.0) if until is not None else 0.0

    def at_least(self, key: str, seconds: float, now: datetime) -> None:
        """Wait for so long from now, if that is longer than what is known."""
        if seconds > self.left_s(key, now):
            self._until = {known: until for known, until in self._until.items() if until > now}
            self._until[key] = now + timedelta(seconds=seconds)


async def send_due(deps: Deps, channel: AnyChannel, now: datetime, waits: Waits | None = None) -> SendStatus:
    """Send one batch of what is due on `channel`.

    Args:
        deps: the operations' dependencies.
        channel: where to.
        now: the present.
        waits: which addresses are to be left alone, kept from round to round.

    Returns:
        What the round did.

    """
    async with transaction(deps.pool) as db:
        lost = await deliveries.give_up_presented(db, channel.name, now)
        claimed = await deliveries.claim(db, channel.name, now, lease=deps.lease, limit=deps.batch)
    if lost:
        metrics.DELIVERIES.labels(channel.name.value, "unknown").inc(lost)
    if not claimed:
        return SendStatus(0, 0, 0, more=False)
    unsure = await directory.confirm(deps, _workspaces(channel, claimed), now)
    async with transaction(deps.pool) as db:
        waiting = [item for item in claimed if item.workspace_id in unsure and item.kind is not Kind.DIRECT]
        await _put_off(db, waiting, now)
        ready = [item for item in claimed if item not in waiting]
        batch = await compose(db, deps, channel, ready, now)
        await _note_empty(db, batch, now)
    waits = waits or Waits()
    moment = _from(now)
    sent = await _present_all(deps, channel, batch.ready, waits, moment)
    deps.committed()
    wait_s = waits.left_s("", moment())
    more = len(claimed) >= deps.batch and not wait_s
    return SendStatus(sent, len(batch.empty), len(batch.ready) - sent, more=more, wait_s=wait_s)


def _workspaces(channel: AnyChannel, claimed: Sequence[Claimed]) -> frozenset[UUID]:
    """Return whose members these messages are about to reach. One-off messages were asked for this very person."""
    if channel.audience is ChannelReach.WORKSPACE:
        return frozenset()
    return frozenset(item.workspace_id for item in claimed if item.kind is not Kind.DIRECT)


async def _put_off(db: Db, waiting: Sequence[Claimed], now: datetime) -> None:
    """Put messages off without counting an attempt: nobody knows who belongs to their workspaces."""
    if not waiting:
        return
    _log.warning("people_unknown", messages=len(waiting))
    ends = [
        Finished(
            delivery_id=item.delivery_id,
            epoch=item.epoch,
            state=State.RETRY,
            due_at=now + PEOPLE_WAIT,
            attempts=item.attempts,
            reason="people_unknown",
            reference="",
        )
        for item in waiting
    ]
    await deliveries.finish(db, ends, now)


async def _note_empty(db: Db, batch: Batch, now: datetime) -> None:
    ends = [
        Finished(
            delivery_id=item.delivery_id,
            epoch=item.epoch,
            state=State.DROPPED,
            due_at=None,
            attempts=item.attempts,
            reason=reason,
            reference="",
        )
        for item, reason in batch.empty
    ]
    await deliveries.finish(db, ends, now)
    for item, _ in batch.empty:
        metrics.DELIVERIES.labels(item.channel.value, "dropped").inc()


def _from(now: datetime) -> Callable[[], datetime]:
    """Return the present, which goes on from `now` while a batch is sent."""
    began = monotonic()
    return lambda: now + timedelta(seconds=monotonic() - began)


async def _present_all(
    deps: Deps, channel: AnyChannel, ready: Sequence[Composed], waits: Waits, moment: Callable[[], datetime]
) -> int:
    """Present side by side, and note the ends as they come: all those of a moment in one transaction."""
    slots = asyncio.Semaphore(deps.parallel)
    ends: list[tuple[Composed, Outcome]] = []

    async def present(item: Composed) -> None:
        async with slots:
            key = item.parcel.address if channel.limits.waits_alone else ""
            if wait_s := waits.left_s(key, moment()):
                outcome = Outcome(SendOutcome.HELD_BACK, retry_after_s=wait_s)
            elif channel.limits.repeat_is_recognised or await _intend(deps, item.claimed):
                outcome = await _present(channel, item)
            else:
                outcome = Outcome(SendOutcome.UNKNOWN, detail="lease_lost")
            waits.at_least(key, channel_waits_s(outcome, _backoff_s(channel, item.claimed)), moment())
        ends.append((item, outcome))

    sent = 0
    async with asyncio.TaskGroup() as group:
        left = {group.create_task(present(item)) for item in ready}
        while left:
            _, left = await asyncio.wait(left, timeout=NOTE_EVERY_S)
            some, ends[:] = tuple(ends), ()
            if some:
                # A wait is counted from the answer that asked for it, not from the beginning of the batch.
                sent += await _note_surely(deps, channel, some, moment())
    return sent


async def _present(channel: AnyChannel, item: Composed) -> Outcome:
    """Send it, or edit what it replaces; a message that can no longer be edited is followed by a new one."""
    if item.parcel.edits:
        outcome = await channel.edit(item.parcel)
        if outcome.answer is not SendOutcome.NOT_EDITABLE:
            return outcome
    return await channel.send(item.parcel)


async def _intend(deps: Deps, claimed: Claimed) -> bool:
    async with transaction(deps.pool) as db:
        return await deliveries.mark_calling(db, claimed.delivery_id, claimed.epoch, deps.lease)


async def _note_surely(deps: Deps, channel: AnyChannel, ends: Sequence[tuple[Composed, Outcome]], now: datetime) -> int:
    """Note the ends; a database that is away for a moment must not make us send again."""
    for attempt in range(1, NOTE_TRIES + 1):
        try:
            async with transaction(deps.pool) as db:
                return await _note(db, deps, channel, ends, now)
        except RetryableError as error:
            if attempt == NOTE_TRIES:
                raise
            _log.warning("ends_not_noted", channel=channel.name.value, error=describe(error), attempt=attempt)
            await asyncio.sleep(NOTE_WAIT_S)
    return 0


async def _note(
    db: Db,
    deps: Deps,
    channel: AnyChannel,
    ends: Sequence[tuple[Composed, Outcome]],
    now: datetime,
) -> int:
    verdicts = [(item, outcome, _verdict(channel, item.claimed, outcome, now)) for item, outcome in ends]
    await notices.lock(db, {line.notice.notice_id for item, _ in ends for line in item.lines})
    written = await deliveries.finish(
        db, [_finished(item.claimed, outcome, verdict) for item, outcome, verdict in verdicts], now
    )
    mine = [end for end in verdicts if end[0].claimed.delivery_id in written]
    for item, outcome, verdict in mine:
        metrics.DELIVERIES.labels(channel.name.value, verdict.state.value).inc()
        if outcome.about_us:
            metrics.REFUSED_US.labels(channel.name.value).inc()
            _log.error("refused_us", channel=channel.name.value, detail=outcome.detail)
        remember = channel.bury if verdict.address_dead else channel.learn
        await remember(db, item.claimed, item.parcel, outcome, now)
        if outcome.answer is SendOutcome.HELD_BACK:
            continue
        if verdict.state is State.SENT:
            metrics.DELAY.labels(channel.name.value).observe(max((now - item.claimed.due_at).total_seconds(), 0))
        else:
            _log.warning(
                "message_not_sent",
                channel=channel.name.value,
                delivery_id=str(item.claimed.delivery_id),
                state=verdict.state.value,
                reason=verdict.reason,
                detail=outcome.detail,
                attempts=item.claimed.attempts + 1,
            )
    await _close_lines(db, deps, channel, mine, now)
    return sum(verdict.state is State.SENT for _, _, verdict in mine)


async def _close_lines(
    db: Db,
    deps: Deps,
    channel: AnyChannel,
    ends: Sequence[tuple[Composed, Outcome, NextState]],
    now: datetime,
) -> None:
    sent = [item for item, _, verdict in ends if verdict.state is State.SENT]
    await delivery_lines.finish(db, _keys(sent), state="sent", reason="", now=now)
    for item, _, verdict in ends:
        if verdict.state in (State.FAILED, State.UNKNOWN):
            await delivery_lines.finish(db, _keys([item]), state="failed", reason=verdict.reason, now=now)
    told = {line.notice.notice_id for item in sent for line in item.lines if line.purpose is Kind.ALERT}
    if told:
        await telling.take(db, deps, Delivered(channel.name, tuple(told)), now)


def _keys(items: Sequence[Composed]) -> list[tuple[UUID, UUID, str]]:
    return [(item.claimed.delivery_id, line.notice.notice_id, line.stage) for item in items for line in item.lines]


def _verdict(channel: AnyChannel, claimed: Claimed, outcome: Outcome, now: datetime) -> NextState:
    return decide(
        outcome,
        wait_s=_backoff_s(channel, claimed),
        give_up_at=claimed.first_tried_at + channel.limits.give_up_after,
        now=now,
    )


def _backoff_s(channel: AnyChannel, claimed: Claimed) -> float:
    return channel.retry.delay(claimed.attempts + 1, str(claimed.delivery_id))


def _finished(claimed: Claimed, outcome: Outcome, verdict: NextState) -> Finished:
    return Finished(
        delivery_id=claimed.delivery_id,
        epoch=claimed.epoch,
        state=verdict.state,
        due_at=verdict.due_at,
        attempts=claimed.attempts + (1 if outcome.answer in _COUNTED else 0),
        reason=verdict.reason,
        reference=outcome.reference,
    )


async def next_delay(deps: Deps, channel: AnyChannel, now: datetime) -> float | None:
    """Return seconds until something is due on the channel; None when nothing waits."""
    async with transaction(deps.pool) as db:
        due = await deliveries.next_due(db, channel.name)
    return None if due is None else max((due - now) / timedelta(seconds=1), 0.0)


async def measure(deps: Deps, now: datetime) -> None:
    """Show how much waits to be delivered, and for how long. It does not depend on whether anything can be sent."""
    async with transaction(deps.pool) as db:
        open_ones = await deliveries.open_by_channel(db, now)
    for name in deps.channels:
        count, since = open_ones.get(name, (0, now))
        metrics.BACKLOG.labels(name.value).set(count)
        metrics.OLDEST.labels(name.value).set(max((now - since) / timedelta(seconds=1), 0.0))


async def resend(deps: Deps, *, notice_id: UUID | None, since: datetime, now: datetime) -> int:
    """Deliver again what failed or may not have arrived: of one notice, or of all whose end is after `since`.

    Each is judged anew right before it leaves, so nothing is said that is no longer true.

    Args:
        deps: what the operations of the service work with.
        notice_id: the notice; None for all.
        since: only what ended after this time, in UTC.
        now: the present time, in UTC.

    Returns:
        How many lines wait to be delivered now.

    """
    async with transaction(deps.pool) as db:
        await notices.lock(db, await failed.notices(db, notice_id, since))
        lines = await failed.take(db, notice_id, since, now)
        await deliveries.gather(db, lines, now)
    deps.committed()
    return len(lines)
