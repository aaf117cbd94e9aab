"""A customer's own system that receives signed webhooks, by the Standard Webhooks convention (specification 1.0.0).

It refuses what the convention's libraries refuse: a missing header, a timestamp more than five minutes away, a
signature by none of its secrets.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from provider_simulator.faults import Fault
from provider_simulator.grants import Grant
from provider_simulator.platforms.base import Platform, Revocation
from provider_simulator.wire import Call, Routes, answer
from provider_simulator.world import World

PROVIDER = "receiver"
HOST = "receiver.example"
TOLERANCE_S = 300
HANG_AT_MOST_S = 60.0
HEADERS = ("webhook-id", "webhook-timestamp", "webhook-signature")


@dataclass(slots=True)
class Box:
    """One receiver: the secrets that it knows, how it answers, and what came."""

    secrets: list[str] = field(default_factory=list)
    status: int = 204
    retry_after: int | None = None
    hang_s: float = 0.0
    location: str | None = None
    body_bytes: int = 0
    came: list[dict[str, Any]] = field(default_factory=list)


class Receiver(Platform):
    """Boxes by name, at `/receiver.example/hooks/{name}`."""

    providers = (PROVIDER,)

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self.boxes: dict[str, Box] = {}

    def routes(self, routes: Routes) -> None:
        routes.add("POST", HOST, "/hooks/{name}", self.route("hook", self.take))

    def reset(self) -> None:
        """Forget every box."""
        self.boxes.clear()

    async def take(self, call: Call) -> web.Response:
        """Verify a message, write it down, and answer as ordered."""
        box = self.boxes.get(call.path["name"])
        if box is None:
            return answer({"error": "no such receiver"}, 404)
        body = await call.body()
        headers = {name: call.request.headers.get(name, "") for name in HEADERS}
        fault = _fault(headers, body, box.secrets, self.world.clock.now())
        box.came.append(
            {
                "id": headers["webhook-id"],
                "repeated": any(each["id"] == headers["webhook-id"] for each in box.came),
                "signatures": len(headers["webhook-signature"].split()),
                "verified": fault is None,
                "fault": fault,
                "body": json.loads(body) if fault is None else None,
            }
        )
        if fault is not None:
            return answer({"error": fault}, 401)
        if box.hang_s:
            await asyncio.sleep(min(box.hang_s, HANG_AT_MOST_S))
        more = {} if box.retry_after is None else {"Retry-After": str(box.retry_after)}
        more |= {} if box.location is None else {"Location": box.location}
        return web.Response(status=box.status, body=b"x" * box.body_bytes, headers=more)

    def revoke(self, _grant: Grant, _order: Revocation, /) -> list[str]:
        raise LookupError("a receiver has no grants")

    def rate_limited(self, _call: Call, retry_after_s: float, _fault: Fault | None, /) -> web.Response:
        return answer({"error": "slow down"}, 429, {"Retry-After": str(max(int(retry_after_s), 1))})

    def failing(self, _call: Call, fault: Fault, /) -> web.Response:
        return answer({"error": "failing"}, fault.status or 500)


def _fault(headers: dict[str, str], body: bytes, secrets: list[str], now: float) -> str | None:
    """Say why a message is not believed; None if it is."""
    missing = [name for name in HEADERS if not headers[name]]
    if missing:
        return f"missing {missing[0]}"
    if not headers["webhook-timestamp"].isdigit():
        return "webhook-timestamp is no number"
    if abs(int(headers["webhook-timestamp"]) - now) > TOLERANCE_S:
        return "webhook-timestamp is too far away"
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    given = [part.partition(",")[2] for part in headers["webhook-signature"].split(" ") if part.startswith("v1,")]
    if not any(hmac.compare_digest(_signature(secret, signed), one) for secret in secrets for one in given):
        return "no signature fits"
    try:
        document = json.loads(body)
    except ValueError:
        return "the body is no JSON"
    return None if isinstance(document, dict) and {"type", "timestamp", "data"} <= set(document) else "members missing"


def _signature(secret: str, signed: bytes) -> str:
    key = base64.b64decode(secret.removeprefix("whsec_"))
    return base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()
