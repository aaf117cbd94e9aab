"""Updates from Telegram: each is taken once, changes what it changes in one transaction, and is then answered."""

from dataclasses import dataclass
from datetime import datetime

from common.contracts import DetectedBy
from common.postgres import Db, transaction
from notifier.channels.telegram import ending, rules, store
from notifier.channels.telegram import linking as operations
from notifier.channels.telegram.channel import TelegramChannel
from notifier.channels.telegram.linking import Opened, Said
from notifier.channels.telegram.rules import Button, Incoming, LinkOutcome
from notifier.operations.deps import Deps


@dataclass(frozen=True, slots=True)
class _Reply:
    """What the chat gets once the change is committed."""

    chat_id: int
    said: Said
    callback_id: str | None = None
    edits: int | None = None


async def take_update(deps: Deps, bot: TelegramChannel, update: Incoming, now: datetime) -> None:
    """Apply one update. A repeat changes nothing and is not answered.

    Args:
        deps: what the operations of the service work with.
        bot: the Telegram channel; None where no bot is set up.
        update: what Telegram sent.
        now: the present time, in UTC.

    Raises:
        RetryableError: the database is away; Telegram (or the poller) brings the update again.

    """
    async with transaction(deps.pool) as db:
        if not await store.first_time(db, update.update_id):
            return
        reply = await _apply(db, deps, update, now)
    deps.committed()
    if reply is not None:
        operations.count(reply.said)
        await _answer(deps, bot, reply)


async def _apply(db: Db, deps: Deps, update: Incoming, now: datetime) -> _Reply | None:
    chat = update.chat_id
    if chat is None:
        return None
    if update.gone is not None:
        if update.gone:
            await ending.breaks(db, chat, DetectedBy.WEBHOOK, now)
        return None
    opened = Opened(chat, update.chat_name, update.private)
    if update.callback_id is not None:
        found = rules.pressed(update.data)
        if found is None:
            return None
        said = await operations.press(db, deps, found, opened, now)
        return _Reply(chat, said, update.callback_id, update.message_id)
    return await _message(db, update.text, opened, now)


async def _message(db: Db, text: str, opened: Opened, now: datetime) -> _Reply | None:
    code = rules.start_code(text)
    if code:
        return _Reply(opened.chat_id, await operations.open_code(db, code, opened, now))
    if not opened.private:
        return None  # in a group only a link that was opened there is our business
    if rules.command(text) == "unlink":
        return _Reply(opened.chat_id, await operations.leave(db, opened.chat_id, now))
    return _Reply(opened.chat_id, Said(LinkOutcome.WELCOME if code is not None else LinkOutcome.HELP))


async def _answer(deps: Deps, bot: TelegramChannel, reply: _Reply) -> None:
    said = reply.said
    text = deps.texts.say(said.answer.value, account=said.account, name=said.name)
    buttons: tuple[Button, ...] = ()
    if said.token_id is not None:
        buttons = (
            Button(deps.texts.say("button_yes"), rules.button("link", said.token_id)),
            Button(deps.texts.say("button_no"), rules.button("refuse", said.token_id)),
        )
    if reply.callback_id is not None:
        await bot.acknowledge(reply.callback_id)
    if reply.edits is not None:
        await bot.replace(reply.chat_id, reply.edits, text)
    else:
        await bot.say(reply.chat_id, text, buttons)
