"""What a person reads in the app."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from common.postgres import Db, transaction
from notifier.core.conditions import Resolution
from notifier.core.errors import UnknownNotice
from notifier.core.notices import Notice, view
from notifier.core.preferences import zone_of
from notifier.core.rendering import NoticeView, Words
from notifier.core.routing import Person
from notifier.operations import wishes
from notifier.operations.deps import Deps
from notifier.operations.surroundings import surroundings_of
from notifier.store import notices, people


@dataclass(frozen=True, slots=True)
class Shown:
    """One notice with its words. `superseded_by`: the reader's later notice that says more."""

    notice: Notice
    view: NoticeView
    words: Words
    superseded_by: UUID | None = None


@dataclass(frozen=True, slots=True)
class Reader:
    """Who reads, as their JWT says."""

    user_id: UUID
    workspace_id: UUID
    role: str
    session_id: UUID | None = None
    epoch: int = 0


async def page(
    deps: Deps, reader: Reader, *, before: UUID | None, state: str | None, limit: int, now: datetime
) -> tuple[list[Shown], int]:
    """Return the reader's notices, the newest first, and how many open ones are unread.

    Args:
        deps: what the operations of the service work with.
        reader: who reads: a person in a workspace.
        before: where the page begins: with what is older than this one; None for the newest page.
        state: `open`, `over`, or None for both.
        limit: how many are returned at most.
        now: the present time, in UTC.

    """
    async with transaction(deps.pool) as db:
        found = await notices.page(
            db,
            user_id=reader.user_id,
            workspace_id=reader.workspace_id,
            before=before,
            state=state,
            limit=limit,
        )
        unread = await notices.unread(db, user_id=reader.user_id, workspace_id=reader.workspace_id)
        return await _shown(db, deps, reader, found, now), unread


async def one(deps: Deps, reader: Reader, notice_id: UUID, now: datetime) -> Shown:
    """Return one notice of the reader.

    Args:
        deps: what the operations of the service work with.
        reader: who reads: a person in a workspace.
        notice_id: the notice.
        now: the present time, in UTC.

    Raises:
        UnknownNotice: the reader has no such notice.

    """
    async with transaction(deps.pool) as db:
        found = await notices.get(db, notice_id, user_id=reader.user_id, workspace_id=reader.workspace_id)
        if found is None:
            raise UnknownNotice
        return (await _shown(db, deps, reader, [found], now))[0]


async def mark_read(deps: Deps, reader: Reader, notice_id: UUID, now: datetime) -> None:
    """The reader has seen it.

    Args:
        deps: what the operations of the service work with.
        reader: who reads: a person in a workspace.
        notice_id: the notice.
        now: the present time, in UTC.

    Raises:
        UnknownNotice: the reader has no such notice.

    """
    async with transaction(deps.pool) as db:
        if not await notices.mark_read(
            db, notice_id, user_id=reader.user_id, workspace_id=reader.workspace_id, now=now
        ):
            raise UnknownNotice


async def _shown(db: Db, deps: Deps, reader: Reader, found: Sequence[Notice], now: datetime) -> list[Shown]:
    known = (await people.of_pairs(db, [(reader.workspace_id, reader.user_id)])).values()
    person = next(iter(known), None) or Person(
        user_id=reader.user_id, workspace_id=reader.workspace_id, name="", email="", role=reader.role
    )
    preferences = (await wishes.of(db, [person]))[reader.user_id]
    zone = zone_of(preferences.time_zone or person.time_zone)
    around = await surroundings_of(db, found)
    superseded = [item.notice_id for item in found if item.condition.resolution is Resolution.SUPERSEDED]
    later = await notices.successors(db, reader.user_id, superseded) if superseded else {}
    shown = []
    for notice in found:
        seen = view(
            notice,
            token=around.token(notice),
            role=reader.role,
            rules_paused=around.rules_paused(notice),
            gaps=around.gaps(notice),
            now=now,
        )
        words = deps.texts.words(seen, zone=zone, now=now)
        shown.append(Shown(notice, seen, words, later.get(notice.notice_id)))
    return shown
