"""Chats between a bot and a person, with everything that was written."""

from __future__ import annotations

import asyncio
from dataclasses import asdict, dataclass, field
from typing import Any

from provider_simulator.people import Person, number
from provider_simulator.world import World

KEEP_MESSAGES = 500


@dataclass(slots=True)
class Message:
    id: int
    from_id: int
    sender: dict[str, Any]
    text: str
    markup: dict[str, Any] | None
    date: int
    edited: int | None = None

    def shown(self, chat: Chat) -> dict[str, Any]:
        """As the Bot API shows it."""
        message: dict[str, Any] = {
            "message_id": self.id,
            "from": self.sender,
            "chat": chat.shown(),
            "date": self.date,
            "text": self.text,
        }
        if self.edited is not None:
            message["edit_date"] = self.edited
        if self.markup is not None:
            message["reply_markup"] = self.markup
        return message


@dataclass(slots=True)
class Chat:
    """A private chat's id is its person's Telegram id."""

    id: int
    bot_id: int
    person: str
    first_name: str
    username: str
    blocked: bool = False
    deactivated: bool = False
    migrated_to: int | None = None
    last_message_id: int = 0
    messages: list[Message] = field(default_factory=list)

    @property
    def key(self) -> str:
        return f"{self.bot_id} {self.id}"

    def shown(self) -> dict[str, Any]:
        return {"id": self.id, "first_name": self.first_name, "username": self.username, "type": "private"}

    def user(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "is_bot": False,
            "first_name": self.first_name,
            "username": self.username,
            "language_code": "en",
        }

    def message(self, message_id: Any) -> Message | None:
        return next((m for m in self.messages if str(m.id) == str(message_id)), None)


class Chats:
    """Kept as JSON data in the world, so that a restart finds them."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._chats: dict[str, Chat] = {}
        self.came = asyncio.Event()

    def get(self, bot_id: int, chat_id: str) -> Chat | None:
        key = f"{bot_id} {chat_id}"
        document = self._world.chats.get(key)
        if document is None:
            self._chats.pop(key, None)
            return None
        chat = self._chats.get(key)
        if chat is None:
            messages = [Message(**m) for m in document["messages"]]
            chat = self._chats[key] = Chat(**{**document, "messages": messages})
        return chat

    def of_person(self, bot_id: int, person: Person) -> Chat | None:
        return self.get(bot_id, str(_id(person)))

    def of(self, bot_id: int, person: Person) -> Chat:
        """The person's chat with this bot, opened if there is none."""
        chat = self.of_person(bot_id, person)
        if chat is None:
            chat_id = _id(person)
            chat = Chat(chat_id, bot_id, person.key, person.name.split(" ")[0], f"{person.key}_example")
            self._world.chats[chat.key] = {"messages": []}
            self._chats[chat.key] = chat
            self.changed(chat)
        return chat

    def write(
        self, chat: Chat, sender: dict[str, Any], text: str, markup: dict[str, Any] | None, now: float
    ) -> Message:
        chat.last_message_id += 1
        message = Message(chat.last_message_id, sender["id"], sender, text, markup, int(now))
        chat.messages.append(message)
        del chat.messages[:-KEEP_MESSAGES]
        self.changed(chat)
        return message

    def edit(self, chat: Chat, message: Message, text: str, markup: dict[str, Any] | None, now: float) -> None:
        message.text, message.markup, message.edited = text, markup, int(now)
        self.changed(chat)

    def delete(self, chat: Chat, message: Message) -> None:
        chat.messages.remove(message)
        self.changed(chat)

    def changed(self, chat: Chat) -> None:
        self._world.chats[chat.key] = asdict(chat)
        self._world.journal.mark("chats", chat.key)
        self.came.set()
        self.came = asyncio.Event()


def _id(person: Person) -> int:
    return int(number(f"telegram/{person.key}", 10))
