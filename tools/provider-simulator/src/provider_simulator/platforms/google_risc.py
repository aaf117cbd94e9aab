"""Google's Cross-Account Protection: signed security events to every app of the project (platforms/google.md).

One stream a project, which its service account registers. An app's `webhook_url` is a stream that somebody registered
before; the one that is registered here replaces it. `options.service_accounts` of an app holds the public keys:
`{email: {"key_id": …, "public_key": PEM}}`.
"""

from __future__ import annotations

import base64
import hashlib
from typing import Any

import jwt
from aiohttp import web

from provider_simulator.apps import App
from provider_simulator.grants import Grant
from provider_simulator.ledger import TOKEN_PREFIX
from provider_simulator.platforms.base import Revocation
from provider_simulator.platforms.google_tokens import GoogleTokens, Stream
from provider_simulator.wire import Call, Handler, Reply, Route, Routes, answer

ISSUER = "https://accounts.google.com/"
OAUTH = "https://schemas.openid.net/secevent/oauth/event-type/"
RISC = "https://schemas.openid.net/secevent/risc/event-type/"
STALE_S = 86_400.0
EVENTS: dict[str, tuple[str, dict[str, str]]] = {
    "user_revoked": (OAUTH + "tokens-revoked", {}),
    "password_changed": (RISC + "sessions-revoked", {}),
    "compromise": (RISC + "account-disabled", {"reason": "hijacking"}),
    "account_deleted": (RISC + "account-purged", {}),
}


HASH = "hash_base64_sha512_sha512"
HOST = "risc.googleapis.com"
PUSH = "https://schemas.openid.net/secevent/risc/delivery-method/push"
AUDIENCE = "https://risc.googleapis.com/google.identity.risc.v1beta.RiscManagementService"
TOKEN_LIFE_S = 3600


class Management:
    """The API by which a project's service account says where its events go."""

    def __init__(self, google: GoogleTokens) -> None:
        self.google = google

    def routes(self, routes: Routes) -> None:
        def one(method: str, path: str, handler: Handler) -> None:
            routes.add(method, HOST, f"/v1beta/{path}", Route(self.google.providers[0], "risc", handler))

        one("GET", "stream", self.show)
        one("POST", "stream:update", self.update)
        one("GET", "stream/status", self.status)
        one("POST", "stream/status:update", self.set_status)
        one("POST", "stream:verify", self.verify)

    async def show(self, call: Call) -> web.StreamResponse:
        stream = self.stream(call)
        return answer({"delivery": {"delivery_method": PUSH, "url": stream.url}, "events_requested": stream.events})

    async def update(self, call: Call) -> web.StreamResponse:
        app = self.app(call)
        body = await call.json() or {}
        delivery, events = body.get("delivery"), body.get("events_requested")
        if not isinstance(delivery, dict) or delivery.get("delivery_method") != PUSH or not isinstance(events, list):
            raise Reply(_refused(400, "INVALID_ARGUMENT", "Request contains an invalid argument."))
        before = self.google.streams.get(project_of(app))
        enabled = before is None or before.enabled
        self.google.streams[project_of(app)] = Stream(str(delivery.get("url")), [str(e) for e in events], enabled)
        return answer({})

    async def status(self, call: Call) -> web.StreamResponse:
        return answer({"status": "enabled" if self.stream(call).enabled else "disabled"})

    async def set_status(self, call: Call) -> web.StreamResponse:
        stream = self.stream(call)
        stream.enabled = (await call.json() or {}).get("status") == "enabled"
        return answer({})

    async def verify(self, call: Call) -> web.StreamResponse:
        app, stream = self.app(call), self.stream(call)
        state = (await call.json() or {}).get("state", "")
        if stream.enabled:
            _post(self.google, app, stream.url, {RISC + "verification": {"state": state}}, call.now)
        return answer({})

    def stream(self, call: Call) -> Stream:
        found = self.google.streams.get(project_of(self.app(call)))
        if found is None:
            raise Reply(_refused(404, "NOT_FOUND", "Requested entity was not found."))
        return found

    def app(self, call: Call) -> App:
        """The app of the project whose service account signed the call."""
        token = call.bearer or ""
        for app in (a for provider in self.google.providers for a in self.google.world.apps.of(provider)):
            for email, key in app.options.get("service_accounts", {}).items():
                try:
                    claims = jwt.decode(
                        token,
                        key=key["public_key"],
                        algorithms=["RS256"],
                        audience=AUDIENCE,
                        options={"verify_exp": False, "verify_iat": False, "require": ["iss", "sub", "iat", "exp"]},
                    )
                except jwt.PyJWTError:
                    continue
                issued, ends = int(claims["iat"]), int(claims["exp"])
                if claims["iss"] == claims["sub"] == email and issued < ends <= issued + TOKEN_LIFE_S:
                    return app
        raise Reply(_refused(401, "UNAUTHENTICATED", "Request had invalid authentication credentials."))


