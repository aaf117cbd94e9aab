"""Where a gap begins."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from common.contracts import AccountAccess, TokenKind, TokenStatus
from oauth_svc.core.connection import Account, Connection
from oauth_svc.core.gaps import last_good_use, of_account, of_grant

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
ONE, TWO, THREE = (NOON + timedelta(hours=n) for n in (1, 2, 3))
ACCOUNT = Account(UUID(int=1), "a1", "Account 1", AccountAccess.GRANTED, NOON)
CONNECTION = Connection(
    connection_id=UUID(int=1),
    workspace_id=UUID(int=2),
    provider="acme",
    kind=TokenKind.PLATFORM_OAUTH,
    subject="42",
    subject_name="Avery",
    owner_user_id=UUID(int=3),
    version=5,
    status=TokenStatus.ACTIVE,
    since=NOON,
    cause=None,
    detected_by=None,
    expires_at=None,
    access_expires_at=None,
    scopes_missing=(),
    authorized_at=NOON,
    last_refreshed_at=None,
    last_good_at=TWO,
)


@pytest.mark.parametrize(
    ("served_at", "refused_at", "used_before", "good"),
    [
        (None, None, None, None),
        (TWO, None, ONE, TWO),
        (TWO, ONE, ONE, TWO),
        (TWO, TWO, ONE, ONE),
        (TWO, THREE, ONE, ONE),
        (TWO, THREE, None, None),
        (None, THREE, None, None),
    ],
)
def test_a_hand_out_counts_until_a_refusal_is_reported_after_it(
    served_at: datetime | None, refused_at: datetime | None, used_before: datetime | None, good: datetime | None
) -> None:
    assert last_good_use(served_at, refused_at, used_before) == good


def test_the_grant_was_good_while_anything_proved_it() -> None:
    assert of_grant(CONNECTION, ACCOUNT) == TWO
    assert of_grant(CONNECTION, replace(ACCOUNT, used_at=THREE)) == THREE
    assert of_grant(CONNECTION, replace(ACCOUNT, verified_at=THREE, used_at=ONE)) == THREE
    assert of_grant(CONNECTION, replace(ACCOUNT, verified_at=ONE, used_at=ONE)) == TWO


def test_one_account_was_good_while_it_was_itself_seen_or_used() -> None:
    assert of_account(replace(ACCOUNT, verified_at=ONE), THREE) == ONE
    assert of_account(replace(ACCOUNT, verified_at=ONE, used_at=TWO), THREE) == TWO
    assert of_account(ACCOUNT, TWO) == TWO, "never seen by itself, such as an imported one"
