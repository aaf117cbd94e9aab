"""Waiting, pacing and quiet, to the second; and what the events of a Telegram link say."""

from dataclasses import FrozenInstanceError, replace
from datetime import UTC, datetime, time, timedelta
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest

from common.contracts import (
    DetectedBy,
    IssuedHow,
    NoticeChannel,
    NoticeCode,
    RevocationCause,
    TokenExpiredV1,
    TokenIssuedV1,
    TokenKind,
    TokenRef,
    TokenRevokedV1,
    TokenStateV1,
    TokenStatus,
)
from notifier.channels.telegram import facts
from notifier.channels.telegram import rules as telegram
from notifier.core.channels import GIVE_UP_AFTER
from notifier.core.deliveries import NOTHING, Claimed, Finished, Kind, Line, Reached, WantedDelivery
from notifier.core.delivery import NextState, Outcome, SendOutcome, State, channel_waits_s, decide
from notifier.core.preferences import Preferences, QuietHours
from notifier.core.routing import History, Pace, Person, affected_by_incident, plan, recipients
from notifier.core.words import masked

NOW = datetime(2026, 9, 14, 12, 0, tzinfo=UTC)
EMAIL, TELEGRAM, APP = NoticeChannel.EMAIL, NoticeChannel.TELEGRAM, NoticeChannel.IN_APP
BERLIN = ZoneInfo("Europe/Berlin")


@pytest.mark.parametrize("answer", [SendOutcome.TRY_LATER, SendOutcome.CHANNEL_DOWN])
@pytest.mark.parametrize(("asked", "backoff", "waits"), [(None, 0.5, 0.5), (None, 0.0, 0.0), (0.0, 0.0, 0.0)])
def test_no_wait_is_made_up(answer: SendOutcome, asked: float | None, backoff: float, waits: float) -> None:
    verdict = decide(Outcome(answer, retry_after_s=asked), wait_s=backoff, give_up_at=NOW + GIVE_UP_AFTER, now=NOW)
    assert verdict.due_at == NOW + timedelta(seconds=waits)


def test_a_channel_that_is_down_waits_as_a_whole_and_a_message_that_is_late_alone() -> None:
    down = decide(
        Outcome(SendOutcome.CHANNEL_DOWN, retry_after_s=30), wait_s=10, give_up_at=NOW + GIVE_UP_AFTER, now=NOW
    )
    assert down == NextState(State.RETRY, NOW + timedelta(seconds=30), "channel_down")
    late = decide(Outcome(SendOutcome.TRY_LATER), wait_s=10, give_up_at=NOW + GIVE_UP_AFTER, now=NOW)
    assert late == NextState(State.RETRY, NOW + timedelta(seconds=10), "try_later")


@pytest.mark.parametrize(
    ("answer", "asked", "waits"),
    [
        (SendOutcome.CHANNEL_DOWN, 30.0, 30.0),
        (SendOutcome.CHANNEL_DOWN, 5.0, 10.0),
        (SendOutcome.CHANNEL_DOWN, None, 10.0),
        (SendOutcome.TRY_LATER, 5.0, 5.0),
        (SendOutcome.TRY_LATER, None, 0.0),
        (SendOutcome.HELD_BACK, 5.0, 0.0),
        (SendOutcome.ACCEPTED, None, 0.0),
    ],
)
def test_the_whole_channel_waits_for_what_is_said_of_the_channel(
    answer: SendOutcome, asked: float | None, waits: float
) -> None:
    assert channel_waits_s(Outcome(answer, retry_after_s=asked), wait_s=10.0) == waits


def test_what_is_given_up_is_over_and_says_nothing_of_the_address() -> None:
    verdict = decide(Outcome(SendOutcome.TRY_LATER), wait_s=1, give_up_at=NOW - timedelta(microseconds=1), now=NOW)
    assert verdict == NextState(State.FAILED, reason="gave_up")
    assert not verdict.address_dead


@pytest.mark.parametrize(
    ("quiet", "clock", "over"),
    [
        pytest.param((22, 7), (21, 59, 59), None, id="a second before the night"),
        pytest.param((22, 7), (22, 0, 0), (1, 7), id="the night begins"),
        pytest.param((22, 7), (6, 59, 59), (0, 7), id="its last second"),
        pytest.param((22, 7), (7, 0, 0), None, id="the morning"),
        pytest.param((12, 14), (12, 0, 0), (0, 14), id="noon begins"),
        pytest.param((12, 14), (13, 59, 59), (0, 14), id="its last second, by day"),
        pytest.param((12, 14), (14, 0, 0), None, id="noon is over"),
        pytest.param((12, 14), (23, 0, 0), None, id="the evening after"),
    ],
)
def test_quiet_begins_with_its_start_and_ends_before_its_end(
    quiet: tuple[int, int], clock: tuple[int, int, int], over: tuple[int, int] | None
) -> None:
    now = datetime(2026, 9, 14, *clock, tzinfo=BERLIN)
    expected = None
    if over is not None:
        days, hour = over
        expected = datetime(2026, 9, 14 + days, hour, tzinfo=BERLIN)
    assert QuietHours(time(quiet[0]), time(quiet[1])).over_at(now, BERLIN) == expected


