"""Who may see which event live, and what of it a browser that was away has missed."""

import json
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

from common.contracts import (
    Event,
    EventBody,
    NoticeSentV1,
    PlatformIncidentV1,
    TokenEvent,
    TokenKind,
    TokenStateV1,
    TokenStatus,
)

OVERLAP = timedelta(seconds=5)
"""Two gateways read the same events in different orders; what lies this close to the last one seen is sent again."""

_PERSONAL = frozenset({TokenKind.SESSION, TokenKind.TELEGRAM_LINK})


@dataclass(frozen=True, slots=True)
class Viewer:
    """Who looks."""

    user_id: UUID
    workspace_id: UUID | None


@dataclass(frozen=True, slots=True)
class LiveEvent:
    """An event, rendered once for all who may see it.

    `user_id` set: only that person. Else `workspace_ids` set: everybody in one of them. Else: everybody.
    """

    event_id: UUID
    time: datetime
    wire: bytes
    user_id: UUID | None = None
    workspace_ids: frozenset[UUID] = frozenset()
    changed_session: UUID | None = None
    """The session whose JWT should be fetched anew after this."""

    def visible_to(self, viewer: Viewer) -> bool:
        """Return whether the viewer may see it."""
        if self.user_id is not None:
            return self.user_id == viewer.user_id
        return not self.workspace_ids or viewer.workspace_id in self.workspace_ids


def rendered(event: Event[EventBody]) -> LiveEvent:
    """Return an event as browsers get it, with those who may."""
    body = event.body
    user_id: UUID | None = None
    workspaces: frozenset[UUID] = frozenset()
    changed: UUID | None = None
    if isinstance(body, TokenEvent):
        workspaces = frozenset({body.token.workspace_id})
        if body.token.kind in _PERSONAL:
            user_id = body.token.owner_user_id
        if body.token.kind is TokenKind.SESSION and _changes_jwt(body):
            changed = body.token.token_id
    elif isinstance(body, NoticeSentV1):
        user_id = body.user_id
    elif isinstance(body, PlatformIncidentV1):
        workspaces = frozenset(body.workspace_ids)
    else:
        workspace_id = getattr(body, "workspace_id", None)
        if not isinstance(workspace_id, UUID):
            raise TypeError(f"{body.TYPE} does not say who may see it")
        workspaces = frozenset({workspace_id})
    wire = b"id: %s\nevent: %s\ndata: %s\n\n" % (str(event.id).encode(), body.TOPIC.encode(), hint(body))
    return LiveEvent(event.id, event.time, wire, user_id, workspaces, changed)


def hint(body: EventBody) -> bytes:
    """Return what tells a page what to read again. It is not the event, so nobody takes it for the truth."""
    said: dict[str, str | int] = {"id": body.subject(), "version": body.aggregate_version()}
    source: object = body.token if isinstance(body, TokenEvent) else body
    for name in ("kind", "provider", "account_id", "token_id", "rule_id", "notice_id", "incident_id", "code"):
        value = getattr(source, name, None)
        if value is not None:
            said[name] = str(value)
    for name in ("status", "state", "stage", "access", "cause"):
        value = getattr(body, name, None)
        if value is not None:
            said[name] = str(value)
    return json.dumps(said, separators=(",", ":")).encode()


def _changes_jwt(body: TokenEvent) -> bool:
    # Version 1 is the birth: there is no older JWT.
    return isinstance(body, TokenStateV1) and (body.token.version > 1 or body.status is not TokenStatus.ACTIVE)


class Recent:
    """The last events, for browsers that come back.

    Args:
        limit: how many are kept.

    """

    def __init__(self, limit: int) -> None:
        self._events: deque[LiveEvent] = deque(maxlen=limit)
        self._complete_since: datetime | None = None

    def begin(self, now: datetime) -> None:
        """From this moment on, nothing is missing."""
        if self._complete_since is None:
            self._complete_since = now

    def add(self, event: LiveEvent) -> None:
        """The newest one."""
        if self._events.maxlen == len(self._events):
            self._complete_since = self._events[0].time
        self._events.append(event)

    def since(self, last_id: str) -> Iterable[LiveEvent] | None:
        """Return what came after the event with this id; None if that cannot be said, so everything must be read again.

        Ids are UUIDv7: they hold their time, so this also works for an event that another gateway sent.
        """
        seen_at = time_of(last_id)
        if seen_at is None or self._complete_since is None or seen_at < self._complete_since:
            return None
        return [event for event in self._events if event.time > seen_at - OVERLAP and str(event.event_id) != last_id]


def time_of(event_id: str) -> datetime | None:
    """Return when a UUIDv7 was made (RFC 9562, section 5.7); None if it is none, or says a year that no clock shows."""
    try:
        parsed = UUID(event_id)
        return datetime.fromtimestamp((parsed.int >> 80) / 1000, UTC) if parsed.version == 7 else None  # noqa: PLR2004
    except ValueError:
        return None
