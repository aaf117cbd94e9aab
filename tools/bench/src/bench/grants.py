"""The facts that oauth-svc tells about one connection: connected, dead, re-authorised."""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from uuid import UUID

from common.contracts import (
    AccountRef,
    DetectedBy,
    EventBody,
    IssuedHow,
    RevocationCause,
    TokenIssuedV1,
    TokenKind,
    TokenRef,
    TokenRevokedV1,
    TokenStateV1,
    TokenStatus,
)
from common.runtime.ids import new_id


@dataclass(slots=True)
class Grant:
    """A connection that is not there; its version rises with each fact."""

    workspace_id: UUID
    owner_user_id: UUID
    token_id: UUID = field(default_factory=new_id)
    account_id: UUID = field(default_factory=new_id)
    version: int = 0

    def connected(self) -> tuple[EventBody, ...]:
        """A consent was given."""
        return self._issued(IssuedHow.CONNECT)

    def reauthorized(self) -> tuple[EventBody, ...]:
        """A consent was given again."""
        return self._issued(IssuedHow.REAUTHORIZE)

    def died(self) -> tuple[EventBody, ...]:
        """The platform refused a refresh for good."""
        token = self._next()
        cause, seen = RevocationCause.USER_REVOKED, DetectedBy.REFRESH
        return (
            TokenRevokedV1(token=token, cause=cause, detected_by=seen),
            TokenStateV1(
                token=token, status=TokenStatus.REVOKED, since=datetime.now(UTC), cause=cause, detected_by=seen
            ),
        )

    def _issued(self, how: IssuedHow) -> tuple[EventBody, ...]:
        token = self._next()
        return (
            TokenIssuedV1(token=token, how=how),
            TokenStateV1(token=token, status=TokenStatus.ACTIVE, since=datetime.now(UTC)),
        )

    def _next(self) -> TokenRef:
        self.version += 1
        return TokenRef(
            token_id=self.token_id,
            kind=TokenKind.PLATFORM_OAUTH,
            provider="meta",
            workspace_id=self.workspace_id,
            owner_user_id=self.owner_user_id,
            version=self.version,
            accounts=(AccountRef(account_id=self.account_id, external_id="act_1", name="Northwind Germany"),),
        )
