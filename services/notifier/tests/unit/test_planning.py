"""What follows from each kind of occasion, as a plan: nothing is asked, and nothing is done."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any
from uuid import UUID, uuid5

import pytest

from common.contracts import (
    AccountAccess,
    AccountAccessChangedV1,
    AccountRef,
    DataGapClosedV1,
    DetectedBy,
    EventBody,
    IncidentState,
    IssuedHow,
    NoticeChannel,
    NoticeCode,
    PlatformIncidentV1,
    RevocationCause,
    RulePausedV1,
    RuleResumedV1,
    TokenExpiringV1,
    TokenIssuedV1,
    TokenKind,
    TokenRef,
    TokenRevokedV1,
)
from notifier.core.conditions import Fact, Resolution
from notifier.core.deliveries import NOTHING, Kind, Reached
from notifier.core.notices import Condition, Notice
from notifier.core.planning import plan
from notifier.core.plans import (
    Delivered,
    Manner,
    PausedRule,
    PeopleLearned,
    Plan,
    Readers,
    SettledByPerson,
    Snapshot,
    Withdrawal,
)
from notifier.core.routing import Person
from notifier.core.tokens import Token, fold

NOW = datetime(2026, 9, 14, 12, 0, tzinfo=UTC)
ENDS = NOW + timedelta(days=6)
SPACE, TOKEN, INCIDENT, RULE = (UUID(int=number) for number in range(1, 5))
EMAIL, TELEGRAM = NoticeChannel.EMAIL, NoticeChannel.TELEGRAM


def _person(name: str, role: str = "member") -> Person:
    return Person(user_id=uuid5(SPACE, name), workspace_id=SPACE, name=name, email=f"{name}@x.example", role=role)


ADA, MIA, TOM = _person("ada", "owner"), _person("mia"), _person("tom")
EVERYBODY = Readers(
    people={SPACE: (ADA, MIA, TOM)},
    known=frozenset({SPACE}),
    reachable={person.user_id: (EMAIL,) for person in (ADA, MIA, TOM)},
)


def _ids() -> Iterator[UUID]:
    return (UUID(int=number) for number in count(1000))


def _plan(occasion: EventBody | PeopleLearned | SettledByPerson | Delivered, **known: Any) -> Plan:
    manner = Manner(edits=frozenset({TELEGRAM}), new_id=_ids().__next__)
    return plan(occasion, Snapshot(**({"audience": EVERYBODY} | known)), manner, NOW)


def _ref(version: int, kind: TokenKind = TokenKind.PLATFORM_OAUTH) -> TokenRef:
    return TokenRef(
        token_id=TOKEN,
        kind=kind,
        provider="meta",
        workspace_id=SPACE,
        owner_user_id=MIA.user_id,
        version=version,
        accounts=(AccountRef(account_id=UUID(int=9), external_id="act_9", name="Shop"),),
    )


def _issued(version: int, **more: Any) -> TokenIssuedV1:
    return TokenIssuedV1(**({"token": _ref(version), "how": IssuedHow.CONNECT, "expires_at": ENDS} | more))


def _revoked(version: int, detected_by: DetectedBy = DetectedBy.WEBHOOK, **more: Any) -> TokenRevokedV1:
    return TokenRevokedV1(token=_ref(version, **more), cause=RevocationCause.USER_REVOKED, detected_by=detected_by)


LIVING, _ = fold(None, _issued(1))
DEAD, _ = fold(LIVING, _revoked(2))


def _condition(code: NoticeCode = NoticeCode.TOKEN_REVOKED, episode: int = 2, **more: Any) -> Condition:
    fact = Fact(
        code=code,
        subject_id=TOKEN,
        episode=episode,
        provider="meta",
        kind=TokenKind.PLATFORM_OAUTH,
        workspace_id=SPACE,
        owner_user_id=MIA.user_id,
        token_id=TOKEN,
        **{name: more.pop(name) for name in ("stage", "expires_at", "accounts", "detected_by") if name in more},
    )
    values: dict[str, Any] = {"condition_id": UUID(int=500), "fact": fact, "raised_at": NOW, "updated_at": NOW}
    return Condition(**(values | more))


def _notice(condition: Condition, person: Person = MIA, **more: Any) -> Notice:
    values: dict[str, Any] = {
        "notice_id": uuid5(condition.condition_id, person.name),
        "user_id": person.user_id,
        "workspace_id": SPACE,
        "version": 1,
        "created_at": NOW,
        "read_at": NOW,
        "condition": condition,
    }
    return Notice(**(values | more))


def _known(condition: Condition, *people: Person) -> dict[str, Any]:
    notices = tuple(_notice(condition, person) for person in people)
    return {"conditions": (condition,), "notices": {condition.condition_id: notices}}


def _reached(condition: Condition, channel: NoticeChannel) -> dict[UUID, tuple[Reached, ...]]:
    one = Reached(
        notice_id=_notice(condition).notice_id,
        user_id=MIA.user_id,
        workspace_id=SPACE,
        channel=channel,
        delivery_id=UUID(int=77),
        stage="",
    )
    return {condition.condition_id: (one,)}


def _told(planned: Plan) -> list[str]:
    names = {person.user_id: person.name for person in (ADA, MIA, TOM)}
    return [names.get(notice.user_id, "?") for notice in planned.notices]


# Tokens.


def test_a_new_token_is_copied_its_people_are_wanted_and_nobody_is_told() -> None:
    planned = _plan(_issued(1))
    assert planned == Plan(token=LIVING, workspaces=(SPACE,), results=("no_fact",))


def test_a_death_is_one_condition_a_notice_and_a_message_each_and_an_event_each() -> None:
    planned = _plan(_revoked(2), tokens={TOKEN: LIVING})
    assert planned.token == DEAD
    (condition,) = planned.conditions
    assert (condition.code, condition.fact.episode, condition.held_by) == (NoticeCode.TOKEN_REVOKED, 2, None)
    assert _told(planned) == ["ada", "mia"]
    assert [(item.channel, item.kind, item.due_at - NOW) for item in planned.deliveries] == [
        (EMAIL, Kind.ALERT, timedelta(seconds=3))
    ] * 2
    assert [(event.channel, event.version) for event in planned.events] == [  # type: ignore[attr-defined]
        (NoticeChannel.IN_APP, 1)
    ] * 2
    assert planned.results == ("told",)


def test_the_same_death_again_plans_nothing_new() -> None:
    condition = _condition()
    planned = _plan(_revoked(2), tokens={TOKEN: DEAD}, **_known(condition, ADA, MIA))
    assert planned == Plan(results=("known",))


@pytest.mark.parametrize(
    ("audience", "told", "hurry"),
    [
        (Readers(), ["mia"], (SPACE,)),
        (Readers(people={SPACE: (ADA,)}), ["ada"], (SPACE,)),
        (Readers(people={SPACE: (TOM,)}, known=frozenset({SPACE})), [], ()),
        (EVERYBODY, ["ada", "mia"], ()),
    ],
)
def test_while_nobody_is_known_the_maker_is_told(audience: Readers, told: list[str], hurry: tuple[UUID, ...]) -> None:
    planned = _plan(_revoked(2), tokens={TOKEN: LIVING}, audience=audience)
    assert _told(planned) == told
    assert planned.hurry == hurry
    assert planned.conditions[0].people_complete is (hurry == ())


@pytest.mark.parametrize(
    ("detected_by", "held"),
    [
        (DetectedBy.REFRESH, True),
        (DetectedBy.PROBE, True),
        (DetectedBy.REPORT, True),
        (DetectedBy.WEBHOOK, False),
        (DetectedBy.USER, False),
    ],
)
def test_what_may_be_the_platforms_fault_waits_while_its_incident_is_open(
    detected_by: DetectedBy, *, held: bool
) -> None:
    planned = _plan(_revoked(2, detected_by), tokens={TOKEN: LIVING}, incident_id=INCIDENT)
    assert planned.conditions[0].held_by == (INCIDENT if held else None)
    assert (planned.notices == ()) is held
    assert planned.announced  # the people are loaded in both cases: whether they are known is noted


def test_a_closer_stage_makes_its_notice_unread_and_replaces_what_waits() -> None:
    episode = int(ENDS.timestamp())
    condition = _condition(NoticeCode.TOKEN_EXPIRING, episode, stage="7d", expires_at=ENDS)
    event = TokenExpiringV1(token=_ref(1), stage="1d", expires_at=ENDS, remaining_s=3600)
    planned = _plan(event, tokens={TOKEN: LIVING}, **_known(condition, MIA))
    assert planned.conditions[0].fact.stage == "1d"
    assert planned.withdrawn == (Withdrawal(condition.condition_id, Kind.ALERT, "superseded", "1d"),)
    assert [
        (name, notice.version, notice.read_at) for name, notice in zip(_told(planned), planned.notices, strict=True)
    ] == [
        ("mia", 2, None),
        ("ada", 1, None),
    ]
    assert {item.stage for item in planned.deliveries} == {"1d"}


@pytest.mark.parametrize("stage", ["7d", "14d"])
def test_a_stage_that_is_not_closer_changes_nothing(stage: str) -> None:
    condition = _condition(NoticeCode.TOKEN_EXPIRING, int(ENDS.timestamp()), stage="7d", expires_at=ENDS)
    event = TokenExpiringV1(token=_ref(1), stage=stage, expires_at=ENDS, remaining_s=3600)
    assert _plan(event, tokens={TOKEN: LIVING}, **_known(condition, MIA)) == Plan(results=("known",))


def test_a_warning_that_is_true_again_takes_back_that_it_was_over() -> None:
    condition = _condition(
        NoticeCode.TOKEN_EXPIRING,
        int(ENDS.timestamp()),
        stage="7d",
        expires_at=ENDS,
        resolved_at=NOW,
        resolution=Resolution.RENEWED,
    )
    event = TokenExpiringV1(token=_ref(1), stage="7d", expires_at=ENDS, remaining_s=3600)
    planned = _plan(event, tokens={TOKEN: LIVING}, **_known(condition, MIA))
    assert planned.conditions[0].open
    assert planned.withdrawn == (Withdrawal(condition.condition_id, Kind.FOLLOW_UP),)
    assert planned.notices[0].read_at == NOW


@pytest.mark.parametrize(("channel", "edits"), [(EMAIL, NOTHING), (TELEGRAM, UUID(int=77))])
def test_a_recovery_ends_the_condition_and_follows_up_where_it_was_said(channel: NoticeChannel, edits: UUID) -> None:
    condition = _condition()
    known = _known(condition, MIA) | {"reached": _reached(condition, channel)}
    planned = _plan(_issued(3, how=IssuedHow.REAUTHORIZE), tokens={TOKEN: DEAD}, **known)
    assert planned.conditions[0].resolution is Resolution.RENEWED
    assert planned.withdrawn == (Withdrawal(condition.condition_id, Kind.ALERT, "renewed"),)
    assert planned.notices[0].version == 2
    assert [(item.kind, item.channel, item.edits) for item in planned.deliveries] == [(Kind.FOLLOW_UP, channel, edits)]


def test_a_superseded_notice_is_not_followed_up() -> None:
    condition = _condition(NoticeCode.TOKEN_EXPIRING, int(ENDS.timestamp()), stage="7d", expires_at=ENDS)
    known = _known(condition, MIA) | {"reached": _reached(condition, EMAIL)}
    planned = _plan(_revoked(2), tokens={TOKEN: LIVING}, **known)
    assert {item.code: item.resolution for item in planned.conditions} == {
        NoticeCode.TOKEN_REVOKED: None,
        NoticeCode.TOKEN_EXPIRING: Resolution.SUPERSEDED,
    }
    assert {item.kind for item in planned.deliveries} == {Kind.ALERT}


# Rules.


def _paused(version: int = 1) -> RulePausedV1:
    return RulePausedV1(
        rule_id=RULE,
        rule_name="Rule",
        workspace_id=SPACE,
        account_id=UUID(int=9),
        token_id=TOKEN,
        reason="dead",
        auto_paused_at=NOW,
        version=version,
    )


UNLINKED = replace(DEAD, cause=RevocationCause.DISCONNECTED)


@pytest.mark.parametrize(
    ("known", "told"),
    [
        ({"tokens": {TOKEN: UNLINKED}}, True),
        ({"tokens": {TOKEN: LIVING}}, False),
        ({"tokens": {}}, False),
        ({"tokens": {TOKEN: DEAD}, "conditions": (_condition(),)}, False),
        ({"tokens": {TOKEN: DEAD}, "conditions": (_condition(held_by=INCIDENT),)}, False),
        ({"tokens": {TOKEN: UNLINKED}, "rules_told_until": NOW}, False),
        ({"tokens": {TOKEN: UNLINKED}, "rules_told_until": NOW - timedelta(minutes=1)}, True),
        ({"tokens": {TOKEN: UNLINKED}, "rule_version": 1}, False),
    ],
)
def test_rules_have_a_notice_of_their_own_where_their_token_has_none(known: dict[str, Any], *, told: bool) -> None:
    planned = _plan(_paused(), **known)
    assert [condition.code for condition in planned.conditions] == [NoticeCode.RULES_PAUSED] * told


def test_the_last_rules_return_ends_their_notice() -> None:
    condition = _condition(NoticeCode.RULES_PAUSED)
    resumed = RuleResumedV1(**(_paused(2).model_dump(exclude={"resumed_at"}) | {"resumed_at": NOW}))
    known = {"tokens": {TOKEN: UNLINKED}, "rule_version": 1} | _known(condition, MIA)
    other = PausedRule(UUID(int=6), NOW - timedelta(days=30))
    assert _plan(resumed, rules=(PausedRule(RULE, NOW), other), **known).conditions == ()
    ended = _plan(resumed, rules=(PausedRule(RULE, NOW),), **known)
    assert ended.conditions[0].resolution is Resolution.RENEWED


# Accounts, gaps, incidents.


def _access(access: AccountAccess, version: int = 5) -> AccountAccessChangedV1:
    return AccountAccessChangedV1(
        account=AccountRef(account_id=UUID(int=9), external_id="act_9", name="Shop"),
        token_id=TOKEN,
        provider="meta",
        workspace_id=SPACE,
        owner_user_id=MIA.user_id,
        access=access,
        cause=RevocationCause.PERMISSION_CHANGED,
        version=version,
    )


def test_an_account_that_is_lost_joins_the_others_and_the_last_one_back_ends_it() -> None:
    first = _plan(_access(AccountAccess.LOST), tokens={TOKEN: LIVING})
    (condition,) = first.conditions
    assert [account.name for account in condition.fact.accounts] == ["Shop"]
    again = _plan(_access(AccountAccess.LOST), tokens={TOKEN: LIVING}, conditions=(condition,))
    assert again.conditions == ()
    back = _plan(_access(AccountAccess.GRANTED), tokens={TOKEN: LIVING}, conditions=(condition,))
    assert back.conditions[0].resolution is Resolution.RENEWED


def test_an_account_of_a_grant_that_is_dead_is_no_news() -> None:
    assert _plan(_access(AccountAccess.LOST, version=2), tokens={TOKEN: DEAD}) == Plan(results=("stale",))


def test_a_gap_belongs_to_the_outage_that_it_followed_from() -> None:
    gap = DataGapClosedV1(
        gap_id=UUID(int=8),
        token_id=TOKEN,
        provider="meta",
        workspace_id=SPACE,
        owner_user_id=MIA.user_id,
        account_id=UUID(int=9),
        account_name="Shop",
        cause=RevocationCause.USER_REVOKED,
        **{"from": NOW - timedelta(hours=1)},
        to=NOW,
        version=1,
    )
    planned = _plan(gap, tokens={TOKEN: DEAD})
    assert planned.conditions[0].fact.episode == DEAD.outage
    assert planned.gap == (planned.conditions[0].condition_id, gap)
    assert planned.deliveries == ()


def _incident(state: IncidentState, version: int = 1) -> PlatformIncidentV1:
    return PlatformIncidentV1(
        incident_id=INCIDENT, provider="meta", state=state, tokens_affected=9, since=NOW, version=version
    )


def test_an_incident_tells_each_person_once_and_holds_the_deaths_that_it_may_explain() -> None:
    ours = _condition(detected_by=DetectedBy.REFRESH)
    theirs = _condition(condition_id=UUID(int=501), detected_by=DetectedBy.WEBHOOK)
    planned = _plan(
        _incident(IncidentState.OPENED), makers={SPACE: frozenset({MIA.user_id})}, conditions=(ours, theirs)
    )
    assert _told(planned) == ["ada", "mia"]
    assert {item.condition_id: item.held_by for item in planned.conditions[1:]} == {ours.condition_id: INCIDENT}
    assert planned.withdrawn == (Withdrawal(ours.condition_id, Kind.ALERT),)


@pytest.mark.parametrize(
    ("token", "told", "resolution"), [(DEAD, ["ada", "mia"], None), (LIVING, [], Resolution.RENEWED)]
)
def test_when_an_incident_is_over_what_it_held_is_told_or_ended(
    token: Token, told: list[str], resolution: Resolution | None
) -> None:
    held = _condition(held_by=INCIDENT)
    planned = _plan(_incident(IncidentState.CLOSED, 2), incident_version=1, tokens={TOKEN: token}, conditions=(held,))
    assert _told(planned) == told
    assert [(item.held_by, item.resolution) for item in planned.conditions] == [(None, resolution)]


def test_an_old_word_about_an_incident_is_stale() -> None:
    assert _plan(_incident(IncidentState.OPENED), incident_version=2) == Plan(results=("stale",))


# What happens here.


def test_when_the_people_are_known_those_who_were_missed_are_told() -> None:
    condition = _condition(people_complete=False)
    planned = _plan(PeopleLearned(SPACE), **_known(condition, MIA))
    assert _told(planned) == ["ada"]
    assert planned.conditions[0].people_complete


def test_what_a_person_settled_is_over() -> None:
    condition = _condition(NoticeCode.TELEGRAM_BROKEN)
    planned = _plan(
        SettledByPerson(NoticeCode.TELEGRAM_BROKEN, MIA.user_id, Resolution.ENDED), **_known(condition, MIA)
    )
    assert planned.conditions[0].resolution is Resolution.ENDED


@pytest.mark.parametrize(("resolution", "follow_ups"), [(None, 0), (Resolution.RENEWED, 1), (Resolution.SUPERSEDED, 0)])
def test_a_message_that_left_while_it_became_untrue_is_followed_up(
    resolution: Resolution | None, follow_ups: int
) -> None:
    condition = _condition(resolution=resolution, resolved_at=NOW if resolution else None)
    planned = _plan(
        Delivered(EMAIL, (_notice(condition).notice_id,)),
        **_known(condition, MIA),
        reached=_reached(condition, EMAIL),
    )
    assert [(event.channel, event.version) for event in planned.events] == [(EMAIL, 2)]  # type: ignore[attr-defined]
    assert len(planned.deliveries) == follow_ups
    assert planned.conditions == ()
