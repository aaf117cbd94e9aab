"""Why a token ended, in words: the one table that events, notices, rules, histories and pages read."""

from common.contracts import RevocationCause

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
}
"""A clause for each cause; None where the platform states none."""


def clause(cause: RevocationCause | None, name: str) -> str:
    """Why it ended, to stand inside a sentence. `name` is the platform's title."""
    return CLAUSES[cause].format(name=name)


def sentence(cause: RevocationCause | None, name: str) -> str:
    """Why it ended, as a sentence."""
    words = clause(cause, name)
    return f"{words[0].upper()}{words[1:]}."
