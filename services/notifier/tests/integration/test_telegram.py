"""T4: linking a chat by a one-time code, messages to it, and every way in which it ends."""

from dataclasses import replace
from datetime import time, timedelta
from typing import Any

import pytest

from common.contracts import (
    DetectedBy,
    Event,
    EventBody,
    IssuedHow,
    NoticeChannel,
    RevocationCause,
    TokenEvent,
    TokenKind,
    TokenRef,
    TokenRevokedV1,
    TokenStateV1,
    TokenStatus,
    decode,
)
from common.runtime.ids import new_id
from notifier.channels.telegram import chatting, sessions
from notifier.channels.telegram import linking as telegram
from notifier.channels.telegram.rules import Incoming
from notifier.core.errors import NoTelegramLink
from notifier.core.preferences import Preferences, QuietHours
from notifier.operations import sending, wishes

LINK = "/api/v1/telegram/link"
YES, NO = "Yes, link this chat", "No, that is not me"


def _next(token: Any, version: int) -> Any:
    return token.model_copy(update={"version": version})


async def _events(world: Any) -> list[tuple[str, str, int]]:
    """What left about links and codes: topic, the word that matters, version."""
    rows = await world.deps.pool.fetch(
        "SELECT topic, payload, headers FROM outbox WHERE topic LIKE 'token.%' AND topic <> 'token.state' ORDER BY id"
    )
    found = []
    for row in rows:
        body = decode(row["payload"], [(k, v.encode()) for k, v in row["headers"].items()]).body
        assert isinstance(body, TokenEvent)
        assert body.token.kind == "telegram_link"
        found.append((row["topic"], str(getattr(body, "how", getattr(body, "cause", ""))), body.token.version))
    return found


async def test_t4_1_a_link_holds_a_one_time_code_of_256_bits_whose_digest_alone_is_kept(telegram_world: Any) -> None:
    url = await telegram_world.link("mia")
    code = url.partition("?start=")[2]
    assert url.startswith("https://t.me/WevionBot?start=")
    assert len(code) == 43
    assert await telegram_world.state("mia") == "waiting"
    row = await telegram_world.world.deps.pool.fetchrow("SELECT * FROM telegram_code")
    assert code not in str(dict(row))
    assert row["expires_at"] - row["created_at"] == timedelta(hours=24)


async def test_t4_2_opening_it_asks_whose_account_and_links_on_yes(telegram_world: Any) -> None:
    question = await telegram_world.act("open", link=await telegram_world.link("mia"))
    assert "m***@agency.example" in question
    assert await telegram_world.state("mia") == "waiting"
    assert "Linked" in await telegram_world.act("press", button=YES)
    assert await telegram_world.state("mia") == "linked"
    assert await _events(telegram_world.world) == [
        ("token.issued", "link_created", 1),
        ("token.revoked", "used", 2),
        ("token.issued", "connect", 1),
    ]
    message = (await telegram_world.messages())[-1]
    assert "reply_markup" not in message  # the question's buttons are gone


async def test_t4_2_refusing_links_nothing_and_spends_the_code(telegram_world: Any) -> None:
    link = await telegram_world.link("mia")
    await telegram_world.act("open", link=link)
    assert "Nothing was linked" in await telegram_world.act("press", button=NO)
    assert await telegram_world.state("mia") == "none"
    assert "used already" in await telegram_world.act("open", link=link)


async def test_t4_2_a_used_code(telegram_world: Any) -> None:
    link = await telegram_world.link("mia")
    await telegram_world.act("open", link=link)
    await telegram_world.act("press", button=YES)
    assert "linked already" in await telegram_world.act("open", link=link)
    answer = await telegram_world.act("open", "jordan", link=link)
    assert "used already" in answer
    assert "Connect Telegram" in answer


async def test_t4_2_an_expired_code(telegram_world: Any) -> None:
    link = await telegram_world.link("mia")
    telegram_world.world.clock.advance(timedelta(hours=24))
    assert "older than 24 hours" in await telegram_world.act("open", link=link)
    assert await telegram.expire(telegram_world.world.deps, telegram_world.world.clock.now()) == 1
    assert await telegram.expire(telegram_world.world.deps, telegram_world.world.clock.now()) == 0
    assert "older than 24 hours" in await telegram_world.act("open", link=link)
    assert (await _events(telegram_world.world))[-1][0] == "token.expired"
    assert await telegram_world.state("mia") == "none"


