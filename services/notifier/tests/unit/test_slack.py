"""What Slack is sent stays within Block Kit's limits, holds nobody's markup, and its answers are read rightly."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from common.testing import ManualClock
from notifier.channels.slack import rules
from notifier.channels.throttle import Turns
from notifier.core.delivery import SendOutcome
from notifier.core.rendering import Severity, Words
from provider_simulator.platforms import slack_blocks

PHRASES = rules.Phrases(more="And more:", see_all="See all", notices_url="https://wevion.example/notices")
EVIL = "<!channel> *x* <https://evil.example|click> & :bomb: _y_ `z`"


def _words(title: str = "Meta access was ended", *, resolved: bool = False, **more: str) -> Words:
    texts = {
        "what": "what",
        "stops": "stops",
        "fix": "fix",
        "button": "Re-authorise Meta",
        "solved": "Meta works again",
        "recovered": "All works again.",
        "fix_url": "https://wevion.example/connect/meta?a=1&b=2",
    } | more
    return Words(title=title, severity=Severity.CRITICAL, accounts="", left="", when="", resolved=resolved, **texts)


@pytest.mark.parametrize("count", [1, 2, 5, 6, 40, 500])
@pytest.mark.parametrize("follow_up", [False, True])
@pytest.mark.parametrize("length", [1, 200, 5_000])
def test_whatever_it_says_slack_takes_it(count: int, follow_up: bool, length: int) -> None:
    items = [_words("ü" * length, what="w" * length, stops="s" * length, recovered="r" * length) for _ in range(count)]
    message = rules.message(items, follow_up=follow_up, phrases=PHRASES)
    assert slack_blocks.wrong(message["blocks"]) is None
    assert 0 < len(message["text"]) <= rules.LONGEST_TEXT


def test_a_message_says_what_why_and_where_to_click() -> None:
    message = rules.message([_words()], follow_up=False, phrases=PHRASES)
    assert message["text"] == "Meta access was ended"
    assert _texts(message) == [
        "🔴 Meta access was ended",
        "what\nstops\nfix",
        "<https://wevion.example/connect/meta?a=1&amp;b=2|Re-authorise Meta>",
    ]


def test_what_is_over_says_so_and_asks_for_nothing() -> None:
    for message in (
        rules.message([_words()], follow_up=True, phrases=PHRASES),
        rules.message([_words(resolved=True)], follow_up=False, phrases=PHRASES),
    ):
        assert _texts(message) == ["✅ Meta works again", "All works again."]


def test_names_that_people_chose_are_no_markup_and_mention_nobody() -> None:
    message = rules.message([_words(EVIL, what=EVIL)], follow_up=False, phrases=PHRASES)
    assert message["text"].startswith("&lt;!channel&gt;")
    markup = [block["text"]["text"] for block in message["blocks"] if block["text"]["type"] == "mrkdwn"]
    assert markup == ["<https://wevion.example/connect/meta?a=1&amp;b=2|Re-authorise Meta>"]
    assert all(block["text"]["emoji"] is False for block in message["blocks"] if block["text"]["type"] == "plain_text")


def _texts(message: dict[str, Any]) -> list[str]:
    return [block["text"]["text"] for block in message["blocks"]]


@pytest.mark.parametrize(
    ("status", "error", "editing", "answer"),
    [
        (200, "channel_not_found", False, SendOutcome.ADDRESS_DEAD),
        (200, "is_archived", False, SendOutcome.ADDRESS_DEAD),
        (200, "not_in_channel", False, SendOutcome.ADDRESS_DEAD),
        (200, "invalid_auth", False, SendOutcome.ADDRESS_DEAD),
        (200, "account_inactive", False, SendOutcome.ADDRESS_DEAD),
        (200, "token_revoked", True, SendOutcome.ADDRESS_DEAD),
        (404, "no_service", False, SendOutcome.ADDRESS_DEAD),
        (410, "channel_is_archived", False, SendOutcome.ADDRESS_DEAD),
        (410, "", False, SendOutcome.ADDRESS_DEAD),
        (403, "action_prohibited", False, SendOutcome.ADDRESS_DEAD),
        (429, "ratelimited", False, SendOutcome.TRY_LATER),
        (429, "", False, SendOutcome.TRY_LATER),
        (503, "", False, SendOutcome.TRY_LATER),
        (200, "service_unavailable", False, SendOutcome.TRY_LATER),
        (200, "fatal_error", False, SendOutcome.UNKNOWN),
        (200, "internal_error", False, SendOutcome.UNKNOWN),
        (200, "message_not_found", True, SendOutcome.NOT_EDITABLE),
        (200, "cant_update_message", True, SendOutcome.NOT_EDITABLE),
        (200, "edit_window_closed", True, SendOutcome.NOT_EDITABLE),
        (200, "invalid_blocks", False, SendOutcome.MESSAGE_REFUSED),
        (400, "invalid_payload", False, SendOutcome.MESSAGE_REFUSED),
        (200, "some_new_code", False, SendOutcome.MESSAGE_REFUSED),
    ],
)
def test_each_refusal_has_its_meaning(status: int, error: str, editing: bool, answer: SendOutcome) -> None:
    assert rules.read(status, error, 7.0, editing=editing).answer is answer


def test_slack_is_waited_for_as_long_as_it_says() -> None:
    assert rules.read(429, "ratelimited", 30.0, editing=False).retry_after_s == 30


@pytest.mark.parametrize(
    ("url", "good"),
    [
        ("https://hooks.slack.com/services/T0WEVION1/B0WEVION1/SimWevionHook", True),
        ("http://hooks.slack.com/services/T0WEVION1/B0WEVION1/SimWevionHook", False),
        ("https://hooks.slack.com.evil.example/services/T0WEVION1/B0WEVION1/SimWevionHook", False),
        ("https://hooks.slack.com/services/T0WEVION1/B0WEVION1/../x", False),
        ("https://hooks.slack.com/services/T0WEVION1/B0WEVION1/SimWevionHook\n", False),
        ("https://hooks.slack.com/services/T0WEVION1/B0WEVION1/SimWevionHook?x=1", False),
        ("https://x@hooks.slack.com/services/T0WEVION1/B0WEVION1/SimWevionHook", False),
        ("", False),
    ],
)
def test_only_an_incoming_webhook_of_slack_is_one(url: str, good: bool) -> None:
    assert rules.is_hook_of(url, "https://hooks.slack.com") is good


@pytest.mark.parametrize(
    ("text", "good"),
    [("C0123456789", True), ("G0123456789", True), ("#general", False), ("general", False), ("c0123456789", False)],
)
def test_a_channel_is_named_by_its_id(text: str, good: bool) -> None:
    assert rules.is_channel_id(text) is good


@pytest.mark.parametrize(
    ("text", "good"), [("xoxb-1-2-abcdefghij", True), ("xoxp-1-2-abcdefghij", False), ("xoxb-1-2-abc def ghi", False)]
)
def test_only_a_bots_token_is_taken(text: str, good: bool) -> None:
    assert rules.is_bot_token(text) is good


def test_turns_are_each_keys_own_and_come_back() -> None:
    clock = ManualClock(datetime(2026, 9, 14, 12, 0, tzinfo=UTC))
    turns = Turns(rate=1, burst=2, clock=clock)
    assert [round(turns.wait_s("a"), 3) for _ in range(4)] == [0, 0, 1, 1]
    assert turns.wait_s("b") == 0
    clock.advance(timedelta(seconds=1))
    assert [round(turns.wait_s("a"), 3) for _ in range(2)] == [0, 1]
