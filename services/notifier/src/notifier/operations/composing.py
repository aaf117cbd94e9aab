"""Turn claimed messages into parcels: the present state is read here, right before the send (rule N3).

It is read once for a batch, in the transaction that judges and writes it, and the batch is presented at once: what
changes while its messages leave is followed up, as it is for a message that has left.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID
from zoneinfo import ZoneInfo

from common.contracts import NoticeChannel
from common.postgres import Connection
from notifier import metrics
from notifier.channels.base import Parcel
from notifier.core import conditions as rules
from notifier.core.deliveries import NOTHING, Claimed, Kind, Line
from notifier.core.notices import Notice, view
from notifier.core.preferences import Preferences, zone_of
from notifier.core.rendering import Letter, Words
from notifier.core.routing import ADMIN_ROLES, Person
from notifier.core.tokens import Token
from notifier.operations import unsubscribing, wishes
from notifier.operations.deps import Deps
from notifier.operations.surroundings import Surroundings, surroundings_of
from notifier.store import deliveries, people, telegram

_Same = tuple[UUID, str, bool]
"""Who has these alike reads the same words: the condition, the time zone, whether they may fix integrations."""
_Said = tuple[tuple[_Same, ...], bool]
"""The notices of a message as above, and whether it says that they are over."""


@dataclass(frozen=True, slots=True)
class Composed:
    """A message that is ready: its parcel, and the lines that are really in it."""

    claimed: Claimed
    parcel: Parcel
    lines: tuple[Line, ...] = ()


@dataclass(slots=True)
class Batch:
    """What became of the claimed messages."""

    ready: list[Composed] = field(default_factory=list)
    empty: list[tuple[Claimed, str]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Readers:
    """The people behind a batch, and where they are reached."""

    people: dict[tuple[UUID, UUID], Person]
    preferences: dict[UUID, Preferences]
    dead: frozenset[tuple[UUID, bytes]]
    chats: dict[UUID, int]

    def address(self, person: Person, channel: NoticeChannel) -> str:
        if channel is NoticeChannel.TELEGRAM:
            chat = self.chats.get(person.user_id)
            return str(chat) if chat is not None else ""
        if (person.user_id, wishes.address_digest(person.email)) in self.dead:
            return ""
        return person.email


async def compose(connection: Connection, deps: Deps, claimed: Sequence[Claimed], now: datetime) -> Batch:
    """Judge every line against the present, drop what is no longer worth saying, and write the rest."""
    alerts = [item for item in claimed if item.kind is not Kind.DIRECT]
    readers = await _readers(connection, alerts)
    lines = await deliveries.lines(connection, [item.delivery_id for item in alerts])
    edited = [item.edits for item in alerts if item.edits != NOTHING]
    whole = await deliveries.sent_lines(connection, edited)
    references = await deliveries.references(connection, edited)
    around = await surroundings_of(connection, [line.notice for line in (*lines, *whole)])
    by_delivery: defaultdict[UUID, list[Line]] = defaultdict(list)
    for line in (*lines, *whole):
        by_delivery[line.delivery_id].append(line)
    writer = _Writer(deps, around, now)
    batch = Batch()
    drops: list[tuple[UUID, UUID, Kind, str]] = []
    for item in alerts:
        person = readers.people.get((item.workspace_id, item.user_id))
        address = readers.address(person, item.channel) if person is not None and person.active else ""
        if person is None or not address:
            batch.empty.append((item, "unreachable"))
            drops += [
                (item.delivery_id, line.notice.notice_id, line.purpose, "unreachable")
                for line in by_delivery[item.delivery_id]
            ]
            continue
        preferences = readers.preferences[item.user_id]
        kept = []
        for line in by_delivery[item.delivery_id]:
            reason = _why_not(line, around.tokens, preferences, item.channel, now)
            if reason is None:
                kept.append(line)
            else:
                metrics.SUPPRESSED.labels(reason).inc()
                drops.append((item.delivery_id, line.notice.notice_id, line.purpose, reason))
        if not kept:
            batch.empty.append((item, "nothing_left"))
            continue
        said = by_delivery[item.edits] if item.edits != NOTHING else kept
        zone = zone_of(preferences.time_zone or person.time_zone)
        parcel = writer.parcel(item, said, person, zone, address=address, reference=references.get(item.edits, ""))
        batch.ready.append(Composed(item, parcel, tuple(kept)))
    await deliveries.drop_lines(connection, drops, now)
    return batch


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


async def _readers(connection: Connection, claimed: Sequence[Claimed]) -> _Readers:
    pairs = {(item.workspace_id, item.user_id) for item in claimed}
    user_ids = [pair[1] for pair in pairs]
    known = await people.of_pairs(connection, pairs)
    return _Readers(
        people=known,
        preferences=await wishes.of(connection, list(known.values())),
        dead=await people.dead_digests(connection, NoticeChannel.EMAIL, user_ids),
        chats=await telegram.chats(connection, user_ids),
    )


@dataclass(slots=True)
class _Writer:
    """Writes for the people of a batch. What reads the same for several of them is rendered once."""

    deps: Deps
    around: Surroundings
    now: datetime
    _words: dict[_Same, Words] = field(default_factory=dict)
    _letters: dict[_Said, Letter] = field(default_factory=dict)
    _chats: dict[_Said, str] = field(default_factory=dict)

    def parcel(
        self, item: Claimed, said: Sequence[Line], person: Person, zone: ZoneInfo, *, address: str, reference: str
    ) -> Parcel:
        follow_up = item.kind is Kind.FOLLOW_UP
        same = tuple((line.notice.condition.condition_id, zone.key, person.role in ADMIN_ROLES) for line in said)
        words = [self._word(line.notice, key, zone, person.role) for line, key in zip(said, same, strict=True)]
        if item.channel is NoticeChannel.TELEGRAM:
            return Parcel(
                delivery_id=item.delivery_id,
                address=address,
                html=self._chat((same, follow_up), words),
                edits=reference if follow_up else "",
            )
        codes = dict.fromkeys(line.notice.condition.code for line in said)
        stop = unsubscribing.url(self.deps, person.workspace_id, person.user_id, tuple(codes))
        mail = self._letter((same, follow_up), words).to(person.name or "there", stop)
        return Parcel(
            delivery_id=item.delivery_id,
            address=address,
            reader=person.name,
            subject=mail.subject,
            text=mail.text,
            html=mail.html,
            unsubscribe_url=stop,
        )

    def _word(self, notice: Notice, key: _Same, zone: ZoneInfo, role: str) -> Words:
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
            found = self._words[key] = self.deps.texts.words(seen, zone=zone, now=self.now)
        return found

    def _letter(self, key: _Said, words: Sequence[Words]) -> Letter:
        found = self._letters.get(key)
        if found is None:
            one_click = self.deps.vault is not None
            found = self._letters[key] = self.deps.texts.letter(words, follow_up=key[1], one_click=one_click)
        return found

    def _chat(self, key: _Said, words: Sequence[Words]) -> str:
        found = self._chats.get(key)
        if found is None:
            found = self._chats[key] = self.deps.texts.chat(words)
        return found
