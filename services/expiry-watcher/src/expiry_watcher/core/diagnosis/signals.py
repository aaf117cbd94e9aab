"""What there is to go by: everything that was given, in one form. Reads, and judges nothing."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from common.platforms import PLATFORMS
from common.platforms.errors import Reply, read_reply

_STATUS = re.compile(
    r"\b(?:http(?:/[12](?:\.\d)?)?|status(?:[ _]?code)?)[ :=]*([1-5]\d\d)\b|\b(40[13]) (?:un|for)"
    r"|\b(?:returns?|returned|returning|answers?|answered|replied|replies|gives?|gave|got|getting)"
    r"(?: (?:me|us|a|an|with|only))* ([45]\d\d)\b",
    re.IGNORECASE,
)
_UUID = re.compile(r"\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b", re.IGNORECASE)
_LONGEST = 20_000
_DEEPEST = 12
"""Google Ads says what is wrong seven levels deep."""


@dataclass(frozen=True, slots=True)
class Signals:
    """An error as it was met.

    Attributes:
        text: all words there are (message, body, code), in lower case with single spaces.
        document: the body as a JSON object, if it is one.
        reply: the answer as the platforms' tables read it.
        status: the HTTP status, given or named in the text.
        path: where in the product or API it was met, such as `/settings/integrations`.
        area: the product area in words, such as `ads manager`.
        provider: the provider's id, if it was given.

    """

    text: str
    document: dict[str, Any]
    reply: Reply = field(default_factory=lambda: Reply(None))
    status: int | None = None
    path: str | None = None
    area: str | None = None
    provider: str | None = None

    def member(self, *names: str) -> Any:
        """Return a value inside the document by its path of names; None if it is not there."""
        found: Any = self.document
        for name in names:
            if not isinstance(found, dict):
                return None
            found = found.get(name)
        return found

    def ids(self) -> tuple[UUID, ...]:
        """Return the ids that occur in the text, in order."""
        return tuple(dict.fromkeys(UUID(match) for match in _UUID.findall(self.text)))


def read(
    *,
    text: str | None = None,
    body: Any = None,
    status: int | None = None,
    path: str | None = None,
    area: str | None = None,
    provider: str | None = None,
) -> Signals:
    """Bring what was given into one form. A body may be JSON, a string that holds JSON, or any other text.

    Args:
        text: what a person pasted or wrote.
        body: an answer: JSON, a string that holds JSON, or any other text.
        status: the HTTP status.
        path: where it appeared: a path or an address.
        area: where in the product it appeared, in words.
        provider: the provider that the caller names.

    """
    whole = _whole(body) or _whole(text)
    document = _object(whole)
    said = [part for part in (text, body if isinstance(body, str) else None) if part]
    said.extend(_strings(document))
    if path and is_foreign(path):
        said.append(path)  # a platform's own address: its host says whose it is
    words = " ".join(" ".join(said).lower().split())[:_LONGEST]
    known = status if status is not None else _status(words)
    return Signals(
        text=words,
        document=document,
        reply=Reply(
            known,
            whole if whole is not None else read_reply(None, said[0] if said else "").document,
            said[0] if said else "",
        ),
        status=known,
        path=_path(path) if path and not is_foreign(path) else None,
        area=" ".join(area.lower().replace("-", " ").replace("_", " ").split()) if area else None,
        provider=provider.lower() if provider else None,
    )


def is_foreign(path: str) -> bool:
    """Return whether this is an absolute address of a platform, and not one of Wevion's."""
    host = re.match(r"^[a-z]+://([^/?#]+)", path.strip().lower())
    return host is not None and any(
        platform.names.search(path.lower()) for platform in PLATFORMS.values() if platform.provider != "wevion"
    )


def _path(given: str) -> str:
    """Return the path of a path or of a whole address, in lower case."""
    without_host = re.sub(r"^[a-z]+://[^/]*", "", given.strip().lower())
    return "/" + without_host.split("?")[0].split("#")[0].lstrip("/")


def _whole(value: Any) -> Any:
    """Return the JSON object or list that was given, or that stands somewhere in a string; None if there is none."""
    if isinstance(value, dict | list):
        return value
    if not isinstance(value, str) or len(value) > _LONGEST:
        return None
    for opening, closing in (("{", "}"), ("[", "]")):
        start, end = value.find(opening), value.rfind(closing)
        if opening == "{" and 0 <= value.find("[") < start and value.rstrip().endswith("]"):
            continue  # a list of objects
        try:
            found = json.loads(value[start : end + 1]) if 0 <= start < end else None
        except (ValueError, RecursionError):
            continue
        if isinstance(found, dict | list):
            return found
    return None


def _object(whole: Any) -> dict[str, Any]:
    return Reply(None, whole).object


def _strings(value: Any, depth: int = 0) -> Iterator[str]:
    """Yield names and values of a document as words, so that one rule reads text and JSON alike."""
    if depth > _DEEPEST:
        return
    if isinstance(value, dict):
        for name, inner in value.items():
            yield str(name)
            yield from _strings(inner, depth + 1)
    elif isinstance(value, list):
        for inner in value[:20]:
            yield from _strings(inner, depth + 1)
    elif value is not None:
        yield str(value)


def _status(words: str) -> int | None:
    match = _STATUS.search(words)
    return int(match[1] or match[2] or match[3]) if match else None
