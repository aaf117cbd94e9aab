"""How a link ends: the person unlinked it, replaced it, blocked the bot, or the chat is gone."""

from datetime import datetime

from common.contracts import DetectedBy, RevocationCause
from common.outbox import enqueue
from common.postgres import Connection
from notifier.channels.telegram import facts, store
from notifier.channels.telegram.rules import Link, LinkState
from notifier.operations.deps import SOURCE


async def breaks(connection: Connection, chat_id: int, detected_by: DetectedBy, now: datetime) -> int:
    """The bot was blocked or the chat is gone: its links are broken, and the events tell their people in the app."""
    links = await store.links_of_chat(connection, chat_id)
    for link in links:
        await end(connection, link, LinkState.BROKEN, RevocationCause.USER_REVOKED, detected_by, now)
    return len(links)


async def end(  # noqa: PLR0917  one link, and how it ended
    connection: Connection,
    link: Link,
    state: LinkState,
    cause: RevocationCause,
    detected_by: DetectedBy,
    now: datetime,
) -> None:
    """End one link, once, and say so."""
    if await store.end_link(connection, link.token_id, state, link.version + 1, now):
        await enqueue(connection, facts.revoked(link, cause, detected_by, now), source=SOURCE, now=now)
