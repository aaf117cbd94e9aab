"""The Bot API as aiogram sees it (platforms/telegram.md): nothing of aiogram is replaced or patched."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from aiogram import Bot, Dispatcher
from aiogram.client.session.aiohttp import AiohttpSession
from aiogram.client.telegram import TelegramAPIServer
from aiogram.exceptions import (
    TelegramBadRequest,
    TelegramConflictError,
    TelegramForbiddenError,
    TelegramMigrateToChat,
    TelegramNotFound,
    TelegramRetryAfter,
    TelegramUnauthorizedError,
)
from aiogram.filters import CommandObject, CommandStart
from aiogram.types import (
    CallbackQuery,
    ChatMemberUpdated,
    InlineKeyboardButton,
    InlineKeyboardMarkup,
    Message,
)

from provider_simulator.testing import Client, Receiver

TOKEN = "7000000001:SimWevionBotToken_AAAAAAAAAAAAAAAAA"
BUTTON = InlineKeyboardMarkup(inline_keyboard=[[InlineKeyboardButton(text="Confirm", callback_data="yes:1")]])


@pytest.fixture
async def bot(client: Client) -> AsyncIterator[Bot]:
    bot = bot_of(client)
    yield bot
    await bot.session.close()


def bot_of(client: Client, token: str = TOKEN) -> Bot:
    server = TelegramAPIServer.from_base(f"{client.simulator.url}/api.telegram.org")
    return Bot(token, session=AiohttpSession(api=server, timeout=10))


async def chat_of(client: Client, user: str = "avery") -> int:
    opened = await client.sim("POST", "telegram/open", {"user": user, "payload": "abc"})
    chat_id: int = opened["chat_id"]
    return chat_id


async def test_deep_link_confirm_and_block_through_aiogram_polling(client: Client, bot: Bot) -> None:
    """The whole story of a link: /start with its payload, a button, an edited message, a blocked bot."""
    dispatcher = Dispatcher()
    left: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    @dispatcher.message(CommandStart(deep_link=True))
    async def start(message: Message, command: CommandObject) -> None:
        await message.answer(f"Link <b>{command.args}</b>?", parse_mode="HTML", reply_markup=BUTTON)

    @dispatcher.callback_query()
    async def confirm(query: CallbackQuery) -> None:
        assert isinstance(query.message, Message)
        await query.answer("Linked", show_alert=True)
        await query.message.edit_text("Linked.")

    @dispatcher.my_chat_member()
    async def member(update: ChatMemberUpdated) -> None:
        left.set_result(update.new_chat_member.status)

    polling = asyncio.create_task(dispatcher.start_polling(bot, handle_signals=False, polling_timeout=5))
    try:
        await client.sim("POST", "telegram/open", {"link": "https://t.me/WevionBot?start=code-123"})
        chat = await client.sim("GET", "telegram/chats/avery", from_bot="1", wait_s="5")
        assert chat["messages"][0]["text"] == "Link code-123?"
        pressed = await client.sim("POST", "telegram/press", {"button": "Confirm"})
        chat = await client.sim("GET", "telegram/chats/avery", text="Linked.", wait_s="5")
        assert "reply_markup" not in chat["messages"][0]
        said = await client.sim("GET", f"telegram/callbacks/{pressed['callback_query_id']}")
        assert said["answer"] == {"text": "Linked", "show_alert": True}
        await client.sim("POST", "telegram/block", {})
        assert await asyncio.wait_for(left, 5) == "kicked"
    finally:
        await dispatcher.stop_polling()
        await polling


async def test_get_me(bot: Bot) -> None:
    me = await bot.get_me()
    assert (me.username, me.id, me.is_bot) == ("WevionBot", 7000000001, True)


@pytest.mark.parametrize(
    ("token", "error"), [("7000000001:wrong", TelegramUnauthorizedError), ("1:A", TelegramUnauthorizedError)]
)
async def test_wrong_token_is_unauthorized(client: Client, token: str, error: type[Exception]) -> None:
    stranger = bot_of(client, token)
    with pytest.raises(error):
        await stranger.get_me()
    await stranger.session.close()


async def test_malformed_token_and_unknown_method_are_not_found(client: Client) -> None:
    assert (await client.get("api.telegram.org/botnonsense/getMe")).status == 404
    answer = await client.get(f"api.telegram.org/bot{TOKEN}/sendNothing")
    assert answer.json == {"ok": False, "error_code": 404, "description": "Not Found"}


async def test_a_chat_exists_only_after_start(client: Client, bot: Bot) -> None:
    with pytest.raises(TelegramBadRequest, match="chat not found"):
        await bot.send_message(123, "hello")
    sent = await bot.send_message(await chat_of(client), "hello")
    assert (sent.text, sent.chat.type) == ("hello", "private")


async def test_blocked_deactivated_and_migrated_chats(client: Client, bot: Bot) -> None:
    chat_id = await chat_of(client)
    await client.sim("POST", "telegram/block", {})
    with pytest.raises(TelegramForbiddenError, match="bot was blocked by the user"):
        await bot.send_message(chat_id, "hello")
    await client.sim("POST", "telegram/unblock", {})
    await bot.send_message(chat_id, "hello")
    await client.sim("POST", "telegram/migrate", {"to": -100123})
    with pytest.raises(TelegramMigrateToChat) as moved:
        await bot.send_message(chat_id, "hello")
    assert moved.value.migrate_to_chat_id == -100123
    await client.sim("POST", "telegram/deactivate", {})
    with pytest.raises(TelegramForbiddenError, match="user is deactivated"):
        await bot.send_message(chat_id, "hello")


async def test_too_many_messages_say_how_long_in_body_and_header(client: Client, bot: Bot) -> None:
    chat_id = await chat_of(client)
    await client.sim("PUT", "modes/telegram", {"per_chat_burst": 2})
    for _ in range(2):
        await bot.send_message(chat_id, "hello")
    with pytest.raises(TelegramRetryAfter) as refused:
        await bot.send_message(chat_id, "hello")
    assert refused.value.retry_after == 1
    raw = await client.post(f"api.telegram.org/bot{TOKEN}/sendMessage", {"chat_id": str(chat_id), "text": "x"})
    assert (raw.status, raw.headers["Retry-After"]) == (429, str(raw.json["parameters"]["retry_after"]))
    await client.sim("POST", "clock", {"advance_s": 2})
    await bot.send_message(chat_id, "hello")


async def test_a_fault_can_order_a_longer_wait(client: Client, bot: Bot) -> None:
    chat_id = await chat_of(client)
    await client.fault(provider="telegram", endpoint="sendMessage", kind="rate_limit", retry_after=35, count=1)
    with pytest.raises(TelegramRetryAfter) as refused:
        await bot.send_message(chat_id, "hello")
    assert refused.value.retry_after == 35


@pytest.mark.parametrize(
    ("text", "mode"), [("a < b", "HTML"), ("<b>x", "HTML"), ("<div>x</div>", "HTML"), ("It is 5.", "MarkdownV2")]
)
async def test_entities_that_do_not_hold_are_refused(client: Client, bot: Bot, text: str, mode: str) -> None:
    with pytest.raises(TelegramBadRequest, match="can't parse entities"):
        await bot.send_message(await chat_of(client), text, parse_mode=mode)


@pytest.mark.parametrize(
    ("text", "mode", "plain"),
    [
        ("a &lt; <b>b &amp; c</b> <a href='http://x.example'>d</a>", "HTML", "a < b & c d"),
        (r"*It* is 5\. [link](http://x.example/a.b)", "MarkdownV2", "It is 5. link"),
        ("a < b", None, "a < b"),
    ],
)
async def test_entities_that_hold_are_read(client: Client, bot: Bot, text: str, mode: str | None, plain: str) -> None:
    sent = await bot.send_message(await chat_of(client), text, parse_mode=mode)
    assert sent.text == plain


@pytest.mark.parametrize(
    "button",
    [
        InlineKeyboardButton(text="x", callback_data="y" * 65),
        InlineKeyboardButton(text="x", url="http://localhost/x"),
        InlineKeyboardButton(text="x"),
    ],
)
async def test_buttons_that_telegram_refuses(client: Client, bot: Bot, button: InlineKeyboardButton) -> None:
    with pytest.raises(TelegramBadRequest):
        await bot.send_message(
            await chat_of(client), "x", reply_markup=InlineKeyboardMarkup(inline_keyboard=[[button]])
        )


@pytest.mark.parametrize("text", ["", "   ", "x" * 4097])
async def test_empty_and_too_long_texts_are_refused(client: Client, bot: Bot, text: str) -> None:
    with pytest.raises(TelegramBadRequest):
        await bot.send_message(await chat_of(client), text)


async def test_edit_refuses_what_did_not_change_and_what_is_not_there(client: Client, bot: Bot) -> None:
    chat_id = await chat_of(client)
    sent = await bot.send_message(chat_id, "one")
    with pytest.raises(TelegramBadRequest, match="message is not modified"):
        await bot.edit_message_text("one", chat_id=chat_id, message_id=sent.message_id)
    with pytest.raises(TelegramBadRequest, match="message to edit not found"):
        await bot.edit_message_text("two", chat_id=chat_id, message_id=999)
    edited = await bot.edit_message_text("two", chat_id=chat_id, message_id=sent.message_id)
    assert isinstance(edited, Message)
    assert edited.edit_date is not None


async def test_webhook_carries_its_secret_and_ends_the_long_poll(client: Client, bot: Bot, receiver: Receiver) -> None:
    await bot.set_webhook(receiver.url, secret_token="s3cret_-")
    with pytest.raises(TelegramConflictError, match="webhook is active"):
        await bot.get_updates()
    for _ in range(2):
        await client.sim("POST", "telegram/open", {"payload": "abc"})
    await receiver.until(2)
    assert {h["X-Telegram-Bot-Api-Secret-Token"] for h, _ in receiver.got} == {"s3cret_-"}
    assert b'"/start abc"' in receiver.got[0][1]
    info = await bot.get_webhook_info()
    assert (info.url, info.pending_update_count) == (receiver.url, 0)


async def test_webhook_that_fails_is_told_again_and_may_say_when(client: Client, bot: Bot, receiver: Receiver) -> None:
    receiver.status = 500
    await bot.set_webhook(receiver.url)
    await client.sim("POST", "telegram/open", {"payload": "abc"})
    await receiver.until(1)
    info = await bot.get_webhook_info()
    assert info.pending_update_count == 1
    receiver.status = 200
    await receiver.until(2)
    assert receiver.got[0][1] == receiver.got[1][1]


async def test_an_answer_of_the_webhook_may_hold_a_method(client: Client, bot: Bot, receiver: Receiver) -> None:
    chat_id = await chat_of(client)
    await bot.set_webhook(receiver.url, drop_pending_updates=True)
    receiver.body = {"method": "sendMessage", "chat_id": chat_id, "text": "From the answer"}
    await client.sim("POST", "telegram/say", {"text": "hello"})
    chat = await client.sim("GET", "telegram/chats/avery", text="from the answer", wait_s="5")
    assert len(chat["messages"]) == 1


async def test_second_set_webhook_within_a_second_is_too_many(bot: Bot, receiver: Receiver) -> None:
    await bot.set_webhook(receiver.url)
    with pytest.raises(TelegramRetryAfter) as refused:
        await bot.set_webhook(receiver.url)
    assert refused.value.retry_after == 1


@pytest.mark.parametrize("url", ["http://app.example/hook", "https://app.example:8080/hook"])
async def test_public_servers_want_https_and_few_ports(client: Client, bot: Bot, url: str) -> None:
    await client.sim("PUT", "modes/telegram", {"local_webhooks": False})
    with pytest.raises(TelegramBadRequest, match="bad webhook"):
        await bot.set_webhook(url)


@pytest.mark.parametrize("secret", ["with space", "x" * 257])
async def test_secret_tokens_have_an_alphabet(bot: Bot, secret: str) -> None:
    with pytest.raises(TelegramBadRequest):
        await bot.set_webhook("https://app.example/hook", secret_token=secret)


async def test_block_is_lost_when_allowed_updates_leaves_it_out(client: Client, bot: Bot) -> None:
    await bot.get_updates(allowed_updates=["message"])
    await chat_of(client)
    await client.sim("POST", "telegram/block", {})
    kinds = [u.event_type for u in await bot.get_updates()]
    assert kinds == ["message"]
    await bot.get_updates(allowed_updates=[])
    await client.sim("POST", "telegram/unblock", {})
    assert (await bot.get_updates())[-1].event_type == "my_chat_member"


async def test_second_get_updates_ends_the_first(bot: Bot) -> None:
    first = asyncio.create_task(bot.get_updates(timeout=5))
    await asyncio.sleep(0)
    second = asyncio.create_task(bot.get_updates(timeout=5))
    done, waiting = await asyncio.wait({first, second}, timeout=5, return_when=asyncio.FIRST_COMPLETED)
    for task in waiting:
        task.cancel()
    assert isinstance(next(iter(done)).exception(), TelegramConflictError)


async def test_offset_confirms_and_repeats_until_then(client: Client, bot: Bot) -> None:
    await chat_of(client)
    await chat_of(client)
    first = await bot.get_updates()
    assert [u.update_id for u in first] == [u.update_id for u in await bot.get_updates()]
    rest = await bot.get_updates(offset=first[0].update_id + 1)
    assert [u.update_id for u in rest] == [first[1].update_id]


async def test_a_payload_that_is_none_is_dropped(client: Client, bot: Bot) -> None:
    for payload in ("with space", "x" * 65):
        await client.sim("POST", "telegram/open", {"payload": payload})
    assert [u.message.text for u in await bot.get_updates() if u.message] == ["/start", "/start"]


async def test_revoked_bot_token(client: Client, bot: Bot) -> None:
    await client.sim("PUT", "apps/telegram/WevionBot", {"options": {"revoked": True}})
    with pytest.raises(TelegramUnauthorizedError):
        await bot.get_me()


async def test_unknown_chat_method_and_orders(client: Client, bot: Bot) -> None:
    url = f"{client.simulator.control_url}/_sim/telegram"
    assert (await client.ask("POST", f"{url}/press", json={"button": "x"})).status == 404
    await chat_of(client)
    assert (await client.ask("POST", f"{url}/press", json={"button": "x"})).status == 422
    assert (await client.ask("POST", f"{url}/open", json={"user": "nobody"})).status == 404
    assert (await client.ask("POST", f"{url}/say", json={"text": ""})).status == 422
    with pytest.raises((TelegramNotFound, TelegramBadRequest)):
        await bot.delete_message(await chat_of(client), 999)


async def test_the_page_of_the_link_has_start_and_then_the_chat(client: Client, bot: Bot) -> None:
    page = await client.get("t.me/WevionBot", start="abc")
    assert "START" in page.text
    form = {"user": "avery", "do": "start", "payload": "abc"}
    assert (await client.post("t.me/WevionBot?start=abc", form)).status == 303
    update = (await bot.get_updates())[0]
    assert update.message is not None
    await bot.send_message(update.message.chat.id, "Hello Avery", reply_markup=BUTTON)
    page = await client.get("t.me/WevionBot", _user="avery")
    assert "Hello Avery" in page.text
    assert "Confirm" in page.text
    pressed = {"user": "avery", "do": "press", "button": "yes:1"}
    assert (await client.post("t.me/WevionBot", pressed)).status == 303
    assert (await client.post("t.me/WevionBot", {"do": "dance"})).status == 400
