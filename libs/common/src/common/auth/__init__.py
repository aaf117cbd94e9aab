"""Who calls, and whether they may: JWTs verified in the process, with revocations that arrive by Kafka."""

from common.auth.feed import RevocationFeed
from common.auth.keys import FixedKeys, JwksCache, Keys, KeysUnavailableError, parse_jwks
from common.auth.refusals import Denial, Reason, deny_impersonation, deny_role, deny_scope, refuse
from common.auth.revocations import JWT_LIFETIME_S, LEEWAY_S, Ending, RevocationSet, ending_for
from common.auth.service_tokens import ServiceTokens
from common.auth.verifier import ALGORITHM, Verifier, check

__all__ = [
    "ALGORITHM",
    "JWT_LIFETIME_S",
    "LEEWAY_S",
    "Denial",
    "Ending",
    "FixedKeys",
    "JwksCache",
    "Keys",
    "KeysUnavailableError",
    "Reason",
    "RevocationFeed",
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
