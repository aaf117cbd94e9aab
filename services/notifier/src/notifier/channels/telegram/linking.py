"""Link a chat to a person and keep it linked: codes, confirmations, blocks, unlinking from both sides."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from hashlib import sha256
from uuid import UUID

from common.contracts import DetectedBy, EventBody, IssuedHow, NoticeCode, RevocationCause
from common.crypto import UnsealableError, associated_data
from common.outbox import enqueue
from common.postgres import Db, transaction
from common.runtime.ids import new_id, random_token
from notifier import metrics
from notifier.channels.telegram import ending, facts, rules, sessions, store
from notifier.channels.telegram.rules import Code, CodeState, Link, LinkOutcome, LinkState
from notifier.core.conditions import Resolution
from notifier.core.errors import NoTelegramLink, TooManyTelegramLinks
from notifier.core.plans import SettledByPerson
from notifier.core.words import masked
from notifier.operations import telling
from notifier.operations.deps import SOURCE, Deps
from notifier.operations.notices import Reader
from notifier.store import people

KEEP_UPDATES = timedelta(days=3)
EXPIRE_BATCH = 200


class LinkStanding(StrEnum):
    """What a person's settings page shows."""

    NONE = "none"
    WAITING = "waiting"
    LINKED = "linked"
    BROKEN = "broken"


@dataclass(frozen=True, slots=True)
class LinkStatus:
    """Whether and where Telegram messages reach a person."""

    state: LinkStanding
    chat_name: str | None = None
    linked_at: datetime | None = None
    expires_at: datetime | None = None
    code: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Opened:
    """Who asks: a chat and the person in it, as Telegram names them."""

    chat_id: int
    chat_name: str
    private: bool


@dataclass(frozen=True, slots=True)
class Said:
    """What the chat is answered. `token_id`: the code that the buttons of a question are about."""

    answer: LinkOutcome
    token_id: UUID | None = None
    account: str = ""
    name: str = ""


async def create_link(deps: Deps, reader: Reader, now: datetime) -> tuple[str, datetime]:
    """Return a new one-time code and its full expiry. An earlier one of the person ends.

    Raises:
        TooManyTelegramLinks: the person made many within the hour.

    """
    secret = random_token(rules.CODE_BYTES)
    made = Code(
        token_id=new_id(),
        user_id=reader.user_id,
        workspace_id=reader.workspace_id,
        version=1,
        state=CodeState.WAITING,
        chat_id=None,
        expires_at=now + rules.CODE_LIFE,
    )
    async with transaction(deps.pool) as db:
        await store.lock_person(db, reader.user_id)
        recent = await store.made_since(db, reader.user_id, now - rules.LINKS_WINDOW)
        if len(recent) >= rules.MOST_LINKS:
            raise TooManyTelegramLinks(recent[-rules.MOST_LINKS] + rules.LINKS_WINDOW - now)
        await _end_waiting(db, reader.user_id, RevocationCause.SUPERSEDED, now)
        sealed = await deps.vault.wrap(secret.encode(), _aad(made.token_id)) if deps.vault is not None else None
        origin = store.CodeOrigin(_digest(secret), sealed, reader.session_id, reader.epoch)
        await store.add_code(db, made, origin, now)
        await _emit(db, facts.issued(made, IssuedHow.LINK_CREATED, now), now)
    deps.committed()
    return secret, made.expires_at


async def status(deps: Deps, reader: Reader, now: datetime) -> LinkStatus:
    """Return the person's living link, else a code that waits (shown to that person), else a link that broke."""
    async with transaction(deps.pool) as db:
        link = await store.link_of(db, reader.user_id)
        code = await store.waiting_code(db, reader.user_id)
        sealed = await store.sealed_code(db, code.token_id) if code is not None else None
    if link is not None and link.state is LinkState.LINKED:
        return LinkStatus(LinkStanding.LINKED, link.chat_name, link.linked_at)
    if code is not None and now < code.expires_at:
        return LinkStatus(
            LinkStanding.WAITING, expires_at=code.expires_at, code=await _open(deps, code.token_id, sealed)
        )
    if link is not None and link.state is LinkState.BROKEN:
        return LinkStatus(LinkStanding.BROKEN, link.chat_name, link.linked_at)
    return LinkStatus(LinkStanding.NONE)


async def unlink(deps: Deps, reader: Reader, now: datetime) -> None:
    """End the person's link and any code that waits.

    Raises:
        NoTelegramLink: there is neither.

    """
    async with transaction(deps.pool) as db:
        await store.lock_person(db, reader.user_id)
        cancelled = await _end_waiting(db, reader.user_id, RevocationCause.UNLINKED, now)
        link = await store.link_of(db, reader.user_id)
        ended = link is not None and link.state is LinkState.LINKED
        if link is not None and ended:
            await ending.end(db, link, LinkState.UNLINKED, RevocationCause.UNLINKED, DetectedBy.USER, now)
        await store.forget_broken(db, reader.user_id)
        await _close_notices(db, deps, reader.user_id, Resolution.ENDED, now)
    if not (ended or cancelled or (link is not None and link.state is LinkState.BROKEN)):
        raise NoTelegramLink
    deps.committed()