def test_a_layer_fills_in_what_the_nearer_one_leaves_open() -> None:
    night, noon = QuietHours(time(22), time(7)), QuietHours(time(12), time(14))
    below = Preferences({(EMAIL, NoticeCode.DATA_GAP): True}, night, "UTC")
    assert Preferences().over(below) == below
    assert Preferences({}, noon, "Asia/Tokyo").over(below) == replace(below, quiet_hours=noon, time_zone="Asia/Tokyo")
    assert below.over(Preferences()) == below


@pytest.mark.parametrize("channel", [EMAIL, TELEGRAM])
def test_only_gaps_are_not_pushed_unless_somebody_asks(channel: NoticeChannel) -> None:
    assert [code for code in NoticeCode if not Preferences().wants(channel, code)] == [NoticeCode.DATA_GAP]
    assert Preferences({(channel, NoticeCode.DATA_GAP): True}).wants(channel, NoticeCode.DATA_GAP)
    assert not Preferences({(channel, NoticeCode.RULES_PAUSED): False}).wants(channel, NoticeCode.RULES_PAUSED)


MIA = Person(
    user_id=UUID(int=2), workspace_id=UUID(int=1), name="Mia", email="mia@x.example", role="member", time_zone="UTC"
)


def _due(
    *, preferences: Preferences | None = None, past: History | None = None, critical: bool = False, person: Person = MIA
) -> timedelta:
    (only,) = plan(
        NoticeCode.TOKEN_EXPIRING,
        critical=critical,
        person=person,
        preferences=preferences or Preferences(),
        reachable=(EMAIL, APP),
        history={} if past is None else {EMAIL: past},
        pace=Pace(),
        now=NOW,
    )
    assert only.channel is EMAIL
    return only.due_at - NOW


def test_quiet_is_judged_at_the_moment_of_sending_on_the_nearest_clock() -> None:
    starts_in_a_second = QuietHours(time(12, 0, 1), time(13))
    assert _due(preferences=Preferences(quiet_hours=starts_in_a_second)) == timedelta(hours=1)
    noon_in_berlin = QuietHours(time(14), time(15))
    assert _due(preferences=Preferences(quiet_hours=noon_in_berlin)) == timedelta(seconds=3)
    wished = Preferences(quiet_hours=noon_in_berlin, time_zone="Europe/Berlin")
    assert _due(preferences=wished) == timedelta(hours=1)
    lives_there = replace(MIA, time_zone="Europe/Berlin")
    assert _due(preferences=Preferences(quiet_hours=noon_in_berlin), person=lives_there) == timedelta(hours=1)


def test_the_longest_of_the_waits_counts() -> None:
    busy = History(NOW, sent_in_window=5)
    assert _due(past=busy) == timedelta(hours=1)
    assert _due(past=busy, critical=True) == timedelta(minutes=30)
    assert _due(past=History(NOW + timedelta(minutes=31), sent_in_window=5)) == timedelta(minutes=61)
    assert _due(past=History(NOW - timedelta(minutes=30), sent_in_window=4)) == timedelta(seconds=3)


def test_of_the_members_only_the_one_who_made_the_connection_is_told() -> None:
    members = [replace(MIA, user_id=UUID(int=number)) for number in (11, 12, 13)]
    assert recipients(members, UUID(int=12)) == (members[1],)
    assert recipients(members, None) == ()


def test_an_incident_tells_who_made_a_connection_and_who_administers() -> None:
    member, admin = MIA, replace(MIA, user_id=UUID(int=3), role="admin")
    stranger = replace(admin, user_id=UUID(int=4), workspace_id=UUID(int=9))
    gone = replace(admin, user_id=UUID(int=5), active=False)
    people = [gone, stranger, member, admin, replace(member, name="again")]
    owners = {UUID(int=1): frozenset({member.user_id, gone.user_id})}
    assert affected_by_incident(people, owners) == (member, admin)
    assert affected_by_incident([member], {UUID(int=1): frozenset({admin.user_id})}) == ()


