"""Listings compared, and evidence weighed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import count
from typing import TYPE_CHECKING
from uuid import UUID

import pytest

from common.contracts import AccountAccess, RevocationCause, Verdict
from oauth_svc.core.accounts import compare
from oauth_svc.core.breaker import FleetEvidence
from oauth_svc.core.connection import Account, Listing, PlatformAccount

if TYPE_CHECKING:
    from collections.abc import Callable

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
BEFORE = NOW - timedelta(hours=2)
A1, A2, A3 = (PlatformAccount(f"a{n}", f"Account {n}") for n in (1, 2, 3))


def listing(*accounts: PlatformAccount, complete: bool = True) -> Listing:
    return Listing(accounts, complete=complete)


def known(*entries: PlatformAccount, access: AccountAccess = AccountAccess.GRANTED) -> list[Account]:
    return [
        Account(UUID(int=n), e.external_id, e.name, access, BEFORE, verified_at=BEFORE)
        for n, e in enumerate(entries, start=1)
    ]


def test_the_same_list_tells_nothing() -> None:
    found = compare(known(A1, A2), listing(A2, A1), NOW, lambda: UUID(int=9), last_good_at=BEFORE)
    assert found.told == ()
    assert [a.verified_at for a in found.accounts] == [NOW, NOW]


def test_a_missing_account_is_lost_alone_since_its_own_last_good_moment() -> None:
    """The grant was refreshed later, which proves nothing about this account."""
    refreshed = BEFORE + timedelta(minutes=30)
    found = compare(known(A1, A2), listing(A2), NOW, lambda: UUID(int=9), last_good_at=refreshed)
    (lost,) = found.told
    assert (lost.external_id, lost.access, lost.cause) == ("a1", AccountAccess.LOST, RevocationCause.PERMISSION_CHANGED)
    assert found.good_before == {lost.account_id: BEFORE}
    again = compare(found.accounts, listing(A2), NOW, lambda: UUID(int=9), last_good_at=NOW)
    assert again.told == ()


def test_listed_but_closed_is_lost_too() -> None:
    closed = PlatformAccount("a1", "Account 1", usable=False)
    (lost,) = compare(known(A1), listing(closed), NOW, lambda: UUID(int=9), last_good_at=BEFORE).told
    assert lost.access is AccountAccess.LOST


def test_back_again_joined_and_renamed() -> None:
    lost = known(A1, access=AccountAccess.LOST)
    (back,) = compare(lost, listing(A1), NOW, lambda: UUID(int=9), last_good_at=BEFORE).told
    assert (back.access, back.since, back.cause) == (AccountAccess.GRANTED, NOW, None)
    joined = compare(known(A1), listing(A1, A2), NOW, lambda: UUID(int=9), last_good_at=BEFORE)
    assert [a.external_id for a in joined.told] == ["a2"]
    first = compare([], listing(A1, A2), NOW, iter_ids(), last_good_at=BEFORE, first=True)
    assert first.told == (), "the accounts of a first consent are no news of their own"
    assert len(first.to_write) == 2
    renamed = compare(
        known(A1), listing(PlatformAccount("a1", "New name")), NOW, lambda: UUID(int=9), last_good_at=BEFORE
    )
    assert renamed.told == ()
    assert renamed.accounts[0].name == "New name"


def test_what_is_missing_in_an_incomplete_list_is_not_lost_and_not_confirmed() -> None:
    found = compare(known(A1, A2), listing(A2, A3, complete=False), NOW, iter_ids(), last_good_at=BEFORE)

    assert [(a.external_id, a.access, a.asked) for a in found.accounts] == [
        ("a1", AccountAccess.GRANTED, False),
        ("a2", AccountAccess.GRANTED, True),
        ("a3", AccountAccess.GRANTED, True),
    ]
    assert [a.external_id for a in found.told] == ["a3"]
    later = compare(found.accounts, listing(A1, A2, A3), NOW, iter_ids(), last_good_at=BEFORE)
    assert all(a.asked for a in later.accounts)


@pytest.mark.parametrize(("kept", "doubted"), [(0, True), (1, True), (2, False), (3, False)])
def test_a_list_is_doubted_when_more_than_half_is_missing(kept: int, doubted: bool) -> None:
    held = known(A1, A2, A3, PlatformAccount("a4", "Account 4"))
    seen = [PlatformAccount(a.external_id, a.name) for a in held[:kept]]
    found = compare(held, listing(*seen), NOW, iter_ids(), last_good_at=BEFORE)

    assert found.loses_most is doubted
    assert [a.access for a in found.without_losses(held).accounts] == [AccountAccess.GRANTED] * 4
    assert found.without_losses(held).told == ()


def iter_ids() -> Callable[[], UUID]:
    numbers = count(50)
    return lambda: UUID(int=next(numbers))


def evidence(*outcomes: Verdict | None, grants: int = 4) -> FleetEvidence:
    found = FleetEvidence(timedelta(seconds=60), grants)
    for number, verdict in enumerate(outcomes):
        found.note(UUID(int=number), verdict, NOW)
    return found


@pytest.mark.parametrize(
    ("outcomes", "trouble"),
    [
        ([Verdict.RETRY_LATER] * 4, Verdict.RETRY_LATER),
        ([Verdict.UNKNOWN_OUTCOME] * 4, Verdict.RETRY_LATER),
        ([Verdict.RATE_LIMITED] * 5, Verdict.RATE_LIMITED),
        ([Verdict.OUR_BUG] * 4, Verdict.OUR_BUG),
        ([Verdict.REAUTHORIZE] * 4, Verdict.REAUTHORIZE),
        ([Verdict.RETRY_LATER] * 3, None),
        ([Verdict.RETRY_LATER] * 4 + [None] * 2, None),
        ([Verdict.RETRY_LATER] * 8 + [None] * 2, Verdict.RETRY_LATER),
        ([Verdict.ACCOUNT_LOST_ACCESS] * 9, None),
        ([None] * 9, None),
        ([], None),
    ],
)
def test_many_unrelated_grants_convict_the_platform(outcomes: list[Verdict | None], trouble: Verdict | None) -> None:
    assert evidence(*outcomes).verdict(NOW) is trouble


def test_one_grant_failing_often_is_one_voice() -> None:
    found = FleetEvidence(timedelta(seconds=60), 4)
    for _ in range(50):
        found.note(UUID(int=1), Verdict.RETRY_LATER, NOW)
    assert found.verdict(NOW) is None
    assert found.affected() == 1


def test_old_evidence_is_forgotten() -> None:
    found = evidence(*[Verdict.RETRY_LATER] * 6)
    assert found.verdict(NOW + timedelta(seconds=60)) is Verdict.RETRY_LATER
    assert found.verdict(NOW + timedelta(seconds=61)) is None


def test_a_few_voices_are_a_suspicion_before_they_are_a_proof() -> None:
    found = evidence(*[Verdict.REAUTHORIZE] * 3, grants=8)
    assert found.verdict(NOW) is None
    assert found.verdict(NOW, voices=3) is Verdict.REAUTHORIZE
    assert evidence(*[Verdict.REAUTHORIZE] * 2, grants=8).verdict(NOW, voices=3) is None
    assert evidence(*[Verdict.REAUTHORIZE] * 2, grants=2).verdict(NOW, voices=3) is Verdict.REAUTHORIZE
    assert evidence(*[Verdict.REAUTHORIZE] * 3, None, grants=8).verdict(NOW, voices=3) is None
