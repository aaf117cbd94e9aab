"""Reasons as people read them."""

from common.contracts import provider_title

CAUSE_WORDS = {
    "user_revoked": "the user removed Wevion at {provider}",
    "permission_changed": "permissions at {provider} were changed",
    "platform_enforced": "{provider} requires a new consent",
    "compromise": "{provider} ended the connection after a compromise",
    "disconnected": "it was disconnected in Wevion",
    "superseded": "a newer connection took its place",
    "admin_forced": "an admin ended it",
}


def reason_words(why: str, provider: str, account_name: str, cause: str | None) -> str:
    """Why a rule cannot run on an account, as a sentence."""
    name = provider_title(provider)
    if why == "token_expired":
        return f"the {name} connection of {account_name} has reached full expiry."
    known = CAUSE_WORDS.get(cause or "")
    because = f": {known.format(provider=name)}" if known else ""
    if why == "platform_incident":
        return f"{name} has had trouble for a long time, and {account_name} cannot be relied on until it is over."
    if why == "access_lost":
        return f"access to the {name} account {account_name} was lost{because}."
    return f"the {name} connection of {account_name} has ended{because}."


def fix_words(why: str, provider: str, account_name: str) -> str:
    """What a person does about it."""
    name = provider_title(provider)
    if why == "platform_incident":
        return f"Nothing to do: its rules resume by themselves when {name} is well again."
    if why == "access_lost":
        return f"Get access to {account_name} back at {name}, then re-authorise the connection."
    return f"Re-authorise {name}; its rules resume by themselves."
