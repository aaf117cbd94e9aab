"""One-off mails that another service asks for, such as a password reset. Their link is a secret."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from common.contracts import NoticeChannel
from common.crypto import Unsealable, associated_data
from common.postgres import Connection, transaction
from common.runtime.errors import Retryable
from common.runtime.ids import new_id
from notifier.core.deliveries import Claimed
from notifier.core.errors import NoMailChannel, UnknownPerson
from notifier.core.routing import Person
from notifier.operations.channel import AnyChannel, Direct, Message
from notifier.operations.deps import Deps
from notifier.store import deliveries, people

USABLE_FOR: Final = timedelta(hours=1)
"""A link in such a mail is short-lived; a mail that is later than this would only confuse."""


async def accept(
    deps: Deps, *, template: str, user_id: UUID, workspace_id: UUID | None, link: str, key: UUID | None, now: datetime
) -> UUID:
    """Take a message for delivery; returns its id. The link is sealed before it touches the database.

    A message with the `key` of an earlier one is that one.

    Raises:
        UnknownPerson: nobody we can ask about knows this user.
        NoMailChannel: no mail server or no keys are set up.
        Retryable: the person is not known here yet, and the directory is away.

    """
    if deps.vault is None or NoticeChannel.EMAIL not in deps.channels:
        raise NoMailChannel
    person = await _person(deps, user_id, now)
    delivery_id = key or new_id()
    async with transaction(deps.pool) as connection:
        await deliveries.add_direct(
            connection,
            delivery_id,
            user_id=user_id,
            workspace_id=workspace_id if workspace_id is not None else person.workspace_id,
            template=template,
            sealed=deps.vault.seal(link.encode(), associated_data("direct", delivery_id)),
            now=now,
        )
    deps.committed()
    return delivery_id


async def _person(deps: Deps, user_id: UUID, now: datetime) -> Person:
    """From session-svc, because an address may have changed; from our own list when it is away."""
    if deps.people is not None:
        try:
            found = await deps.people.person(user_id)
        except Retryable:
            pass
        else:
            if not found:
                raise UnknownPerson
            async with transaction(deps.pool) as connection:
                await people.upsert(connection, found)
                await people.want(connection, [person.workspace_id for person in found], now)
            return found[0]
    async with transaction(deps.pool) as connection:
        person = await people.anywhere(connection, user_id)
    if person is None:
        raise Retryable("nobody here knows this person, and session-svc does not answer")
    return person


async def open_direct(
    connection: Connection,
    deps: Deps,
    channel: AnyChannel,
    claimed: Sequence[Claimed],
    *,
    empty: list[tuple[Claimed, str]],
    now: datetime,
) -> list[Message]:
    """The claimed one-off messages, opened; those that cannot or should not go are added to `empty`."""
    ready = []
    for item in claimed:
        person = await people.anywhere(connection, item.user_id)
        active = person is not None and person.active
        addresses = await channel.addresses(connection, [person]) if person is not None and active else {}
        link = _open(deps, item)
        if now - item.first_tried_at > USABLE_FOR or link is None:
            empty.append((item, "too_old"))
        elif person is None or item.user_id not in addresses:
            empty.append((item, "unreachable"))
        else:
            direct = Direct(item.template, link)
            ready.append(Message(claimed=item, person=person, address=addresses[item.user_id], direct=direct))
    return ready


def _open(deps: Deps, item: Claimed) -> str | None:
    if deps.vault is None or item.sealed is None:
        return None
    try:
        return deps.vault.open_(item.sealed, associated_data("direct", item.delivery_id)).decode()
    except Unsealable:
        return None
