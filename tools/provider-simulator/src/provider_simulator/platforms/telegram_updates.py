"""A bot's queue of updates: fetched by long poll, or pushed to a webhook one by one until it says 2xx."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import aiohttp

KEEP_S = 86_400.0
PAUSE_FIRST_S, PAUSE_MOST_S, RETRY_AFTER_MOST_S = 0.5, 60.0, 3600.0
GONE_FOR_S = 23 * 3600.0
NOT_BY_DEFAULT = {"chat_member", "message_reaction", "message_reaction_count"}
KNOWN = ("message", "edited_message", "callback_query", "my_chat_member", "chat_member", "inline_query")
DEFAULT_UPDATES = tuple(k for k in KNOWN if k not in NOT_BY_DEFAULT)
TIMEOUT = aiohttp.ClientTimeout(total=60)

Execute = Callable[[dict[str, Any]], Awaitable[None]]


class Updates:
    def __init__(self, bot_id: int, now: Callable[[], float]) -> None:
        self._now = now
        self._next_id = bot_id % 1_000_000 + 1
        self._queue: deque[tuple[float, dict[str, Any]]] = deque()
        self._came = asyncio.Event()
        self._poll: asyncio.Event | None = None
        self._pushing: asyncio.Task[None] | None = None
        self._secret: str | None = None
        self._last_error: tuple[int, str] | None = None
        self.allowed: tuple[str, ...] = DEFAULT_UPDATES
        self.webhook: str | None = None

    def allow(self, kinds: Any) -> None:
        """Stays until the next call that names it; an empty list sets the default."""
        self.allowed = tuple(str(k) for k in kinds) if kinds else DEFAULT_UPDATES

    def add(self, kind: str, body: dict[str, Any], now: float) -> None:
        """Queue an update of an allowed kind; any other is never told."""
        if kind not in self.allowed:
            return
        while self._queue and self._queue[0][0] < now - KEEP_S:
            self._queue.popleft()
        self._queue.append((now, {"update_id": self._next_id, kind: body}))
        self._next_id += 1
        self._came.set()

    def drop(self) -> None:
        self._queue.clear()

    # -- long poll

    async def poll(self, offset: int, limit: int, wait_s: float) -> list[dict[str, Any]] | None:
        """Updates from `offset` on, what is before it is confirmed; None: a later poll took over."""
        if self._poll is not None:
            self._poll.set()
        mine = self._poll = asyncio.Event()
        if offset < 0:
            while len(self._queue) > -offset:
                self._queue.popleft()
        while offset > 0 and self._queue and self._queue[0][1]["update_id"] < offset:
            self._queue.popleft()
        deadline = asyncio.get_running_loop().time() + wait_s
        try:
            while not self._queue:
                left = deadline - asyncio.get_running_loop().time()
                if left <= 0:
                    break
                self._came.clear()
                await _first(self._came, mine, left)
                if mine.is_set():
                    return None
            return [update for _, update in list(self._queue)[:limit]]
        finally:
            if self._poll is mine:
                self._poll = None

    # -- webhook

    def deliver_to(self, url: str | None, secret: str | None, execute: Execute) -> None:
        self.stop()
        self.webhook, self._secret, self._last_error = url, secret, None
        if url is not None:
            if self._poll is not None:
                self._poll.set()
            self._pushing = asyncio.create_task(self._push(url, execute))

    async def _push(self, url: str, execute: Execute) -> None:
        headers = {"Content-Type": "application/json"}
        if self._secret is not None:
            headers["X-Telegram-Bot-Api-Secret-Token"] = self._secret
        pause_s, gone_s = PAUSE_FIRST_S, 0.0
        async with aiohttp.ClientSession(timeout=TIMEOUT, headers=headers) as session:
            while True:
                while not self._queue:
                    self._came.clear()
                    await self._came.wait()
                told, wait_s, gone = await self._tell(session, url, self._queue[0][1], execute)
                if told:
                    self._queue.popleft()
                    pause_s, gone_s = PAUSE_FIRST_S, 0.0
                    continue
                wait_s = pause_s if wait_s is None else min(wait_s, RETRY_AFTER_MOST_S)
                gone_s = gone_s + wait_s if gone else 0.0
                if gone_s > GONE_FOR_S:
                    self.webhook = None
                    return
                await asyncio.sleep(wait_s)
                pause_s = min(pause_s * 2, PAUSE_MOST_S)

    async def _tell(
        self, session: aiohttp.ClientSession, url: str, update: dict[str, Any], execute: Execute
    ) -> tuple[bool, float | None, bool]:
        """Taken; the receiver's own Retry-After; the receiver says that it is gone for good."""
        now = int(self._now())
        try:
            async with session.post(url, json=update, allow_redirects=False) as response:
                if response.ok:
                    given = await _method_of(response)
                    if given:
                        await execute(given)
                    return True, None, False
                self._last_error = (now, f"Wrong response from the webhook: {response.status} {response.reason}")
                retry_after = response.headers.get("Retry-After", "")
                return False, float(retry_after) if retry_after.isdigit() else None, response.status == 410  # noqa: PLR2004
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            self._last_error = (now, f"Connection failed: {type(error).__name__}")
            return False, None, False

    def info(self) -> dict[str, Any]:
        info: dict[str, Any] = {
            "url": self.webhook or "",
            "has_custom_certificate": False,
            "pending_update_count": len(self._queue),
            "max_connections": 40,
        }
        if self.allowed != DEFAULT_UPDATES:
            info["allowed_updates"] = list(self.allowed)
        if self._last_error is not None:
            info["last_error_date"], info["last_error_message"] = self._last_error
        return info

    def stop(self) -> None:
        if self._pushing is not None:
            self._pushing.cancel()
            self._pushing = None
        self.webhook = None

    async def close(self) -> None:
        task, self._pushing = self._pushing, None
        if task is not None:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task


async def _first(one: asyncio.Event, other: asyncio.Event, seconds: float) -> None:
    waits = [asyncio.ensure_future(one.wait()), asyncio.ensure_future(other.wait())]
    try:
        await asyncio.wait(waits, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for wait in waits:
            wait.cancel()


async def _method_of(response: aiohttp.ClientResponse) -> dict[str, Any]:
    """A Bot API method in the answer to a webhook call, as JSON or as a form."""
    kind = response.content_type
    if kind == "application/json":
        with suppress(ValueError):
            document = await response.json()
            return document if isinstance(document, dict) and "method" in document else {}
    if kind.startswith("multipart/"):
        given: dict[str, Any] = {}
        reader = aiohttp.MultipartReader.from_response(response)
        while (part := await reader.next()) is not None:
            if isinstance(part, aiohttp.BodyPartReader) and part.name:
                given[part.name] = await part.text()
        return given
    return {}
