"""One-off mails that another service asks for, such as a password reset. Their link is a secret."""

import json
from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

from common.contracts import NoticeChannel
from common.crypto import UnsealableError, associated_data
from common.postgres import Db, transaction
from common.runtime.errors import RetryableError
from common.runtime.ids import new_id
from notifier.core.deliveries import NOTHING, Claimed
from notifier.core.errors import NoMailChannel, UnknownPerson
from notifier.core.routing import Person
from notifier.operations.channel import AnyChannel, Direct, Message
from notifier.operations.deps import Deps
from notifier.store import deliveries, people

USABLE_FOR = {
    "password_reset": timedelta(hours=1),
    "invitation": timedelta(days=1),
    "mails_stopped": timedelta(days=1),
}
"""A mail that is later than this would only confuse: the link of a reset is short-lived."""


async def accept(
    deps: Deps, direct: Direct, *, user_id: UUID | None, workspace_id: UUID | None, key: UUID | None, now: datetime
) -> UUID:
    """Take a message for delivery. Its link is sealed before it touches the database.

    Args:
        deps: the parts of the service.
        direct: the message.
        user_id: who gets it; None where the message names an address.
        workspace_id: which workspace it is about, if one.
        key: of an earlier request with the same message; that message is this one.
        now: the present.

    Returns:
        The message's id.

    Raises:
        UnknownPerson: nobody we can ask about knows this user.
        NoMailChannel: no mail server or no keys are set up.
        RetryableError: the person is not known here yet, and the directory is away.

    """
    if deps.vault is None or NoticeChannel.EMAIL not in deps.channels:
        raise NoMailChannel
    if user_id is not None:
        person = await _person(deps, user_id, now)
        workspace_id = workspace_id if workspace_id is not None else person.workspace_id
    delivery_id = key or new_id()
    sealed = await deps.vault.wrap(_written(direct).encode(), associated_data("direct", delivery_id))
    async with transaction(deps.pool) as db:
        await deliveries.add_direct(
            db,
            delivery_id,
            user_id=user_id or NOTHING,
            workspace_id=workspace_id or NOTHING,
            template=direct.template,
            sealed=sealed,
            now=now,
        )
    deps.committed()
    return delivery_id


async def _person(deps: Deps, user_id: UUID, now: datetime) -> Person:
    """From session-svc, because an address may have changed; from our own list when it is away."""
    if deps.people is not None:
        try:
            found = await deps.people.person(user_id)
        except RetryableError:
            pass
        else:
            if not found:
                raise UnknownPerson
            async with transaction(deps.pool) as db:
                await people.upsert(db, found)
                await people.want(db, [person.workspace_id for person in found], now)
            return found[0]
    async with transaction(deps.pool) as db:
        person = await people.anywhere(db, user_id)
    if person is None:
        raise RetryableError("nobody here knows this person, and session-svc does not answer")
    return person


async def open_direct(
    db: Db,
    deps: Deps,
    channel: AnyChannel,
    claimed: Sequence[Claimed],
    *,
    empty: list[tuple[Claimed, str]],
    now: datetime,
) -> list[Message]:
    """Return the claimed one-off messages, opened; those that cannot or should not go are added to `empty`.

    Args:
        db: the connection or the transaction to use.
        deps: what opening needs.
        channel: the channel.
        claimed: the deliveries, with their leases.
        empty: takes those that do not go, with the reason.
        now: the present time, in UTC.

    """
    ready = []
    for item in claimed:
        direct = await _open(deps, item)
        if direct is None or now - item.first_tried_at > USABLE_FOR[item.template]:
            empty.append((item, "too_old"))
            continue
        person, address = await _reader(db, channel, item, direct)
        if address is None:
            empty.append((item, "unreachable"))
        else:
            ready.append(Message(claimed=item, person=person, address=address, direct=direct))
    return ready


async def _reader(db: Db, channel: AnyChannel, item: Claimed, direct: Direct) -> tuple[Person, object | None]:
    person = await people.anywhere(db, item.user_id)
    if direct.to:
        stranger = Person(user_id=item.user_id, workspace_id=item.workspace_id, name="", email=direct.to, role="")
        return stranger, direct.to
    if person is None or not person.active:
        return Person(user_id=item.user_id, workspace_id=item.workspace_id, name="", email="", role=""), None
    return person, (await channel.addresses(db, [person])).get(item.user_id)


def _written(direct: Direct) -> str:
    """Return what is sealed: the link alone, or (for a reader who may be a stranger) all that the mail needs."""
    if not direct.to:
        return direct.link
    return json.dumps({"link": direct.link, "to": direct.to, "facts": dict(direct.facts)})


async def _open(deps: Deps, item: Claimed) -> Direct | None:
    if deps.vault is None or item.sealed is None:
        return None
    try:
        opened = (await deps.vault.unwrap(item.sealed, associated_data("direct", item.delivery_id))).decode()
    except UnsealableError:
        return None
    if opened.startswith("{"):
        return Direct(template=item.template, **json.loads(opened))
    return Direct(template=item.template, link=opened)
