"""What one sweep decides about each deadline, whole; facts and lines of each event; names of stages at their limits."""

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from common.contracts import (
    AccountAccess,
    AccountAccessChangedV1,
    DetectedBy,
    IssuedHow,
    RevocationCause,
    TokenExpiredV1,
    TokenExpiringV1,
    TokenKind,
    TokenRef,
    TokenStatus,
)
from common.platforms import title_of
from common.runtime.ids import new_id
from common.testing.clock import DEFAULT_START as NOW
from expiry_watcher.core.errors import LadderRefusedError
from expiry_watcher.core.fixes import fix_for
from expiry_watcher.core.history import HistoryEvent, HistoryLine, What, line_of, told_apart, words
from expiry_watcher.core.inventory import TokenFact, fact_of
from expiry_watcher.core.ladder import EXPIRED_LEAD, Ladder
from expiry_watcher.core.plan import Announced, Due, WarningPlan, plan
from expiry_watcher.core.words import span

Stories = Callable[..., Any]
DAY, HOUR, SECOND = timedelta(days=1), timedelta(hours=1), timedelta(seconds=1)
LADDER = Ladder.parse(("7d", "1d"))
TOKEN = TokenRef(
    token_id=UUID(int=7),
    kind=TokenKind.PLATFORM_OAUTH,
    provider="meta",
    workspace_id=UUID(int=1),
    owner_user_id=UUID(int=2),
    version=3,
)
END = NOW + 30 * DAY
DUE = Due(
    token=TOKEN,
    status=TokenStatus.ACTIVE,
    since=NOW,
    token_expires_at=END,
    expires_at=END,
    due_at=END - 7 * DAY,
    mark=None,
    stages=None,
)


def swept(now: datetime, **more: Any) -> WarningPlan:
    return plan([replace(DUE, **more)], LADDER, now)


def test_a_stage_that_is_due_is_announced_marked_and_followed_by_the_next() -> None:
    now = END - 7 * DAY + 3 * SECOND
    assert swept(now) == WarningPlan(
        bodies=[TokenExpiringV1(token=TOKEN, stage="7d", expires_at=END, remaining_s=7 * 86_400 - 3)],
        said=[Announced("7d", 3 * SECOND)],
        marks={(TOKEN.token_id, END): 7 * DAY},
        next_due={TOKEN.token_id: END - DAY},
    )


def test_what_remains_is_told_in_whole_seconds_rounded_down() -> None:
    (body,) = swept(END - 7 * DAY + timedelta(milliseconds=1)).bodies
    assert isinstance(body, TokenExpiringV1)
    assert body.remaining_s == 7 * 86_400 - 1


def test_a_token_that_came_late_into_its_window_was_due_when_it_came() -> None:
    came = END - 3 * DAY
    assert swept(came + 2 * SECOND, due_at=came).said == [Announced("7d", 2 * SECOND)]
    assert swept(came, due_at=END - 7 * DAY).said == [Announced("7d", 4 * DAY)]
    late = END - DAY + SECOND
    assert swept(late, due_at=END - 7 * DAY).said == [Announced("1d", SECOND)], "the stage that it has become"


def test_full_expiry_is_announced_once_and_ends_the_deadline() -> None:
    assert swept(END + 2 * SECOND, mark=DAY, due_at=END) == WarningPlan(
        bodies=[TokenExpiredV1(token=TOKEN, expired_at=END)],
        said=[Announced("expired", 2 * SECOND)],
        marks={(TOKEN.token_id, END): EXPIRED_LEAD},
        finished=[TOKEN.token_id],
    )
    assert swept(END + 2 * SECOND, mark=DAY, due_at=END - DAY).said == [Announced("expired", 2 * SECOND)]
    assert swept(END + 2 * SECOND, due_at=END + SECOND).said == [Announced("expired", SECOND)]
    again = swept(END, mark=EXPIRED_LEAD)
    assert (again.bodies, again.marks, again.finished) == ([], {}, [TOKEN.token_id])
    assert again.suppressed == {"said_before": 1}


def test_what_is_not_due_yet_waits_without_a_mark() -> None:
    assert swept(END - 7 * DAY - SECOND) == WarningPlan(
        next_due={TOKEN.token_id: END - 7 * DAY},
        suppressed=Counter({"not_yet": 1}),
    )


def test_what_was_said_before_is_counted_and_not_said_again() -> None:
    found = plan([replace(DUE, mark=7 * DAY)] * 2, LADDER, END - 6 * DAY)
    assert (found.bodies, found.said, found.marks) == ([], [], {})
    assert found.suppressed == {"said_before": 2}
    assert found.next_due == {TOKEN.token_id: END - DAY}


