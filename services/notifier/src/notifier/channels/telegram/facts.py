"""The events of codes and links: both are tokens of kind `telegram_link`, each with its own life."""

from datetime import datetime
from uuid import UUID

from common.contracts import (
    DetectedBy,
    EventBody,
    IssuedHow,
    RevocationCause,
    TokenExpiredV1,
    TokenIssuedV1,
    TokenKind,
    TokenRef,
    TokenRevokedV1,
    TokenStateV1,
    TokenStatus,
)
from notifier.channels.telegram.rules import Code, Link

PROVIDER = "telegram"


def issued(token: Code | Link, how: IssuedHow, now: datetime) -> list[EventBody]:
    """A code was made (full expiry in a day), or a chat was linked (no expiry)."""
    expires_at = token.expires_at if isinstance(token, Code) else None
    ref = _ref(token, token.version)
    return [
        TokenIssuedV1(token=ref, how=how, expires_at=expires_at),
        TokenStateV1(token=ref, status=TokenStatus.ACTIVE, since=now, expires_at=expires_at),
    ]


def revoked(token: Code | Link, cause: RevocationCause, detected_by: DetectedBy, now: datetime) -> list[EventBody]:
    """A code was used, replaced or taken back; a link was ended. The version rises by one.

    Args:
        token: the code or the link.
        cause: why it ended.
        detected_by: how it came to be known.
        now: the present time, in UTC.

    """
    ref = _ref(token, token.version + 1)
    expires_at = token.expires_at if isinstance(token, Code) else None
    return [
        TokenRevokedV1(token=ref, cause=cause, detected_by=detected_by),
        TokenStateV1(
            token=ref,
            status=TokenStatus.REVOKED,
            since=now,
            expires_at=expires_at,
            cause=cause,
            detected_by=detected_by,
        ),
    ]


def expired(code: Code) -> list[EventBody]:
    """Nobody opened the code within its day."""
    ref = _ref(code, code.version + 1)
    return [
        TokenExpiredV1(token=ref, expired_at=code.expires_at),
        TokenStateV1(token=ref, status=TokenStatus.EXPIRED, since=code.expires_at, expires_at=code.expires_at),
    ]


def _ref(token: Code | Link, version: int) -> TokenRef:
    token_id: UUID = token.token_id
    return TokenRef(
        token_id=token_id,
        kind=TokenKind.TELEGRAM_LINK,
        provider=PROVIDER,
        workspace_id=token.workspace_id,
        owner_user_id=token.user_id,
        version=version,
    )
