"""What Telegram refuses, loses or hides, and what follows: against the simulator's Bot API, over real HTTP."""

import asyncio
import contextlib
from typing import Any
from uuid import UUID

import pytest
from pydantic import SecretStr

from common.contracts import NoticeChannel
from common.runtime.errors import PermanentError, RetryableError
from common.testing import eventually
from notifier.app import load_texts
from notifier.channels.telegram.channel import ChatParcel, TelegramChannel
from notifier.channels.throttle import Throttle
from notifier.core.delivery import Outcome, SendOutcome, channel_waits_s

A = SendOutcome


def _other_bot(telegram_world: Any, token: str, api_url: str | None = None) -> TelegramChannel:
    return TelegramChannel(
        telegram_world.http,
        SecretStr(token),
        api_url=api_url or f"{telegram_world.simulator.url}/api.telegram.org",
        texts=load_texts("http://wevion.example"),
        throttle=Throttle(rate=1000, burst=1000, clock=telegram_world.world.clock),
    )


async def _chat(telegram_world: Any) -> str:
    await telegram_world.linked("mia")
    return str(await telegram_world.world.count("SELECT chat_id FROM telegram_link"))


async def _send(bot: TelegramChannel, chat: str, edits: str = "") -> Outcome:
    parcel = ChatParcel(delivery_id=UUID(int=5), address=chat, html="<b>x</b>", edits=edits)
    return await (bot.edit(parcel) if edits else bot.send(parcel))


@pytest.mark.parametrize(
    ("fault", "answer"),
    [
        ({"kind": "rate_limit", "retry_after": 7}, A.TRY_LATER),
        ({"kind": "status", "status": 500}, A.TRY_LATER),
        ({"kind": "html", "status": 502}, A.TRY_LATER),
        ({"kind": "status", "status": 401}, A.CHANNEL_DOWN),
        ({"kind": "status", "status": 421}, A.CHANNEL_DOWN),
        ({"kind": "status", "status": 404}, A.CHANNEL_DOWN),
        ({"kind": "status", "status": 403}, A.ADDRESS_DEAD),
        ({"kind": "status", "status": 400}, A.MESSAGE_REFUSED),
        ({"kind": "reset"}, A.UNKNOWN),
        ({"kind": "reset_after_answer"}, A.UNKNOWN),
        ({"kind": "malformed"}, A.UNKNOWN),
    ],
)
async def test_each_trouble_has_its_answer(telegram_world: Any, fault: dict[str, Any], answer: SendOutcome) -> None:
    chat = await _chat(telegram_world)
    await telegram_world.order("faults", provider="telegram", endpoint="sendMessage", count=1, **fault)
    outcome = await _send(telegram_world.bot, chat)
    assert outcome.answer is answer
    assert outcome.retry_after_s == fault.get("retry_after")
    assert "SimWevionBotToken" not in repr(outcome)
    assert (await _send(telegram_world.bot, chat)).answer is A.ACCEPTED


async def test_one_chat_that_is_too_fast_holds_up_nobody_else_and_a_second_one_the_bot(telegram_world: Any) -> None:
    chat, bot = await _chat(telegram_world), telegram_world.bot
    await telegram_world.linked("max", "jordan")
    other = str(await telegram_world.world.count("SELECT chat_id FROM telegram_link WHERE chat_id <> $1", int(chat)))
    limit = {"provider": "telegram", "endpoint": "sendMessage", "count": 1, "kind": "rate_limit", "retry_after": 10_072}
    await telegram_world.order("faults", **limit)
    refused = await _send(bot, chat)
    assert (refused.answer, refused.alone) == (A.TRY_LATER, True)
    assert channel_waits_s(refused, 5) == 0
    assert (await _send(bot, other)).answer is A.ACCEPTED
    await telegram_world.order("faults", **limit)
    both = await _send(bot, other)
    assert not both.alone
    assert channel_waits_s(both, 5) == 300


@pytest.mark.parametrize(
    ("what", "answer"), [("block", A.ADDRESS_DEAD), ("deactivate", A.ADDRESS_DEAD), ("migrate", A.TRY_LATER)]
)
async def test_what_people_do_to_a_chat(telegram_world: Any, what: str, answer: SendOutcome) -> None:
    chat = await _chat(telegram_world)
    await telegram_world.order(f"telegram/{what}", user="avery")
    outcome = await _send(telegram_world.bot, chat)
    assert outcome.answer is answer
    assert bool(outcome.new_address) is (what == "migrate")


async def test_a_chat_that_never_was_is_a_dead_address(telegram_world: Any) -> None:
    assert (await _send(telegram_world.bot, "12345")).answer is A.ADDRESS_DEAD


async def test_an_edit_that_changes_nothing_counts_as_made(telegram_world: Any) -> None:
    chat = await _chat(telegram_world)
    first = await _send(telegram_world.bot, chat)
    for _ in range(2):
        again = await _send(telegram_world.bot, chat, edits=first.reference)
        assert (again.answer, again.reference) == (A.ACCEPTED, first.reference)


async def test_an_api_that_nobody_serves_has_not_got_the_message(telegram_world: Any) -> None:
    bot = _other_bot(telegram_world, "7:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", "http://127.0.0.1:9")
    assert await _send(bot, "77") == Outcome(A.CHANNEL_DOWN, detail="not_connected")
    with pytest.raises(RetryableError) as caught:
        await bot.username()
    assert "AAAA" not in f"{caught.value!r} {caught.value.__cause__!r} {caught.value.__context__!r}"


@pytest.mark.parametrize("token", ["7000000001:wrong_wrong_wrong_wrong_wrong_wrong", "no-token"])
async def test_a_token_that_telegram_does_not_take_is_ours_to_fix(telegram_world: Any, token: str) -> None:
    bot = _other_bot(telegram_world, token)
    with pytest.raises(PermanentError, match="WEVION_TELEGRAM_BOT_TOKEN"):
        await bot.username()
    assert (await _send(bot, "77")).answer is A.CHANNEL_DOWN


async def test_the_reader_of_updates_waits_as_long_as_it_is_told_to(telegram_world: Any) -> None:
    chat = await _chat(telegram_world)
    await telegram_world.order(
        "faults", provider="telegram", endpoint="getUpdates", count=1, kind="rate_limit", retry_after=1
    )
    reading = asyncio.create_task(telegram_world.poller.run())
    try:
        await telegram_world.order("telegram/say", user="avery", text="/Unlink")

        async def unlinked() -> bool:
            return bool(
                await telegram_world.world.count(
                    "SELECT count(*) FROM telegram_link WHERE chat_id = $1 AND state = 'unlinked'", int(chat)
                )
            )

        await eventually(unlinked)
        assert not reading.done()
    finally:
        reading.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await reading


async def test_polling_ends_a_webhook_and_a_webhook_ends_polling(telegram_world: Any) -> None:
    bot = telegram_world.bot
    await bot.use_webhook("https://wevion.example/webhooks/telegram", SecretStr("a-secret-of-the-webhook"))
    with pytest.raises(RetryableError, match="409"):
        await bot.updates(None)
    await bot.use_polling()
    await telegram_world.act("open", payload="x")
    assert telegram_world.bot is telegram_world.world.deps.channels[NoticeChannel.TELEGRAM]
