"""Who calls, and whether they may: JWTs verified in the process, with revocations that arrive by Kafka.

What follows the revocations (`wevion_tokens.auth.feed`) needs the extra `events`; everything else here does not.
"""

from wevion_tokens.auth.access import Access, Actor, Audience, Principal
from wevion_tokens.auth.keys import FixedKeys, JwksCache, Keys, KeysUnavailableError, parse_jwks
from wevion_tokens.auth.refusals import Denial, Reason, deny_impersonation, deny_role, deny_scope, refuse
from wevion_tokens.auth.revocations import JWT_LIFETIME_S, LEEWAY_S, Ending, RevocationSet, ending_for
from wevion_tokens.auth.service_tokens import ServiceTokens
from wevion_tokens.auth.verifier import ALGORITHM, Verifier, check

__all__ = [
    "ALGORITHM",
    "JWT_LIFETIME_S",
    "LEEWAY_S",
    "Access",
    "Actor",
    "Audience",
    "Denial",
    "Ending",
    "FixedKeys",
    "JwksCache",
    "Keys",
    "KeysUnavailableError",
    "Principal",
    "Reason",
    "RevocationSet",
    "ServiceTokens",
    "Verifier",
    "check",
    "deny_impersonation",
    "deny_role",
    "deny_scope",
    "ending_for",
    "parse_jwks",
    "refuse",
]
