"""A forced re-consent: the platform ends many grants at once. Told apart from an error of its that looks alike.

While many unrelated platform users are refused, no verdict is believed: each is kept as a *doubt*. After a while the
doubted grants are asked about again. The same word says that the platform means it; grants that live say that it erred.
"""

from datetime import datetime, timedelta
from enum import StrEnum

from common.contracts import RevocationCause, Verdict
from common.platforms.errors import Failure
from oauth_svc.core.connection import Connection

LAPSE = timedelta(hours=1)
"""A doubt that nobody settled is judged again after this: no grant is kept undecided for ever."""

SUSPICIOUS = 3
"""So many platform users refused together, and nearly nobody served, and no refusal is believed for now."""

VOICES = 3
"""So many doubted grants must be asked again before the platform is believed (fewer, if there are fewer)."""


class Word(StrEnum):
    """What the platform said when it was asked again about a doubted grant."""

    SAME = "same"
    LIVES = "lives"


class Finding(StrEnum):
    """What the doubts amount to."""

    WAIT = "wait"
    FORCED = "forced"
    ERROR = "error"


def weigh(doubts: int, same: int, lives: int, stands_for: timedelta, confirm_after: timedelta) -> Finding:
    """Forced only when time has passed, enough were asked again, and those that live are few.

    Args:
        doubts: how many grants are doubted.
        same: how many of them were refused with the same code.
        lives: how many of those that were asked again live.
        stands_for: how long the doubt has stood.
        confirm_after: how long it has to stand.

    """
    if lives > same:
        return Finding.ERROR
    if stands_for < confirm_after or same < min(VOICES, doubts):
        return Finding.WAIT
    return Finding.FORCED


def is_surprise(failure: Failure, connection: Connection, now: datetime) -> bool:
    """Return whether this refusal, if it came alone, would be read as a person's doing, and not as an expiry."""
    if failure.verdict is not Verdict.REAUTHORIZE:
        return False
    return not failure.ran_out or connection.expires_at is None or connection.expires_at > now


def enforced(cause: RevocationCause | None) -> RevocationCause:
    """Return the cause of a grant that ended in a forced re-consent: the narrower one, if the platform gave one."""
    return RevocationCause.PLATFORM_ENFORCED if cause in (None, RevocationCause.USER_REVOKED) else cause


def belongs(connection: Connection, since: datetime | None) -> bool:
    """Whether a grant that is found dead now went with the forced re-consent of `since`: not proved good after it."""
    return since is not None and connection.last_good_at < since
