"""Tell a fact, settle what is over. Everything here runs inside the caller's transaction."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

from common.contracts import EventBody, NoticeChannel, NoticeCode, NoticeSentV1
from common.outbox import enqueue
from common.postgres import Connection
from common.runtime.ids import new_id
from notifier import metrics
from notifier.core import conditions as rules
from notifier.core.conditions import Fact, Resolution
from notifier.core.deliveries import NOTHING, Kind, Wanted
from notifier.core.notices import Condition, Notice
from notifier.core.preferences import PUSH_CHANNELS
from notifier.core.routing import Person, plan, recipients
from notifier.core.tokens import Token
from notifier.operations import wishes
from notifier.operations.deps import SOURCE, Deps
from notifier.store import conditions, deliveries, notices, people, tokens

FOLLOWED_UP: Final = frozenset({Resolution.RENEWED, Resolution.CLOSED})
"""Endings worth a message. A superseded notice has a successor that says more."""
CHUNK: Final = 2_000
"""One statement's worth of rows: larger ones would come near the limit on a statement's time."""


async def tell(connection: Connection, deps: Deps, fact: Fact, now: datetime) -> None:
    """Make the fact known to its recipients, once; a more urgent stage of a known fact updates its notices."""
    held_by = None
    if fact.code in rules.DEAD_CODES and rules.could_be_the_platform(fact.detected_by):
        held_by = await conditions.open_incident(connection, fact.provider)
    workspaces = [fact.workspace_id] if fact.workspace_id else []
    complete = len(await people.known(connection, workspaces)) == len(workspaces)
    condition_id = new_id()
    new = await conditions.add(connection, condition_id, fact, held_by=held_by, people_complete=complete, now=now)
    condition = await conditions.lock_fact(connection, fact)
    assert condition is not None  # noqa: S101  it was added, or it was there
    if new:
        metrics.EVENTS.labels("told").inc()
        if not complete:
            await people.hurry(connection, workspaces, now)
        if fact.code in rules.NAMES_ITS_RULES:
            await _end_rules_notice(connection, deps, fact.subject_id, Resolution.SUPERSEDED, now)
        if held_by is None:
            await announce(connection, deps, condition, await _people_of(connection, fact), now)
    elif condition.open or rules.comes_back(fact.code):
        await _again(connection, deps, condition, fact.stage, now)
    else:
        metrics.EVENTS.labels("known").inc()


async def tell_many(connection: Connection, deps: Deps, fact: Fact, told: Sequence[Person], now: datetime) -> None:
    """Tell a fact that crosses workspaces (a platform's incident) to these people, once each."""
    await conditions.add(connection, new_id(), fact, held_by=None, people_complete=True, now=now)
    condition = await conditions.lock_fact(connection, fact)
    if condition is not None and condition.open:
        await announce(connection, deps, condition, told, now)


async def announce(
    connection: Connection, deps: Deps, condition: Condition, told: Sequence[Person], now: datetime
) -> None:
    """A notice for each of these people who has none yet, shown in the app at once, and its messages planned."""
    for start in range(0, len(told), CHUNK):
        chunk = told[start : start + CHUNK]
        rows = [(new_id(), person.user_id, person.workspace_id) for person in chunk]
        added = await notices.add(connection, condition.condition_id, rows, now)
        fresh = {row[1]: row[0] for row in rows if row[0] in added}
        metrics.NOTICES.labels(condition.code.value).inc(len(added))
        if len(fresh) < len(rows):
            known = {
                notice.user_id: notice.notice_id
                for notice in await notices.of_condition(connection, condition.condition_id)
            }
        else:
            known = fresh
        sent: list[EventBody] = [
            _sent(row[0], condition.code, NoticeChannel.IN_APP, row[1], row[2], version=1)
            for row in rows
            if row[0] in added
        ]
        await enqueue(connection, sent, source=SOURCE, now=now)
        await _plan(connection, deps, condition, [(person, known[person.user_id]) for person in chunk], now)


async def _again(connection: Connection, deps: Deps, condition: Condition, stage: str, now: datetime) -> None:
    """A fact is told that is known: it may be more urgent now, or be true again after it was over."""
    closer = rules.escalates(condition.fact.stage, stage)
    if condition.open and not closer:
        metrics.EVENTS.labels("known").inc()
        return
    if not condition.open:
        await deliveries.forget_follow_ups_of(connection, condition.condition_id)
    await conditions.stand(connection, condition.condition_id, stage if closer else condition.fact.stage, now)
    if closer:
        await deliveries.drop_waiting_of(connection, condition.condition_id, "superseded", now, keep_stage=stage)
    again = await conditions.lock_fact(connection, condition.fact)
    assert again is not None  # noqa: S101  it is locked
    await _say_again(connection, again, now, unread=closer)
    # Not only those who have its notice: who became an admin since the last stage is told of this one.
    await announce(connection, deps, again, await _people_of(connection, again.fact), now)


async def follow_rules(
    connection: Connection, deps: Deps, token: Token, now: datetime, *, rule_id: UUID | None = None
) -> None:
    """Tell of rules that stand still without a notice of their token, and of their return; or do nothing.

    A rule's pause and the death that it follows from arrive in any order, so this looks at what is known of both: it
    is called after either. With `rule_id`, that rule alone is new.
    """
    fact = rules.tell_rules(token)
    if fact is None and rule_id is None:
        return  # it lives, so whatever there was is settled; most tokens are refreshed without having any rule
    if fact is not None and await tokens.untold_pause(
        connection, token.token_id, since=now - rules.OLD_NEWS, rule_id=rule_id
    ):
        await tell(connection, deps, fact, now)
    elif not await tokens.any_rule_paused(connection, token.token_id):
        await _end_rules_notice(connection, deps, token.token_id, Resolution.RENEWED, now)


async def _end_rules_notice(
    connection: Connection, deps: Deps, token_id: UUID, resolution: Resolution, now: datetime
) -> None:
    for condition in await conditions.lock_open_of_token(connection, token_id):
        if condition.code is NoticeCode.RULES_PAUSED:
            await resolve(connection, deps, condition, resolution, now)


async def _say_again(
    connection: Connection, condition: Condition, now: datetime, *, unread: bool = False
) -> list[Notice]:
    """The notices of a condition have changed: say so in the app, by a newer version of each."""
    told = await notices.of_condition(connection, condition.condition_id)
    versions = await notices.bump(connection, [notice.notice_id for notice in told], unread=unread)
    events: list[EventBody] = [sent_event(notice, NoticeChannel.IN_APP, versions[notice.notice_id]) for notice in told]
    await enqueue(connection, events, source=SOURCE, now=now)
    return told


async def _plan(
    connection: Connection,
    deps: Deps,
    condition: Condition,
    told: Sequence[tuple[Person, UUID]],
    now: datetime,
) -> None:
    if not deps.channels or not told:
        return
    fact = condition.fact
    persons = [person for person, _ in told]
    user_ids = [person.user_id for person in persons]
    preferences = await wishes.of(connection, persons)
    reachable = await wishes.reachable(connection, persons, deps.channels.values())
    since = now - max(deps.pace.cooldown, deps.pace.digest_window)
    history = await deliveries.history(
        connection, user_ids, subject_id=fact.subject_id, code=fact.code.value, since=since
    )
    critical = rules.is_critical(fact.code, fact.expires_at, now)
    wanted = [
        Wanted(
            notice_id=notice_id,
            user_id=person.user_id,
            workspace_id=person.workspace_id,
            channel=planned.channel,
            kind=Kind.ALERT,
            due_at=planned.due_at,
            stage=fact.stage,
        )
        for person, notice_id in told
        for planned in plan(
            fact.code,
            critical=critical,
            person=person,
            preferences=preferences[person.user_id],
            reachable=reachable[person.user_id],
            history={
                channel: history[person.user_id, channel]
                for channel in PUSH_CHANNELS
                if (person.user_id, channel) in history
            },
            pace=deps.pace,
            now=now,
        )
    ]
    await deliveries.gather(connection, wanted, [new_id() for _ in wanted], now)


async def settle(connection: Connection, deps: Deps, token: Token, now: datetime) -> None:
    """Resolve what was told about a token and is no longer true."""
    for condition in await conditions.lock_open_of_token(connection, token.token_id):
        resolution = rules.judge(condition.code, condition.fact.expires_at, token)
        if resolution is not None:
            await resolve(connection, deps, condition, resolution, now)


async def resolve(
    connection: Connection, deps: Deps, condition: Condition, resolution: Resolution, now: datetime
) -> None:
    """Mark it over, drop what still waits to say it, and follow up where it was said."""
    if not await conditions.resolve(connection, condition.condition_id, resolution, now):
        return
    metrics.RESOLVED.labels(condition.code.value, resolution.value).inc()
    await deliveries.drop_waiting_of(connection, condition.condition_id, resolution.value, now)
    if condition.held_by is None:
        # Open pages show it at once: the app's copy of the notice was updated.
        await _say_again(connection, condition, now)
    if resolution in FOLLOWED_UP:
        await follow_up(connection, deps, [condition.condition_id], now)


async def follow_up(connection: Connection, deps: Deps, condition_ids: Sequence[UUID], now: datetime) -> None:
    """One more message to whom a message had reached: a mail of its own, or an edit of what stands in the chat."""
    wanted = [
        Wanted(
            notice_id=reached.notice_id,
            user_id=reached.user_id,
            workspace_id=reached.workspace_id,
            channel=reached.channel,
            kind=Kind.FOLLOW_UP,
            due_at=now + deps.pace.settle,
            stage=reached.stage,
            edits=reached.delivery_id if _edits(deps, reached.channel) else NOTHING,
        )
        for reached in await deliveries.unanswered(connection, condition_ids)
    ]
    await deliveries.gather(connection, wanted, [new_id() for _ in wanted], now)


def _edits(deps: Deps, name: NoticeChannel) -> bool:
    channel = deps.channels.get(name)
    return channel is not None and channel.limits.edits


async def complete(connection: Connection, deps: Deps, workspace_id: UUID, now: datetime) -> None:
    """The workspace's people are known now: tell those who were missed."""
    late = await conditions.lock_incomplete(connection, workspace_id)
    for condition in late:
        if condition.open and condition.held_by is None:
            await announce(connection, deps, condition, await _people_of(connection, condition.fact), now)
    await conditions.set_complete(connection, [condition.condition_id for condition in late])


async def release(connection: Connection, deps: Deps, condition: Condition, now: datetime) -> None:
    """A fact that was held for an incident stands after all: tell it now."""
    await deliveries.forget_waiting_of(connection, [condition.condition_id])
    await conditions.release(connection, [condition.condition_id])
    await announce(connection, deps, condition, await _people_of(connection, condition.fact), now)


async def _people_of(connection: Connection, fact: Fact) -> tuple[Person, ...]:
    """Rule N5, from what we know; while we know nobody, the one person whose id the event has."""
    assert fact.workspace_id is not None  # noqa: S101  incidents have their own way
    if fact.code is NoticeCode.TELEGRAM_BROKEN:
        known = await people.of_pairs(connection, [(fact.workspace_id, fact.owner_user_id or NOTHING)])
        return tuple(known.values()) or _owner_alone(fact)
    found = recipients(await people.of_workspaces(connection, [fact.workspace_id]), fact.owner_user_id)
    if found or await people.known(connection, [fact.workspace_id]):
        return found
    return _owner_alone(fact)


def _owner_alone(fact: Fact) -> tuple[Person, ...]:
    if fact.workspace_id is None or fact.owner_user_id is None:
        return ()
    return (Person(user_id=fact.owner_user_id, workspace_id=fact.workspace_id, name="", email="", role="member"),)


def sent_event(notice: Notice, channel: NoticeChannel, version: int) -> NoticeSentV1:
    """The fact that a notice reached its person on a channel."""
    return _sent(notice.notice_id, notice.condition.code, channel, notice.user_id, notice.workspace_id, version=version)


def _sent(
    notice_id: UUID, code: NoticeCode, channel: NoticeChannel, user_id: UUID, workspace_id: UUID, *, version: int
) -> NoticeSentV1:
    return NoticeSentV1(
        notice_id=notice_id, code=code, channel=channel, user_id=user_id, workspace_id=workspace_id, version=version
    )