async def test_t4_2_a_code_that_expires_between_question_and_answer(telegram_world: Any) -> None:
    await telegram_world.act("open", link=await telegram_world.link("mia"))
    telegram_world.world.clock.advance(timedelta(hours=24))
    assert "older than 24 hours" in await telegram_world.act("press", button=YES)
    assert await telegram_world.state("mia") == "none"


@pytest.mark.parametrize("payload", ["x", "A" * 43, "A" * 64])
async def test_t4_2_an_unknown_code(telegram_world: Any, payload: str) -> None:
    answer = await telegram_world.act("open", payload=payload)
    assert "does not know this link" in answer
    assert "Connect Telegram" in answer


async def test_t4_2_a_foreign_code_is_one_that_another_chat_opened_first(telegram_world: Any) -> None:
    link = await telegram_world.link("mia")
    await telegram_world.act("open", link=link)
    assert "another chat first" in await telegram_world.act("open", "jordan", link=link)
    assert "Linked" in await telegram_world.act("press", button=YES)
    assert await telegram_world.world.count("SELECT count(*) FROM telegram_link WHERE state = 'linked'") == 1


async def test_a_new_link_ends_the_one_before(telegram_world: Any) -> None:
    old = await telegram_world.link("mia")
    await telegram_world.act("open", link=old)
    new = await telegram_world.link("mia")
    assert "newer link" in await telegram_world.act("press", button=YES)
    assert "newer link" in await telegram_world.act("open", link=old)
    assert "Link this chat" in await telegram_world.act("open", link=new)


async def test_a_chat_of_another_person_is_not_taken_over(telegram_world: Any) -> None:
    await telegram_world.linked("max")
    assert "another Wevion account" in await telegram_world.act("open", link=await telegram_world.link("mia"))
    assert "Unlinked" in await telegram_world.act("say", text="/unlink")
    assert "Link this chat" in await telegram_world.act("open", link=await telegram_world.link("mia"))


async def test_linking_another_chat_moves_the_messages_there(telegram_world: Any) -> None:
    await telegram_world.linked("mia", "avery")
    await telegram_world.linked("mia", "jordan")
    assert await telegram_world.world.count("SELECT count(*) FROM telegram_link WHERE state = 'linked'") == 1
    assert ("token.revoked", "superseded", 2) in await _events(telegram_world.world)


async def test_an_update_that_comes_twice_is_answered_once(telegram_world: Any) -> None:
    from notifier.channels.telegram import chatting  # noqa: PLC0415
    from notifier.channels.telegram.rules import Incoming  # noqa: PLC0415

    await telegram_world.act("open", payload="x")
    before = len(await telegram_world.messages())
    update = await telegram_world.world.count("SELECT update_id FROM telegram_update")
    again = Incoming(update, chat_id=1, private=True, text="/start x")
    await chatting.take_update(telegram_world.world.deps, telegram_world.bot, again, telegram_world.world.clock.now())
    assert len(await telegram_world.messages()) == before


async def test_words_that_are_no_link_are_answered_with_the_way_to_one(telegram_world: Any) -> None:
    assert "Connect Telegram" in await telegram_world.act("open")
    assert "Connect Telegram" in await telegram_world.act("say", text="hello?")
    assert "not linked" in await telegram_world.act("say", text="/unlink")


async def test_t4_3_later_messages_need_no_code_and_recovery_edits_what_was_sent(telegram_world: Any) -> None:
    world = telegram_world.world
    await telegram_world.linked("mia")
    world.clock.advance(timedelta(days=30))
    token = world.token(world.people["mia"])
    await world.issued(token)
    await world.revoked(_next(token, 2))
    await world.later()
    said = (await telegram_world.messages())[-1]
    assert said["text"].startswith("🔴 Meta access was ended")
    await world.issued(_next(token, 3), how=IssuedHow.REAUTHORIZE)
    await world.later()
    edited = (await telegram_world.messages())[-1]
    assert edited["message_id"] == said["message_id"]
    assert edited["text"].startswith("✅ Meta works again")
    await world.later(timedelta(hours=1))
    assert (await telegram_world.messages())[-1] == edited


