"""What Telegram checks in a message: entities of the parse modes, length, buttons."""

from __future__ import annotations

import html
import re
from html.parser import HTMLParser
from typing import Any
from urllib.parse import urlsplit

MOST_CHARACTERS = 4096
MOST_CALLBACK_BYTES = 64
TAGS = {
    *("b", "strong", "i", "em", "u", "ins", "s", "strike", "del", "code", "pre", "a", "span", "blockquote"),
    *("tg-spoiler", "tg-emoji"),
}
MARKDOWN_RESERVED = re.compile(r"(?<!\\)[#+\-=|{}.!>]")
MARKDOWN_CODE = re.compile(r"```.*?```|`[^`]*`|\[[^\]]*\]\([^)]*\)", re.DOTALL)


class ParseError(Exception):
    """What Telegram says about a message that it cannot read."""


class _Html(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.text: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in TAGS or (tag == "span" and ("class", "tg-spoiler") not in attrs):
            raise ParseError(f'Unsupported start tag "{tag}" at byte offset {self.getpos()[1]}')
        self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open[-1] != tag:
            raise ParseError(f'Unexpected end tag at byte offset {self.getpos()[1]}, found "</{tag}>"')
        self.open.pop()

    def handle_data(self, data: str) -> None:
        if "<" in data:
            raise ParseError(f'Unsupported start tag "" at byte offset {self.getpos()[1]}')
        self.text.append(data)


def plain(text: str, parse_mode: Any) -> str:
    """The text as the person reads it; a ParseError for entities that do not hold."""
    match str(parse_mode or "").lower():
        case "":
            return text
        case "html":
            return _html(text)
        case "markdownv2":
            return _markdown(text)
        case "markdown":
            return re.sub(r"[*_`]", "", text)
        case other:
            raise ParseError(f"unsupported parse_mode {other}")


def _html(text: str) -> str:
    parser = _Html()
    # A "<" that was escaped must not be taken for one that was not.
    parser.feed(
        re.sub(r"&(lt|gt|quot|amp);", lambda m: {"lt": "\x01", "gt": ">", "quot": '"', "amp": "\x02"}[m[1]], text)
    )
    parser.close()
    if parser.open:
        raise ParseError(f'Can\'t find end tag corresponding to start tag "{parser.open[-1]}"')
    return html.unescape("".join(parser.text)).replace("\x01", "<").replace("\x02", "&")


def _markdown(text: str) -> str:
    if (wrong := MARKDOWN_RESERVED.search(MARKDOWN_CODE.sub("", text))) is not None:
        raise ParseError(f"Character '{wrong[0]}' is reserved and must be escaped with the preceding '\\'")
    links = re.sub(r"(?<!\\)\[((?:[^\]\\]|\\.)*)\]\([^)]*\)", r"\1", text)
    return re.sub(r"\\(.)", r"\1", re.sub(r"(?<!\\)[*_~`]", "", links))


def check_markup(markup: Any) -> None:
    """A ParseError for a keyboard that Telegram refuses."""
    if not isinstance(markup, dict):
        raise ParseError("object expected as reply markup")
    rows = markup.get("inline_keyboard", [])
    if not isinstance(rows, list) or not all(isinstance(row, list) for row in rows):
        raise ParseError('field "inline_keyboard" must be of type Array')
    for one in (one for row in rows for one in row):
        if not one.get("text"):
            raise ParseError("inline keyboard button text must be non-empty")
        if "callback_data" in one:
            if not 1 <= len(str(one["callback_data"]).encode()) <= MOST_CALLBACK_BYTES:
                raise ParseError("BUTTON_DATA_INVALID")
        elif "url" in one:
            _check_url(str(one["url"]))
        elif not {"web_app", "switch_inline_query", "copy_text"} & set(one):
            raise ParseError("Text buttons are unallowed in the inline keyboard")


def _check_url(url: str) -> None:
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https", "tg"} or (parts.scheme != "tg" and "." not in (parts.hostname or "")):
        # A host without a dot, such as localhost, is refused.
        raise ParseError(f"inline keyboard button URL '{url}' is invalid: Wrong HTTP URL")


def button(markup: dict[str, Any] | None, name: str) -> dict[str, Any] | None:
    """The inline button with this text or callback data."""
    for row in (markup or {}).get("inline_keyboard", []):
        for one in row:
            if name in {one.get("text"), one.get("callback_data")}:
                found: dict[str, Any] = one
                return found
    return None
