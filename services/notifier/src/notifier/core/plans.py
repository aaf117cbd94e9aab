"""An occasion, the snapshot of what it touches, and the plan of all that follows from it: values, and nothing else."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from common.contracts import (
    AccountAccessChangedV1,
    DataGapClosedV1,
    EventBody,
    NoticeChannel,
    NoticeCode,
    PlatformIncidentV1,
    RulePausedV1,
    RuleResumedV1,
    TokenEvent,
)
from notifier.core.conditions import Fact, Resolution
from notifier.core.deliveries import Kind, Reached, WantedDelivery
from notifier.core.notices import Condition, Notice
from notifier.core.preferences import Preferences
from notifier.core.routing import Pace, Person
from notifier.core.tokens import Token


@dataclass(frozen=True, slots=True)
class PeopleLearned:
    """The people of a workspace are known now. Who could not be told before is told."""

    workspace_id: UUID


@dataclass(frozen=True, slots=True)
class SettledByPerson:
    """A person brought back, or gave up, what notices of this code are about."""

    code: NoticeCode
    owner_user_id: UUID
    resolution: Resolution


@dataclass(frozen=True, slots=True)
class Delivered:
    """Messages with these notices were accepted on a channel."""

    channel: NoticeChannel
    notice_ids: tuple[UUID, ...]


@dataclass(frozen=True, slots=True)
class FactFound:
    """A fact of the notifier's own is true from now on: a channel of a workspace was disabled."""

    fact: Fact


@dataclass(frozen=True, slots=True)
class FactOver:
    """A fact of the notifier's own is true no longer."""

    fact: Fact
    resolution: Resolution


Occasion = (
    TokenEvent
    | PlatformIncidentV1
    | RulePausedV1
    | RuleResumedV1
    | DataGapClosedV1
    | AccountAccessChangedV1
    | PeopleLearned
    | SettledByPerson
    | Delivered
    | FactFound
    | FactOver
)


@dataclass(frozen=True, slots=True)
class PausedRule:
    """An automation rule that stands still because of a token."""

    rule_id: UUID
    paused_at: datetime


@dataclass(frozen=True, slots=True)
class Past:
    """What one person was sent lately on one channel: how many messages, and when last about which fact."""

    sent: int = 0
    about: Mapping[tuple[UUID, str], datetime] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Readers:
    """The people who may be told, and what is known of each.

    Attributes:
        people: by workspace; a workspace with channels of its own is among them as a reader.
        known: the workspaces whose people were fetched at least once.
        preferences: by user.
        reachable: the push channels that reach a user.
        past: by user and channel.

    """

    people: Mapping[UUID, tuple[Person, ...]] = field(default_factory=dict)
    known: frozenset[UUID] = frozenset()
    preferences: Mapping[UUID, Preferences] = field(default_factory=dict)
    reachable: Mapping[UUID, tuple[NoticeChannel, ...]] = field(default_factory=dict)
    past: Mapping[tuple[UUID, NoticeChannel], Past] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """All that is known of what an occasion touches, read under locks.

    Attributes:
        tokens: by id: the occasion's own, and those of its conditions.
        conditions: the open ones that it may end, and those that it may be about.
        notices: by condition.
        reached: by condition, the messages that nothing follows up yet.
        rules: those of the token that stand still.
        rule_version: of the occasion's own rule; 0 while it is unknown.
        rules_told_until: a notice of the token that is over spoke of its rules until then.
        incident_id: the open incident of the occasion's platform.
        incident_version: of the occasion's own incident; 0 while it is unknown.
        makers: by workspace, who made the living connections to the incident's platform.

    """

    tokens: Mapping[UUID, Token] = field(default_factory=dict)
    conditions: tuple[Condition, ...] = ()
    notices: Mapping[UUID, tuple[Notice, ...]] = field(default_factory=dict)
    reached: Mapping[UUID, tuple[Reached, ...]] = field(default_factory=dict)
    rules: tuple[PausedRule, ...] = ()
    rule_version: int = 0
    rules_told_until: datetime | None = None
    incident_id: UUID | None = None
    incident_version: int = 0
    makers: Mapping[UUID, frozenset[UUID]] = field(default_factory=dict)
    audience: Readers = field(default_factory=Readers)


@dataclass(frozen=True, slots=True)
class Withdrawal:
    """Lines that wait are taken back.

    Attributes:
        condition_id: whose lines.
        kind: alerts or follow-ups.
        reason: kept with the line; without one the line is forgotten, and may be planned again.
        keep_stage: the lines of this stage stay.

    """

    condition_id: UUID
    kind: Kind
    reason: str = ""
    keep_stage: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What changes, all of it together.

    Attributes:
        token: our copy as it is from now on.
        rule: what became of a rule.
        incident: what became of a platform's incident.
        gap: a gap in the data, under the condition that it belongs to.
        workspaces: those whose people have to be known.
        hurry: somebody's notice waits for the people of these.
        conditions: as they are from now on, new ones included.
        withdrawn: before `deliveries` are added.
        notices: as they are from now on, new ones included.
        deliveries: what is pushed to whom; one that is planned or was sent already stays as it is.
        events: for the other services and open pages.
        results: what the occasion amounted to, in words of a metric.
        announced: the facts that are told to people. Whoever has to be told must be in the audience.

    """

    token: Token | None = None
    rule: RulePausedV1 | RuleResumedV1 | None = None
    incident: PlatformIncidentV1 | None = None
    gap: tuple[UUID, DataGapClosedV1] | None = None
    workspaces: tuple[UUID, ...] = ()
    hurry: tuple[UUID, ...] = ()
    conditions: tuple[Condition, ...] = ()
    withdrawn: tuple[Withdrawal, ...] = ()
    notices: tuple[Notice, ...] = ()
    deliveries: tuple[WantedDelivery, ...] = ()
    events: tuple[EventBody, ...] = ()
    results: tuple[str, ...] = ()
    announced: tuple[Fact, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Manner:
    """How people are told.

    Attributes:
        pace: how often one person is disturbed.
        edits: channels where a follow-up edits the message that it follows.
        single: channels where each notice is a message of its own.
        unpaced: channels that programs read: quiet hours, cooldown and digest do not apply.
        new_id: makes the ids of what is new, rising in time.

    """

    pace: Pace = field(default_factory=Pace)
    edits: frozenset[NoticeChannel] = frozenset()
    single: frozenset[NoticeChannel] = frozenset()
    unpaced: frozenset[NoticeChannel] = frozenset()
    new_id: Callable[[], UUID]
