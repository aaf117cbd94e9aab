"""Reasons as people read them."""

from common.contracts import RevocationCause
from common.platforms import clause, title_of


def reason_words(why: str, provider: str, account_name: str, cause: str | None) -> str:
    """Why a rule cannot run on an account, as a sentence.

    Args:
        why: the reason's kind.
        provider: the provider's id, such as `google-ads`.
        account_name: the account's name.
        cause: why its grant ended; None if that is not known.

    """
    name, known = title_of(provider), _cause(cause)
    because = "" if known is None else f": {clause(known, name)}"
    if why == "token_expired":
        return f"the {name} connection of {account_name} has reached full expiry."
    if why == "platform_incident":
        return f"{name} has had trouble for a long time, and {account_name} cannot be relied on until it is over."
    if why == "access_lost":
        return f"access to the {name} account {account_name} was lost{because}."
    return f"the {name} connection of {account_name} has ended: {clause(known, name)}."


def _cause(cause: str | None) -> RevocationCause | None:
    """Return a stored cause; one that this version does not know counts as not stated."""
    return RevocationCause(cause) if cause in set(RevocationCause) else None


def fix_words(why: str, provider: str, account_name: str) -> str:
    """Return what a person does about it."""
    name = title_of(provider)
    if why == "platform_incident":
        return f"Nothing to do: its rules resume by themselves when {name} is well again."
    if why == "access_lost":
        return f"Get access to {account_name} back at {name}, then re-authorise the connection."
    return f"Re-authorise {name}; its rules resume by themselves."