async def open_code(db: Db, secret: str, opened: Opened, now: datetime) -> Said:
    """Somebody opened a link: ask them to confirm the account, or say why not.

    Args:
        db: the connection or the transaction to use.
        secret: what the link held.
        opened: the chat that opened it.
        now: the present time, in UTC.

    """
    code = await store.code_by_digest(db, _digest(secret))
    if code is not None:
        await store.lock_person(db, code.user_id)
        code = await store.code(db, code.token_id)
    if not opened.private:
        # Everybody in the group has read the code now: nobody is to use it.
        if code is not None and code.state is CodeState.WAITING:
            await sessions.cancel(db, code, now)
        return Said(LinkOutcome.GROUP)
    answer = rules.judge(code, chat_id=opened.chat_id, linked_to=await _linked_to(db, opened), now=now)
    if code is None or answer is not LinkOutcome.CONFIRM:
        return Said(answer)
    await store.bind_code(db, code.token_id, opened.chat_id)
    person = (await people.of_pairs(db, [(code.workspace_id, code.user_id)])).get((code.workspace_id, code.user_id))
    account = masked(person.email) if person is not None else ""
    return Said(answer, code.token_id, account, person.name if person is not None else "")


async def press(db: Db, deps: Deps, pressed: tuple[str, UUID], opened: Opened, now: datetime) -> Said:
    """Somebody pressed a button under our question. The code is judged again: time has passed.

    Args:
        db: the connection or the transaction to use.
        deps: what the operations of the service work with.
        pressed: which button, and of which code.
        opened: the chat in which it was pressed.
        now: the present time, in UTC.

    """
    verb, token_id = pressed
    code = await store.code(db, token_id)
    if code is not None:
        await store.lock_person(db, code.user_id)
        code = await store.code(db, token_id)
    answer = rules.judge(code, chat_id=opened.chat_id, linked_to=await _linked_to(db, opened), now=now)
    if code is None or answer is not LinkOutcome.CONFIRM or code.chat_id != opened.chat_id:
        return Said(LinkOutcome.FOREIGN if answer is LinkOutcome.CONFIRM else answer)
    if verb != "link":
        await store.set_code(db, code.token_id, CodeState.CANCELLED, code.version + 1)
        await _emit(db, facts.revoked(code, RevocationCause.UNLINKED, DetectedBy.USER, now), now)
        return Said(LinkOutcome.REFUSED)
    await _link(db, deps, code, opened, now)
    return Said(LinkOutcome.LINKED)


async def leave(db: Db, chat_id: int, now: datetime) -> Said:
    """`/unlink` in the chat."""
    links = await store.links_of_chat(db, chat_id)
    for link in links:
        await ending.end(db, link, LinkState.UNLINKED, RevocationCause.UNLINKED, DetectedBy.USER, now)
    return Said(LinkOutcome.UNLINKED if links else LinkOutcome.NOT_LINKED)


async def expire(deps: Deps, now: datetime) -> int:
    """End codes that nobody opened within their day, and forget old updates; returns how many codes."""
    async with transaction(deps.pool) as db:
        await store.forget_updates(db, KEEP_UPDATES)
        due = await store.expired_codes(db, now, EXPIRE_BATCH)
        for code in due:
            await store.set_code(db, code.token_id, CodeState.EXPIRED, code.version + 1)
        await _emit(db, [body for code in due for body in facts.expired(code)], now)
    if due:
        deps.committed()
    return len(due)


async def _link(db: Db, deps: Deps, code: Code, opened: Opened, now: datetime) -> None:
    await store.set_code(db, code.token_id, CodeState.USED, code.version + 1)
    await _emit(db, facts.revoked(code, RevocationCause.USED, DetectedBy.USER, now), now)
    before = await store.link_of(db, code.user_id)
    if before is not None and before.state is LinkState.LINKED:
        await ending.end(db, before, LinkState.UNLINKED, RevocationCause.SUPERSEDED, DetectedBy.USER, now)
    link = Link(
        token_id=new_id(),
        user_id=code.user_id,
        workspace_id=code.workspace_id,
        chat_id=opened.chat_id,
        chat_name=opened.chat_name,
        version=1,
        state=LinkState.LINKED,
        linked_at=now,
    )
    await store.add_link(db, link)
    await _emit(db, facts.issued(link, IssuedHow.CONNECT, now), now)
    await _close_notices(db, deps, code.user_id, Resolution.RENEWED, now)


async def _linked_to(db: Db, opened: Opened) -> UUID | None:
    links = await store.links_of_chat(db, opened.chat_id)
    return links[0].user_id if links else None


async def _end_waiting(db: Db, user_id: UUID, cause: RevocationCause, now: datetime) -> bool:
    code = await store.waiting_code(db, user_id)
    if code is None:
        return False
    if now >= code.expires_at:
        await store.set_code(db, code.token_id, CodeState.EXPIRED, code.version + 1)
        await _emit(db, facts.expired(code), now)
        return False
    state = CodeState.SUPERSEDED if cause is RevocationCause.SUPERSEDED else CodeState.CANCELLED
    await store.set_code(db, code.token_id, state, code.version + 1)
    await _emit(db, facts.revoked(code, cause, DetectedBy.USER, now), now)
    return True


async def _close_notices(db: Db, deps: Deps, user_id: UUID, resolution: Resolution, now: datetime) -> None:
    settled = SettledByPerson(NoticeCode.TELEGRAM_BROKEN, user_id, resolution)
    await telling.take(db, deps, settled, now)


async def _emit(db: Db, bodies: Sequence[EventBody], now: datetime) -> None:
    await enqueue(db, bodies, source=SOURCE, now=now)


async def _open(deps: Deps, token_id: UUID, sealed: bytes | None) -> str | None:
    if deps.vault is None or sealed is None:
        return None
    try:
        return (await deps.vault.unwrap(sealed, _aad(token_id))).decode()
    except UnsealableError:
        return None


def _aad(token_id: UUID) -> bytes:
    return associated_data("telegram_code", token_id)


def _digest(secret: str) -> bytes:
    return sha256(secret.encode()).digest()


def count(said: Said) -> None:
    """Note what was answered."""
    metrics.TELEGRAM_ANSWERS.labels(said.answer.value).inc()
