"""The platform port: faults around the handlers, and what every answer carries."""

from __future__ import annotations

import asyncio
import json
import logging
import math
import socket
import struct
from collections.abc import Mapping
from contextlib import suppress

from aiohttp import web

from provider_simulator.faults import Fault
from provider_simulator.grants import Grant
from provider_simulator.platforms.base import Platform
from provider_simulator.wire import PRESENTED, Call, Reply, Routes, http_date
from provider_simulator.world import World

LOG = logging.getLogger("provider_simulator")
HANG_AT_MOST_S = 300.0
HTML_ERROR = (
    "<!DOCTYPE html><html><head><title>{status} {reason}</title></head><body><center><h1>{status} {reason}</h1>"
    "</center><hr><center>edge-proxy</center></body></html>"
)
REASONS = {500: "Internal Server Error", 502: "Bad Gateway", 503: "Service Unavailable", 504: "Gateway Timeout"}


class PlatformServer:
    """Called once per request by aiohttp's low-level server."""

    def __init__(self, world: World, routes: Routes, platforms: Mapping[str, Platform]) -> None:
        self._world = world
        self._platforms = platforms
        self._routes = routes

    async def __call__(self, request: web.BaseRequest) -> web.StreamResponse:
        found = self._routes.find(request.method, request.path)
        if found is None:
            return web.Response(status=404, text="no such platform here; the first path segment is the real host\n")
        world = self._world
        call = Call(request, found[0], world, found[1], world.clock.now())
        response = await (self._with_trouble(call) if world.faults.any or world.limits.any else _plain(call))
        skew = world.faults.skew_s(found[0].provider)
        if (skew or world.clock.offset_s) and not response.prepared:
            response.headers["Date"] = http_date(world.clock.now() + skew)
        return response

    async def _with_trouble(self, call: Call) -> web.StreamResponse:
        world, route = self._world, call.route
        provider = route.provider if route.who is None else await route.who(call)
        if provider not in self._platforms:
            return await _plain(call)
        grant = await self._grant(call) if world.faults.by_grant else None
        fault = world.faults.pick(provider, route.endpoint, None if grant is None else grant.id)
        call.fault = fault
        if fault is None or fault.kind == "slow":
            wait_s = world.limits.check_order(provider, route.endpoint, call.now)
            if wait_s:
                await self._note(call, provider, "refused:rate_limited")
                return self._platforms[provider].rate_limited(call, wait_s, None)
        if fault is None:
            return await _plain(call)
        response = await _plain(call) if fault.acts_first else None
        if response is None and fault.kind != "slow":
            await self._note(call, provider, f"fault:{fault.kind}")
        broken = await self._broken(call, provider, fault, response)
        if broken is not None:
            return broken
        return await _plain(call) if response is None else response

    async def _grant(self, call: Call) -> Grant | None:
        """The grant of what is presented at a token endpoint, or of the access token of an API call."""
        value = await _presented(call) if call.route.endpoint == "token" else _access_token(call)
        token = None if value is None else self._world.grants.find(value)
        return None if token is None else token.grant

    async def _broken(
        self, call: Call, provider: str, fault: Fault, response: web.StreamResponse | None
    ) -> web.StreamResponse | None:
        """What the caller sees instead; None: go on as if nothing had been (a delay has passed)."""
        if fault.kind == "slow":
            await asyncio.sleep(fault.delay_ms / 1000)
            return None
        if fault.kind == "hang":
            await asyncio.sleep(HANG_AT_MOST_S)
        if fault.kind in {"hang", "reset", "reset_after_answer"}:
            return _reset(call)
        if fault.kind == "malformed":
            return _cut(response)
        platform = self._platforms[provider]
        if fault.kind == "rate_limit":
            return platform.rate_limited(call, fault.retry_after or 1.0, fault)
        return _said(fault) or platform.failing(call, fault)

    async def _note(self, call: Call, provider: str, outcome: str) -> None:
        """A token request that the platform never looked at is in the ledger all the same."""
        if call.route.endpoint != "token":
            return
        self._world.ledger.write(
            provider,
            "token",
            now=call.now,
            outcome=outcome,
            presented=await _presented(call),
            grant=await self._grant(call),
            fault=None if call.fault is None else call.fault.kind,
            taken=False,
        )


async def _plain(call: Call) -> web.StreamResponse:
    try:
        return await call.route.handler(call)
    except Reply as reply:
        return reply.response


async def _presented(call: Call) -> str | None:
    parameters = await call.parameters()
    return next((parameters[name] for name in PRESENTED if parameters.get(name)), None)


def _access_token(call: Call) -> str | None:
    """Wherever the platform wants it."""
    headers, query = call.request.headers, call.query
    return call.bearer or headers.get("Access-Token") or headers.get("OB-TOKEN-V1") or query.get("access_token")


def _cut(response: web.StreamResponse | None) -> web.Response:
    """The first half of the right answer, or half an answer when the platform did not act."""
    body = response.body if isinstance(response, web.Response) else None
    half = bytes(body) if isinstance(body, bytes | bytearray) else json.dumps({"access_token": "x" * 32}).encode()
    return web.Response(
        body=half[: max(1, len(half) // 2)],
        status=200 if response is None else response.status,
        content_type="application/json",
    )


def _said(fault: Fault) -> web.Response | None:
    """The body that a fault brings along, or a proxy's error page."""
    if fault.kind == "html":
        status = fault.status or 502
        text = HTML_ERROR.format(status=status, reason=REASONS.get(status, "Error"))
        return web.Response(status=status, text=text, content_type="text/html")
    if fault.body is None:
        return None
    headers = {} if fault.retry_after is None else {"Retry-After": str(math.ceil(fault.retry_after))}
    return web.Response(status=fault.status or 503, text=fault.body, content_type=fault.content_type, headers=headers)


def _reset(call: Call) -> web.Response:
    """End the connection with RST: closing with linger 0 throws away what was not yet sent."""
    transport = call.request.transport
    if transport is not None:
        sock = transport.get_extra_info("socket")
        with suppress(OSError):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        transport.abort()
    return web.Response(status=500)
