"""Tokens of Google's OAuth: no rotation, a hundred refresh tokens a person and client, projects that end together."""

from __future__ import annotations

import base64
import binascii
import hmac
from dataclasses import dataclass
from typing import Any, ClassVar
from urllib.parse import unquote_plus

from aiohttp import web

from provider_simulator.apps import App
from provider_simulator.grants import Grant, Token
from provider_simulator.jwt_keys import SigningKey
from provider_simulator.pkce import verifies
from provider_simulator.platforms.base import Opening, Platform, oauth_error
from provider_simulator.wire import Call, Reply, answer
from provider_simulator.world import World

ISSUER = "https://accounts.google.com"


KID = "sim-google-1"


DAY_S = 86_400.0


MOST_REFRESH_TOKENS = 100


PREFIX = "https://www.googleapis.com/auth/"


IDENTITY = {"openid", "email", "profile"}


# Google answers with its own long names for these two.
LONG_NAMES = {"email": PREFIX + "userinfo.email", "profile": PREFIX + "userinfo.profile"}


ENDINGS: dict[str, tuple[str, str, str | None]] = {
    "platform_enforced": ("invalid_grant", "reauth related error (invalid_rapt)", "invalid_rapt"),
    "account_deleted": ("invalid_grant", "Account has been deleted", None),
}


REVOKED = ("invalid_grant", "Token has been expired or revoked.", None)


@dataclass(slots=True)
class Stream:
    """Where a project wants its security events, and which."""

    url: str
    events: list[str]
    enabled: bool = True