def test_a_workspaces_own_ladder_counts_before_the_default() -> None:
    (body,) = swept(END - 2 * HOUR, stages=("2h",)).bodies
    assert isinstance(body, TokenExpiringV1)
    assert body.stage == "2h"


@pytest.mark.parametrize(
    ("more", "replanned", "finished"),
    [
        ({"token_expires_at": END + DAY}, {TOKEN.token_id: END + DAY}, []),
        ({"token_expires_at": None}, {}, [TOKEN.token_id]),
        ({"status": TokenStatus.REVOKED}, {}, [TOKEN.token_id]),
    ],
)
def test_a_deadline_that_is_not_the_tokens_is_set_anew_or_ended(
    more: dict[str, Any], replanned: dict[UUID, datetime], finished: list[UUID]
) -> None:
    found = plan([replace(DUE, **more), DUE], LADDER, END - DAY)
    assert (found.replanned, found.finished) == (replanned, finished)
    assert found.suppressed == {"not_current": 1}
    assert len(found.bodies) == 1, "the next one is decided all the same"


def test_the_first_stage_is_the_one_with_the_longest_lead() -> None:
    assert Ladder.parse(("1d", "60d", "6h")).first_due(END) == END - 60 * DAY


@pytest.mark.parametrize(
    ("names", "accepted"),
    [
        (("60d",), True),
        (("1440h",), True),
        (("1441h",), False),
        (("86400m",), True),
        (("86401m",), False),
        (("99999m",), False),
        (("0d",), False),
        (("01d",), False),
        (tuple(f"{n}h" for n in range(1, 13)), True),
        (tuple(f"{n}h" for n in range(1, 14)), False),
        (("60m", "1h"), False),
        (("59m", "1h"), True),
    ],
)
def test_a_ladder_has_twelve_stages_within_sixty_days_at_most(names: tuple[str, ...], *, accepted: bool) -> None:
    if accepted:
        assert len(Ladder.parse(names).stages) == len(names)
    else:
        with pytest.raises(LadderRefusedError):
            Ladder.parse(names)


def test_a_long_name_is_not_repeated_whole() -> None:
    with pytest.raises(LadderRefusedError, match=r"stage 'xxxxxxxxxxxxxxxxxxxx' is not"):
        Ladder.parse(("x" * 100,))


def test_each_event_says_what_it_says_and_no_more(story: Stories) -> None:
    token = story()
    at = NOW - HOUR
    issued, refreshed = token.issued(END, at=at), token.refreshed(None, at=at)
    revoked = token.revoked(RevocationCause.COMPROMISE, at=at)
    state = token.state(
        TokenStatus.EXPIRING, expires_at=END, access_expires_at=NOW, missing_scopes=("x",), cause=None, at=at
    )
    assert fact_of(issued) == TokenFact(issued.body.token, TokenStatus.ACTIVE, at, END, None)
    assert fact_of(refreshed) == TokenFact(refreshed.body.token, TokenStatus.ACTIVE, at, None, None)
    assert fact_of(revoked) == TokenFact(
        revoked.body.token, TokenStatus.REVOKED, at, None, None, RevocationCause.COMPROMISE, DetectedBy.WEBHOOK
    )
    assert fact_of(state) == TokenFact(
        state.body.token, TokenStatus.EXPIRING, at, END, NOW, missing_scopes=("x",), whole=True
    )
    lost = AccountAccessChangedV1(
        account=issued.body.token.accounts[0],
        token_id=token.token_id,
        workspace_id=UUID(int=1),
        owner_user_id=UUID(int=2),
        provider="meta",
        version=9,
        access=AccountAccess.LOST,
        cause=RevocationCause.PERMISSION_CHANGED,
    )
    other = replace(issued, body=lost)
    assert (fact_of(other), line_of(other)) == (None, None)


def test_each_event_has_its_line(story: Stories) -> None:
    token = story()
    at = NOW - HOUR
    end, now = END.isoformat(), NOW.isoformat()
    issued = token.issued(END, at=at)
    ref = issued.body.token
    events = {
        "issued": issued,
        "refreshed": token.refreshed(None, at=at),
        "revoked": token.revoked(at=at),
        "state": token.state(TokenStatus.EXPIRING, at=at, missing_scopes=("x", "y")),
        "warned": replace(issued, body=TokenExpiringV1(token=ref, stage="7d", expires_at=END, remaining_s=60)),
        "expired": replace(issued, body=TokenExpiredV1(token=ref, expired_at=NOW)),
    }
    told = {what: line_of(event) for what, event in events.items()}
    assert {
        what: (line.mark, line.at, line.detail) for what, line in told.items() if isinstance(line, HistoryLine)
    } == {
        "issued": ("1", at, {"how": "connect", "expires_at": end}),
        "refreshed": ("never", at, {}),
        "revoked": ("3", at, {"cause": "user_revoked", "detected_by": "webhook"}),
        "state": (f"expiring@{at.isoformat()}", at, {"status": "expiring", "missing": "x, y"}),
        "warned": (f"7d@{end}", at, {"stage": "7d", "expires_at": end, "remaining_s": "60"}),
        "expired": (now, at, {"expired_at": now}),
    }
    assert [line.what for line in told.values() if line] == list(What)


