"""The verifier in front of any ASGI application: FastAPI, Starlette, Django."""

import json
from collections.abc import Awaitable, Callable, Collection, MutableMapping
from typing import Any

from wevion_tokens.auth.access import Access
from wevion_tokens.callers.live import LiveVerifier
from wevion_tokens.problems import PROBLEM_JSON, Problem

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]

PROBES = ("/livez", "/readyz", "/healthz")
_POLICY_VIOLATION = 1008


class VerifierMiddleware:
    """Lets nobody through whom `access` does not admit, and puts the others into `request.state.principal`.

    The verifier is started with the application's lifespan, or by the first request where there is none. A `Problem`
    that leaves the application, such as one of `check(principal, access)`, becomes the answer as well.

    Args:
        app: the application.
        verifier: a live verifier, not started.
        access: what every caller must be.
        public: paths that anybody may call.

    """

    def __init__(
        self,
        app: Application,
        verifier: LiveVerifier,
        access: Access | None = None,
        public: Collection[str] = PROBES,
    ) -> None:
        self._app = app
        self._verifier = verifier
        self._access = access or Access.user()
        self._public = frozenset(public)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            async with self._verifier:
                await self._app(scope, receive, send)
            return
        await self._verifier.start()
        began = False

        async def noted(message: Message) -> None:
            nonlocal began
            began = True
            await send(message)

        try:
            if scope["path"] not in self._public:
                values = [raw.decode("latin-1") for name, raw in scope["headers"] if name.lower() == b"authorization"]
                principal = await self._verifier.admit(values, self._access)
                scope = {**scope, "state": {**scope.get("state", {}), "principal": principal}}
            await self._app(scope, receive, noted)
        except Problem as problem:
            if began:
                raise
            await (_close(receive, send) if scope["type"] == "websocket" else _answer(problem, send))


async def _answer(problem: Problem, send: Send) -> None:
    body = json.dumps(problem.document(), default=str).encode()
    headers = {"content-type": PROBLEM_JSON, "content-length": str(len(body)), "cache-control": "no-store"}
    headers |= {name.lower(): value for name, value in problem.headers.items()}
    raw = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": problem.status, "headers": raw})
    await send({"type": "http.response.body", "body": body})


async def _close(receive: Receive, send: Send) -> None:
    """Refuse a WebSocket before it is accepted, which servers answer with 403."""
    await receive()
    await send({"type": "websocket.close", "code": _POLICY_VIOLATION})
