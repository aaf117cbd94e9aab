"""When many refusals together are the platform's will, and when they are its error."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from common.contracts import RevocationCause, TokenKind, TokenStatus
from common.platforms.errors import rate_limited, reauthorize
from oauth_svc.core.connection import Connection
from oauth_svc.core.reconsent import Finding, belongs, enforced, is_surprise, weigh

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
WAIT = timedelta(minutes=2)


def connection(expires_at: datetime | None = None, last_good_at: datetime = NOW) -> Connection:
    return Connection(
        connection_id=UUID(int=1),
        workspace_id=UUID(int=2),
        provider="acme",
        kind=TokenKind.PLATFORM_OAUTH,
        subject="42",
        subject_name="Avery",
        owner_user_id=UUID(int=3),
        version=5,
        status=TokenStatus.ACTIVE,
        since=NOW,
        cause=None,
        detected_by=None,
        expires_at=expires_at,
        access_expires_at=None,
        scopes_missing=(),
        authorized_at=NOW,
        last_refreshed_at=None,
        last_good_at=last_good_at,
    )


@pytest.mark.parametrize(
    ("doubts", "same", "lives", "stands_for", "finding"),
    [
        (24, 0, 0, WAIT * 9, Finding.WAIT),
        (24, 2, 0, WAIT, Finding.WAIT),
        (24, 3, 0, WAIT - timedelta(seconds=1), Finding.WAIT),
        (24, 3, 0, WAIT, Finding.FORCED),
        (24, 3, 2, WAIT, Finding.FORCED),
        (24, 3, 3, WAIT, Finding.FORCED),
        (24, 3, 4, WAIT, Finding.ERROR),
        (24, 0, 1, timedelta(0), Finding.ERROR),
        (2, 2, 0, WAIT, Finding.FORCED),
        (2, 1, 0, WAIT, Finding.WAIT),
    ],
)
def test_the_platform_is_believed_when_it_says_it_again(
    doubts: int, same: int, lives: int, stands_for: timedelta, finding: Finding
) -> None:
    assert weigh(doubts, same, lives, stands_for, WAIT) is finding


def test_a_grant_whose_time_was_over_surprises_nobody() -> None:
    culprit, ran_out = reauthorize("x", RevocationCause.USER_REVOKED), reauthorize("x", ran_out=True)
    for expires_at, surprise in ((None, True), (NOW + timedelta(seconds=1), True), (NOW, False)):
        assert is_surprise(ran_out, connection(expires_at), NOW) is surprise
        assert is_surprise(culprit, connection(expires_at), NOW)
    assert not is_surprise(rate_limited("x"), connection(), NOW)


def test_the_platforms_narrower_word_stands() -> None:
    assert enforced(None) is enforced(RevocationCause.USER_REVOKED) is RevocationCause.PLATFORM_ENFORCED
    assert enforced(RevocationCause.COMPROMISE) is RevocationCause.COMPROMISE


def test_what_was_proved_good_since_did_not_go_with_it() -> None:
    assert belongs(connection(last_good_at=NOW), NOW + timedelta(seconds=1))
    assert not belongs(connection(last_good_at=NOW), NOW)
    assert not belongs(connection(), None)
