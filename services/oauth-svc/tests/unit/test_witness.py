"""What the log proves about one connection."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from common.contracts import RevocationCause, TokenKind, TokenStateV1, TokenStatus
from oauth_svc.core.changes import Refreshed, RefreshFailed, TimePassed
from oauth_svc.core.connection import RESTORED, Connection
from oauth_svc.core.flow import Flow, OnUnknown, Profile
from oauth_svc.core.lifecycle import apply
from oauth_svc.core.witness import LogStep, brought_level, marked, released, step
from wevion_tokens.contracts import Verdict

NOW = datetime(2026, 12, 1, tzinfo=UTC)
SOON = NOW + timedelta(hours=1)


@dataclass(frozen=True)
class Logged:
    """What the log holds."""

    version: int
    over: bool = False
    expires_at: datetime | None = None
    end: TokenStateV1 | None = None


def connection(status: TokenStatus = TokenStatus.ACTIVE) -> Connection:
    begun = Connection.begun(
        connection_id=UUID(int=1),
        workspace_id=UUID(int=2),
        provider="acme",
        kind=TokenKind.PLATFORM_OAUTH,
        subject="avery",
        subject_name="Avery",
        owner_user_id=UUID(int=3),
        now=NOW,
    )
    return replace(begun, version=5, status=status, access_expires_at=SOON)


def profile(rule: OnUnknown) -> Profile:
    return Profile("acme", "Acme Ads", TokenKind.PLATFORM_OAUTH, Flow.REFRESH, rule)


@pytest.mark.parametrize(
    ("status", "rule", "logged", "expected"),
    [
        (TokenStatus.ACTIVE, OnUnknown.WAIT, Logged(5), None),
        (TokenStatus.ACTIVE, OnUnknown.WAIT, Logged(5, over=True), None),
        (TokenStatus.ACTIVE, OnUnknown.WAIT, Logged(6), LogStep.ASK),
        (TokenStatus.DEGRADED, OnUnknown.INTROSPECT, Logged(6), LogStep.ASK),
        (TokenStatus.ACTIVE, OnUnknown.REPEAT, Logged(6), LogStep.RENEW),
        (TokenStatus.ACTIVE, OnUnknown.REPEAT, Logged(6, over=True), LogStep.END),
        (TokenStatus.REVOKED, OnUnknown.REPEAT, Logged(6, over=True), LogStep.END),
        (TokenStatus.REVOKED, OnUnknown.REPEAT, Logged(6), LogStep.LOST),
        (TokenStatus.EXPIRED, OnUnknown.WAIT, Logged(6), LogStep.LOST),
    ],
)
def test_what_is_done_with_one_that_is_behind(
    status: TokenStatus, rule: OnUnknown, logged: Logged, expected: LogStep | None
) -> None:
    assert step(connection(status), profile(rule), logged) is expected


def test_a_living_one_is_brought_to_the_logs_version_and_full_expiry_alone() -> None:
    before = connection()
    assert brought_level(before, Logged(9, expires_at=SOON)) == replace(before, version=9, expires_at=SOON)


def test_an_end_is_taken_over_as_the_log_has_it() -> None:
    end = TokenStateV1(
        token=connection().ref, status=TokenStatus.REVOKED, since=SOON, cause=RevocationCause.USER_REVOKED
    )
    level = brought_level(connection(), Logged(9, over=True, end=end))
    assert (level.version, level.status, level.since, level.cause) == (
        9,
        TokenStatus.REVOKED,
        SOON,
        RevocationCause.USER_REVOKED,
    )


def test_a_marked_one_keeps_its_mark_until_a_refresh_and_ends_with_its_true_cause() -> None:
    held = marked(connection())
    failed = RefreshFailed(Verdict.UNKNOWN_OUTCOME, "never_again", 1, None, shorten_to=SOON)
    after = apply(held, failed, NOW).connection
    assert (after.last_failure, after.expires_at) == (RESTORED, SOON)
    assert apply(after, Refreshed(SOON, None, rotated=True), NOW).connection.last_failure is None
    over = apply(after, TimePassed(), SOON).connection
    assert (over.status, over.cause) == (TokenStatus.REVOKED, RevocationCause.CREDENTIAL_LOST)
    assert apply(replace(after, last_failure=None), TimePassed(), SOON).connection.status is TokenStatus.EXPIRED


def test_a_released_one_has_the_end_that_the_next_answer_states() -> None:
    held = replace(marked(connection()), expires_at=SOON)
    assert released(held) == replace(held, last_failure=None, expires_at=None)
    later = replace(held, expires_at=SOON + timedelta(days=9))
    assert released(later) == replace(later, last_failure=None)
