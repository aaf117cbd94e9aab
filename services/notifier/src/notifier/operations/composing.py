"""Turn claimed messages into parcels: the present state is read here, right before the send (rule N3).

It is read once for a batch, in the transaction that judges and writes it, and the batch is presented at once: what
changes while its messages leave is followed up, as it is for a message that has left.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from common.contracts import NoticeChannel
from common.postgres import Db
from notifier import metrics
from notifier.core import conditions as rules
from notifier.core.channels import ChannelReach
from notifier.core.deliveries import NOTHING, Claimed, Kind, Line
from notifier.core.notices import Notice, view
from notifier.core.preferences import Preferences, zone_of
from notifier.core.rendering import NoticeView, Words
from notifier.core.routing import ADMIN_ROLES, MEMBER_ROLES, Person, workspace_itself
from notifier.core.tokens import Token
from notifier.operations import messages, wishes
from notifier.operations.channel import AnyChannel, Message, Said
from notifier.operations.deps import Deps
from notifier.operations.surroundings import Surroundings, surroundings_of
from notifier.store import deliveries, delivery_lines, people

_Same = tuple[UUID, str, bool]
"""Who has these alike reads the same words: the condition, the time zone, whether they may fix integrations."""


@dataclass(frozen=True, slots=True)
class Composed:
    """A message that is ready: its parcel, and the lines that are really in it."""

    claimed: Claimed
    parcel: Any
    lines: tuple[Line, ...] = ()


@dataclass(slots=True)
class Batch:
    """What became of the claimed messages."""

    ready: list[Composed] = field(default_factory=list)
    empty: list[tuple[Claimed, str]] = field(default_factory=list)


async def compose(db: Db, deps: Deps, channel: AnyChannel, claimed: Sequence[Claimed], now: datetime) -> Batch:
    """Judge every line against the present, drop what is no longer worth saying, and write the rest.

    Args:
        db: the connection or the transaction to use.
        deps: what composing needs.
        channel: the channel.
        claimed: the deliveries, with their leases.
        now: the present time, in UTC.

    """
    batch = Batch()
    alerts = [item for item in claimed if item.kind is not Kind.DIRECT]
    written = await _notices(db, deps, channel, alerts, batch=batch, now=now)
    direct = [item for item in claimed if item.kind is Kind.DIRECT]
    opened = await messages.open_direct(db, deps, channel, direct, empty=batch.empty, now=now)
    written += [(message, ()) for message in opened]
    parcels = await channel.compose([message for message, _ in written], now)
    batch.ready += [
        Composed(message.claimed, parcel, lines) for (message, lines), parcel in zip(written, parcels, strict=True)
    ]
    return batch


async def _notices(
    db: Db, deps: Deps, channel: AnyChannel, claimed: Sequence[Claimed], *, batch: Batch, now: datetime
) -> list[tuple[Message, tuple[Line, ...]]]:
    known = await _readers(db, channel, claimed)
    preferences = await wishes.of(db, list(known.values()))
    addresses = await channel.addresses(db, list(known.values()))
    lines = await delivery_lines.of(db, [item.delivery_id for item in claimed])
    edited = [item.edits for item in claimed if item.edits != NOTHING]
    references = await deliveries.references(db, edited)
    whole = await delivery_lines.sent(db, [key for key, reference in references.items() if reference])
    around = await surroundings_of(db, [line.notice for line in (*lines, *whole)])
    by_delivery: defaultdict[UUID, list[Line]] = defaultdict(list)
    for line in (*lines, *whole):
        by_delivery[line.delivery_id].append(line)
    writer = _Writer(deps, around, now)
    drops: list[tuple[UUID, UUID, Kind, str]] = []
    written = []
    for item in claimed:
        person = known.get((item.workspace_id, item.user_id))
        address = addresses.get(item.user_id) if person is not None and person.active else None
        if person is None or address is None:
            batch.empty.append((item, "unreachable"))
            drops += [
                (item.delivery_id, line.notice.notice_id, line.purpose, "unreachable")
                for line in by_delivery[item.delivery_id]
            ]
            continue
        wanted = preferences[item.user_id]
        kept = []
        for line in by_delivery[item.delivery_id]:
            reason = _why_not(line, around.tokens, wanted, channel.name, now) or _no_longer_theirs(line, person)
            if reason is None:
                kept.append(line)
            else:
                metrics.SUPPRESSED.labels(reason).inc()
                drops.append((item.delivery_id, line.notice.notice_id, line.purpose, reason))
        if not kept:
            batch.empty.append((item, "nothing_left"))
            continue
        reference = references.get(item.edits, "")
        said = by_delivery[item.edits] if reference else kept
        zone = zone_of(wanted.time_zone or person.time_zone)
        written.append((writer.message(item, said, person, zone, address=address, reference=reference), tuple(kept)))
    await delivery_lines.drop(db, drops, now)
    return written


def _why_not(
    line: Line, tokens: dict[UUID, Token], preferences: Preferences, channel: NoticeChannel, now: datetime
) -> str | None:
    """The reason why this line is not said now; None when it is."""
    condition = line.notice.condition
    if line.purpose is Kind.FOLLOW_UP:
        return None
    token = tokens.get(condition.fact.token_id) if condition.fact.token_id is not None else None
    resolution = condition.resolution or rules.judge(condition.code, condition.fact.expires_at, token)
    if resolution is not None:
        return resolution.value
    if condition.held_by is not None:
        return "held"
    if not rules.still_worth_saying(condition.code, condition.fact.expires_at, now):
        return "expired_meanwhile"
    return None if preferences.wants(channel, condition.code) else "not_wanted"


def _no_longer_theirs(line: Line, person: Person) -> str | None:
    """The reason why this reader is not told any more (rule N5): whoever lost the role is no longer concerned."""
    fact = line.notice.condition.fact
    if line.purpose is Kind.FOLLOW_UP or fact.workspace_id is None or person.role not in MEMBER_ROLES:
        return None
    return None if person.user_id == fact.owner_user_id or person.role in ADMIN_ROLES else "not_concerned"


async def _readers(db: Db, channel: AnyChannel, claimed: Sequence[Claimed]) -> dict[tuple[UUID, UUID], Person]:
    pairs = {(item.workspace_id, item.user_id) for item in claimed}
    if channel.audience is ChannelReach.WORKSPACE:
        return {pair: workspace_itself(pair[0]) for pair in pairs}
    return await people.of_pairs(db, pairs)


@dataclass(slots=True)
class _Writer:
    """Finds the words for the readers of a batch. What reads the same for several of them is rendered once."""

    deps: Deps
    around: Surroundings
    now: datetime
    _words: dict[_Same, tuple[NoticeView, Words]] = field(default_factory=dict)

    def message(
        self, item: Claimed, said: Sequence[Line], person: Person, zone: ZoneInfo, *, address: object, reference: str
    ) -> Message:
        follow_up = item.kind is Kind.FOLLOW_UP
        same = tuple((line.notice.condition.condition_id, zone.key, person.role in ADMIN_ROLES) for line in said)
        return Message(
            claimed=item,
            person=person,
            address=address,
            said=tuple(
                Said(line.notice, *self._word(line.notice, key, zone, person.role))
                for line, key in zip(said, same, strict=True)
            ),
            same=(same, follow_up),
            follow_up=follow_up,
            edits=reference if follow_up else "",
        )

    def _word(self, notice: Notice, key: _Same, zone: ZoneInfo, role: str) -> tuple[NoticeView, Words]:
        found = self._words.get(key)
        if found is None:
            seen = view(
                notice,
                token=self.around.token(notice),
                role=role,
                rules_paused=self.around.rules_paused(notice),
                gaps=self.around.gaps(notice),
                now=self.now,
            )
            found = self._words[key] = (seen, self.deps.texts.words(seen, zone=zone, now=self.now))
        return found
