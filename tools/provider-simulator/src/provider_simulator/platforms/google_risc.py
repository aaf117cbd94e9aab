"""Google's Cross-Account Protection: signed security events to every app of the project (platforms/google.md)."""

from __future__ import annotations

import base64
import hashlib
from typing import TYPE_CHECKING, Any

from provider_simulator.grants import Grant
from provider_simulator.ledger import TOKEN_PREFIX
from provider_simulator.platforms.base import Revocation

if TYPE_CHECKING:
    from provider_simulator.apps import App
    from provider_simulator.platforms.google_tokens import GoogleTokens

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


def _hash(token: str) -> str:
    twice = hashlib.sha512(hashlib.sha512(token.encode()).digest()).digest()
    return base64.b64encode(twice).decode()


def announce(google: GoogleTokens, grant: Grant, order: Revocation) -> None:
    """Only a person who granted `email` or `profile` is covered, and only some causes have an event."""
    if order.webhook == "none" or order.cause not in EVENTS or not {"email", "profile"} & set(grant.scopes):
        return
    project = google.project(grant)
    for provider in google.providers:
        for app in google.world.apps.of(provider):
            if str(app.options.get("project", app.client_id)) == project and app.webhook_url is not None:
                _send(google, app, app.webhook_url, grant, order)


def _send(google: GoogleTokens, app: App, url: str, grant: Grant, order: Revocation) -> None:
    now = google.world.clock.now()
    kind, more = EVENTS[order.cause]
    for event in _events(google, grant, kind, more):
        name = next(iter(event))
        issued_at = now - STALE_S if order.webhook == "stale" else now
        claims = {
            "iss": ISSUER,
            "aud": app.client_id,
            "iat": int(issued_at),
            "jti": google.world.randomness.hex(32),
            "events": event,
        }
        key = google.forger if order.webhook == "bad_signature" else google.key
        body = key.sign(claims, "secevent+jwt").encode()
        for _ in range(2 if order.webhook == "twice" else 1):
            google.world.webhooks.send(
                app.provider,
                name.rpartition("/")[2],
                url,
                body,
                {"Content-Type": "application/secevent+jwt", "Accept": "application/json"},
                now=now,
                grant=grant.id,
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
