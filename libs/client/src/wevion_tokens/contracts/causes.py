"""Why a token ended, in words: the one table that events, notices, rules, histories and pages read."""

from wevion_tokens.contracts import RevocationCause

CLAUSES: dict[RevocationCause | None, str] = {
    None: "{name} no longer accepts the access; it does not say why",
    RevocationCause.USER_REVOKED: "somebody removed Wevion at {name}",
    RevocationCause.PERMISSION_CHANGED: "a permission at {name} was taken away",
    RevocationCause.PLATFORM_ENFORCED: "{name} ended the access by itself and asks for a new consent",
    RevocationCause.COMPROMISE: "{name} ended the access for security reasons and asks for a new consent",
    RevocationCause.PASSWORD_CHANGED: "the password was changed, which ended the access",
    RevocationCause.DISCONNECTED: "it was disconnected in Wevion",
    RevocationCause.SIGNED_OUT: "it was signed out",
    RevocationCause.ADMIN_FORCED: "an admin ended it",
    RevocationCause.IMPERSONATION_ENDED: "acting as this user ended",
    RevocationCause.UNLINKED: "Telegram was unlinked",
    RevocationCause.USED: "the link was used",
    RevocationCause.SUPERSEDED: "a newer one took its place",
    RevocationCause.CREDENTIAL_LOST: "Wevion restored an older database and lost its access to {name}",
}
"""A clause for each cause; None where the platform states none."""


SESSIONS: dict[RevocationCause, str] = {
    RevocationCause.SIGNED_OUT: "It was signed out.",
    # The wire has one cause for both; only session-svc itself, asked with the cookie, can tell them apart.
    RevocationCause.ADMIN_FORCED: "An admin ended it, or disabled the account.",
    RevocationCause.PASSWORD_CHANGED: "The password was changed.",
    RevocationCause.PERMISSION_CHANGED: "The user's role or membership changed.",
    RevocationCause.USER_REVOKED: "The user ended it from another device.",
    RevocationCause.COMPROMISE: "It was ended for security.",
    RevocationCause.SUPERSEDED: "A newer session took its place.",
}
"""Why a session ended, as a sentence: there the words are about a person's sign-in and not about a platform."""


def clause(cause: RevocationCause | None, name: str) -> str:
    """Why it ended, to stand inside a sentence. `name` is the platform's title."""
    return CLAUSES[cause].format(name=name)


def sentence(cause: RevocationCause | None, name: str) -> str:
    """Why it ended, as a sentence."""
    words = clause(cause, name)
    return f"{words[0].upper()}{words[1:]}."
