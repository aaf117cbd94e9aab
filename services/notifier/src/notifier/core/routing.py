"""Who is told, on which channels, and when."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from common.contracts import NoticeChannel, NoticeCode
from notifier.core.preferences import PUSH_CHANNELS, Preferences, zone_of

ADMIN_ROLES = frozenset({"owner", "admin"})
MEMBER_ROLES = ADMIN_ROLES | {"member"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """A member of a workspace, as session-svc knows them."""

    user_id: UUID
    workspace_id: UUID
    name: str
    email: str
    role: str
    time_zone: str | None = None
    active: bool = True

    @property
    def is_workspace(self) -> bool:
        """Return whether it is the workspace itself, as the reader of its own channels."""
        return self.user_id == self.workspace_id


@dataclass(frozen=True, slots=True)
class Pace:
    """How often one person is disturbed.

    Attributes:
        settle: what comes within this time goes out together: paused rules, other accounts, a quick recovery.
        cooldown: a grant that dies again within this time of its last message waits for the rest of it (and is then
            looked at again), so that a flapping one stays quiet.
        digest_after: after this many messages to a person within `digest_window`, what is not critical is gathered.
        digest_window: for how long.

    """

    settle: timedelta = timedelta(seconds=3)
    cooldown: timedelta = timedelta(minutes=30)
    digest_after: int = 5
    digest_window: timedelta = timedelta(hours=1)


def workspace_itself(workspace_id: UUID) -> Person:
    """Return the workspace as a reader of its own channels (Slack, webhooks), with its id in place of a user's."""
    return Person(user_id=workspace_id, workspace_id=workspace_id, name="", email="", role="workspace")


def recipients(people: Iterable[Person], owner_user_id: UUID | None) -> tuple[Person, ...]:
    """Rule N5: who made the connection, and the workspace's admins and owner; those alone when that person is gone."""
    return tuple(
        person
        for person in people
        if person.active and (person.user_id == owner_user_id or person.role in ADMIN_ROLES or person.is_workspace)
    )


def affected_by_incident(people: Iterable[Person], owners: Mapping[UUID, frozenset[UUID]]) -> tuple[Person, ...]:
    """Each person once, over all workspaces that a platform's incident touches (`owners`: workspace -> makers)."""
    told: dict[UUID, Person] = {}
    for person in people:
        makers = owners.get(person.workspace_id)
        if makers is None or not person.active:
            continue
        concerned = person.user_id in makers or person.role in ADMIN_ROLES or person.is_workspace
        if concerned and person.user_id not in told:
            told[person.user_id] = person
    return tuple(told.values())


@dataclass(frozen=True, slots=True)
class History:
    """What one person was sent lately on one channel."""

    last_about_subject: datetime | None = None
    sent_in_window: int = 0


@dataclass(frozen=True, slots=True)
class Planned:
    """One channel to one person, and not before."""

    channel: NoticeChannel
    due_at: datetime


def plan(
    code: NoticeCode,
    *,
    critical: bool,
    person: Person,
    preferences: Preferences,
    reachable: Sequence[NoticeChannel],
    history: Mapping[NoticeChannel, History],
    pace: Pace,
    now: datetime,
    unpaced: Collection[NoticeChannel] = (),
) -> tuple[Planned, ...]:
    """Return the channels that push this notice to this person, each with its moment; `unpaced` ones at once.

    Args:
        code: the kind of the notice.
        critical: it goes out at any hour.
        person: the reader.
        preferences: what the reader and the workspace wish.
        reachable: the channels that have an address of the reader.
        history: what the reader was sent lately, by channel.
        pace: how often one person is disturbed.
        now: the present time, in UTC.
        unpaced: channels without that limit.

    """
    planned = []
    zone = zone_of(preferences.time_zone or person.time_zone)
    for channel in PUSH_CHANNELS:
        if channel not in reachable or not preferences.wants(channel, code):
            continue
        past = history.get(channel, History())
        due = now + pace.settle
        if channel in unpaced:
            planned.append(Planned(channel, due))
            continue
        if past.last_about_subject is not None:
            due = max(due, past.last_about_subject + pace.cooldown)
        if not critical:
            if past.sent_in_window >= pace.digest_after:
                due = max(due, now + pace.digest_window)
            quiet_until = preferences.quiet_hours.over_at(due, zone) if preferences.quiet_hours else None
            due = max(due, quiet_until or due)
        planned.append(Planned(channel, due))
    return tuple(planned)
