"""Slack as its Web API and incoming webhooks are documented, and as strict."""

from __future__ import annotations

from typing import Any

import pytest

from provider_simulator.platforms.slack import BOT_TOKEN, HOOK_PATH
from provider_simulator.testing import Answer, Client

HEADER = {"type": "header", "text": {"type": "plain_text", "text": "Hello"}}


async def _call(client: Client, method: str, token: str | None = BOT_TOKEN, **given: Any) -> Answer:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    return await client.ask("POST", f"slack.com/api/{method}", json=given, headers=headers)


async def _channel(client: Client) -> Any:
    return await client.sim("GET", "slack/channels/C0WEVIONADS")


async def test_a_message_is_written_and_edited_in_place(client: Client) -> None:
    sent = (await _call(client, "chat.postMessage", channel="C0WEVIONADS", text="one", blocks=[HEADER])).json
    assert sent["ok"]
    edited = (await _call(client, "chat.update", channel="C0WEVIONADS", ts=sent["ts"], text="two")).json
    assert (edited["ok"], edited["ts"]) == (True, sent["ts"])
    (message,) = (await _channel(client))["messages"]
    assert message["text"] == "two"
    assert message["edited"]


@pytest.mark.parametrize(
    ("method", "token", "given", "error"),
    [
        ("auth.test", None, {}, "not_authed"),
        ("auth.test", "xoxb-nobody", {}, "invalid_auth"),
        ("chat.postMessage", BOT_TOKEN, {"text": "x"}, "channel_not_found"),
        ("chat.postMessage", BOT_TOKEN, {"channel": "C0NOSUCH", "text": "x"}, "channel_not_found"),
        ("chat.postMessage", BOT_TOKEN, {"channel": "C0WEVIONGEN", "text": "x"}, "not_in_channel"),
        ("chat.postMessage", BOT_TOKEN, {"channel": "C0WEVIONADS"}, "no_text"),
        ("chat.postMessage", BOT_TOKEN, {"channel": "C0WEVIONADS", "text": "x" * 40_001}, "msg_too_long"),
        ("chat.update", BOT_TOKEN, {"channel": "C0WEVIONADS", "ts": "1.2", "text": "x"}, "message_not_found"),
        ("chat.nothing", BOT_TOKEN, {}, "unknown_method"),
    ],
)
async def test_it_says_no_as_slack_does(
    client: Client, method: str, token: str | None, given: dict[str, Any], error: str
) -> None:
    answer = await _call(client, method, token, **given)
    assert (answer.status, answer.json["ok"], answer.json["error"]) == (200, False, error)


@pytest.mark.parametrize(
    "block",
    [
        {"type": "header", "text": {"type": "plain_text", "text": "x" * 151}},
        {"type": "header", "text": {"type": "mrkdwn", "text": "x"}},
        {"type": "section", "text": {"type": "plain_text", "text": "x" * 3_001}},
        {"type": "section", "text": {"type": "plain_text", "text": ""}},
        {"type": "section", "text": {"type": "mrkdwn", "text": "x", "emoji": True}},
        {"type": "section"},
        {"type": "divider", "text": "x"},
        {"type": "poem", "text": "x"},
        "text",
    ],
)
async def test_block_kits_limits_hold(client: Client, block: Any) -> None:
    answer = await _call(client, "chat.postMessage", channel="C0WEVIONADS", text="x", blocks=[block])
    assert answer.json["error"] == "invalid_blocks"
    assert (await _channel(client))["messages"] == []


async def test_more_than_fifty_blocks_are_too_many(client: Client) -> None:
    answer = await _call(client, "chat.postMessage", channel="C0WEVIONADS", text="x", blocks=[{"type": "divider"}] * 51)
    assert answer.json["error"] == "invalid_blocks"


async def test_a_channel_takes_about_one_message_a_second(client: Client) -> None:
    answers = [await _call(client, "chat.postMessage", channel="C0WEVIONADS", text="x") for _ in range(7)]
    refused = [answer for answer in answers if answer.status == 429]
    assert refused
    assert refused[0].json["error"] == "ratelimited"
    assert int(refused[0].headers["Retry-After"]) >= 1


@pytest.mark.parametrize("state", ["token_revoked", "account_inactive", "token_expired"])
async def test_a_token_that_was_ended_says_how(client: Client, state: str) -> None:
    await client.sim("POST", "slack/tokens", {"state": state})
    assert (await _call(client, "auth.test")).json["error"] == state


async def test_an_incoming_webhook_answers_in_plain_text(client: Client) -> None:
    url = f"hooks.slack.com{HOOK_PATH}"
    good = await client.ask("POST", url, json={"text": "x"})
    assert (good.status, good.text) == (200, "ok")
    assert ((await client.ask("POST", url, json={})).status, (await client.ask("POST", url, data="x")).status) == (
        400,
        400,
    )
    await client.sim("POST", "slack/channels/C0WEVIONADS", {"archived": True})
    gone = await client.ask("POST", url, json={"text": "x"})
    assert (gone.status, gone.text) == (410, "channel_is_archived")
    await client.sim("POST", "slack/hooks", {"state": "no_service"})
    removed = await client.ask("POST", url, json={"text": "x"})
    assert (removed.status, removed.text) == (404, "no_service")