class GoogleTokens(Platform):
    """Issue, refresh and check the tokens of both products.

    Modes: `expires_in` is "number", "string" or "missing"; `testing`: the app is in status Testing; `time_limited`: the
    consent is for a time; `rotates`: a refresh brings a new refresh token; `long_scope_names`: as Google answers.
    """

    providers = ("google-ads", "google-drive")

    lifetimes: ClassVar[dict[str, float | None]] = {
        "code_s": 600.0,
        "access_s": 3599.0,
        "refresh_s": None,
        "testing_s": 7 * DAY_S,
        "unused_s": 182 * DAY_S,
    }

    modes: ClassVar[dict[str, Any]] = {
        "expires_in": "number",
        "testing": False,
        "time_limited": False,
        "rotates": False,
        "long_scope_names": True,
        "risc_names_token": False,  # token-revoked (one refresh token) instead of tokens-revoked (all of a user)
        "drive_rate_limit_status": 403,  # or 429
        "search_page": 10_000,  # rows of googleAds:search; a fixed size since v17
    }

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self.key = SigningKey("google", KID)
        self.forger = SigningKey("forger", KID)
        self.streams: dict[str, Stream] = {}

    def reset(self) -> None:
        self.streams.clear()

    async def token(self, call: Call) -> web.StreamResponse:
        form = await call.form()
        app = self.client(call, form)
        match form.get("grant_type"):
            case "refresh_token":
                return self.refresh(call, app, form.get("refresh_token", ""))
            case "authorization_code":
                return self.exchange(call, app, form)
            case other:
                call.record("token", "refused:unsupported_grant_type", provider=app.provider)
                return oauth_error("unsupported_grant_type", f"Invalid grant_type: {other or ''}")

    def client(self, call: Call, form: dict[str, str]) -> App:
        client_id, secret = form.get("client_id"), form.get("client_secret")
        if secret is None and "Authorization" in call.request.headers:
            client_id, secret = basic(call)
        app = self.world.apps.among(self.providers, client_id or "")
        if app is None:
            call.record("token", "refused:invalid_client")
            raise Reply(oauth_error("invalid_client", "The OAuth client was not found.", 401))
        if app.options.get("deleted"):
            raise Reply(oauth_error("deleted_client", "The OAuth client was deleted.", 401))
        if secret is None or not hmac.compare_digest(secret.encode(), app.client_secret.encode()):
            call.record("token", "refused:invalid_client", provider=app.provider)
            raise Reply(oauth_error("invalid_client", "Unauthorized", 401))
        return app

    def exchange(self, call: Call, app: App, form: dict[str, str]) -> web.Response:
        value = form.get("code", "")
        code = self.world.grants.find(value)

        def refused(outcome: str, error: str, text: str, *, twice: bool = False) -> web.Response:
            call.record("code", outcome, presented=value, token=code, twice=twice, provider=app.provider)
            return oauth_error(error, text)

        if code is None or code.kind != "code" or code.grant.client_id != app.client_id:
            return refused("refused:unknown", "invalid_grant", "Malformed auth code.")
        if code.spent_at is not None:
            return refused("refused:reused", "invalid_grant", "Bad Request", twice=True)
        if not code.usable(call.now):
            return refused("refused:expired", "invalid_grant", "Bad Request")
        if form.get("redirect_uri") != code.extra["redirect_uri"]:
            return refused("refused:redirect_uri", "redirect_uri_mismatch", "Bad Request")
        if not verifies(code.extra["challenge"], form.get("code_verifier")):
            return refused("refused:pkce", "invalid_grant", "Missing or invalid code verifier.")
        code.spent_at = call.now
        call.record("code", "issued", presented=value, token=code, provider=app.provider)
        refresh = self.refresh_token(code, app.provider, call.now) if code.extra["refresh"] else None
        return self.token_answer(call, code.grant, code.extra["scopes"], refresh, code.extra["nonce"])

    def refresh_token(self, source: Token, provider: str, now: float) -> Token:
        """A new refresh token; the 101st silently ends the oldest of this person under this client."""
        scopes = source.extra["scopes"]
        lifetime_s = self.lifetime("refresh_s", provider)
        if self.mode("testing", provider) and not set(scopes) <= IDENTITY:
            lifetime_s = self.lifetime("testing_s", provider)
        grant = source.grant
        token = self.world.grants.issue(
            grant,
            "refresh",
            "1//0" + self.world.randomness.token("", 60),
            now=now,
            lifetime_s=lifetime_s,
            extra={"scopes": scopes, "used_at": now},
        )
        living = [t for t in grant.tokens if t.kind == "refresh" and t.usable(now)]
        for old in living[:-MOST_REFRESH_TOKENS]:
            old.dead = "too_many"
        return token

    def refresh(self, call: Call, app: App, value: str) -> web.Response:
        token = self.world.grants.find(value)

        def refused(outcome: str, said: tuple[str, str, str | None]) -> web.Response:
            call.record("refresh", outcome, presented=value, token=token, provider=app.provider)
            error, text, subtype = said
            more: dict[str, Any] = {} if subtype is None else {"error_subtype": subtype}
            return oauth_error(error, text, **more)

        if token is None or token.kind != "refresh" or token.grant.client_id != app.client_id:
            return refused("refused:unknown", ("invalid_grant", "Bad Request", None))
        if token.grant.ended_at is not None:
            return refused("refused:revoked", self.ended(token.grant))
        unused_s = self.lifetime("unused_s", app.provider)
        unused = unused_s is not None and call.now - token.extra["used_at"] >= unused_s
        if not token.usable(call.now) or unused:
            return refused("refused:expired", REVOKED)
        token.extra["used_at"] = call.now
        call.record("refresh", "refreshed", presented=value, token=token, provider=app.provider)
        fresh = None
        if self.mode("rotates", app.provider):
            fresh = self.refresh_token(token, app.provider, call.now)
            token.dead = "rotated"
        return self.token_answer(call, token.grant, token.extra["scopes"], fresh, None)

    def ended(self, grant: Grant) -> tuple[str, str, str | None]:
        cause, _, code = (grant.cause or "").partition(" ")
        if code in {"invalid_rapt", "rapt_required"}:
            return "invalid_grant", f"reauth related error ({code})", code
        if code:
            return code, "Request denied by policy or configuration.", None
        return ENDINGS.get(cause, REVOKED)

    def token_answer(
        self, call: Call, grant: Grant, scopes: list[str], refresh: Token | None, nonce: str | None
    ) -> web.Response:
        provider = grant.provider
        held = IDENTITY.union(grant.scopes, *(g.scopes for g in self.ends_together(grant)))
        granted = [s for s in scopes if s in held]
        lifetime_s = self.lifetime("access_s", provider)
        access = self.world.grants.issue(
            grant,
            "access",
            "ya29.a0" + self.world.randomness.token("", 90),
            now=call.now,
            lifetime_s=lifetime_s,
            extra={"scopes": granted},
        )
        body: dict[str, Any] = {"access_token": access.value}
        expires_in = self.mode("expires_in", provider)
        if lifetime_s is not None and expires_in != "missing":
            body["expires_in"] = str(int(lifetime_s)) if expires_in == "string" else int(lifetime_s)
        if refresh is not None:
            body["refresh_token"] = refresh.value
            if refresh.expires_at is not None and (
                self.mode("time_limited", provider) or self.mode("testing", provider)
            ):
                body["refresh_token_expires_in"] = int(refresh.expires_at - call.now)
        body |= {"scope": " ".join(self.named(granted, provider)), "token_type": "Bearer"}
        if "openid" in granted:
            body["id_token"] = self.id_token(call, grant, granted, nonce)
        return answer(body, headers={"Cache-Control": "no-cache, no-store, max-age=0, must-revalidate"})

    def named(self, scopes: list[str], provider: str) -> list[str]:
        return [LONG_NAMES.get(s, s) for s in scopes] if self.mode("long_scope_names", provider) else scopes

    def id_token(self, call: Call, grant: Grant, scopes: list[str], nonce: str | None) -> str:
        person = self.world.person_of(grant)
        now = call.now + self.world.faults.skew_s(grant.provider)
        claims: dict[str, Any] = {
            "iss": ISSUER,
            "azp": grant.client_id,
            "aud": grant.client_id,
            "sub": person.subject("google"),
            "iat": int(now),
            "exp": int(now) + 3600,
        }
        if "email" in scopes:
            claims |= {"email": person.email, "email_verified": True}
        if "profile" in scopes:
            claims["name"] = person.name
        if nonce is not None:
            claims["nonce"] = nonce
        return self.key.sign(claims)

    def open_grant(self, opening: Opening) -> dict[str, Any]:
        grant = self.opened(opening, opening.scopes or [PREFIX + "adwords"])
        token = self.world.grants.issue(
            grant,
            "refresh",
            "1//0" + self.world.randomness.token("", 60),
            now=opening.now,
            lifetime_s=self.lifetime("refresh_s", opening.provider),
            extra={"scopes": grant.scopes, "used_at": opening.now},
        )
        return {"grant": grant.id, "refresh_token": token.value, "scope": " ".join(grant.scopes)}

    def project(self, grant: Grant) -> str:
        app = self.world.apps.get(grant.provider, grant.client_id)
        return grant.client_id if app is None else str(app.options.get("project", grant.client_id))

    def ends_together(self, grant: Grant) -> list[Grant]:
        project = self.project(grant)
        return [
            g
            for provider in self.providers
            for g in self.world.grants.alive(provider, person=grant.person)
            if self.project(g) == project
        ]

    def checked(self, call: Call) -> Token | str:
        """The living access token of an API call, or why there is none: missing, invalid, expired, revoked."""
        if call.bearer is None:
            return "missing"
        token = self.world.grants.find(call.bearer)
        if token is None or token.kind != "access" or token.grant.provider not in self.providers:
            return "invalid"
        if token.grant.ended_at is not None:
            return "deleted" if token.grant.cause == "account_deleted" else "revoked"
        return token if token.usable(call.now) else "expired"


def basic(call: Call) -> tuple[str | None, str | None]:
    scheme, _, value = call.request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "basic":
        return None, None
    try:
        client_id, _, secret = base64.b64decode(value, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return None, None
    return unquote_plus(client_id), unquote_plus(secret)
