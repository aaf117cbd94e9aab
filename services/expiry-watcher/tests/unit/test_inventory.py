"""Facts, rounds, full expiry, pace and words."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest

from common.contracts import IssuedHow, RevocationCause, TokenKind, TokenStatus
from common.platforms import title_of
from common.testing.clock import DEFAULT_START as NOW
from expiry_watcher.core.fixes import fix_for
from expiry_watcher.core.history import HistoryEvent, What, line_of, told_apart, words
from expiry_watcher.core.inventory import fact_of, full_expiry, waves
from expiry_watcher.core.words import span

Stories = Callable[..., Any]


def test_rounds_apply_lower_ranks_first_and_a_token_once(story: Stories) -> None:
    one, two = story(), story()
    events = [one.issued(NOW), two.issued(NOW), one.refreshed(NOW), one.state(TokenStatus.ACTIVE), one.revoked()]
    rounds = waves([fact for event in reversed(events) if (fact := fact_of(event)) is not None])
    assert [len(members) for members in rounds] == [2, 1, 1, 1]
    ranks = [fact.rank for members in rounds for fact in members if fact.token.token_id == one.token_id]
    assert ranks == [(1, False), (2, False), (2, True), (3, False)]
    assert [fact.token.token_id for fact in rounds[0]] == sorted([one.token_id, two.token_id])


@pytest.mark.parametrize(
    ("kind", "status", "since", "expires_at", "expected"),
    [
        (TokenKind.PLATFORM_OAUTH, TokenStatus.ACTIVE, 0, 9, 9),
        (TokenKind.INTEGRATION, TokenStatus.DEGRADED, 0, 9, 9),
        (TokenKind.PLATFORM_OAUTH, TokenStatus.ACTIVE, 0, None, None),
        (TokenKind.PLATFORM_OAUTH, TokenStatus.REVOKED, 0, 9, None),
        (TokenKind.PLATFORM_OAUTH, TokenStatus.EXPIRED, 3, 9, 3),
        (TokenKind.PLATFORM_OAUTH, TokenStatus.EXPIRED, 9, 3, 3),
        (TokenKind.PLATFORM_OAUTH, TokenStatus.EXPIRED, 3, None, 3),
        (TokenKind.SESSION, TokenStatus.ACTIVE, 0, 9, None),
        (TokenKind.TELEGRAM_LINK, TokenStatus.ACTIVE, 0, 9, None),
    ],
)
def test_full_expiry(
    kind: TokenKind, status: TokenStatus, since: int, expires_at: int | None, expected: int | None
) -> None:
    def at(days: int | None) -> datetime | None:
        return None if days is None else NOW + timedelta(days=days)

    assert full_expiry(kind, status, NOW + timedelta(days=since), at(expires_at)) == at(expected)


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0, "less than a minute"), (60, "1 minute"), (7199, "1 hour"), (7200, "2 hours"), (86400 * 6.9, "6 days")],
)
def test_spans(seconds: float, said: str) -> None:
    assert span(timedelta(seconds=seconds)) == said


def test_titles() -> None:
    assert (title_of("google-ads"), title_of("my-crm")) == ("Google Ads", "My Crm")


def test_history_tells_each_fact_once_and_best(story: Stories) -> None:
    token = story()
    events = [
        token.issued(NOW, how=IssuedHow.CONNECT),
        token.state(TokenStatus.ACTIVE),
        token.revoked(RevocationCause.COMPROMISE),
        token.state(TokenStatus.REVOKED, missing_scopes=("ads_read",)),
    ]
    lines = [line for event in events if (line := line_of(event)) is not None]
    told = [HistoryEvent(line.what, line.token.version, line.at, line.at, line.detail) for line in lines]
    assert [line.what for line in told_apart(told)] == [What.REVOKED, What.STATE, What.ISSUED]
    assert [words(line, "meta") for line in told_apart(told)] == [
        "Meta ended the access for security reasons and asks for a new consent (Meta told us).",
        "Ended before its time. Missing permissions: ads_read.",
        "Connected to Meta. Full expiry: 2026-09-14 12:00 UTC.",
    ]


@pytest.mark.parametrize(
    ("kind", "provider", "more", "words_in", "url"),
    [
        (TokenKind.SESSION, None, {}, "Sign in again", "/sign-in"),
        (TokenKind.SESSION, None, {"cause": RevocationCause.IMPERSONATION_ENDED}, "original admin", "/sign-in"),
        (TokenKind.TELEGRAM_LINK, "telegram", {}, "new Telegram link", "/settings/notifications"),
        (TokenKind.INTEGRATION, "stripe", {}, "admin or owner", "/settings/integrations"),
        (TokenKind.PLATFORM_OAUTH, "meta", {}, "one consent renews all", "/connect/meta"),
        (TokenKind.PLATFORM_OAUTH, "taboola", {}, "credentials", "/connect/taboola"),
        (TokenKind.PLATFORM_OAUTH, None, {}, "the platform", "/connections"),
        (TokenKind.PLATFORM_OAUTH, "meta", {"status": TokenStatus.DEGRADED}, "Nothing to do", None),
    ],
)
def test_fixes(kind: TokenKind, provider: str | None, more: Any, words_in: str, url: str | None) -> None:
    fix = fix_for(kind, provider, "http://g", **more)
    assert words_in in fix.words
    assert fix.url == (None if url is None else f"http://g{url}")
