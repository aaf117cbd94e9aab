"""What somebody who opens a link is told, for every state of the code."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from notifier.channels.telegram.rules import (
    BusyChats,
    Code,
    CodeState,
    LinkOutcome,
    button,
    command,
    judge,
    pressed,
    start_code,
)
from notifier.core.words import masked

NOW = datetime(2026, 9, 14, 12, 0, tzinfo=UTC)
MIA, MAX = UUID(int=2), UUID(int=3)
HERE, THERE = 77, 88


def _code(state: CodeState = CodeState.WAITING, chat_id: int | None = None, left_s: int = 1) -> Code:
    return Code(
        token_id=UUID(int=1),
        user_id=MIA,
        workspace_id=UUID(int=9),
        version=1,
        state=state,
        chat_id=chat_id,
        expires_at=NOW + timedelta(seconds=left_s),
    )


@pytest.mark.parametrize(
    ("code", "linked_to", "answer"),
    [
        (None, None, LinkOutcome.UNKNOWN),
        (_code(), None, LinkOutcome.CONFIRM),
        (_code(), MIA, LinkOutcome.CONFIRM),
        (_code(chat_id=HERE), None, LinkOutcome.CONFIRM),
        (_code(chat_id=THERE), None, LinkOutcome.FOREIGN),
        (_code(), MAX, LinkOutcome.TAKEN),
        (_code(left_s=0), None, LinkOutcome.EXPIRED),
        (_code(chat_id=THERE, left_s=0), None, LinkOutcome.EXPIRED),
        (_code(CodeState.USED, HERE), MIA, LinkOutcome.ALREADY),
        (_code(CodeState.USED, HERE), None, LinkOutcome.USED),
        (_code(CodeState.USED, HERE), MAX, LinkOutcome.USED),
        (_code(CodeState.USED, THERE), MIA, LinkOutcome.USED),
        (_code(CodeState.EXPIRED), None, LinkOutcome.EXPIRED),
        (_code(CodeState.SUPERSEDED), None, LinkOutcome.SUPERSEDED),
        (_code(CodeState.CANCELLED), None, LinkOutcome.USED),
    ],
)
def test_judge(code: Code | None, linked_to: UUID | None, answer: LinkOutcome) -> None:
    assert judge(code, chat_id=HERE, linked_to=linked_to, now=NOW) is answer


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("/start abc-DEF_1", "abc-DEF_1"),
        ("/start@WevionBot abc", "abc"),
        ("/start", ""),
        ("/start ", ""),
        ("/start a b", None),
        ("/start " + "a" * 65, None),
        ("/start a$b", None),
        ("/starts abc", None),
        ("start abc", None),
        ("", None),
    ],
)
def test_start_code(text: str, code: str | None) -> None:
    assert start_code(text) == code


@pytest.mark.parametrize(
    ("data", "found"),
    [
        (button("link", UUID(int=1)), ("link", UUID(int=1))),
        (button("refuse", UUID(int=1)), ("refuse", UUID(int=1))),
        ("link:1", None),
        ("drop:" + "0" * 32, None),
        ("", None),
    ],
)
def test_buttons(data: str, found: tuple[str, UUID] | None) -> None:
    assert pressed(data) == found
    assert len(data.encode()) <= 64


def test_commands_and_masks() -> None:
    assert [command(text) for text in ("/unlink", "/unlink@WevionBot now", "unlink", "/ unlink")] == [
        "unlink",
        "unlink",
        None,
        None,
    ]
    assert masked("mia@agency.example") == "m***@agency.example"
    assert masked("nonsense") == "***"


@pytest.mark.parametrize("text", ["/unlink", "/Unlink", "/UNLINK", "/Unlink@WevionBot now"])
def test_a_command_is_understood_however_a_phone_writes_it(text: str) -> None:
    assert command(text) == "unlink"


def test_the_code_of_a_start_in_capitals_stays_as_it_is() -> None:
    assert start_code("/START aB-_9") == "aB-_9"
    assert not start_code("/Start")


def test_one_chat_that_wants_to_be_left_alone_speaks_of_itself_and_a_second_one_of_the_bot() -> None:
    busy = BusyChats()
    assert busy.alone("a", 10_072, at=0)
    assert busy.alone("a", 10_000, at=72)
    assert not busy.alone("b", 30, at=72)
    assert not busy.alone("a", 5, at=80)
    assert busy.alone("b", 5, at=20_000)
