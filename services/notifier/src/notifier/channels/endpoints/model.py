"""An endpoint as it is stored, and a parcel that goes there."""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from common.contracts import NoticeChannel, NoticeCode, TokenKind
from notifier.core.conditions import Fact
from notifier.operations.channel import Parcel


class EndpointState(StrEnum):
    """Whether messages are sent to an endpoint."""

    ON = "on"
    DISABLED = "disabled"


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """Where one channel of one workspace leads.

    Attributes:
        config: what people may be shown, such as the name of the Slack channel.
        sealed: the secrets, sealed under the notifier's keyring for this endpoint and version.
        reason: why it is disabled, in the channel's own code; empty while it is on.
        disablings: how often it was disabled.
        failing_since: since when no message was taken; None after a message that was.

    """

    endpoint_id: UUID
    workspace_id: UUID
    channel: NoticeChannel
    version: int
    config: dict[str, Any]
    sealed: bytes = field(repr=False)
    state: EndpointState = EndpointState.ON
    reason: str = ""
    disablings: int = 0
    failing_since: datetime | None = None
    updated_by: UUID
    updated_at: datetime

    @property
    def disabled_fact(self) -> Fact:
        """Return the fact that the endpoint is disabled, the last time that it was."""
        return Fact(
            code=NoticeCode.CHANNEL_DISABLED,
            subject_id=self.endpoint_id,
            episode=self.disablings,
            provider=self.channel.value,
            kind=TokenKind.INTEGRATION,
            workspace_id=self.workspace_id,
            owner_user_id=self.updated_by,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointParcel(Parcel):
    """One message to an endpoint. Its `address` is the workspace's id."""

    endpoint: Endpoint = field(repr=False)
