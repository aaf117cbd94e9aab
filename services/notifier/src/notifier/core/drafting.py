"""A plan in the making: telling a fact, ending a condition, following up. The occasions are in `planning`."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime
from itertools import chain
from uuid import UUID

from common.contracts import NoticeChannel, NoticeCode, NoticeSentV1
from notifier.core import conditions as rules
from notifier.core import routing
from notifier.core.conditions import Fact, Resolution
from notifier.core.deliveries import NOTHING, Kind, WantedDelivery
from notifier.core.notices import Condition, Notice
from notifier.core.plans import Manner, Plan, Snapshot, Withdrawal
from notifier.core.preferences import Preferences
from notifier.core.routing import Person
from notifier.core.tokens import TokenAccount

FOLLOWED_UP = frozenset({Resolution.RENEWED, Resolution.CLOSED})
"""Endings worth a message. A superseded notice has a successor that says more."""


class Draft:
    """A plan in the making: the snapshot with the changes so far."""

    def __init__(self, snapshot: Snapshot, manner: Manner, now: datetime) -> None:
        self.snapshot = snapshot
        self.manner = manner
        self.now = now
        self.results: list[str] = []
        self.made = Plan()
        self.workspaces: list[UUID] = []
        self._hurry: list[UUID] = []
        self.conditions = {condition.condition_id: condition for condition in snapshot.conditions}
        self._changed: dict[UUID, Condition] = {}
        self._withdrawn: list[Withdrawal] = []
        self._notices: dict[UUID, dict[UUID, Notice]] = {
            condition_id: {notice.user_id: notice for notice in notices}
            for condition_id, notices in snapshot.notices.items()
        }
        self._told: dict[UUID, Notice] = {}
        self._deliveries: dict[UUID, list[WantedDelivery]] = {}
        self._announced: list[Fact] = []

    def plan(self, channel: NoticeChannel) -> Plan:
        """Return the finished plan. The notices in it were seen or changed on `channel`."""
        return replace(
            self.made,
            workspaces=tuple(self.workspaces),
            hurry=tuple(self._hurry),
            conditions=tuple(self._changed.values()),
            withdrawn=tuple(self._withdrawn),
            notices=tuple(self._told.values()),
            deliveries=tuple(chain.from_iterable(self._deliveries.values())),
            events=tuple(
                _sent(notice, channel)
                for notice in self._told.values()
                if channel is not NoticeChannel.IN_APP or not notice.of_workspace
            ),
            results=tuple(self.results),
            announced=tuple(self._announced),
        )

    def resolve(self, condition: Condition, resolution: Resolution) -> None:
        """Mark a condition as over, take back what still waits to say it, and follow up where it was said."""
        if not condition.open:
            return
        self.keep(replace(condition, resolved_at=self.now, resolution=resolution, updated_at=self.now))
        self.withdraw(condition.condition_id, Kind.ALERT, resolution.value)
        if condition.held_by is None:
            self._say_again(condition)  # open pages show it at once: the app's copy of the notice was updated
        if resolution in FOLLOWED_UP:
            self.follow_up(condition.condition_id)

    def tell(self, fact: Fact) -> Condition:
        """Make the fact known to its recipients, once; a more urgent stage of a known fact updates its notices."""
        condition = self.find(fact)
        if condition is not None:
            if condition.open or rules.comes_back(fact.code):
                return self._tell_again(condition, fact.stage)
            self.results.append("known")
            return condition
        self.results.append("told")
        complete = fact.workspace_id is None or fact.workspace_id in self.snapshot.audience.known
        if not complete and fact.workspace_id is not None:
            self._hurry.append(fact.workspace_id)
        held = fact.code in rules.DEAD_CODES and rules.could_be_the_platform(fact.detected_by)
        new = self.new_condition(fact, held_by=self.snapshot.incident_id if held else None, complete=complete)
        condition = self.keep(new)
        if fact.code in rules.NAMES_ITS_RULES:
            self.end_rules_notice(Resolution.SUPERSEDED)
        self._announced.append(fact)
        if condition.held_by is None:
            self.announce(condition, self.people_of(fact))
        return condition

    def _tell_again(self, condition: Condition, stage: str) -> Condition:
        """A fact is told that is known: it may be more urgent now, or be true again after it was over."""
        closer = rules.escalates(condition.fact.stage, stage)
        if condition.open and not closer:
            self.results.append("known")
            return condition
        if not condition.open:
            self.withdraw(condition.condition_id, Kind.FOLLOW_UP)
        if closer:
            self.withdraw(condition.condition_id, Kind.ALERT, "superseded", keep_stage=stage)
        fact = replace(condition.fact, stage=stage if closer else condition.fact.stage)
        again = self.keep(replace(condition, fact=fact, updated_at=self.now, resolved_at=None, resolution=None))
        self._say_again(again, unread=closer)
        # Not only those who have its notice: who became an admin since the last stage is told of this one.
        self.announce(again, self.people_of(fact))
        return again

    def announce(self, condition: Condition, people: Sequence[Person]) -> None:
        """A notice for each of these people who has none yet, shown in the app at once, and its messages planned."""
        self._announced.append(condition.fact)
        notices = self._notices.setdefault(condition.condition_id, {})
        for person in people:
            notice = notices.get(person.user_id)
            if notice is None:
                notice = notices[person.user_id] = Notice(
                    notice_id=self.manner.new_id(),
                    user_id=person.user_id,
                    workspace_id=person.workspace_id,
                    version=1,
                    created_at=self.now,
                    read_at=None,
                    condition=condition,
                )
                self._told[notice.notice_id] = notice
            self._push(condition, person, notice)

    def _push(self, condition: Condition, person: Person, notice: Notice) -> None:
        audience, fact = self.snapshot.audience, condition.fact
        planned = routing.plan(
            fact.code,
            critical=rules.is_critical(fact.code, fact.expires_at, self.now),
            person=person,
            preferences=audience.preferences.get(person.user_id, Preferences()),
            reachable=audience.reachable.get(person.user_id, ()),
            history={
                channel: routing.History(past.about.get((fact.subject_id, fact.code.value)), past.sent)
                for channel in audience.reachable.get(person.user_id, ())
                if (past := audience.past.get((person.user_id, channel))) is not None
            },
            pace=self.manner.pace,
            now=self.now,
            unpaced=self.manner.unpaced,
        )
        self._deliveries.setdefault(condition.condition_id, []).extend(
            WantedDelivery(
                notice_id=notice.notice_id,
                user_id=person.user_id,
                workspace_id=person.workspace_id,
                channel=channel.channel,
                kind=Kind.ALERT,
                due_at=channel.due_at,
                stage=fact.stage,
                gathers=channel.channel not in self.manner.single,
            )
            for channel in planned
        )

    def follow_up(self, condition_id: UUID) -> None:
        """One more message to whom a message had reached: a new one, or an edit of what stands in the chat."""
        self._deliveries.setdefault(condition_id, []).extend(
            WantedDelivery(
                notice_id=reached.notice_id,
                user_id=reached.user_id,
                workspace_id=reached.workspace_id,
                channel=reached.channel,
                kind=Kind.FOLLOW_UP,
                due_at=self.now + self.manner.pace.settle,
                stage=reached.stage,
                edits=reached.delivery_id if reached.channel in self.manner.edits else NOTHING,
                gathers=reached.channel not in self.manner.single,
            )
            for reached in self.snapshot.reached.get(condition_id, ())
        )

    def _say_again(self, condition: Condition, *, unread: bool = False) -> None:
        """The notices of a condition have changed: say so in the app, by a newer version of each."""
        notices = self._notices.get(condition.condition_id, {})
        self.raise_versions([replace(notice, condition=condition) for notice in notices.values()], unread=unread)

    def raise_versions(self, notices: Iterable[Notice], *, unread: bool = False) -> None:
        """Give each notice its next version, so that whoever shows it shows the newer one; `unread` again if asked."""
        for notice in notices:
            newer = replace(notice, version=notice.version + 1, read_at=None if unread else notice.read_at)
            self._notices[notice.condition.condition_id][notice.user_id] = self._told[notice.notice_id] = newer

    def withdraw(self, condition_id: UUID, kind: Kind, reason: str = "", keep_stage: str | None = None) -> None:
        """Close the notices of a condition that are open.

        Args:
            condition_id: the condition.
            kind: the kind of the notices.
            reason: why they are closed.
            keep_stage: the stage whose notices stay; None for none.

        """
        self._withdrawn.append(Withdrawal(condition_id, kind, reason, keep_stage))
        self._deliveries.pop(condition_id, None)

    def new_condition(self, fact: Fact, *, held_by: UUID | None = None, complete: bool = True) -> Condition:
        return Condition(
            condition_id=self.manner.new_id(),
            fact=fact,
            raised_at=self.now,
            updated_at=self.now,
            held_by=held_by,
            people_complete=complete,
        )

    def keep(self, condition: Condition) -> Condition:
        self.conditions[condition.condition_id] = self._changed[condition.condition_id] = condition
        return condition

    def open(self) -> list[Condition]:
        return [condition for condition in self.conditions.values() if condition.open]

    def find(self, fact: Fact) -> Condition | None:
        identity = (fact.code, fact.subject_id, fact.episode)
        return next((item for item in self.conditions.values() if item.fact.identity == identity), None)

    def people_of(self, fact: Fact) -> tuple[Person, ...]:
        """Rule N5, from what we know; while we know nobody, the one person whose id the event has."""
        if fact.workspace_id is None:
            return ()
        audience = self.snapshot.audience
        people = audience.people.get(fact.workspace_id, ())
        if fact.code is NoticeCode.TELEGRAM_BROKEN:
            found = tuple(person for person in people if person.user_id == fact.owner_user_id)
        else:
            found = routing.recipients(people, fact.owner_user_id)
            if fact.workspace_id in audience.known:
                return found
        persons = tuple(reader for reader in found if not reader.is_workspace)
        return found if persons else (*found, *owner_alone(fact))

    def end_rules_notice(self, resolution: Resolution) -> None:
        for condition in self.open():
            if condition.code is NoticeCode.RULES_PAUSED:
                self.resolve(condition, resolution)

    def set_accounts(self, condition: Condition, accounts: tuple[TokenAccount, ...]) -> None:
        self.keep(replace(condition, fact=replace(condition.fact, accounts=accounts), updated_at=self.now))


def owner_alone(fact: Fact) -> tuple[Person, ...]:
    """Return the one person whose id the event has, for as long as nobody of the workspace is known."""
    if fact.workspace_id is None or fact.owner_user_id is None:
        return ()
    return (Person(user_id=fact.owner_user_id, workspace_id=fact.workspace_id, name="", email="", role="member"),)


def _sent(notice: Notice, channel: NoticeChannel) -> NoticeSentV1:
    """Return the fact that a notice reached its person on a channel."""
    return NoticeSentV1(
        notice_id=notice.notice_id,
        code=notice.condition.code,
        channel=channel,
        user_id=notice.user_id,
        workspace_id=notice.workspace_id,
        version=notice.version,
    )
