"""/livez, /readyz, /metrics."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping

from aiohttp import web

from common.telemetry import metrics
from common.web.metrics import READY
from common.web.routes import Routes

ReadyCheck = Callable[[], Awaitable[str | bool | None] | str | bool | None]
"""Says None or True when ready; otherwise False or, better, why not in a few words. May be async; may raise."""

CHECK_TIMEOUT_S = 2.0


class Health:
    """What the probes ask.

    A process is ready once each of its checks was good, and stays so: what it needs is shared by all replicas, so a
    database or broker that is away would take every one of them out of service, and with them all that works
    without it. What fails later is refused where it matters, shown by `wevion_ready`, and alerted on.

    `stopping` is set when the process winds down: not ready any more, still alive.
    """

    def __init__(self, checks: Mapping[str, ReadyCheck]) -> None:
        self._checks = dict(checks)
        self._passed: set[str] = set()
        self._asking: dict[str, asyncio.Task[str | bool | None]] = {}
        self.stopping = asyncio.Event()

    def routes(self, *, operators: bool = True) -> Routes:
        """Return the endpoints; without those for operators, /livez alone."""
        routes = Routes("health")
        routes.raw("GET", "/livez", self._livez, quiet=True)
        if not operators:
            return routes
        routes.raw("GET", "/readyz", self._readyz, quiet=True)
        routes.raw("GET", "/metrics", self._metrics, quiet=True)
        return routes

    async def report(self) -> tuple[bool, dict[str, str]]:
        """Return whether the process is ready, and what each named check says now (`ok`, or why not)."""
        names = list(self._checks)
        said = dict(zip(names, await asyncio.gather(*(self._ask(name) for name in names)), strict=True))
        for name, word in said.items():
            READY.labels(name).set(word == "ok")
            if word == "ok":
                self._passed.add(name)
        stopping = self.stopping.is_set()
        if stopping:
            said["process"] = "stopping"
        return self._passed == set(names) and not stopping, said

    async def _ask(self, name: str) -> str:
        """Return what one check says, in time.

        A check that does not answer is left behind, not waited for: a database driver can take its own time-out to let
        go of a connection that went silent. While it has not let go, nobody asks again.
        """
        asking = self._asking.get(name)
        if asking is None:
            asking = self._asking[name] = asyncio.create_task(_answer(self._checks[name]), name=f"ready-check-{name}")
            asking.add_done_callback(lambda _: self._asking.pop(name, None))
        await asyncio.wait({asking}, timeout=CHECK_TIMEOUT_S)
        if not asking.done():
            asking.cancel()
            return f"no answer within {CHECK_TIMEOUT_S:g} s"
        if asking.cancelled():
            return "no answer"
        if (error := asking.exception()) is not None:
            return f"failed: {type(error).__name__}"  # not its text: that may name hosts or hold a DSN
        found = asking.result()
        if found is None or found is True:
            return "ok"
        return str(found) if found else "not ready"

    async def _livez(self, _: web.Request) -> web.Response:
        return _json(200, {"status": "ok"})

    async def _readyz(self, _: web.Request) -> web.Response:
        ready, said = await self.report()
        return _json(200 if ready else 503, {"status": "ready" if ready else "not ready", "checks": said})

    async def _metrics(self, request: web.Request) -> web.Response:
        await self.report()  # so that `wevion_ready` is true at every scrape, whoever else asks or does not
        page, content_type = metrics.render(request.headers.get("Accept", ""))
        return web.Response(body=page, headers={"Content-Type": content_type})


async def _answer(check: ReadyCheck) -> str | bool | None:
    found = check()
    return await found if isinstance(found, Awaitable) else found


def _json(status: int, document: object) -> web.Response:
    return web.Response(status=status, body=json.dumps(document).encode(), headers={"Content-Type": "application/json"})
