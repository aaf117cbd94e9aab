"""What every channel is: something that presents one parcel once and names the outcome."""

from dataclasses import dataclass, field
from typing import Protocol
from uuid import UUID

from common.contracts import NoticeChannel
from notifier.core.delivery import Outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class Parcel:
    """One message, addressed. Neither its address nor its words appear in a repr."""

    delivery_id: UUID
    address: str = field(repr=False)
    reader: str = field(default="", repr=False)
    subject: str = field(default="", repr=False)
    text: str = field(default="", repr=False)
    html: str = field(default="", repr=False)
    edits: str = ""
    unsubscribe_url: str = field(default="", repr=False)
    bulk: bool = True


class Channel(Protocol):
    """A way to a person outside of the app."""

    name: NoticeChannel
    repeat_is_recognised: bool
    """Whether the receiving side can tell a message that was presented twice (by its Message-ID)."""

    async def send(self, parcel: Parcel) -> Outcome:
        """Present the parcel. Never raises for what the other end does or fails to do."""
        ...

    async def close(self) -> None:
        """Let connections go."""
        ...
