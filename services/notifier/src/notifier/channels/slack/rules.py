"""What Slack takes, and what its answers mean. Facts: docs.slack.dev, read 2026-12.

Everything that a person or a platform chose is `plain_text`, where Slack reads neither markup nor mentions; the only
`mrkdwn` is a link whose address and label are ours.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from notifier.core.delivery import Outcome, SendOutcome
from notifier.core.rendering import Severity, Words

LONGEST_HEADER = 150
LONGEST_SECTION = 3_000
LONGEST_TEXT = 4_000
"""Slack cuts `text` at 40,000 characters and asks for at most 4,000."""
FULL_ITEMS = 5
TITLES = 20
_CHANNEL_ID = re.compile(r"[CG][A-Z0-9]{7,20}")
_BOT_TOKEN = re.compile(r"xoxb-[A-Za-z0-9-]{10,250}")
_HOOK_PATH = re.compile(r"/services/T[A-Z0-9]{2,20}/B[A-Z0-9]{2,20}/[A-Za-z0-9]{8,64}")
_SIGNS = {Severity.CRITICAL: "🔴", Severity.WARNING: "🟠", Severity.INFO: "🔵"}

DEAD = frozenset(
    {
        # Web API: the channel, and whether the bot may write there
        "channel_not_found",
        "is_archived",
        "not_in_channel",
        "restricted_action",
        "posting_to_general_channel_denied",
        # Web API: the token
        "invalid_auth",
        "not_authed",
        "account_inactive",
        "token_revoked",
        "token_expired",
        "missing_scope",
        "no_permission",
        "not_allowed_token_type",
        "org_login_required",
        "team_access_not_granted",
        "ekm_access_denied",
        # incoming webhooks
        "no_service",
        "no_service_id",
        "no_team",
        "team_disabled",
        "invalid_token",
        "channel_is_archived",
        "action_prohibited",
        "user_not_found",
    }
)
"""A person has to change something before the next message can be taken."""
_LATER = frozenset({"ratelimited", "rate_limited", "service_unavailable", "request_timeout", "rollup_error"})
_MAY_BE_DONE = frozenset({"fatal_error", "internal_error"})
"""Slack says of both that some aspect of the operation may have succeeded."""
_NOT_EDITABLE = frozenset({"message_not_found", "cant_update_message", "edit_window_closed", "channel_not_found"})
_GONE, _TOO_MANY, _SERVER_ERROR = 410, 429, 500


@dataclass(frozen=True, slots=True)
class Phrases:
    """The few words that only a Slack message has."""

    more: str
    see_all: str
    notices_url: str


def is_channel_id(text: str) -> bool:
    """Return whether it is the id of a channel, such as C0123456789 (not its name)."""
    return _CHANNEL_ID.fullmatch(text) is not None


def is_bot_token(text: str) -> bool:
    """Return whether it looks like a bot token (`xoxb-…`)."""
    return _BOT_TOKEN.fullmatch(text) is not None


def is_hook_of(url: str, base: str) -> bool:
    """Return whether it is the address of an incoming webhook at `base`."""
    return url.startswith(base + "/") and _HOOK_PATH.fullmatch(url[len(base) :]) is not None


def message(items: Sequence[Words], *, follow_up: bool, phrases: Phrases) -> dict[str, Any]:
    """Return one message about one or several notices: Block Kit, and the text for notifications and screen readers."""
    blocks: list[dict[str, Any]] = []
    for item in items[:FULL_ITEMS]:
        blocks += _item(item, over=follow_up or item.resolved)
    if len(items) > FULL_ITEMS:
        rest = items[FULL_ITEMS:]
        titles = "\n".join(f"• {_title(item, over=follow_up or item.resolved)}" for item in rest[:TITLES])
        blocks += [_plain(f"{phrases.more}\n{titles}"), _link(phrases.notices_url, phrases.see_all)]
    text = "; ".join(_title(item, over=follow_up or item.resolved) for item in items)
    return {"text": escape(_cut(text, LONGEST_TEXT // 5)), "blocks": blocks}


def _item(item: Words, *, over: bool) -> list[dict[str, Any]]:
    sign = "✅" if over else _SIGNS[item.severity]
    header = {"type": "plain_text", "text": _cut(f"{sign} {_title(item, over=over)}", LONGEST_HEADER), "emoji": False}
    head: dict[str, Any] = {"type": "header", "text": header}
    if over:
        return [head, _plain(item.recovered)]
    body = "\n".join(filter(None, (item.what, item.stops, item.fix)))
    return [head, _plain(body), _link(item.fix_url, item.button)]


def _title(item: Words, *, over: bool) -> str:
    return item.solved if over else item.title


def _plain(text: str) -> dict[str, Any]:
    return {"type": "section", "text": {"type": "plain_text", "text": _cut(text, LONGEST_SECTION), "emoji": False}}


def _link(url: str, label: str) -> dict[str, Any]:
    # A button with a URL would send Slack's app an interaction that somebody has to acknowledge.
    return {"type": "section", "text": {"type": "mrkdwn", "text": f"<{escape(url)}|{escape(label)}>"}}


def escape(text: str) -> str:
    """Return the three characters that Slack reads as control characters."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _cut(text: str, longest: int) -> str:
    return text if len(text) <= longest else text[: longest - 1] + "…"


def read(status: int, error: str, retry_after_s: float | None, *, editing: bool) -> Outcome:
    """Return what a refusal means.

    Args:
        status: the HTTP status; the Web API answers 200 to almost everything.
        error: Slack's own code, from the answer's `error` or an incoming webhook's text.
        retry_after_s: from the header `Retry-After`.
        editing: whether the call was `chat.update`.

    Returns:
        The outcome, with Slack's code as its detail.

    """
    detail = error or f"http_{status}"
    if status == _TOO_MANY or error in _LATER:
        return Outcome(SendOutcome.TRY_LATER, retry_after_s=retry_after_s, detail=error or "ratelimited")
    if editing and error in _NOT_EDITABLE:
        return Outcome(SendOutcome.NOT_EDITABLE, detail=detail)
    if error in DEAD or status == _GONE:
        return Outcome(SendOutcome.ADDRESS_DEAD, detail=error or "no_service")
    if error in _MAY_BE_DONE:
        return Outcome(SendOutcome.UNKNOWN, detail=detail)
    if status >= _SERVER_ERROR:
        return Outcome(SendOutcome.TRY_LATER, retry_after_s=retry_after_s, detail=detail)
    return Outcome(SendOutcome.MESSAGE_REFUSED, detail=detail)
