"""Block Kit's documented limits (docs.slack.dev/reference/block-kit, read 2026-12): what is beyond is refused whole."""

from __future__ import annotations

from typing import Any

MOST_BLOCKS = 50
LONGEST_TEXT = 40_000
LONGEST_HEADER = 150
LONGEST_SECTION = 3_000
LONGEST_FIELD = 2_000
MOST_FIELDS = 10
MOST_CONTEXT = 10
LONGEST_BLOCK_ID = 255


def wrong(blocks: Any) -> str | None:
    """Say what is wrong with the blocks of a message; None if Slack takes them."""
    if not isinstance(blocks, list):
        return "blocks is no list"
    if len(blocks) > MOST_BLOCKS:
        return f"more than {MOST_BLOCKS} blocks"
    return next((fault for number, block in enumerate(blocks) if (fault := _block(block, number))), None)


def _block(block: Any, number: int) -> str | None:
    if not isinstance(block, dict):
        return f"/blocks/{number} is no object"
    block_id = block.get("block_id", "")
    if not isinstance(block_id, str) or len(block_id) > LONGEST_BLOCK_ID:
        return f"/blocks/{number}/block_id"
    rest = {key: value for key, value in block.items() if key not in ("type", "block_id")}
    match block.get("type"):
        case "divider":
            fault = "has more than a type" if rest else None
        case "header":
            fault = _only(rest, {"text"}) or _text(rest.get("text"), LONGEST_HEADER, {"plain_text"})
        case "section":
            fault = _section(rest)
        case "context":
            elements = rest.get("elements")
            bad = not isinstance(elements, list) or not 1 <= len(elements) <= MOST_CONTEXT
            fault = _only(rest, {"elements"}) or ("needs 1 to 10 elements" if bad else None)
        case _:
            fault = "has a type that does not exist in messages"
    return None if fault is None else f"/blocks/{number} {fault}"


def _section(block: dict[str, Any]) -> str | None:
    if "text" not in block and "fields" not in block:
        return "needs text or fields"
    fields = block.get("fields", [])
    if not isinstance(fields, list) or len(fields) > MOST_FIELDS:
        return "has too many fields"
    fault = _only(block, {"text", "fields", "expand"})
    if fault is None and "text" in block:
        fault = _text(block["text"], LONGEST_SECTION, {"plain_text", "mrkdwn"})
    return fault or next(
        (bad for each in fields if (bad := _text(each, LONGEST_FIELD, {"plain_text", "mrkdwn"}))), None
    )


def _text(text: Any, longest: int, kinds: set[str]) -> str | None:
    if not isinstance(text, dict) or text.get("type") not in kinds:
        return f"text is not of the type {' or '.join(sorted(kinds))}"
    allowed = {"type", "text"} | ({"emoji"} if text["type"] == "plain_text" else {"verbatim"})
    words = text.get("text")
    if not isinstance(words, str) or not 1 <= len(words) <= longest:
        return f"text must have 1 to {longest} characters"
    return _only(text, allowed)


def _only(found: dict[str, Any], allowed: set[str]) -> str | None:
    unknown = sorted(set(found) - allowed)
    return f"has no {unknown[0]}" if unknown else None
