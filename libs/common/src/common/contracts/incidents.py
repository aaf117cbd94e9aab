"""A platform in trouble: one fact instead of hundreds."""

from uuid import UUID

from pydantic import Field

from common.contracts.base import EventBody, UtcDatetime, event
from common.contracts.vocabulary import IncidentReason, IncidentState


@event("platform.incident")
class PlatformIncidentV1(EventBody):
    """Many tokens of one platform fail together. Key: `provider`."""

    incident_id: UUID
    provider: str
    state: IncidentState
    tokens_affected: int = Field(ge=0)
    since: UtcDatetime
    workspace_ids: tuple[UUID, ...] = Field(default=(), description="the workspaces with connections to the provider")
    version: int = Field(ge=1, description="1 when opened; raised with each change of this incident")
    reason: IncidentReason | None = Field(default=None, description="what tells an outage from a forced re-consent")

    def subject(self) -> str:
        return self.provider

    def aggregate_version(self) -> int:
        return self.version
