"""How a link ends: the person unlinked it, replaced it, blocked the bot, or the chat is gone."""

from datetime import datetime

from common.contracts import DetectedBy, RevocationCause
from common.outbox import enqueue
from common.postgres import Db
from notifier.channels.telegram import facts, store
from notifier.channels.telegram.rules import Link, LinkState
from notifier.operations.deps import SOURCE


async def breaks(db: Db, chat_id: int, detected_by: DetectedBy, now: datetime) -> int:
    """The bot was blocked or the chat is gone: its links are broken, and the events tell their people in the app.

    Args:
        db: the connection or the transaction to use.
        chat_id: Telegram's id of the chat.
        detected_by: how it came to be known.
        now: the present time, in UTC.

    """
    links = await store.links_of_chat(db, chat_id)
    for link in links:
        await end(db, link, LinkState.BROKEN, RevocationCause.USER_REVOKED, detected_by, now)
    return len(links)


async def end(  # noqa: PLR0917  one link, and how it ended
    db: Db,
    link: Link,
    state: LinkState,
    cause: RevocationCause,
    detected_by: DetectedBy,
    now: datetime,
) -> None:
    """End one link, once, and say so.

    Args:
        db: the connection or the transaction to use.
        link: the link.
        state: what it is from now on.
        cause: why it ended.
        detected_by: how it came to be known.
        now: the present time, in UTC.

    """
    if await store.end_link(db, link.token_id, state, link.version + 1, now):
        await enqueue(db, facts.revoked(link, cause, detected_by, now), source=SOURCE, now=now)
