"""Linking a Telegram chat to a person: a one-time code that is opened in the chat and confirmed there.

The code is all that the link holds; it is random, works once and for a day, and only its digest is kept. Whoever opens
it is asked whether the Wevion account is theirs, because a link can be forwarded.
"""

import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID

CODE_LIFE = timedelta(hours=24)
MOST_LINKS = 10
LINKS_WINDOW = timedelta(hours=1)
"""A person makes at most so many links within so long."""
CODE_BYTES = 32
"""256 bits; 43 characters as base64url, of the 64 that a deep link may carry (Bot API, "Deep Linking")."""

_START = re.compile(r"/start(?:@[A-Za-z0-9_]+)?(?:\s+(?P<code>[A-Za-z0-9_-]{1,64}))?\s*", re.IGNORECASE)
_COMMAND = re.compile(r"^/(?P<name>[A-Za-z]+)(?:@[A-Za-z0-9_]+)?(?:\s|$)")
_PRESSED = re.compile(r"(?P<verb>link|refuse):(?P<token>[0-9a-f]{32})")


class CodeState(StrEnum):
    """Where a one-time code is."""

    WAITING = "waiting"
    USED = "used"
    EXPIRED = "expired"
    SUPERSEDED = "superseded"
    CANCELLED = "cancelled"


class LinkState(StrEnum):
    """Where a link is."""

    LINKED = "linked"
    BROKEN = "broken"
    UNLINKED = "unlinked"


@dataclass(frozen=True, slots=True, kw_only=True)
class Code:
    """A one-time code, without the code."""

    token_id: UUID
    user_id: UUID
    workspace_id: UUID
    version: int
    state: CodeState
    chat_id: int | None
    expires_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """A chat that belongs to a person."""

    token_id: UUID
    user_id: UUID
    workspace_id: UUID
    chat_id: int
    chat_name: str
    version: int
    state: LinkState
    linked_at: datetime
    ended_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Button:
    """A button under a message."""

    label: str
    data: str


@dataclass(frozen=True, slots=True)
class Incoming:
    """What we read of an update: a message, a pressed button (`callback_id`), or that the bot was blocked (`gone`)."""

    update_id: int
    chat_id: int | None = None
    chat_name: str = ""
    private: bool = False
    text: str = ""
    callback_id: str | None = None
    data: str = ""
    message_id: int | None = None
    gone: bool | None = None


class BusyChats:
    """Chats that asked to be left alone, and until when (in seconds of one clock that never jumps).

    Telegram's 429 does not say whether the chat or the bot was too fast. One chat is believed to speak of itself (some
    were seen to ask for hours); when a second one asks while the first one waits, it is the bot.
    """

    def __init__(self) -> None:
        self._until: dict[str, float] = {}

    def alone(self, chat: str, seconds: float, at: float) -> bool:
        """Note that the chat wants to be left alone for so long; return whether this concerns that chat alone."""
        others = {other: until for other, until in self._until.items() if until > at and other != chat}
        self._until = others | {chat: at + seconds}
        return not others


class LinkOutcome(StrEnum):
    """What somebody who opens a link, or presses a button under our question, is told."""

    CONFIRM = "confirm"
    LINKED = "linked"
    ALREADY = "already"
    USED = "used"
    EXPIRED = "expired"
    SUPERSEDED = "superseded"
    UNKNOWN = "unknown"
    FOREIGN = "foreign"
    TAKEN = "taken"
    GROUP = "group"
    REFUSED = "refused"
    WELCOME = "welcome"
    UNLINKED = "unlinked"
    NOT_LINKED = "not_linked"
    HELP = "help"


def start_code(text: str) -> str | None:
    """Return the code of `/start <code>`; empty for a bare `/start`; None for anything else."""
    found = _START.fullmatch(text)
    return None if found is None else found["code"] or ""


def command(text: str) -> str | None:
    """Return the name of a bot command, such as `unlink`."""
    found = _COMMAND.match(text)
    return None if found is None else found["name"].lower()


def button(verb: str, token_id: UUID) -> str:
    """Return the data of a button (64 bytes at most): it names the code's token, and grants nothing by itself."""
    return f"{verb}:{token_id.hex}"


def pressed(data: str) -> tuple[str, UUID] | None:
    """Return what a button's data says; None for data that is not ours."""
    found = _PRESSED.fullmatch(data)
    return None if found is None else (found["verb"], UUID(hex=found["token"]))


def judge(code: Code | None, *, chat_id: int, linked_to: UUID | None, now: datetime) -> LinkOutcome:
    """Return what a chat that shows this code is told. `linked_to`: the person whom the chat belongs to already.

    A waiting code belongs to the first chat that opens it: in a second one it is somebody else's.

    Args:
        code: the code; None when there is none like it.
        chat_id: Telegram's id of the chat.
        linked_to: the person whom the chat belongs to already.
        now: the present time, in UTC.

    """
    if code is None:
        return LinkOutcome.UNKNOWN
    if code.state is not CodeState.WAITING:
        return _of_a_spent(code, chat_id=chat_id, linked_to=linked_to)
    if now >= code.expires_at:
        return LinkOutcome.EXPIRED
    if code.chat_id is not None and code.chat_id != chat_id:
        return LinkOutcome.FOREIGN
    if linked_to is not None and linked_to != code.user_id:
        return LinkOutcome.TAKEN
    return LinkOutcome.CONFIRM


def _of_a_spent(code: Code, *, chat_id: int, linked_to: UUID | None) -> LinkOutcome:
    match code.state:
        case CodeState.USED if code.chat_id == chat_id and linked_to == code.user_id:
            return LinkOutcome.ALREADY  # Telegram clients send /start again when a link is opened twice
        case CodeState.EXPIRED:
            return LinkOutcome.EXPIRED
        case CodeState.SUPERSEDED:
            return LinkOutcome.SUPERSEDED
        case _:
            return LinkOutcome.USED
