"""Slack's Web API and incoming webhooks: one POST of JSON. What is answered is handed on, and nothing is decided.

A webhook's address and the token are secrets, so no error text of a call is ever passed on.
"""

import re
from dataclasses import dataclass
from typing import Any

import aiohttp
from pydantic import BaseModel, ConfigDict, ValidationError

from common.platforms.errors import retry_after_s

TIMEOUT_S = 15.0
CONNECT_S = 5.0
_MOST_ANSWER_BYTES = 1 << 20
_OK = 200
_CODE = re.compile(r"[a-z0-9_]{1,60}")


class SlackRefusedError(Exception):
    """Slack says no, and nothing was done (except where its code says that something may be).

    Attributes:
        status: the HTTP status.
        error: Slack's code; empty when there is none.
        retry_after_s: from the header `Retry-After`.

    """

    def __init__(self, status: int, error: str, retry_after_s: float | None) -> None:
        super().__init__(f"{status} {error}")
        self.status = status
        self.error = error
        self.retry_after_s = retry_after_s


class SlackNoAnswerError(Exception):
    """There is no usable answer. `may_be_done`: the request can have reached Slack."""

    def __init__(self, kind: str, *, may_be_done: bool) -> None:
        super().__init__(kind)
        self.kind = kind
        self.may_be_done = may_be_done


class _Answer(BaseModel):
    model_config = ConfigDict(extra="allow")

    ok: bool
    error: str = ""


@dataclass(frozen=True, slots=True)
class _Raw:
    status: int
    retry_after_s: float | None
    body: bytes


class SlackApi:
    """Slack. `http` belongs to the caller."""

    def __init__(self, http: aiohttp.ClientSession, api_url: str) -> None:
        self._http = http
        self._base = api_url.rstrip("/")

    async def call(self, method: str, token: str, given: dict[str, Any]) -> dict[str, Any]:
        """Call a method of the Web API; its whole answer.

        Raises:
            SlackRefusedError: it answers `ok: false`, or with another status than 200.
            SlackNoAnswerError: it says nothing that can be used.

        """
        raw = await self._post(f"{self._base}/{method}", given, {"Authorization": f"Bearer {token}"})
        try:
            answer = _Answer.model_validate_json(raw.body)
        except ValidationError:
            if raw.status != _OK:
                raise SlackRefusedError(raw.status, "", raw.retry_after_s) from None
            raise SlackNoAnswerError("no_json", may_be_done=True) from None
        if answer.ok and raw.status == _OK:
            return answer.model_dump()
        raise SlackRefusedError(raw.status, _code(answer.error), raw.retry_after_s)

    async def post_to_hook(self, url: str, given: dict[str, Any]) -> None:
        """Post to an incoming webhook. Raises as `call` does."""
        raw = await self._post(url, given, {})
        if raw.status != _OK:
            raise SlackRefusedError(raw.status, _code(raw.body[:100].decode("ascii", "replace")), raw.retry_after_s)

    async def _post(self, url: str, given: dict[str, Any], headers: dict[str, str]) -> _Raw:
        timeout = aiohttp.ClientTimeout(total=TIMEOUT_S, connect=CONNECT_S)
        try:
            async with self._http.post(
                url, json=given, headers=headers, timeout=timeout, allow_redirects=False
            ) as answer:
                body = bytearray()
                async for part in answer.content.iter_any():
                    body += part
                    if len(body) > _MOST_ANSWER_BYTES:
                        raise SlackNoAnswerError("answer_too_large", may_be_done=True)
                return _Raw(answer.status, retry_after_s(answer.headers), bytes(body))
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError):
            raise SlackNoAnswerError("not_connected", may_be_done=False) from None
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise SlackNoAnswerError(type(error).__name__, may_be_done=True) from None


def _code(text: str) -> str:
    """Slack's code, or nothing where the text is no code: it goes into logs and answers."""
    text = text.strip()
    return text if _CODE.fullmatch(text) else ""