async def test_t4_3_unlinking_in_wevion_stops_the_messages(telegram_world: Any) -> None:
    world = telegram_world.world
    await telegram_world.linked("mia")
    await telegram.unlink(world.deps, telegram_world.reader("mia"), world.clock.now())
    assert await telegram_world.state("mia") == "none"
    assert (await _events(world))[-1] == ("token.revoked", "unlinked", 2)
    with pytest.raises(NoTelegramLink):
        await telegram.unlink(world.deps, telegram_world.reader("mia"), world.clock.now())
    before = len(await telegram_world.messages())
    token = world.token(world.people["mia"])
    await world.issued(token)
    await world.revoked(_next(token, 2))
    await world.later()
    assert len(await telegram_world.messages()) == before


async def _take_own_events(world: Any) -> None:
    """What the notifier emitted comes back to it through Kafka."""
    for row in await world.deps.pool.fetch("SELECT payload, headers FROM outbox WHERE topic = 'token.revoked'"):
        await world.take(decode(row["payload"], [(k, v.encode()) for k, v in row["headers"].items()]).body)


async def test_t4_3_blocking_the_bot_breaks_the_link_and_tells_the_person_in_the_app(telegram_world: Any) -> None:
    world = telegram_world.world
    await telegram_world.linked("mia")
    await telegram_world.act("block")
    assert await telegram_world.state("mia") == "broken"
    assert (await _events(world))[-1] == ("token.revoked", "user_revoked", 2)
    await _take_own_events(world)
    assert await world.count("SELECT count(*) FROM notice") == 1
    assert await world.count("SELECT count(*) FROM condition WHERE code = 'TELEGRAM_BROKEN'") == 1
    await telegram_world.order("telegram/unblock", user="avery")
    await telegram_world.linked("mia")
    assert await world.count("SELECT count(*) FROM condition WHERE resolution = 'renewed'") == 1


async def test_t4_3_a_deleted_account_is_found_when_a_message_is_refused(telegram_world: Any) -> None:
    world = telegram_world.world
    await telegram_world.linked("mia")
    await telegram_world.order("telegram/deactivate", user="avery")
    token = world.token(world.people["mia"])
    await world.issued(token)
    await world.revoked(_next(token, 2))
    await world.later()
    assert await telegram_world.state("mia") == "broken"
    assert (await _events(world))[-1] == ("token.revoked", "user_revoked", 2)


async def test_a_rate_limit_is_waited_for_as_long_as_telegram_says(telegram_world: Any) -> None:
    world = telegram_world.world
    await telegram_world.linked("mia")
    await telegram_world.order(
        "faults", provider="telegram", endpoint="sendMessage", kind="rate_limit", retry_after=40, count=1
    )
    token = world.token(world.people["mia"])
    await world.issued(token)
    await world.revoked(_next(token, 2))
    before = len(await telegram_world.messages())
    await world.later()
    await world.later(timedelta(seconds=39))
    assert len(await telegram_world.messages()) == before
    await world.later(timedelta(seconds=2))
    assert len(await telegram_world.messages()) == before + 1


async def test_a_message_whose_answer_was_lost_is_not_sent_again(telegram_world: Any) -> None:
    world = telegram_world.world
    await telegram_world.linked("mia")
    await telegram_world.order(
        "faults", provider="telegram", endpoint="sendMessage", kind="reset_after_answer", count=1
    )
    token = world.token(world.people["mia"])
    await world.issued(token)
    await world.revoked(_next(token, 2))
    before = len(await telegram_world.messages())
    for _ in range(3):
        await world.later(timedelta(minutes=10))
    assert len(await telegram_world.messages()) == before + 1
    assert await world.count("SELECT count(*) FROM delivery WHERE state = 'unknown'") == 1


