"""What can happen to a connection. What follows from each is decided in `lifecycle`."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from common.contracts import (
    DetectedBy,
    IssuedHow,
    RefreshFailure,
    RevocationCause,
    Verdict,
)


@dataclass(frozen=True, slots=True)
class Refreshed:
    """A refresh succeeded and its answer is stored."""

    access_expires_at: datetime | None
    expires_at: datetime | None
    rotated: bool
    scopes_missing: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class RefreshFailed:
    """A refresh failed for now. `shorten_to` is set when only what is left of the access token remains."""

    class_: RefreshFailure
    code: str
    attempt: int
    retry_at: datetime | None
    incident_id: UUID | None = None
    shorten_to: datetime | None = None


@dataclass(frozen=True, slots=True)
class AskingFailed:
    """A call that is no refresh failed: nothing is known about the grant, and the trouble is shown.

    `call` says which (`probe`, `list`, or `report` for what a service was answered).
    """

    call: str
    verdict: Verdict
    code: str


@dataclass(frozen=True, slots=True)
class Revoked:
    """The grant ended before its time; `cause` is None where the platform does not say why."""

    cause: RevocationCause | None
    detected_by: DetectedBy
    code: str | None = None


@dataclass(frozen=True, slots=True)
class RanOut:
    """The platform says that the token is over by age; there is no culprit."""


@dataclass(frozen=True, slots=True)
class Doubted:
    """The platform refused the grant while many others are refused too: not believed until that is understood."""

    code: str


@dataclass(frozen=True, slots=True)
class Recaused:
    """A grant that ended turned out to be part of something larger than one person's doing."""

    cause: RevocationCause


@dataclass(frozen=True, slots=True)
class TimePassed:
    """The sweep found a connection whose window or end was reached."""


@dataclass(frozen=True, slots=True)
class Confirmed:
    """A probe found the grant alive; figures that it learned replace ours. None leaves a figure as it is."""

    expires_at: datetime | None = None
    access_expires_at: datetime | None = None
    scopes_missing: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class Authorized:
    """A person gave consent, for the first time or again."""

    how: IssuedHow
    owner_user_id: UUID
    subject_name: str
    access_expires_at: datetime | None
    expires_at: datetime | None
    scopes_missing: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Revived:
    """A platform's signal had ended it, and the platform itself says that it lives. None leaves a figure as it is."""

    expires_at: datetime | None = None
    access_expires_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class AccountsChanged:
    """The accounts under the grant are not what they were; the row already holds the new ones."""


Change = (
    Refreshed
    | RefreshFailed
    | AskingFailed
    | Revoked
    | RanOut
    | Doubted
    | Recaused
    | TimePassed
    | Confirmed
    | Authorized
    | Revived
    | AccountsChanged
)