def _refused(status: int, code: str, message: str) -> web.Response:
    return answer({"error": {"code": status, "message": message, "status": code}}, status)


def project_of(app: App) -> str:
    """The Cloud project of an app."""
    return str(app.options.get("project", app.client_id))


def _hash(token: str) -> str:
    twice = hashlib.sha512(hashlib.sha512(token.encode()).digest()).digest()
    return base64.b64encode(twice).decode()


def announce(google: GoogleTokens, grant: Grant, order: Revocation) -> None:
    """Only a person who granted `email` or `profile` is covered, and only some causes have an event."""
    if order.webhook == "none" or order.cause not in EVENTS or not {"email", "profile"} & set(grant.scopes):
        return
    project = google.project(grant)
    stream = google.streams.get(project)
    for provider in google.providers:
        for app in google.world.apps.of(provider):
            url = stream.url if stream is not None else app.webhook_url
            if project_of(app) == project and url is not None and (stream is None or stream.enabled):
                _send(google, app, url, grant, order)


def _send(google: GoogleTokens, app: App, url: str, grant: Grant, order: Revocation) -> None:
    now = google.world.clock.now()
    kind, more = EVENTS[order.cause]
    issued_at = now - STALE_S if order.webhook == "stale" else now
    stream = google.streams.get(project_of(app))
    for event in _events(google, grant, kind, more):
        if stream is None or next(iter(event)) in stream.events:
            _post(google, app, url, event, issued_at, grant=grant, order=order)


def _post(
    google: GoogleTokens,
    app: App,
    url: str,
    event: dict[str, Any],
    issued_at: float,
    *,
    grant: Grant | None = None,
    order: Revocation | None = None,
) -> None:
    webhook = "send" if order is None else order.webhook
    claims = {
        "iss": ISSUER,
        "aud": app.client_id,
        "iat": int(issued_at),
        "jti": google.world.randomness.hex(32),
        "events": event,
    }
    body = (google.forger if webhook == "bad_signature" else google.key).sign(claims, "secevent+jwt").encode()
    for _ in range(2 if webhook == "twice" else 1):
        google.world.webhooks.send(
            app.provider,
            next(iter(event)).rpartition("/")[2],
            url,
            body,
            {"Content-Type": "application/secevent+jwt", "Accept": "application/json"},
            now=google.world.clock.now(),
            grant=grant.id if grant is not None else None,
        )


def _events(google: GoogleTokens, grant: Grant, kind: str, more: dict[str, str]) -> list[dict[str, Any]]:
    names = google.mode("risc_names_token", grant.provider)
    hashed = names == "hash"
    if kind.endswith("/tokens-revoked") and names:
        return [
            {
                OAUTH + "token-revoked": {
                    "subject": {
                        "subject_type": "oauth_token",
                        "token_type": "refresh_token",
                        "token_identifier_alg": HASH if hashed else "prefix",
                        "token": _hash(token.value) if hashed else token.value[:TOKEN_PREFIX],
                    }
                }
            }
            for token in grant.tokens
            if token.kind == "refresh"
        ]
    person = google.world.person_of(grant)
    subject = {"subject_type": "iss-sub", "iss": ISSUER, "sub": person.subject("google")}
    return [{kind: {"subject": subject, **more}}]