async def test_two_pollers_are_one_reader(telegram_world: Any) -> None:
    from notifier.channels.telegram.updating import Poller  # noqa: PLC0415

    await telegram_world.act("open")
    other = Poller(telegram_world.world.deps, telegram_world.bot, telegram_world.world.clock)
    assert await other.run_once() is False


async def test_the_bots_token_appears_in_no_error(telegram_world: Any) -> None:
    bot = telegram_world.world.deps.channels[NoticeChannel.TELEGRAM]
    await telegram_world.order("faults", provider="telegram", endpoint="*", kind="reset", count=1)
    from common.runtime.errors import RetryableError  # noqa: PLC0415

    with pytest.raises(RetryableError) as caught:
        await bot.updates(None)
    assert "SimWevionBotToken" not in f"{caught.value!r} {caught.value.__cause__!r}"


async def test_a_chat_that_has_to_wait_waits_alone(telegram_world: Any) -> None:
    world = telegram_world.world
    bot = telegram_world.bot
    await telegram_world.linked("mia", "avery")
    await telegram_world.linked("max", "jordan")
    before = {user: len(await telegram_world.messages(user)) for user in ("avery", "jordan")}

    async def written() -> int:
        return sum([len(await telegram_world.messages(user)) - before[user] for user in before])

    await telegram_world.order(
        "faults", provider="telegram", endpoint="sendMessage", kind="rate_limit", retry_after=40, count=1
    )
    token = world.token(world.people["mia"])
    await world.issued(token)
    await world.revoked(_next(token, 2))
    world.clock.advance(timedelta(seconds=5))
    status = await sending.send_due(replace(world.deps, parallel=1), bot, world.clock.now())
    assert (status.sent, status.more, status.wait_s) == (1, False, 0)
    assert await written() == 1
    assert await world.count("SELECT count(*) FROM delivery WHERE channel = 'telegram' AND attempts = 1") == 1
    await world.later(timedelta(seconds=41))
    assert await written() == 2


async def test_a_chat_that_moved_is_followed(telegram_world: Any) -> None:
    world = telegram_world.world
    await telegram_world.act("open", "jordan", payload="x")
    await telegram_world.linked("mia", "avery")
    moved_to = (await telegram_world.messages("jordan"))[-1]["chat"]["id"]
    await telegram_world.order("telegram/migrate", user="avery", to=moved_to)
    token = world.token(world.people["mia"])
    await world.issued(token)
    await world.revoked(_next(token, 2))
    await world.later()
    assert await world.count("SELECT chat_id FROM telegram_link WHERE state = 'linked'") == moved_to
    await world.later(timedelta(seconds=10))
    assert (await telegram_world.messages("jordan"))[-1]["text"].startswith("🔴 Meta access was ended")
    assert await telegram_world.state("mia") == "linked"


async def test_quiet_hours_hold_a_warning_in_the_chat_and_let_a_critical_one_pass(telegram_world: Any) -> None:
    world = telegram_world.world
    await telegram_world.linked("mia")
    mia = world.people["mia"]
    quiet = Preferences(quiet_hours=QuietHours(time(12), time(16)), time_zone="UTC")
    await wishes.write(world.deps, mia.workspace_id, mia.user_id, quiet, world.clock.now())
    before = len(await telegram_world.messages())
    warned, dead = world.token(mia), world.token(mia, provider="tiktok")
    await world.issued(warned, expires_in=timedelta(days=6))
    await world.expiring(warned, "7d", world.clock.now() + timedelta(days=6))
    await world.issued(dead)
    await world.revoked(_next(dead, 2))
    await world.later()
    said = [message["text"] for message in (await telegram_world.messages())[before:]]
    assert len(said) == 1
    assert "TikTok access was ended" in said[0]
    await world.later(timedelta(hours=4))
    assert "Meta access ends in" in (await telegram_world.messages())[-1]["text"]


