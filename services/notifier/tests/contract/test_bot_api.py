"""We speak the Bot API without aiogram in the process (ADR 20); here aiogram says whether we speak it right."""

from typing import Any

import pytest
from aiogram import methods, types

from notifier.channels.telegram import channel as telegram
from notifier.channels.telegram import updates as telegram_updates
from notifier.channels.telegram.rules import Button, Incoming

CHAT = {"id": 77, "type": "private", "first_name": "Mia", "last_name": "Berg"}
GROUP = {"id": -5, "type": "group", "title": "Growth"}
PERSON = {"id": 77, "is_bot": False, "first_name": "Mia"}
BOT = {"id": 7, "is_bot": True, "first_name": "Wevion", "username": "WevionBot"}
MESSAGE = {"message_id": 3, "date": 1_789_000_000, "chat": CHAT, "from": PERSON, "text": "/start abc"}
PRESSED = {
    "id": "900",
    "from": PERSON,
    "chat_instance": "1",
    "data": "link:0",
    "message": MESSAGE | {"from": BOT, "text": "?"},
}


def _member(status: str) -> dict[str, Any]:
    member = {"user": BOT, "status": status} | ({"until_date": 0} if status == "kicked" else {})
    return {
        "chat": CHAT,
        "from": PERSON,
        "date": 1_789_000_000,
        "old_chat_member": {"user": BOT, "status": "member"},
        "new_chat_member": member,
    }


@pytest.mark.parametrize(
    ("method", "given"),
    [
        (methods.SendMessage, telegram._message(77, "<b>x</b>", ())),
        (methods.SendMessage, telegram._message(77, "?", (Button("Yes", "link:0"), Button("No", "refuse:0")))),
        (methods.EditMessageText, telegram._edit(77, 3, "x")),
        (methods.AnswerCallbackQuery, {"callback_query_id": "900"}),
        (methods.GetUpdates, {"timeout": 20, "offset": 5, "allowed_updates": list(telegram_updates.WANTED)}),
        (methods.SetWebhook, {"url": "https://x", "secret_token": "s", "allowed_updates": []}),
    ],
)
def test_what_we_send_is_what_the_method_takes(method: Any, given: dict[str, Any]) -> None:
    assert set(given) <= set(method.model_fields)
    told = method.model_validate(given)
    assert {name: value for name, value in told.model_dump(exclude_unset=True).items() if name in given} == given


def test_the_updates_that_we_want_are_updates() -> None:
    assert set(telegram_updates.WANTED) <= set(types.Update.model_fields)


@pytest.mark.parametrize(
    ("body", "read"),
    [
        (
            {"message": MESSAGE},
            Incoming(9, chat_id=77, chat_name="Mia Berg", private=True, text="/start abc", message_id=3),
        ),
        (
            {"message": MESSAGE | {"chat": CHAT | {"username": "mia"}, "text": None}},
            Incoming(9, chat_id=77, chat_name="@mia", private=True, message_id=3),
        ),
        (
            {"message": MESSAGE | {"chat": GROUP}},
            Incoming(9, chat_id=-5, chat_name="Growth", text="/start abc", message_id=3),
        ),
        (
            {"callback_query": PRESSED},
            Incoming(
                9,
                chat_id=77,
                chat_name="Mia Berg",
                private=True,
                callback_id="900",
                data="link:0",
                message_id=3,
            ),
        ),
        ({"my_chat_member": _member("kicked")}, Incoming(9, chat_id=77, gone=True)),
        ({"my_chat_member": _member("member")}, Incoming(9, chat_id=77, gone=False)),
        ({"edited_message": MESSAGE}, Incoming(9)),
    ],
)
def test_an_update_as_aiogram_writes_it_is_read(body: dict[str, Any], read: Incoming) -> None:
    update = types.Update.model_validate({"update_id": 9} | body)
    raw = update.model_dump_json(exclude_none=True, by_alias=True)
    assert telegram_updates.parse(raw.encode()) == read


@pytest.mark.parametrize("raw", [b"", b"[]", b"{}", b'{"update_id": "x"}', b'{"update_id": 1, "message": {}}', b"\xff"])
def test_what_is_no_update_is_refused(raw: bytes) -> None:
    with pytest.raises(ValueError, match="not an update"):
        telegram_updates.parse(raw)


def test_one_odd_update_does_not_stop_those_after_it() -> None:
    assert telegram_updates.read({"update_id": 4, "message": {"chat": "?"}}) == Incoming(4)
    with pytest.raises(ValueError, match="not an update"):
        telegram_updates.read(["?"])
