"""Telegram's Bot API: one method, one POST of JSON. What it answers is told apart here, and nothing is decided.

The bot's token is in every URL, so no error text of a call is ever passed on.
"""

from dataclasses import dataclass
from typing import Annotated, Any

import aiohttp
from pydantic import BaseModel, Field, SecretStr, ValidationError

TIMEOUT_S = 15.0
CONNECT_S = 5.0
_MOST_ANSWER_BYTES = 8 * 1024 * 1024
"""A hundred updates, each as large as a message may be, are far below."""
_OK = 200
_SERVER_ERROR = 500


@dataclass(frozen=True, slots=True)
class RefusedError(Exception):
    """The method was refused; nothing was done.

    Attributes:
        status: the HTTP status, which is the answer's `error_code` (whose values Telegram may change).
        description: Telegram's words, for telling refusals of one status apart.
        retry_after_s: how long to wait, when it says so.
        moved_to: the chat's new id, when the group became a supergroup.

    """

    status: int
    description: str
    retry_after_s: float | None = None
    moved_to: int | None = None


@dataclass(frozen=True, slots=True)
class BotApiAwayError(Exception):
    """There is no usable answer.

    Attributes:
        kind: what went wrong, in a word for logs.
        may_be_done: whether the request can have reached Telegram.

    """

    kind: str
    may_be_done: bool


class _Parameters(BaseModel):
    retry_after: Annotated[float | None, Field(ge=0)] = None
    migrate_to_chat_id: int | None = None


class _Answer(BaseModel):
    ok: bool
    result: Any = None
    description: str = ""
    parameters: _Parameters = Field(default_factory=_Parameters)


class BotApi:
    """One bot. `http` belongs to the caller."""

    def __init__(self, http: aiohttp.ClientSession, token: SecretStr, api_url: str) -> None:
        self._http = http
        self._token = token
        self._base = api_url.rstrip("/")

    async def call(self, method: str, given: dict[str, Any] | None = None, *, timeout_s: float = TIMEOUT_S) -> Any:
        """Return the method's result.

        Raises:
            RefusedError: Telegram says no, and what it says.
            NoAnswerError: it says nothing that can be used.

        """
        status, raw = await self._post(method, given or {}, timeout_s)
        try:
            answer = _Answer.model_validate_json(raw)
        except ValidationError:
            if status >= _SERVER_ERROR:  # a page of something that stands before the API
                raise RefusedError(status, "") from None
            raise BotApiAwayError("no_json", may_be_done=True) from None
        if answer.ok and status == _OK:
            return answer.result
        parameters = answer.parameters
        raise RefusedError(status, answer.description, parameters.retry_after, parameters.migrate_to_chat_id)

    async def _post(self, method: str, given: dict[str, Any], timeout_s: float) -> tuple[int, bytes]:
        url = f"{self._base}/bot{self._token.get_secret_value()}/{method}"
        timeout = aiohttp.ClientTimeout(total=timeout_s, connect=CONNECT_S)
        try:
            async with self._http.post(url, json=given, timeout=timeout, allow_redirects=False) as answer:
                return answer.status, await _read(answer)
        except aiohttp.ClientConnectorError:
            raise BotApiAwayError("not_connected", may_be_done=False) from None
        except aiohttp.ConnectionTimeoutError:
            raise BotApiAwayError("not_connected_in_time", may_be_done=False) from None
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise BotApiAwayError(type(error).__name__, may_be_done=True) from None


async def _read(answer: aiohttp.ClientResponse) -> bytes:
    raw = bytearray()
    async for part in answer.content.iter_any():
        raw += part
        if len(raw) > _MOST_ANSWER_BYTES:
            raise BotApiAwayError("answer_too_large", may_be_done=True)
    return bytes(raw)