async def test_a_code_that_a_group_has_read_links_nothing_any_more(telegram_world: Any) -> None:
    world = telegram_world.world
    link = await telegram_world.link("mia")
    code = link.partition("start=")[2]
    update = Incoming(9_001, chat_id=-100_500, chat_name="Growth", text=f"/start {code}", message_id=1)
    await chatting.take_update(world.deps, telegram_world.bot, update, world.clock.now())
    assert await telegram_world.state("mia") == "none"
    assert "was used" in await telegram_world.act("open", link=link)
    assert ("token.revoked", "unlinked", 2) in await _events(world)


@pytest.mark.parametrize("whose", ["its session", "all sessions", "all others"])
async def test_a_code_ends_with_the_session_that_made_it(telegram_world: Any, whose: str) -> None:
    world, mia = telegram_world.world, telegram_world.world.people["mia"]
    session_id = new_id()
    reader = replace(telegram_world.reader("mia"), session_id=session_id, epoch=4)
    await telegram.create_link(world.deps, reader, world.clock.now())
    other = TokenRef(
        token_id=new_id(),
        kind=TokenKind.SESSION,
        provider="wevion",
        workspace_id=mia.workspace_id,
        owner_user_id=mia.user_id,
        version=2,
    )
    signed_out, changed = RevocationCause.SIGNED_OUT, RevocationCause.PASSWORD_CHANGED
    foreign = other.model_copy(update={"owner_user_id": world.people["max"].user_id})
    for nothing in (
        TokenRevokedV1(token=other, cause=signed_out, detected_by=DetectedBy.USER),
        TokenRevokedV1(token=foreign, cause=changed, detected_by=DetectedBy.USER, user_epoch=5),
        TokenStateV1(token=other, status=TokenStatus.ACTIVE, since=world.clock.now(), user_epoch=4),
    ):
        await _heard(world, nothing)
        assert await telegram_world.state("mia") == "waiting"
    mine = other.model_copy(update={"token_id": session_id})
    ends = {
        "its session": TokenRevokedV1(token=mine, cause=signed_out, detected_by=DetectedBy.USER),
        "all sessions": TokenRevokedV1(token=other, cause=changed, detected_by=DetectedBy.USER, user_epoch=5),
        "all others": TokenStateV1(token=mine, status=TokenStatus.ACTIVE, since=world.clock.now(), user_epoch=5),
    }
    for _ in range(2):  # events are delivered more than once
        await _heard(world, ends[whose])
    assert await telegram_world.state("mia") == "none"
    assert [event for event in await _events(world) if event[0] == "token.revoked"] == [
        ("token.revoked", "unlinked", 2)
    ]


async def _heard(world: Any, body: EventBody) -> None:
    event = Event(id=new_id(), time=world.clock.now(), source="session-svc", body=body)
    await sessions.follow(world.deps, event, world.clock.now())


async def test_a_waiting_link_is_shown_again_to_its_person_and_kept_from_whoever_acts_as_them(
    telegram_world: Any, api: Any
) -> None:
    world = telegram_world.world
    mia = api.signed_in(world.people["mia"])
    url = (await api.call("POST", LINK, mia)).body["url"]
    assert (await api.call("GET", LINK, mia)).body["url"] == url
    acting = api.signed_in(world.people["mia"], act={"sub": "support"})
    assert (await api.call("GET", LINK, acting)).body["url"] is None
    assert (await api.call("GET", LINK, api.signed_in(world.people["max"]))).body["url"] is None
    stored = str(await world.deps.pool.fetch("SELECT * FROM telegram_code"))
    assert url.partition("start=")[2] not in stored
    await telegram_world.act("open", link=url)
    await telegram_world.act("press", button="Yes, link this chat")
    assert (await api.call("GET", LINK, mia)).body["url"] is None
    assert await world.count("SELECT count(*) FROM telegram_code WHERE sealed IS NOT NULL") == 0


async def test_only_so_many_links_are_made_within_an_hour(telegram_world: Any, api: Any) -> None:
    mia = api.signed_in(telegram_world.world.people["mia"])
    answers = [await api.call("POST", LINK, mia) for _ in range(12)]
    assert [answer.status for answer in answers] == [201] * 10 + [429] * 2
    assert answers[-1].body["code"] == "too_many_links"
    telegram_world.world.clock.advance(timedelta(hours=1))
    assert (await api.call("POST", LINK, mia)).status == 201
