"""What every channel is: one protocol. A channel's folder below `channels/` holds all that is particular to it."""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, ClassVar, Protocol, TypeVar
from uuid import UUID

from common.contracts import NoticeChannel, NoticeCode
from common.postgres import Db
from common.runtime.retry import Backoff
from notifier.core.channels import ChannelLimits, ChannelReach
from notifier.core.deliveries import Claimed
from notifier.core.delivery import Outcome
from notifier.core.notices import Notice
from notifier.core.rendering import NoticeView, Words
from notifier.core.routing import Person

A_co = TypeVar("A_co", covariant=True)
P = TypeVar("P", bound="Parcel")


@dataclass(frozen=True, slots=True)
class Said:
    """One notice of a message: its facts as they are now, and its words for this reader."""

    notice: Notice
    view: NoticeView
    words: Words


@dataclass(frozen=True, slots=True, kw_only=True)
class Direct:
    """A one-off message, such as a password reset. Its link is a secret.

    Attributes:
        template: which words.
        link: where its button leads.
        to: the address, when the reader may be nobody whom we know.
        facts: names that its words mention.

    """

    template: str
    link: str = field(repr=False)
    to: str = field(default="", repr=False)
    facts: Mapping[str, str] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """What is to be said to one reader; the channel makes a parcel of it.

    Attributes:
        address: where the reader is, as `Channel.addresses` gave it.
        said: the notices; none in a one-off message.
        same: messages with an equal value here say the same words.
        follow_up: the message says that its notices are over.
        edits: the channel's own reference of the message that this one replaces; empty for a new one.

    """

    claimed: Claimed
    person: Person
    address: Any = field(repr=False)
    said: tuple[Said, ...] = ()
    same: Hashable = None
    follow_up: bool = False
    edits: str = ""
    direct: Direct | None = None

    @property
    def codes(self) -> tuple[NoticeCode, ...]:
        """Return the codes of the notices, each once."""
        return tuple(dict.fromkeys(said.view.code for said in self.said))


@dataclass(frozen=True, slots=True, kw_only=True)
class Parcel:
    """One message as a channel presents it. Neither its address nor its words appear in a repr."""

    delivery_id: UUID
    address: str = field(repr=False)
    edits: str = ""


class Channel(Protocol[A_co, P]):
    """A way to people outside of the app. `A_co` is its kind of address, `P` its kind of parcel."""

    name: ClassVar[NoticeChannel]
    audience: ClassVar[ChannelReach]
    limits: ClassVar[ChannelLimits]
    retry: Backoff
    """Waits between the attempts at one message."""

    async def addresses(self, db: Db, readers: Sequence[Person]) -> Mapping[UUID, A_co]:
        """Return where each of these readers can be reached now, by user id. A reader without an entry cannot be."""
        ...

    async def compose(self, messages: Sequence[Message], now: datetime) -> Sequence[P]:
        """Return one parcel for each message, in the same order."""
        ...

    async def send(self, parcel: P) -> Outcome:
        """Present the parcel once. Never raises for what the other end does or fails to do."""
        ...

    async def edit(self, parcel: P) -> Outcome:
        """Put the parcel in the place of the message that it `edits`. Called only if `limits.edits`."""
        ...

    async def learn(self, db: Db, claimed: Claimed, parcel: P, outcome: Outcome, now: datetime) -> None:
        """Remember what an outcome says about an address that is not dead: that it moved, or fails for long.

        Args:
            db: the transaction that settles the deliveries.
            claimed: the deliveries, with their leases.
            parcel: the message that was sent.
            outcome: what the channel's other end answered.
            now: the present time, in UTC.

        """
        ...

    async def bury(self, db: Db, claimed: Claimed, parcel: P, outcome: Outcome, now: datetime) -> None:
        """Remember that the address is dead: nothing more is sent there until it changes.

        Args:
            db: the transaction that settles the deliveries.
            claimed: the deliveries, with their leases.
            parcel: the message that was sent.
            outcome: what the channel's other end answered.
            now: the present time, in UTC.

        """
        ...

    async def close(self) -> None:
        """Let connections go."""
        ...


AnyChannel = Channel[Any, Any]
