"""What the log of states proves about a database that was restored to an earlier state.

`token.state` holds the newest version of each token. A version there is published after its transaction was committed,
so a database never is behind the log, unless it went back in time. What moved since then was presented by a database
that is gone: for us, that is an attempt whose outcome is not known, and each platform's rule for those decides.
"""

from dataclasses import replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Protocol

from common.contracts import TokenStateV1, TokenStatus
from oauth_svc.core.connection import RESTORED, Connection
from oauth_svc.core.flow import OnUnknown, Profile

UNSEEN = timedelta(seconds=30)
"""What the lost database did in so much time after the log's last record may never have been published."""


class LoggedState(Protocol):
    """What the log holds of a token: the newest version, whether it has ended and how, and its full expiry."""

    @property
    def version(self) -> int:
        """Return the version of the newest state."""
        ...

    @property
    def over(self) -> bool:
        """Return whether the token has ended."""
        ...

    @property
    def expires_at(self) -> datetime | None:
        """Return its full expiry."""
        ...

    @property
    def end(self) -> TokenStateV1 | None:
        """Return the whole state of a token that has ended."""
        ...


class LogStep(StrEnum):
    """What is done with a token that the log knows at a newer version."""

    RENEW = "renew"  # its credential may be presented as often as one likes: refresh and probe it now
    ASK = "ask"  # its credential may be spent: the platform's rule for unknown outcomes decides, and nothing before it
    END = "end"  # the log has its end, which this database does not know of
    LOST = "lost"  # it was authorised anew, and that credential is gone


def step(connection: Connection, profile: Profile, known: LoggedState) -> LogStep | None:
    """Return what is done with a connection, given what the log holds of it; None when it is not behind."""
    if known.version <= connection.version:
        return None
    if known.over:
        return LogStep.END
    if not connection.status.alive:
        return LogStep.LOST
    return LogStep.ASK if may_be_spent(profile) else LogStep.RENEW


def may_be_spent(profile: Profile) -> bool:
    """Return whether presenting an old credential may cost the grant, or cannot be known to cost nothing."""
    return profile.on_unknown is not OnUnknown.REPEAT


def brought_level(connection: Connection, known: LoggedState) -> Connection:
    """Return the connection at the log's version, so that consumers take what comes next.

    Of one that has ended, everything that the log tells of the end is taken over.
    """
    if known.end is not None:
        return replace(
            connection,
            version=known.version,
            status=known.end.status,
            since=known.end.since,
            cause=known.end.cause,
            detected_by=known.end.detected_by,
            expires_at=known.expires_at,
        )
    return replace(connection, version=known.version, expires_at=known.expires_at)


def alive_there(connection: Connection) -> Connection:
    """Return a connection that is dead here and lives in the log as the log has it: its end is told from there."""
    return replace(connection, status=TokenStatus.ACTIVE, cause=None, detected_by=None)


def released(connection: Connection) -> Connection:
    """Return a marked connection whose credential may be presented after all.

    Its end was cut to what is left of the access token; the answer to the next refresh states it anew, where there is
    one.
    """
    cut = connection.expires_at == connection.access_expires_at
    return replace(connection, last_failure=None, expires_at=None if cut else connection.expires_at)


def marked(connection: Connection) -> Connection:
    """Return a living connection whose credential is not presented before its platform's rule has said so."""
    return replace(connection, last_failure=RESTORED)
