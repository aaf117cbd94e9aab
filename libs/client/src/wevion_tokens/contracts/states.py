"""The states of a token: one pure table, drawn in docs/architecture/token-states.md.

`active -> expiring -> expired`, `active|expiring|degraded -> revoked`, `* -> active` by re-authorisation;
`degraded` means that refreshes fail for now but the grant is believed alive.
"""

from enum import StrEnum

from wevion_tokens.contracts.vocabulary import TokenStatus


class Trigger(StrEnum):
    """What can happen to a token."""

    REFRESHED = "refreshed"
    WARNING_WINDOW = "warning_window"
    REFRESH_FAILING = "refresh_failing"
    FULL_EXPIRY = "full_expiry"
    REVOKED = "revoked"
    REAUTHORIZED = "reauthorized"


_S, _T = TokenStatus, Trigger

TRANSITIONS: dict[tuple[TokenStatus, Trigger], TokenStatus] = {
    (_S.ACTIVE, _T.REFRESHED): _S.ACTIVE,
    (_S.ACTIVE, _T.WARNING_WINDOW): _S.EXPIRING,
    (_S.ACTIVE, _T.REFRESH_FAILING): _S.DEGRADED,
    (_S.ACTIVE, _T.FULL_EXPIRY): _S.EXPIRED,
    (_S.ACTIVE, _T.REVOKED): _S.REVOKED,
    (_S.ACTIVE, _T.REAUTHORIZED): _S.ACTIVE,
    (_S.EXPIRING, _T.REFRESHED): _S.ACTIVE,
    (_S.EXPIRING, _T.WARNING_WINDOW): _S.EXPIRING,
    (_S.EXPIRING, _T.REFRESH_FAILING): _S.EXPIRING,
    (_S.EXPIRING, _T.FULL_EXPIRY): _S.EXPIRED,
    (_S.EXPIRING, _T.REVOKED): _S.REVOKED,
    (_S.EXPIRING, _T.REAUTHORIZED): _S.ACTIVE,
    (_S.DEGRADED, _T.REFRESHED): _S.ACTIVE,
    (_S.DEGRADED, _T.WARNING_WINDOW): _S.EXPIRING,
    (_S.DEGRADED, _T.REFRESH_FAILING): _S.DEGRADED,
    (_S.DEGRADED, _T.FULL_EXPIRY): _S.EXPIRED,
    (_S.DEGRADED, _T.REVOKED): _S.REVOKED,
    (_S.DEGRADED, _T.REAUTHORIZED): _S.ACTIVE,
    (_S.EXPIRED, _T.REAUTHORIZED): _S.ACTIVE,
    (_S.REVOKED, _T.REAUTHORIZED): _S.ACTIVE,
}
"""(state, trigger) -> next state. A pair that is not listed changes nothing: the dead stay dead until a person acts."""


def transition(current: TokenStatus, trigger: Trigger) -> TokenStatus:
    """Return the state after `trigger`. A trigger that does not apply to a dead token leaves it as it is."""
    return TRANSITIONS.get((current, trigger), current)
