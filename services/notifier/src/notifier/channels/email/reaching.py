"""Whether mail reaches a person, as their settings show it, and the way out when a server refused their address."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from common import addresses
from common.contracts import NoticeChannel
from common.postgres import transaction
from notifier.channels.email import store
from notifier.channels.email.store import Refusal
from notifier.operations.deps import Deps
from notifier.operations.notices import Reader
from notifier.store import people


@dataclass(frozen=True, slots=True)
class Reach:
    """How a person is mailed. `set_up`: there is a mail server at all."""

    set_up: bool
    address: str = ""
    mailable: bool = False
    refusal: Refusal | None = None


async def reach(deps: Deps, reader: Reader, now: datetime) -> Reach:
    """Return what is known of the reader's address."""
    set_up = NoticeChannel.EMAIL in deps.channels
    async with transaction(deps.pool) as db:
        found = await people.of_pairs(db, [(reader.workspace_id, reader.user_id)])
        person = found.get((reader.workspace_id, reader.user_id))
        if person is None or not person.email:
            return Reach(set_up)
        refused = await store.refusal(db, reader.user_id, person.email, now)
    return Reach(set_up, person.email, _mailable(person.email), refused)


async def try_again(deps: Deps, user_id: UUID) -> None:
    """Forget that servers refused the person's addresses."""
    async with transaction(deps.pool) as db:
        await store.forgive(db, user_id)


def _mailable(address: str) -> bool:
    try:
        addresses.mailable(address)
    except addresses.AddressError:
        return False
    return True
