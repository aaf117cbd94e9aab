"""Callbacks that a platform sends by itself, with its retries, and a book of what was delivered.

A delivery that fails is tried again with growing pauses, as platforms do; what was sent stays readable at
`/_sim/webhooks`, so that a test can wait for it or send it again.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import aiohttp

Resign = Callable[[bytes], Mapping[str, str]]
"""The headers of one attempt to deliver a body."""

RETRY_AFTER_S = (0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0)
TIMEOUT_S = 10.0
KEEP = 2000


@dataclass(slots=True)
class Delivery:
    """`status` None: not yet delivered (or given up, then `error` says why)."""

    id: int
    provider: str
    kind: str
    url: str
    body: bytes
    headers: dict[str, str]
    time: float
    grant: str | None = None
    attempts: int = 0
    status: int | None = None
    error: str | None = None
    resign: Resign | None = None


@dataclass(slots=True)
class Webhooks:
    deliveries: deque[Delivery] = field(default_factory=lambda: deque(maxlen=KEEP))
    _number: int = 0
    _session: aiohttp.ClientSession | None = None
    _running: set[asyncio.Task[None]] = field(default_factory=set)

    def send(
        self,
        provider: str,
        kind: str,
        url: str,
        body: bytes,
        headers: Mapping[str, str],
        *,
        now: float,
        grant: str | None = None,
        resign: Resign | None = None,
    ) -> Delivery:
        """Deliver in the background. `resign` makes the headers of each attempt anew, where the platform does so."""
        self._number += 1
        delivery = Delivery(self._number, provider, kind, url, body, dict(headers), now, grant, resign=resign)
        self.deliveries.append(delivery)
        self._start(delivery)
        return delivery

    def again(self, delivery_id: int, *, now: float) -> Delivery | None:
        """The same body once more, as a new delivery, signed anew where the platform does so."""
        old = next((d for d in self.deliveries if d.id == delivery_id), None)
        if old is None:
            return None
        return self.send(
            old.provider, old.kind, old.url, old.body, old.headers, now=now, grant=old.grant, resign=old.resign
        )

    def _start(self, delivery: Delivery) -> None:
        task = asyncio.create_task(self._deliver(delivery))
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    async def _deliver(self, delivery: Delivery) -> None:
        if self._session is None:
            self._session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=TIMEOUT_S))
        for pause in (*RETRY_AFTER_S, None):
            delivery.attempts += 1
            if delivery.resign is not None:
                delivery.headers = dict(delivery.resign(delivery.body))
            try:
                async with self._session.post(
                    delivery.url, data=delivery.body, headers=delivery.headers, allow_redirects=False
                ) as response:
                    delivery.status, delivery.error = response.status, None
                    if response.ok:
                        return
            except (aiohttp.ClientError, TimeoutError, OSError) as error:
                delivery.error = type(error).__name__
            if pause is None:
                return
            await asyncio.sleep(pause)

    def clear(self) -> None:
        for task in self._running:
            task.cancel()
        self.deliveries.clear()

    async def close(self) -> None:
        for task in list(self._running):
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)
        if self._session is not None:
            await self._session.close()
            self._session = None
