"""What is known of a platform's incident, and when it has lasted long enough to pause rules."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from common.contracts import IncidentState, PlatformIncidentV1


@dataclass(frozen=True, slots=True)
class Incident:
    """The newest incident of one platform; `pausing_at` is since when rules are paused for it."""

    incident_id: UUID
    version: int
    since: datetime
    open: bool
    pausing_at: datetime | None = None


def next_incident(known: Incident | None, body: PlatformIncidentV1) -> Incident | None:
    """Return the platform's incident after an event; None if the event is old news.

    A platform has one incident at a time. So a later one ends the one before it, also if its end was never heard of,
    and news of an earlier one is old news, whatever it says.
    """
    is_open = body.state is IncidentState.OPENED
    if known is None or (body.incident_id != known.incident_id and body.since > known.since):
        return Incident(body.incident_id, body.version, body.since, is_open)
    if body.incident_id != known.incident_id or body.version <= known.version:
        return None
    return Incident(known.incident_id, body.version, body.since, is_open, known.pausing_at if is_open else None)


def lasting(incident: Incident, pause_after: timedelta, now: datetime) -> bool:
    """Return whether rules are to be paused for an incident from now on; such a pause ends with the incident."""
    return incident.open and incident.pausing_at is None and incident.since + pause_after <= now
