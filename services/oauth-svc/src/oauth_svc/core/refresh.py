"""A refresh's outcome -> what becomes of the grant: refreshed, tried later, held, or over.

The shell brings the outcome and the facts that it re-read under the row's lock; this module decides.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID

from common.contracts import DetectedBy, RevocationCause, Verdict
from common.platforms.errors import Failure, unknown_outcome
from oauth_svc.core.changes import Change, Doubted, RanOut, Refreshed, RefreshFailed, Revoked
from oauth_svc.core.flow import Flow, OnUnknown, Profile
from oauth_svc.core.grant import Secrets, TokenAnswer, earliest, missing_scopes, same_end
from oauth_svc.core.reconsent import LAPSE, enforced
from oauth_svc.core.schedule import OUR_BUG_PAUSE, refresh_at, retry_at

UNSTATED_LIFE = timedelta(hours=1)

SWAP_FLOOR = 1 / 30
"""A swap that does not move the end is not tried again sooner than this share of the time since the consent."""


def lacks_permission(profile: Profile, failure: Failure, granted: frozenset[str] | None) -> bool:
    """Return whether a list is refused because the person left out the permission for it, while the grant lives.

    Such a connection is whole but for that permission: it is shown as missing, and the link asks for that part only.
    """
    lacking = granted is not None and bool(missing_scopes(profile.needed_scopes, granted))
    return lacking and failure.verdict is Verdict.REAUTHORIZE and failure.cause is RevocationCause.PERMISSION_CHANGED


class AttemptState(StrEnum):
    """What an attempt row ends as."""

    PROMOTED = "promoted"
    FAILED = "failed"
    UNKNOWN = "unknown"
    SUPERSEDED = "superseded"


@dataclass(frozen=True, slots=True)
class Facts:
    """What the row says at the moment of the decision.

    `generation_now` differs from `generation_sent` when somebody else replaced the credential meanwhile.
    `unknown_before` counts earlier attempts with this very credential whose outcome was never learned. `proven`: the
    platform has answered this very credential before without replacing it, so it is no single-use one. `doubted`: the
    platform refuses so many that its word is not believed now; `in_reconsent`: it has enforced a new consent of all.
    """

    connection_id: UUID
    generation_sent: int
    generation_now: int
    attempt: int
    access_expires_at: datetime | None
    expires_at: datetime | None
    authorized_at: datetime
    unknown_before: int = 0
    proven: bool = False
    doubted: bool = False
    in_reconsent: bool = False
    last_refreshed_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Settlement:
    """What to write. `change` is None when there is nothing to tell (somebody else was faster)."""

    state: AttemptState
    change: Change | None
    refresh_at: datetime | None
    attempt: int
    outcome: str


def can_renew(profile: Profile, secrets: Secrets) -> bool:
    """Whether there is anything to present: a flow that renews, and for RFC 6749 a refresh token that was given."""
    if profile.flow is Flow.LASTING:
        return False
    return profile.flow is not Flow.REFRESH or secrets.refresh_token is not None


def renewed(
    profile: Profile,
    facts: Facts,
    answer: TokenAnswer,
    *,
    rotated: bool,
    scopes_missing: tuple[str, ...] | None = None,
) -> Settlement:
    """Return what to write when a token answer has arrived.

    For a swapped token the access token *is* the grant, so its end is the full expiry, together with whatever
    second clock was stored with the answer (`grant_expires_at`). An end that a swap did not move stays exactly what it
    was: rounded anew each time, it would be a new end to everybody who warns of it.

    Args:
        profile: what is known of the provider.
        facts: what the row says, read under its lock.
        answer: the token answer.
        rotated: it brought another refresh token.
        scopes_missing: permissions that are missing; None where the answer does not say.

    """
    if answer.expires_at is None and profile.flow is not Flow.SWAP:
        answer = replace(answer, expires_at=_life_goes_on(facts, answer.issued_at))
    access = answer.expires_at
    if profile.flow is Flow.SWAP:
        access = facts.access_expires_at if _unmoved(facts, answer) else access
        full = earliest(access, answer.grant_expires_at)
        if same_end(facts.expires_at, full, answer.issued_at):
            full = facts.expires_at
    else:
        full = answer.grant_expires_at or (facts.expires_at if facts.unknown_before == 0 else None)
    at = refresh_at(facts.connection_id, answer.issued_at, answer.expires_at)
    if profile.flow is Flow.SWAP and at is not None and _unmoved(facts, answer):
        at = _later_swap(facts, answer, at)
    return Settlement(
        state=AttemptState.PROMOTED,
        change=Refreshed(
            access_expires_at=access,
            expires_at=full,
            rotated=rotated,
            scopes_missing=scopes_missing,
        ),
        refresh_at=at,
        attempt=0,
        outcome="refreshed",
    )


def _life_goes_on(facts: Facts, issued_at: datetime) -> datetime | None:
    """Return when a token ends whose answer does not say so: it lives as long as the one before was said to.

    None where no end was ever stated. A life that cannot be told from what is stored is taken for an hour.
    """
    if facts.access_expires_at is None:
        return None
    life = facts.access_expires_at - (facts.last_refreshed_at or facts.authorized_at)
    return issued_at + (life if life > timedelta(0) else UNSTATED_LIFE)


def _unmoved(facts: Facts, answer: TokenAnswer) -> bool:
    return answer.expires_at is not None and same_end(facts.access_expires_at, answer.expires_at, answer.issued_at)


def _later_swap(facts: Facts, answer: TokenAnswer, at: datetime) -> datetime | None:
    """Return when a swap that moved nothing is tried again: ever more rarely, and never (None) close to the end."""
    if answer.expires_at is None:
        return None
    floor = (answer.expires_at - facts.authorized_at) * SWAP_FLOOR
    return None if at - answer.issued_at < floor else at


def failed(profile: Profile, facts: Facts, failure: Failure, now: datetime) -> Settlement:
    """Return what to write when the platform has refused, not answered, or answered nonsense.

    Args:
        profile: what is known of the provider.
        facts: what the row says, read under its lock.
        failure: what the platform answered.
        now: the present time, in UTC.

    """
    outcome = f"{failure.verdict.value}:{failure.code}"
    attempt = facts.attempt + 1
    if facts.generation_now != facts.generation_sent and failure.verdict is Verdict.REAUTHORIZE:
        # The refusal is about a credential that a sibling has replaced since: it proves nothing.
        return Settlement(AttemptState.SUPERSEDED, None, now, facts.attempt, outcome)
    match failure.verdict:
        case Verdict.REAUTHORIZE if facts.unknown_before and may_have_rotated(profile):
            # An earlier answer was lost, so this refusal may only say that the platform had rotated then.
            return _hold(facts, attempt, failure, AttemptState.FAILED)
        case Verdict.REAUTHORIZE:
            change = ended(
                failure,
                DetectedBy.REFRESH,
                doubted=facts.doubted,
                in_reconsent=facts.in_reconsent,
                after_unknown=facts.unknown_before > 0,
            )
            again = now + LAPSE if isinstance(change, Doubted) else None
            return Settlement(AttemptState.FAILED, change, again, attempt if again else 0, outcome)
        case Verdict.UNKNOWN_OUTCOME if failure.final or not may_repeat(profile, proven=facts.proven):
            return _hold(facts, attempt, failure, AttemptState.UNKNOWN)
        case Verdict.UNKNOWN_OUTCOME:
            return _later(facts, attempt, failure, now, AttemptState.UNKNOWN)
        case _:
            return _later(facts, attempt, failure, now, AttemptState.FAILED)


def outcome(profile: Profile, failure: Failure, *, sent: bool) -> Failure:
    """Return what a failed token request means for the credential that it presented.

    Trouble of the platform leaves open whether it has acted. Where a repetition may hurt, that is an unknown outcome,
    whatever the status was; a request that never left is only a delay, and a code that the platform itself gave for
    its refusal is one, also if no table knows it.
    """
    open_ = sent and failure.verdict is Verdict.RETRY_LATER and not failure.unrecognised
    return unknown_outcome(failure.code) if open_ and repetition_hurts(profile) else failure


def repetition_hurts(profile: Profile) -> bool:
    """Return whether presenting a credential once more can cost something: the grant, or one of a few logins."""
    return profile.flow is not Flow.SWAP and profile.on_unknown is not OnUnknown.REPEAT


def may_repeat(profile: Profile, *, proven: bool = False) -> bool:
    """Return whether the same credential may be presented after an unknown outcome (`Facts` says what `proven` is)."""
    if profile.on_unknown is OnUnknown.IF_PROVEN:
        return proven
    return profile.on_unknown is not OnUnknown.WAIT


SAYS_NOTHING = frozenset({"never_again", "interrupted", "spent"})
"""Codes of an unknown outcome that tell about our own past, and nothing about how the platform is now."""


def asks_first(profile: Profile, unknown_before: int) -> bool:
    """Return whether the platform must be asked about the token before it is presented again."""
    return unknown_before > 0 and profile.on_unknown in (
        OnUnknown.PROBE_THEN_REPEAT,
        OnUnknown.INTROSPECT,
    )


def may_have_rotated(profile: Profile) -> bool:
    """Return whether a lost answer may have held the only valid refresh token."""
    return profile.flow is Flow.REFRESH and profile.on_unknown is not OnUnknown.REPEAT


def _later(facts: Facts, attempt: int, failure: Failure, now: datetime, state: AttemptState) -> Settlement:
    at = retry_at(facts.connection_id, attempt, now, retry_after_s=failure.retry_after_s)
    if failure.verdict is Verdict.OUR_BUG:
        at = max(at, now + OUR_BUG_PAUSE)
    return Settlement(
        state=state,
        change=RefreshFailed(class_=failure.refresh_verdict, code=failure.code, attempt=attempt, retry_at=at),
        refresh_at=at,
        attempt=attempt,
        outcome=f"{failure.verdict.value}:{failure.code}",
    )


def _hold(facts: Facts, attempt: int, failure: Failure, state: AttemptState) -> Settlement:
    """Never present it again. The access token still works until its end, which is now the full expiry."""
    return Settlement(
        state=state,
        change=RefreshFailed(
            class_=Verdict.UNKNOWN_OUTCOME,
            code=failure.code,
            attempt=attempt,
            retry_at=None,
            shorten_to=facts.access_expires_at,
        ),
        refresh_at=None,
        attempt=attempt,
        outcome=f"{failure.verdict.value}:{failure.code}",
    )


def ended(
    failure: Failure,
    detected_by: DetectedBy,
    *,
    doubted: bool = False,
    in_reconsent: bool = False,
    after_unknown: bool = False,
) -> Change | None:
    """Return what a platform's own word means for the grant.

    Args:
        failure: What the platform answered.
        detected_by: How it was asked.
        doubted: Its word is not believed now.
        in_reconsent: It has enforced a new consent of all its users.
        after_unknown: An earlier answer was lost. The refusal may follow from that, so nobody is said to have removed
            anything.

    Returns:
        The change, or None for everything that is not the grant's end.

    """
    if failure.verdict is not Verdict.REAUTHORIZE:
        return None
    if doubted:
        return Doubted(failure.code)
    cause = enforced(failure.cause) if in_reconsent else failure.cause
    if failure.ran_out and cause is None:
        return RanOut()
    if after_unknown and cause is RevocationCause.USER_REVOKED:
        cause = None
    return Revoked(cause, detected_by, f"{failure.verdict.value}:{failure.code}")
