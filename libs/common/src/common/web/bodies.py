"""Reading a request's body: the only place that does, so that no route waits for ever or takes more than it allows.

A client that sends nothing for a while, or less than a least rate, is answered 408 and disconnected. Handlers of raw
routes use `read_body`, `stream_body` and `read_form`; a test refuses any other way to a request's body.
"""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from urllib.parse import parse_qsl

from aiohttp import web

from common.runtime.clock import monotonic
from common.web.problems import FieldError, Problem, invalid

BODY_TIMEOUT_S = 15.0
"""For a whole body that is kept in memory: a client that needs longer for so little is broken or hostile."""
_MOST_FORM_FIELDS = 100
FORM = "application/x-www-form-urlencoded"


@dataclass(frozen=True, slots=True)
class BodyPace:
    """How slowly a body may come that is passed on as it arrives.

    Attributes:
        idle_s: the longest silence.
        grace_s: how long the rate is not looked at.
        bytes_per_s: the least rate after that, on average since the beginning.

    """

    idle_s: float = 10.0
    grace_s: float = 10.0
    bytes_per_s: float = 1024.0

    def too_slow(self, size: int, seconds: float) -> bool:
        """Return whether so many bytes in so many seconds are too few."""
        return seconds > self.grace_s and size < (seconds - self.grace_s) * self.bytes_per_s


PACE = BodyPace()


async def read_body(request: web.Request, limit: int) -> bytes:
    """Return the whole body.

    Raises:
        Problem: 413 when it is larger than `limit`, 415 when it is encoded, 408 when it does not arrive in time, 400
            when it breaks off.

    """
    _check_length(request, limit)
    encoding = request.headers.get("Content-Encoding", "identity").lower()
    if encoding != "identity":
        raise Problem(
            415,
            "unsupported_content_encoding",
            detail="send the body as it is",
            headers={"Accept-Encoding": "identity"},
        )
    content = request.content
    if content.is_eof():  # the usual case: the whole body came with the head
        raw = content.read_nowait()
        if len(raw) > limit:
            raise too_large(limit)
        return raw
    parts: list[bytes] = []
    size = 0
    try:
        async with asyncio.timeout(BODY_TIMEOUT_S):
            while part := await content.readany():
                size += len(part)
                if size > limit:
                    raise too_large(limit)
                parts.append(part)
    except TimeoutError:
        raise _too_slow() from None
    except web.RequestPayloadError:
        raise _broken() from None
    return b"".join(parts)


async def stream_body(request: web.Request, limit: int, pace: BodyPace | None = None) -> AsyncIterator[bytes]:
    """Yield the body as it arrives, without keeping it and without looking into it.

    Raises:
        Problem: 413 when it is larger than `limit`, 408 when it comes too slowly, 400 when it breaks off.

    """
    _check_length(request, limit)
    pace = pace or PACE
    size, waited_s = 0, 0.0
    while True:
        began = monotonic()
        try:
            async with asyncio.timeout(pace.idle_s):
                part = await request.content.readany()
        except TimeoutError:
            raise _too_slow() from None
        except web.RequestPayloadError:
            raise _broken() from None
        if not part:
            return
        size += len(part)
        waited_s += monotonic() - began  # what the receiver takes is not the sender's fault
        if size > limit:
            raise too_large(limit)
        if pace.too_slow(size, waited_s):
            raise _too_slow()
        yield part


async def read_form(request: web.Request, limit: int) -> list[tuple[str, str]]:
    """Return the fields of a form, in order; an empty list for a body that is none.

    Raises:
        Problem: as `read_body`; 415 and 400 when it is no usable form.

    """
    raw = await read_body(request, limit)
    if not raw:
        return []
    if request.content_type != FORM:
        raise Problem(415, "unsupported_media_type", detail=f"the body must be {FORM}", headers={"Accept": FORM})
    return parse_form(raw)


def parse_form(raw: bytes) -> list[tuple[str, str]]:
    """Return the fields of `application/x-www-form-urlencoded` bytes.

    Raises:
        Problem: 400 when they are no usable form.

    """
    try:
        return parse_qsl(
            raw.decode(),
            keep_blank_values=True,
            strict_parsing=bool(raw),
            max_num_fields=_MOST_FORM_FIELDS,
            errors="strict",
        )
    except ValueError:
        error = FieldError(field="", rule="malformed_form", message="is not a usable form")
        raise invalid([error], code="malformed_form") from None


def too_large(limit: int) -> Problem:
    """Return the refusal of a body over the limit. The rest is not read: the connection cannot be used again."""
    return Problem(
        413, "body_too_large", detail=f"the body may have at most {limit} bytes", headers={"Connection": "close"}
    )


def _check_length(request: web.Request, limit: int) -> None:
    if request.content_length is not None and request.content_length > limit:
        raise too_large(limit)


def _too_slow() -> Problem:
    return Problem(408, "request_timeout", detail="the body did not arrive in time", headers={"Connection": "close"})


def _broken() -> Problem:
    return Problem(400, "malformed_body", detail="the body broke off or is not framed as announced")
