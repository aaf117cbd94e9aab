"""What a person does about a token, and where they click. One place, so that every answer says the same."""

from dataclasses import dataclass
from uuid import UUID

from common.contracts import RevocationCause, TokenKind, TokenStatus
from common.platforms import by_credentials, title_of


@dataclass(frozen=True, slots=True)
class Fix:
    """What to do, in words, and the link that does it; no link where there is nothing to click."""

    words: str
    url: str | None


def fix_for(  # noqa: PLR0911  one return per case reads as a table
    kind: TokenKind,
    provider: str | None,
    public_url: str,
    *,
    status: TokenStatus | None = None,
    cause: RevocationCause | None = None,
    token_id: UUID | None = None,
) -> Fix:
    """Return the fix for a token of this kind in this state; `status` None when the very token was not found.

    Args:
        kind: the token's kind.
        provider: the provider's id, such as `google-ads`; None for all.
        public_url: the origin that people's browsers use.
        status: the token's state; None when the very token was not found.
        cause: why it ended, if it did and that is known.
        token_id: the token; None for any of its kind.

    """
    if kind is TokenKind.SESSION:
        if cause is RevocationCause.IMPERSONATION_ENDED:
            return Fix("Acting as this user has ended: sign in again as the original admin.", f"{public_url}/sign-in")
        return Fix("Sign in again.", f"{public_url}/sign-in")
    if kind is TokenKind.TELEGRAM_LINK:
        return Fix("Create a new Telegram link and open it within 24 hours.", f"{public_url}/settings/notifications")
    if kind is TokenKind.INTEGRATION:
        name = title_of(provider) if provider else "the integration"
        return Fix(
            f"Re-authorise {name} in the settings; a workspace admin or owner can do it.",
            f"{public_url}/settings/integrations",
        )
    name = title_of(provider) if provider else "the platform"
    if status is TokenStatus.DEGRADED:
        return Fix(f"Nothing to do: refreshes at {name} fail for now and are retried.", None)
    if by_credentials(provider):
        return Fix(f"Enter new {name} credentials for this connection.", _connect(public_url, provider, token_id))
    return Fix(
        f"Re-authorise {name}: one consent renews all of its accounts.", _connect(public_url, provider, token_id)
    )


def _connect(public_url: str, provider: str | None, token_id: UUID | None) -> str:
    if provider is None:
        return f"{public_url}/connections"
    return f"{public_url}/connect/{provider}" + (f"?connection_id={token_id}" if token_id else "")
