"""Keeps secrets out of everything that is written down.

Two nets, because each has holes: names of fields that hold secrets, and the shapes that secrets have. Pure.
"""

import itertools
import re
from collections.abc import Mapping
from enum import Enum
from functools import lru_cache
from typing import Any

REDACTED = "***"

_SECRET_WORDS = frozenset(
    {
        "apikey", "assertion", "authorization", "bearer", "code", "cookie", "cookies", "credential", "credentials",
        "dek", "jwt", "kek", "passphrase", "passwd", "password", "pwd", "secret", "secrets", "signature", "token",
        "tokens", "verifier",
    }
)  # fmt: skip
# A name that ends in one of these speaks about a secret without holding it: token_id, token_kind, secret_count.
_HARMLESS_ENDINGS = frozenset(
    {
        "affected", "at", "bytes", "cause", "class", "count", "due", "endpoint", "expired", "file", "id", "ids", "kind",
        "kinds", "len", "length", "ms", "name", "path", "provider", "s", "scopes", "size", "stage", "state", "status",
        "table", "total", "tracked", "ttl", "type", "version",
    }
)  # fmt: skip
# Codes of our own and of protocols' answers: words out of closed lists, and what a runbook looks for.
_HARMLESS_PAIRS = frozenset({(word, "code") for word in ("error", "failure", "problem", "refusal", "reply", "status")})
_SECRET_PAIRS = frozenset({("api", "key"), ("private", "key"), ("encryption", "key"), ("signed", "request")})
_WORDS = re.compile(r"[A-Z]?[a-z0-9]+|[A-Z]+(?![a-z])")

_PARAMETERS = (
    "access_token|api_key|appsecret_proof|assertion|client_assertion|client_secret|code|code_verifier|"
    "fb_exchange_token|id_token|input_token|key|password|refresh_token|secret|session|sig|signature|"
    "signed_request|state|token|wevion_session"
)
_SHAPES = re.compile(
    r"(?P<jwt>eyJ[A-Za-z0-9_-]{4,}(?:\.[A-Za-z0-9_-]*){1,4})"
    r"|(?P<meta>\bEAA[A-Za-z0-9]{8,})"
    r"|(?P<google>\bya29\.[\w.-]{4,}|\b1//[\w-]{10,}|\bGOCSPX-[\w-]+)"
    r"|(?P<stripe>\b(?:sk|rk|pk|whsec|ac|rt)_[A-Za-z0-9_]{12,})"
    r"|(?P<telegram>\b\d{6,12}:[A-Za-z0-9_-]{30,})"
    r"|(?P<header>\b(?i:bearer|basic)\s+[A-Za-z0-9._~+/=-]{8,})"
    rf"|(?P<cookie>\bwevion_session=)[^;\s]+"
    rf"|(?P<query>[?&;](?i:{_PARAMETERS})=)[^&\s\"'#<>]+"
    rf"|(?P<form>(?:^|(?<=[\s\"']))(?i:{_PARAMETERS})=)[^&\s\"'#<>]{{6,}}"
    rf"|(?P<json>[\"'](?i:{_PARAMETERS})[\"']\s*:\s*[\"'])[^\"']+"
    r"|(?P<userinfo>://)[^/\s:@\"']*:[^/\s@\"']+@"
)
_DEPTH = 6
_LONGEST_TEXT = 8_192


@lru_cache(maxsize=2048)
def is_secret_name(name: str) -> bool:
    """Return whether a field of this name holds a secret: `access_token` does, `token_id` does not."""
    words = tuple(word.lower() for word in _WORDS.findall(name))
    if not words or words[-1] in _HARMLESS_ENDINGS or words[-2:] in _HARMLESS_PAIRS:
        return False
    return any(word in _SECRET_WORDS for word in words) or any(
        pair in _SECRET_PAIRS for pair in itertools.pairwise(words)
    )


def redact_text(text: str) -> str:
    """Return the text with everything that looks like a secret replaced; cut if it is very long."""
    if len(text) > _LONGEST_TEXT:
        text = text[:_LONGEST_TEXT] + "…"
    return _SHAPES.sub(_replacement, text)


def redact(value: Any, name: str = "", depth: int = 0) -> Any:  # noqa: PLR0911  one line per kind of value
    """Return a copy of the value that may be written down."""
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, Enum):  # a word of ours out of a closed list, such as a notice's code
        return value.value
    if name and is_secret_name(name) and not (isinstance(value, Mapping | list | tuple) and not value):
        return REDACTED
    if isinstance(value, str):
        return redact_text(value)
    if isinstance(value, bytes | bytearray | memoryview):
        return f"({len(value)} bytes)"
    if depth >= _DEPTH:
        return "…"
    if isinstance(value, Mapping):
        return {str(key): redact(item, str(key), depth + 1) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [redact(item, "", depth + 1) for item in value]
    return redact_text(str(value))


def _replacement(match: "re.Match[str]") -> str:
    kind = match.lastgroup
    if kind in {"query", "form", "json", "cookie", "userinfo"}:
        return f"{match.group(kind)}{REDACTED}" + ("@" if kind == "userinfo" else "")
    if kind == "header":
        return f"{match.group().split()[0]} {REDACTED}"
    return REDACTED
