"""What the channels of a whole workspace have in common: one endpoint, that may be disabled."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import ClassVar
from uuid import UUID

from common.contracts import NoticeChannel
from common.crypto import KeyEncryption
from common.postgres import Db
from common.runtime.errors import RetryableError
from notifier.channels.endpoints import managing, store
from notifier.channels.endpoints.model import Endpoint, EndpointParcel
from notifier.core.channels import ChannelReach
from notifier.core.deliveries import Claimed
from notifier.core.delivery import Outcome, SendOutcome
from notifier.core.routing import Person
from notifier.operations.deps import Deps

_FAILED = frozenset({SendOutcome.TRY_LATER, SendOutcome.UNKNOWN, SendOutcome.CHANNEL_DOWN})


class EndpointChannel(ABC):
    """A channel with one endpoint for each workspace.

    Attributes:
        disable_after: an endpoint that took no message for so long is disabled; None: only a final refusal does that.

    """

    name: ClassVar[NoticeChannel]
    audience: ClassVar = ChannelReach.WORKSPACE
    disable_after: ClassVar[timedelta | None] = None

    def __init__(self, deps: Deps, vault: KeyEncryption) -> None:
        self._deps = deps
        self.vault = vault

    @abstractmethod
    async def test(self, endpoint: Endpoint, now: datetime) -> Outcome:
        """Send a message that says that it is a test."""

    async def addresses(self, db: Db, readers: Sequence[Person]) -> Mapping[UUID, Endpoint]:
        """Return the endpoint of each reader that is a workspace with one that is not disabled."""
        wanted = [person.workspace_id for person in readers if person.user_id == person.workspace_id]
        if not wanted:
            return {}
        return {found.workspace_id: found for found in await store.living(db, self.name, wanted)}

    async def learn(
        self,
        db: Db,
        claimed: Claimed,
        parcel: EndpointParcel,
        outcome: Outcome,
        now: datetime,
    ) -> None:
        """Remember whether the endpoint takes messages; one that takes none for days is disabled.

        Args:
            db: the transaction that settles the deliveries.
            claimed: the deliveries, with their leases.
            parcel: the message that was sent.
            outcome: what the channel's other end answered.
            now: the present time, in UTC.

        """
        if outcome.answer is SendOutcome.ACCEPTED:
            if parcel.endpoint.failing_since is not None:
                await store.works(db, parcel.endpoint)
        elif outcome.answer in _FAILED:
            since = await store.fails(db, parcel.endpoint, now)
            if since is not None and self.disable_after is not None and now - since >= self.disable_after:
                await self.bury(db, claimed, parcel, outcome, now)

    async def bury(
        self,
        db: Db,
        claimed: Claimed,  # noqa: ARG002  see `Channel.bury`
        parcel: EndpointParcel,
        outcome: Outcome,
        now: datetime,
    ) -> None:
        """Disable the endpoint, and tell the workspace's admins.

        Args:
            db: the transaction that settles the deliveries.
            claimed: the deliveries, with their leases.
            parcel: the message that was sent.
            outcome: what the channel's other end answered.
            now: the present time, in UTC.

        """
        await managing.disable(db, self._deps, parcel.endpoint, outcome.detail, now)

    async def _secrets(self, endpoint: Endpoint) -> managing.Secrets | None:
        try:
            return await managing.open_secrets(self.vault, endpoint)
        except RetryableError:  # whoever keeps the keys is away
            return None
