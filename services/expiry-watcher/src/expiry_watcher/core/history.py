"""A token's history: which facts are worth a line, and that line in words."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from common.contracts import (
    DetectedBy,
    Event,
    EventBody,
    IssuedHow,
    RevocationCause,
    TokenExpiredV1,
    TokenExpiringV1,
    TokenIssuedV1,
    TokenRef,
    TokenRefreshedV1,
    TokenRevokedV1,
    TokenStateV1,
    TokenStatus,
)
from common.platforms import sentence, title_of
from expiry_watcher.core.words import span


class What(StrEnum):
    """The kinds of lines in a token's history."""

    ISSUED = "issued"
    REFRESHED = "refreshed"
    REVOKED = "revoked"
    STATE = "state"
    WARNED = "warned"
    EXPIRED = "expired"


@dataclass(frozen=True, slots=True)
class HistoryLine:
    """One line of a token's history.

    `mark` tells lines of one kind apart: a fact that is delivered again, or a refresh that changed nothing which
    a person would care about, falls on the line that is there and only moves `last_at`.
    """

    token: TokenRef
    what: What
    mark: str
    at: datetime
    detail: dict[str, str]


@dataclass(frozen=True, slots=True)
class HistoryEvent:
    """A stored line as it is read back."""

    what: What
    version: int
    first_at: datetime
    last_at: datetime
    detail: dict[str, str]


def line_of(event: Event[EventBody]) -> HistoryLine | None:
    """Return the line that an event adds to its token's history."""
    return line(event.body, event.time)


def line(told: EventBody, at: datetime) -> HistoryLine | None:  # noqa: PLR0911  one return per event type
    """Return the line that a fact adds to its token's history; `at` is when it happened."""
    match told:
        case TokenIssuedV1() as body:
            return HistoryLine(
                body.token,
                What.ISSUED,
                str(body.token.version),
                at,
                _detail(how=body.how, expires_at=body.expires_at),
            )
        case TokenRefreshedV1() as body:
            # One line per full-expiry date: an hourly refresh must not bury what matters.
            return HistoryLine(
                body.token, What.REFRESHED, _iso(body.expires_at), at, _detail(expires_at=body.expires_at)
            )
        case TokenRevokedV1() as body:
            detail = _detail(cause=body.known_cause, detected_by=body.detected_by)
            return HistoryLine(body.token, What.REVOKED, str(body.token.version), at, detail)
        case TokenStateV1() as body:
            detail = _detail(status=body.status, cause=body.cause, missing=", ".join(body.missing_scopes) or None)
            return HistoryLine(body.token, What.STATE, f"{body.status}@{_iso(body.since)}", body.since, detail)
        case TokenExpiringV1() as body:
            date = _iso(body.expires_at)
            detail = {"stage": body.stage, "expires_at": date, "remaining_s": str(body.remaining_s)}
            return HistoryLine(body.token, What.WARNED, f"{body.stage}@{date}", at, detail)
        case TokenExpiredV1() as body:
            date = _iso(body.expired_at)
            return HistoryLine(body.token, What.EXPIRED, date, at, {"expired_at": date})
        case _:
            return None


ISSUED_WORDS = {
    IssuedHow.SIGN_IN: "Signed in.",
    IssuedHow.IMPERSONATION: "A support admin began to act as this user.",
    IssuedHow.CONNECT: "Connected to {provider}.",
    IssuedHow.REAUTHORIZE: "Re-authorised at {provider}; the same connection works again.",
    IssuedHow.LINK_CREATED: "A Telegram link was created.",
}

DETECTED_WORDS = {
    DetectedBy.REFRESH: "seen when it was refreshed",
    DetectedBy.WEBHOOK: "{provider} told us",
    DetectedBy.REPORT: "a service's call was refused",
    DetectedBy.PROBE: "seen by a check",
    DetectedBy.USER: "by the user",
    DetectedBy.ADMIN: "by an admin",
}

STATE_WORDS = {
    TokenStatus.ACTIVE: "Working.",
    TokenStatus.EXPIRING: "In its last days: only re-authorising prevents full expiry.",
    TokenStatus.EXPIRED: "Reached full expiry.",
    TokenStatus.REVOKED: "Ended before its time.",
    TokenStatus.DEGRADED: "Refreshes fail for now, but the connection is believed alive; we keep trying.",
}


def words(told: HistoryEvent, provider: str) -> str:
    """Return a stored line as a sentence. Times in it are UTC; `first_at` and `last_at` travel beside it."""
    name, detail = title_of(provider), told.detail
    match told.what:
        case What.ISSUED:
            return ISSUED_WORDS[IssuedHow(detail["how"])].format(provider=name) + _until(detail)
        case What.REFRESHED:
            repeated = "" if told.first_at == told.last_at else f", most recently at {_clock(told.last_at)}"
            return f"Refreshed silently{repeated}." + _until(detail)
        case What.REVOKED:
            cause = sentence(RevocationCause(detail["cause"]) if "cause" in detail else None, name).removesuffix(".")
            seen = DETECTED_WORDS[DetectedBy(detail["detected_by"])].format(provider=name)
            return f"{cause} ({seen})."
        case What.STATE:
            missing = f" Missing permissions: {detail['missing']}." if "missing" in detail else ""
            return STATE_WORDS[TokenStatus(detail["status"])] + missing
        case What.WARNED:
            remaining = span(_seconds(detail["remaining_s"]))
            return f"Warned that full expiry is near: {remaining} left (stage {detail['stage']})."
        case What.EXPIRED:
            return f"Reached full expiry at {_clock(datetime.fromisoformat(detail['expired_at']))}."


def told_apart(lines: list[HistoryEvent]) -> list[HistoryEvent]:
    """Newest first, without the state lines that only repeat what a fact of the same version says better."""
    said = {line.version for line in lines if line.what is not What.STATE}
    kept = [
        line for line in lines if line.what is not What.STATE or line.version not in said or "missing" in line.detail
    ]
    return sorted(kept, key=lambda line: (line.last_at, line.version), reverse=True)


def _detail(**values: str | datetime | None) -> dict[str, str]:
    return {
        name: value.isoformat() if isinstance(value, datetime) else str(value)
        for name, value in values.items()
        if value is not None
    }


def _iso(moment: datetime | None) -> str:
    return "never" if moment is None else moment.isoformat()


def _clock(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%d %H:%M UTC")


def _seconds(text: str) -> timedelta:
    return timedelta(seconds=int(text))


def _until(detail: dict[str, str]) -> str:
    if "expires_at" not in detail:
        return ""
    return f" Full expiry: {_clock(datetime.fromisoformat(detail['expires_at']))}."
