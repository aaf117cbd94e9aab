"""Which path belongs to which service, and what a caller needs there. What is not listed is not public."""

from dataclasses import dataclass
from enum import StrEnum


class Guard(StrEnum):
    """What stands at the door of a path."""

    JWT = "jwt"
    """The session cookie is exchanged for a JWT; without a session the request ends here."""
    COOKIE = "cookie"
    """The service looks at the session cookie itself: sign-in, token, sign-out."""
    PAGE = "page"
    """As JWT, but a person navigates here: without a session they are sent to the sign-in page."""
    OPEN = "open"
    """No cookie and no JWT go in: webhooks and machine endpoints prove themselves otherwise."""


@dataclass(frozen=True, slots=True)
class PrefixRule:
    """Where a path goes."""

    prefix: str
    service: str
    guard: Guard
    check_origin: bool = True
    repeatable: bool = False
    """Whether an unsafe call may be repeated at another replica though one may have seen it."""
    begins_session: bool = False
    """Whether the call is for whoever has no session: it works without one, and where several differ."""


SESSION = "session-svc"
OAUTH = "oauth-svc"
WATCHER = "expiry-watcher"
PAUSER = "rule-pauser"
NOTIFIER = "notifier"

SERVICES = (SESSION, OAUTH, WATCHER, PAUSER, NOTIFIER)

# The first prefix that fits wins, so the narrower ones come first. A prefix fits whole path segments only.
RULES = (
    PrefixRule("/api/v1/auth/sign-in", SESSION, Guard.COOKIE, begins_session=True),
    PrefixRule("/api/v1/auth/sign-out", SESSION, Guard.COOKIE),
    PrefixRule("/api/v1/auth/token", SESSION, Guard.COOKIE, repeatable=True),  # a second JWT does no harm
    PrefixRule("/api/v1/auth/session", SESSION, Guard.COOKIE),
    PrefixRule("/api/v1/auth/password-reset", SESSION, Guard.COOKIE, begins_session=True),
    PrefixRule("/api/v1/auth", SESSION, Guard.JWT),
    PrefixRule("/api/v1/admin", SESSION, Guard.JWT),
    PrefixRule("/api/v1/people", SESSION, Guard.JWT),
    # The secret in the body of these is the proof; the person may have no session yet.
    PrefixRule("/api/v1/invitations/by-link", SESSION, Guard.OPEN),
    PrefixRule("/api/v1/invitations", SESSION, Guard.JWT),
    PrefixRule("/api/v1/memberships", SESSION, Guard.JWT),
    PrefixRule("/api/v1/connections", OAUTH, Guard.JWT),
    PrefixRule("/api/v1/accounts", OAUTH, Guard.JWT),
    PrefixRule("/api/v1/providers", OAUTH, Guard.JWT),
    PrefixRule("/api/v1/integrations", OAUTH, Guard.JWT),
    PrefixRule("/api/v1/data-gaps", OAUTH, Guard.JWT),
    PrefixRule("/api/v1/tokens", WATCHER, Guard.JWT),
    PrefixRule("/api/v1/rules", PAUSER, Guard.JWT),
    PrefixRule("/api/v1/notices", NOTIFIER, Guard.JWT),
    # A mail client posts here, without session and Origin (RFC 8058): the sealed token in the link is the proof.
    PrefixRule("/api/v1/notification-preferences/unsubscribe", NOTIFIER, Guard.OPEN, check_origin=False),
    PrefixRule("/api/v1/notification-preferences", NOTIFIER, Guard.JWT),
    PrefixRule("/api/v1/notification-channels", NOTIFIER, Guard.JWT),
    PrefixRule("/api/v1/telegram", NOTIFIER, Guard.JWT),
    PrefixRule("/webhooks/telegram", NOTIFIER, Guard.OPEN, check_origin=False),
    PrefixRule("/webhooks", OAUTH, Guard.OPEN, check_origin=False),
    PrefixRule("/connect", OAUTH, Guard.PAGE),
    PrefixRule("/.well-known/jwks.json", SESSION, Guard.OPEN, check_origin=False),
    PrefixRule("/.well-known/oauth-authorization-server", SESSION, Guard.OPEN, check_origin=False),
    PrefixRule("/oauth2", SESSION, Guard.OPEN, check_origin=False),
)

PUBLIC_PREFIXES = tuple(dict.fromkeys("/" + rule.prefix.split("/")[1] for rule in RULES))
"""The first segment of every public path."""


def rule_for(path: str) -> PrefixRule | None:
    """Return the rule of a path, or None if nothing there is public.

    A provider that answers by form post comes from its own origin, without our cookie (SameSite=Lax): its callback is
    protected by `state`, not by `Origin`.
    """
    for rule in RULES:
        if path == rule.prefix or path.startswith(rule.prefix + "/"):
            if rule.guard is Guard.PAGE and path.endswith("/callback"):
                return PrefixRule(rule.prefix, rule.service, rule.guard, check_origin=False)
            return rule
    return None