CODE = telegram.Code(
    token_id=UUID(int=1),
    user_id=UUID(int=2),
    workspace_id=UUID(int=3),
    version=5,
    state=telegram.CodeState.WAITING,
    chat_id=77,
    expires_at=NOW + timedelta(days=1),
)
LINK = telegram.Link(
    token_id=UUID(int=1),
    user_id=UUID(int=2),
    workspace_id=UUID(int=3),
    chat_id=77,
    chat_name="@mia",
    version=5,
    state=telegram.LinkState.LINKED,
    linked_at=NOW,
)


def _ref(version: int) -> TokenRef:
    return TokenRef(
        token_id=UUID(int=1),
        kind=TokenKind.TELEGRAM_LINK,
        provider="telegram",
        workspace_id=UUID(int=3),
        owner_user_id=UUID(int=2),
        version=version,
    )


@pytest.mark.parametrize(("token", "ends"), [(CODE, CODE.expires_at), (LINK, None)])
def test_a_code_ends_by_itself_and_a_link_does_not(token: telegram.Code | telegram.Link, ends: datetime | None) -> None:
    assert facts.issued(token, IssuedHow.LINK_CREATED, NOW) == [
        TokenIssuedV1(token=_ref(5), how=IssuedHow.LINK_CREATED, expires_at=ends),
        TokenStateV1(token=_ref(5), status=TokenStatus.ACTIVE, since=NOW, expires_at=ends),
    ]
    cause, by = RevocationCause.UNLINKED, DetectedBy.USER
    assert facts.revoked(token, cause, by, NOW) == [
        TokenRevokedV1(token=_ref(6), cause=cause, detected_by=by),
        TokenStateV1(
            token=_ref(6), status=TokenStatus.REVOKED, since=NOW, expires_at=ends, cause=cause, detected_by=by
        ),
    ]


def test_a_code_that_nobody_opened_expired_when_its_day_was_over() -> None:
    assert facts.expired(CODE) == [
        TokenExpiredV1(token=_ref(6), expired_at=CODE.expires_at),
        TokenStateV1(token=_ref(6), status=TokenStatus.EXPIRED, since=CODE.expires_at, expires_at=CODE.expires_at),
    ]


def test_a_code_is_good_for_a_day_and_as_hard_to_guess_as_a_key() -> None:
    assert timedelta(hours=24) == telegram.CODE_LIFE
    assert telegram.CODE_BYTES == 32


def test_a_code_works_until_its_last_moment_and_only_in_the_chat_that_opened_it() -> None:
    last = CODE.expires_at - timedelta(microseconds=1)
    assert telegram.judge(CODE, chat_id=77, linked_to=None, now=last) is telegram.LinkOutcome.CONFIRM
    for other in (76, 78):
        assert telegram.judge(CODE, chat_id=other, linked_to=None, now=last) is telegram.LinkOutcome.FOREIGN
        used = replace(CODE, state=telegram.CodeState.USED)
        assert telegram.judge(used, chat_id=other, linked_to=UUID(int=2), now=last) is telegram.LinkOutcome.USED
    later = CODE.expires_at + timedelta(microseconds=1)
    assert telegram.judge(CODE, chat_id=77, linked_to=None, now=later) is telegram.LinkOutcome.EXPIRED
    for somebody_else in (UUID(int=1), UUID(int=3)):
        assert telegram.judge(CODE, chat_id=77, linked_to=somebody_else, now=last) is telegram.LinkOutcome.TAKEN


def test_an_update_says_only_what_it_holds() -> None:
    update = telegram.Incoming(1)
    assert (update.private, update.text, update.callback_id, update.gone) == (False, "", None, None)
    assert telegram.Button("Yes", "link:1").label == "Yes"


def test_a_name_of_one_letter_is_masked_too() -> None:
    assert masked("m@x.example") == "m***@x.example"
    assert masked("@x.example") == "***@x.example"


def test_a_delivery_once_decided_is_not_changed_in_passing() -> None:
    wanted = WantedDelivery(
        notice_id=UUID(int=1),
        user_id=UUID(int=2),
        workspace_id=UUID(int=3),
        channel=EMAIL,
        kind=Kind.ALERT,
        due_at=NOW,
    )
    assert (wanted.edits, wanted.stage) == (NOTHING, "")
    assert NOTHING.int == 0
    with pytest.raises(FrozenInstanceError):
        wanted.due_at = NOW  # type: ignore[misc]
    for kind in (Claimed, Finished, Line, Reached):
        with pytest.raises(TypeError, match="keyword-only argument"):
            kind()  # type: ignore[call-arg]
