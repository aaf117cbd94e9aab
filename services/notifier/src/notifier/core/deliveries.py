"""A message to one person on one channel, and the lines that it gathers."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from common.contracts import NoticeChannel
from notifier.core.delivery import State
from notifier.core.notices import Notice

NOTHING = UUID(int=0)


class Kind(StrEnum):
    """What a message is for."""

    ALERT = "alert"
    FOLLOW_UP = "follow_up"
    DIRECT = "direct"


@dataclass(frozen=True, slots=True, kw_only=True)
class WantedDelivery:
    """One notice that should reach one reader on one channel. `gathers`: it may share a message with others."""

    notice_id: UUID
    user_id: UUID
    workspace_id: UUID
    channel: NoticeChannel
    kind: Kind
    due_at: datetime
    stage: str = ""
    edits: UUID = NOTHING
    gathers: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Claimed:
    """A delivery that this process may send until its lease ends. `epoch` fences every later write."""

    delivery_id: UUID
    epoch: int
    user_id: UUID
    workspace_id: UUID
    channel: NoticeChannel
    kind: Kind
    edits: UUID
    attempts: int
    first_tried_at: datetime
    due_at: datetime
    template: str = ""
    sealed: bytes | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One notice inside a delivery."""

    delivery_id: UUID
    purpose: Kind
    stage: str
    notice: Notice


@dataclass(frozen=True, slots=True, kw_only=True)
class Reached:
    """One notice that one message brought to one person."""

    notice_id: UUID
    user_id: UUID
    workspace_id: UUID
    channel: NoticeChannel
    delivery_id: UUID
    stage: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """The end of one attempt, to be written behind the fence."""

    delivery_id: UUID
    epoch: int
    state: State
    due_at: datetime | None
    attempts: int
    reason: str
    reference: str