@pytest.mark.parametrize(
    ("what", "detail", "said"),
    [
        (
            What.ISSUED,
            {"how": IssuedHow.REAUTHORIZE},
            "Re-authorised at Google Ads; the same connection works again.",
        ),
        (What.REFRESHED, {}, "Refreshed silently."),
        (
            What.REFRESHED,
            {"expires_at": NOW.isoformat()},
            f"Refreshed silently. Full expiry: {NOW:%Y-%m-%d %H:%M} UTC.",
        ),
        (
            What.REVOKED,
            {"cause": "user_revoked", "detected_by": "report"},
            "Somebody removed Wevion at Google Ads (a service's call was refused).",
        ),
        (
            What.STATE,
            {"status": "degraded"},
            "Refreshes fail for now, but the connection is believed alive; we keep trying.",
        ),
        (
            What.WARNED,
            {"remaining_s": "86400", "stage": "1d"},
            "Warned that full expiry is near: 1 day left (stage 1d).",
        ),
        (What.EXPIRED, {"expired_at": NOW.isoformat()}, f"Reached full expiry at {NOW:%Y-%m-%d %H:%M} UTC."),
    ],
)
def test_a_line_in_words(what: What, detail: dict[str, str], said: str) -> None:
    assert words(HistoryEvent(what, 1, NOW, NOW, detail), "google-ads") == said


def test_a_refresh_that_was_repeated_says_when_last() -> None:
    last = NOW + DAY
    assert words(HistoryEvent(What.REFRESHED, 1, NOW, last, {}), "meta") == (
        f"Refreshed silently, most recently at {last:%Y-%m-%d %H:%M} UTC."
    )


def test_history_is_newest_first_and_by_version_within_a_moment() -> None:
    lines = [
        HistoryEvent(What.ISSUED, 1, NOW, NOW, {}),
        HistoryEvent(What.REFRESHED, 3, NOW, NOW, {}),
        HistoryEvent(What.REFRESHED, 2, NOW, NOW + SECOND, {}),
        HistoryEvent(What.STATE, 3, NOW, NOW + DAY, {}),
        HistoryEvent(What.STATE, 4, NOW, NOW, {}),
    ]
    assert [(line.what, line.version) for line in told_apart(lines)] == [
        (What.REFRESHED, 2),
        (What.STATE, 4),
        (What.REFRESHED, 3),
        (What.ISSUED, 1),
    ]


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (59, "less than a minute"),
        (60, "1 minute"),
        (120, "2 minutes"),
        (3_599, "59 minutes"),
        (3_600, "1 hour"),
        (86_399, "23 hours"),
        (86_400, "1 day"),
        (2 * 86_400, "2 days"),
    ],
)
def test_a_span_is_told_in_its_largest_whole_unit(seconds: int, said: str) -> None:
    assert span(timedelta(seconds=seconds)) == said
    assert title_of("a-b") == "A B"


def test_a_fix_names_the_platform_and_the_very_connection() -> None:
    token_id = new_id()
    fix = fix_for(TokenKind.PLATFORM_OAUTH, "meta", "http://g", token_id=token_id)
    assert fix.url == f"http://g/connect/meta?connection_id={token_id}"
    assert fix.words == "Re-authorise Meta: one consent renews all of its accounts."
    for provider in ("taboola", "outbrain"):
        entered = fix_for(TokenKind.PLATFORM_OAUTH, provider, "http://g", status=TokenStatus.REVOKED)
        assert entered.words == f"Enter new {title_of(provider)} credentials for this connection."
    unknown = fix_for(TokenKind.INTEGRATION, None, "http://g")
    assert unknown.words == "Re-authorise the integration in the settings; a workspace admin or owner can do it."
    degraded = fix_for(TokenKind.PLATFORM_OAUTH, None, "http://g", status=TokenStatus.DEGRADED)
    assert degraded.words == "Nothing to do: refreshes at the platform fail for now and are retried."
    ended = fix_for(TokenKind.SESSION, None, "http://g", cause=RevocationCause.SIGNED_OUT)
    assert ended.words == "Sign in again."
