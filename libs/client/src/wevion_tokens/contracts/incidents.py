"""A platform in trouble: one fact instead of hundreds."""

from typing import Annotated, Any
from uuid import UUID

from pydantic import BeforeValidator, Field, PlainSerializer, WithJsonSchema

from wevion_tokens.contracts.base import EventBody, FactTime, event
from wevion_tokens.contracts.vocabulary import (
    INCIDENT_REASONS,
    INCIDENT_VERDICTS,
    IncidentState,
    IncidentVerdict,
    Verdict,
)


def _read(value: Any) -> Any:
    """Return the verdict of a written reason; any other word is refused by the field's own rule."""
    return value if isinstance(value, Verdict) else INCIDENT_VERDICTS.get(value, "")


Reason = Annotated[
    IncidentVerdict,
    BeforeValidator(_read),
    PlainSerializer(lambda verdict: INCIDENT_REASONS[verdict], return_type=str),
    WithJsonSchema({"enum": list(INCIDENT_VERDICTS), "type": "string"}),
]
"""An incident's verdict, written as `INCIDENT_REASONS` says."""


@event("platform.incident")
class PlatformIncidentV1(EventBody):
    """Many tokens of one platform fail together. Key: `provider`."""

    incident_id: UUID
    provider: str
    state: IncidentState
    tokens_affected: int = Field(ge=0)
    since: FactTime
    workspace_ids: tuple[UUID, ...] = Field(default=(), description="the workspaces with connections to the provider")
    version: int = Field(ge=1, description="1 when opened; raised with each change of this incident")
    reason: Reason | None = Field(default=None, description="what tells an outage from a forced re-consent")

    def subject(self) -> str:
        return self.provider

    def aggregate_version(self) -> int:
        return self.version
