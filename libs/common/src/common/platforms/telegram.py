"""Telegram: the Bot API's `description` (tdlib/telegram-bot-api `Client.cpp`, read 2026-12-01)."""

import re

from common.contracts import RevocationCause, TokenKind, Verdict
from common.platforms.errors import Failure, Reply, by_status, number, our_bug, rate_limited, retry_later
from common.platforms.platform import Connected, Platform

TEXTS = (
    (r"bot was blocked by the user", RevocationCause.USER_REVOKED, "the user blocked the bot"),
    (r"user is deactivated", None, "the Telegram account was deleted"),
    (r"chat not found", None, "there is no such chat for the bot"),
    (r"bot was kicked|bot is not a member|group chat was deleted", RevocationCause.USER_REVOKED, "the bot was removed"),
    (
        r"bot can't initiate conversation|have no rights to send|chat_write_forbidden",
        None,
        "the bot may not write there",
    ),
)
"""Descriptions after which only a new link helps."""


def meaning(reply: Reply) -> Failure | None:
    """`ok: false` with `error_code` and `description`; 401 and 404 are about the bot's own token."""
    body = reply.object
    text = str(body.get("description", "") or ("" if body else reply.text)).lower()
    for pattern, cause, words in TEXTS:
        if re.search(pattern, text):
            return Failure(Verdict.NEW_LINK, "link_dead", words, cause=cause)
    if body.get("ok") is not False:
        return None
    code = number(body.get("error_code")) or reply.status or 0
    parameters = body.get("parameters")
    wait = number(parameters.get("retry_after")) if isinstance(parameters, dict) else None
    match code:
        case 429:
            return rate_limited("429", "Telegram's rate limit", retry_after_s=wait)
        case 401 | 404:
            return our_bug(str(code), "Wevion's bot token is refused")
        case 421:
            return retry_later("421", "the bot is served elsewhere for now")
        case _:
            return by_status(code)


def shape(reply: Reply) -> bool:
    """Return the envelope of the Bot API."""
    return reply.object.get("ok") is False and "description" in reply.object


def quoted(text: str) -> Failure | None:
    """Return one of its descriptions."""
    if "too many requests: retry after" in text:
        return rate_limited("429", "Telegram's rate limit")
    return meaning(Reply(None, None, text))


TELEGRAM = Platform(
    provider="telegram",
    title="Telegram",
    kind=TokenKind.TELEGRAM_LINK,
    connected=Connected.LINK,
    names=re.compile(r"telegram|\bt\.me/|\bbot(?:father)?\b"),
    meaning=meaning,
    shape=shape,
    quoted=quoted,
)
