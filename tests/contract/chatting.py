"""Rows about Telegram: the Bot API's answers to a message, and its updates, read by the notifier's own channel."""

import json
import re
from typing import Any

import aiohttp
from pydantic import SecretStr

from common.runtime.clock import SystemClock
from common.runtime.ids import new_id
from notifier.app import load_texts
from notifier.channels.telegram import updates
from notifier.channels.telegram.channel import ChatParcel, TelegramChannel
from notifier.channels.telegram.rules import Incoming
from notifier.channels.throttle import Throttle
from notifier.core.delivery import Outcome, SendOutcome

from .replaying import Row

WORDS = {"send_new": SendOutcome.NOT_EDITABLE}
"""What an expectation calls an answer by what follows from it."""


async def presented(row: Row) -> Outcome:
    """What the channel makes of the Bot API's answer to a message, or to the edit of one."""

    async def post(*_: Any) -> tuple[int, bytes]:
        text = row.body if isinstance(row.body, str) else json.dumps(row.body)
        return row.status or 200, text.encode()

    async with aiohttp.ClientSession() as http:
        channel = TelegramChannel(
            http,
            SecretStr("7:token"),
            api_url="https://api.telegram.example",
            texts=load_texts("https://wevion.example"),
            throttle=Throttle(rate=1000, burst=1000, clock=SystemClock()),
        )
        channel._api._post = post  # type: ignore[assignment]  # the one thing that is not production
        parcel = ChatParcel(delivery_id=new_id(), address="42", edits="5", html="x")
        return await (channel.edit(parcel) if row.call == "edit" else channel.send(parcel))


def outcome_fits(said: Outcome, wanted: str) -> bool:
    """Whether the outcome is what one expectation says, such as `try_later wait=35`."""
    word, *facts = wanted.split()
    known = {"wait": said.retry_after_s, "new_address": said.new_address, "reference": said.reference}
    same = all(_same(known[name], value) for name, _, value in (fact.partition("=") for fact in facts))
    return said.answer == WORDS.get(word, word) and same


def _same(ours: object, theirs: str) -> bool:
    return ours == float(theirs) if isinstance(ours, int | float) else str(ours) == theirs


def incoming(row: Row) -> Incoming:
    """What the notifier reads of an update."""
    return updates.parse(json.dumps(row.body).encode())


def update_fits(said: Incoming, wanted: str) -> bool:
    """Whether the update was read as one expectation says: facts as Python writes them, such as `text='/start'`."""
    facts = re.findall(r"(\w+)=('[^']*'|\S+)", wanted)
    return bool(facts) and all(repr(getattr(said, name)) == value for name, value in facts)
