"""A provider that simply follows the RFCs: 6749, PKCE (7636), revocation (7009), introspection (7662), 8414.

Its refresh tokens are single use and rotate. A refresh token that is presented again after it was taken revokes the
whole grant (RFC 6749 section 10.4, RFC 9700 section 4.14.2): the strictest behaviour met in the field, and the one that
the refresh engine has to survive.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import json
from collections.abc import Mapping
from typing import Any, ClassVar
from urllib.parse import unquote_plus

from aiohttp import web

from provider_simulator import consent
from provider_simulator.apps import App
from provider_simulator.faults import Fault
from provider_simulator.grants import Grant, Token
from provider_simulator.pkce import verifies
from provider_simulator.platforms.base import Opening, Platform, oauth_error
from provider_simulator.wire import Call, Reply, Routes, answer

HOST = "rfc6749.example"
DEFAULT_SCOPE = "ads.read accounts.read"
PROVIDER = "rfc6749"
BRAND = consent.Brand("Acme Ads", "#5b3df5", "A", "advertiser accounts")
SCOPES = {
    "ads.read": "Read campaigns and reports",
    "ads.write": "Change campaigns and budgets",
    "accounts.read": "See the list of your accounts",
    "offline_access": "Stay connected while you are away",
}


class Rfc6749(Platform):
    """Modes, in order.

    Do refresh tokens rotate; does reuse end the grant; seconds in which a spent refresh token still works; does a
    refresh move the end of the refresh token; is PKCE required; does the answer tell the refresh lifetime; do its
    decorative fields
    (`expires_in`, `id_token`, `scope`) have values that nobody can read.
    """

    providers = (PROVIDER,)
    lifetimes: ClassVar[dict[str, float | None]] = {"code_s": 60.0, "access_s": 3600.0, "refresh_s": 30 * 86_400.0}
    modes: ClassVar[dict[str, Any]] = {
        "rotates": True,
        "reuse_ends_grant": True,
        "reuse_grace_s": 0,
        "sliding": True,
        "require_pkce": True,
        "tells_refresh_lifetime": True,
        "odd_fields": False,
    }

    def routes(self, routes: Routes) -> None:
        routes.add("GET", HOST, "/authorize", self.route("authorize", self.authorize))
        routes.add("POST", HOST, "/authorize", self.route("authorize", self.authorize))
        routes.add("POST", HOST, "/token", self.route("token", self.token))
        routes.add("POST", HOST, "/revoke", self.route("revoke", self.revoke_token))
        routes.add("POST", HOST, "/introspect", self.route("introspect", self.introspect))
        routes.add("GET", HOST, "/.well-known/oauth-authorization-server", self.route("metadata", self.metadata))
        routes.add("GET", HOST, "/api/me", self.route("identity", self.me))
        routes.add("GET", HOST, "/api/accounts", self.route("accounts", self.accounts))
        routes.add("GET", HOST, "/api/accounts/{account}", self.route("api", self.account))
        routes.otherwise(HOST, self.route("api", self.nothing))

    # -- authorization (RFC 6749 section 4.1.1)

    async def authorize(self, call: Call) -> web.StreamResponse:
        app, redirect_uri = self.linked(call, BRAND)

        def back(**parameters: str) -> web.Response:
            issuer = ("iss", f"{call.origin}/{HOST}")
            return consent.redirect(redirect_uri, [*parameters.items(), ("state", call.query.get("state")), issuer])

        if (wrong := self.wrong_with(call.query)) is not None:
            return back(**wrong)
        scopes = call.query.get("scope", DEFAULT_SCOPE).split()
        challenge = call.query.get("code_challenge")
        ask = consent.Ask(BRAND, app.name, [consent.Scope(s, SCOPES[s]) for s in scopes], PROVIDER)
        decision = await consent.answered(call, ask)
        if not decision.allow:
            return back(error="access_denied", error_description="the resource owner denied the request")
        grant = self.world.grants.open(
            PROVIDER,
            app.client_id,
            decision.person.key,
            now=call.now,
            scopes=scopes if decision.scopes is None else decision.scopes,
            accounts=decision.accounts,
        )
        code = self.world.grants.issue(
            grant,
            "code",
            self.world.randomness.token("ac_", 30),
            now=call.now,
            lifetime_s=self.lifetime("code_s"),
            single_use=True,
            extra={"redirect_uri": redirect_uri, "challenge": None if challenge is None else ["S256", challenge]},
        )
        return back(code=code.value)

    def wrong_with(self, query: Mapping[str, str]) -> dict[str, str] | None:
        """What the app is told by a redirect: the error parameters of section 4.1.2.1."""
        if query.get("response_type") != "code":
            return {"error": "unsupported_response_type"}
        if "code_challenge" not in query:
            if self.mode("require_pkce"):
                return {"error": "invalid_request", "error_description": "code_challenge required"}
        elif query.get("code_challenge_method") != "S256":
            return {"error": "invalid_request", "error_description": "only S256 is supported"}
        unknown = [s for s in query.get("scope", DEFAULT_SCOPE).split() if s not in SCOPES]
        return {"error": "invalid_scope", "error_description": f"unknown scope {unknown[0]}"} if unknown else None

    # -- tokens (RFC 6749 sections 4.1.3 and 6)

    async def token(self, call: Call) -> web.StreamResponse:
        form = await call.form()
        app = self.client(call, form)
        grant_type = form.get("grant_type")
        if grant_type == "refresh_token":
            return self.refresh(call, app, form)
        if grant_type == "authorization_code":
            return self.exchange(call, app, form)
        call.record("token", "refused:unsupported_grant_type")
        return oauth_error("unsupported_grant_type" if grant_type else "invalid_request")

    def client(self, call: Call, form: dict[str, str]) -> App:
        """RFC 6749 section 2.3.1: Basic (form-urlencoded first) or in the body, not both."""
        client_id, secret = form.get("client_id"), form.get("client_secret")
        header = call.request.headers.get("Authorization")
        if header is not None:
            if secret is not None:
                raise Reply(oauth_error("invalid_request", "more than one way of client authentication"))
            client_id, secret = _basic(header)
        app = self.world.apps.get(PROVIDER, client_id or "")
        if app is None or secret is None or not hmac.compare_digest(secret.encode(), app.client_secret.encode()):
            call.record(call.route.endpoint, "refused:invalid_client")
            refused = oauth_error("invalid_client", status=401)
            refused.headers["WWW-Authenticate"] = 'Basic realm="rfc6749"'
            raise Reply(refused)
        return app

    def exchange(self, call: Call, app: App, form: dict[str, str]) -> web.Response:
        value = form.get("code", "")
        code = self.world.grants.find(value)
        if code is None or code.kind != "code" or code.grant.client_id != app.client_id:
            call.record("code", "refused:unknown", presented=value)
            return oauth_error("invalid_grant", "unknown authorization code")
        if code.spent_at is not None:
            # Section 4.1.2: the tokens of a code that is used twice are to be revoked.
            call.record("code", "refused:reused", presented=value, token=code, twice=True)
            self.world.grants.end(code.grant, "code_reused", call.now)
            return oauth_error("invalid_grant", "authorization code was already used")
        if not code.usable(call.now):
            call.record("code", "refused:expired", presented=value, token=code)
            return oauth_error("invalid_grant", "authorization code expired")
        if form.get("redirect_uri") != code.extra["redirect_uri"]:
            call.record("code", "refused:redirect_uri", presented=value, token=code)
            return oauth_error("invalid_grant", "redirect_uri does not match the authorization request")
        if not verifies(code.extra["challenge"], form.get("code_verifier")):
            call.record("code", "refused:pkce", presented=value, token=code)
            return oauth_error("invalid_grant", "code_verifier does not match")
        code.spent_at = call.now
        call.record("code", "issued", presented=value, token=code)
        return self.token_answer(call.now, code.grant, None)

    def refresh(self, call: Call, app: App, form: dict[str, str]) -> web.Response:
        now = call.now
        value = form.get("refresh_token", "")
        token = self.world.grants.find(value)
        if token is None or token.kind != "refresh" or token.grant.client_id != app.client_id:
            call.record("refresh", "refused:unknown", presented=value)
            return oauth_error("invalid_grant", "unknown refresh token")
        if token.spent_at is not None and now - token.spent_at > float(self.mode("reuse_grace_s")):
            call.record("refresh", "refused:reused", presented=value, token=token, twice=True)
            if self.mode("reuse_ends_grant"):
                self.world.grants.end(token.grant, "reuse_detected", now)
            return oauth_error("invalid_grant", "refresh token was already used")
        if token.grant.ended_at is not None:
            call.record("refresh", "refused:revoked", presented=value, token=token)
            return oauth_error("invalid_grant", "the grant was revoked")
        if token.expired(now) or token.dead is not None:
            call.record("refresh", "refused:expired", presented=value, token=token)
            return oauth_error("invalid_grant", "refresh token expired")
        if (asked := form.get("scope")) is not None and set(asked.split()) - set(token.grant.scopes):
            call.record("refresh", "refused:invalid_scope", presented=value, token=token)
            return oauth_error("invalid_scope")
        twice = token.spent_at is not None
        rotates = self.mode("rotates")
        call.record("refresh", "rotated" if rotates else "refreshed", presented=value, token=token, twice=twice)
        if rotates:
            token.spent_at = now
        return self.token_answer(now, token.grant, token)

    def token_answer(self, now: float, grant: Grant, spent: Token | None) -> web.Response:
        """`spent`: the refresh token that was presented, if this is a refresh."""
        grants, fresh = self.world.grants, self.world.randomness.token
        lifetime_s = self.lifetime("access_s")
        access = grants.issue(grant, "access", fresh("at_"), now=now, lifetime_s=lifetime_s)
        body: dict[str, Any] = {"access_token": access.value, "token_type": "Bearer"}
        if lifetime_s is not None:
            body["expires_in"] = int(lifetime_s)
        body["scope"] = " ".join(grant.scopes)
        if spent is None or self.mode("rotates"):
            refresh_s = self.lifetime("refresh_s")
            if spent is not None and not self.mode("sliding"):
                refresh_s = None if spent.expires_at is None else spent.expires_at - now
            refresh = grants.issue(
                grant, "refresh", fresh("rt_"), now=now, lifetime_s=refresh_s, single_use=bool(self.mode("rotates"))
            )
            body["refresh_token"] = refresh.value
            if refresh_s is not None and self.mode("tells_refresh_lifetime"):
                body["refresh_token_expires_in"] = int(refresh_s)
        if self.mode("odd_fields"):
            body |= {"expires_in": "never", "refresh_token_expires_in": "", "id_token": {}, "scope": ""}
        return answer(body, headers={"Cache-Control": "no-store"})

    def open_grant(self, opening: Opening) -> dict[str, Any]:
        grant = self.opened(opening, opening.scopes or ["ads.read", "accounts.read"])
        answered: dict[str, Any] = json.loads(self.token_answer(opening.now, grant, None).text or "{}")
        return {"grant": grant.id} | answered

    # -- revocation and introspection

    async def revoke_token(self, call: Call) -> web.StreamResponse:
        form = await call.form()
        app = self.client(call, form)
        if not form.get("token"):
            return oauth_error("invalid_request", "token is required")
        token = self.world.grants.find(form["token"])
        if token is not None and token.grant.client_id == app.client_id:
            if token.kind == "refresh":
                self.world.grants.end(token.grant, "disconnected", call.now)
            else:
                token.dead = "revoked"
                self.world.grants.changed(token.grant)
        return web.Response()  # RFC 7009 section 2.2: also for a token that is not known

    async def introspect(self, call: Call) -> web.StreamResponse:
        form = await call.form()
        app = self.client(call, form)
        token = self.world.grants.find(form.get("token", ""))
        if token is None or not token.usable(call.now) or token.grant.client_id != app.client_id:
            return answer({"active": False})
        grant = token.grant
        body = {
            "active": True,
            "scope": " ".join(grant.scopes),
            "client_id": grant.client_id,
            "username": self.world.person_of(grant).email,
            "token_type": "Bearer" if token.kind == "access" else token.kind,
            "iat": call.platform_time(token.issued_at),
            "sub": self.world.person_of(grant).subject(PROVIDER),
        }
        if token.expires_at is not None:
            body["exp"] = call.platform_time(token.expires_at)
        return answer(body)

    async def metadata(self, call: Call) -> web.StreamResponse:
        base = f"{call.origin}/{HOST}"
        return answer(
            {
                "issuer": base,
                "authorization_endpoint": f"{base}/authorize",
                "token_endpoint": f"{base}/token",
                "revocation_endpoint": f"{base}/revoke",
                "introspection_endpoint": f"{base}/introspect",
                "response_types_supported": ["code"],
                "grant_types_supported": ["authorization_code", "refresh_token"],
                "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post"],
                "code_challenge_methods_supported": ["S256"],
                "scopes_supported": list(SCOPES),
                "authorization_response_iss_parameter_supported": True,
            }
        )

    # -- its API

    def caller(self, call: Call) -> Grant:
        token = self.good(call.bearer, "access", call.now)
        if token is None:
            challenge = 'Bearer realm="rfc6749"'
            if call.bearer is not None:
                challenge += ', error="invalid_token"'  # RFC 6750 section 3.1
            raise Reply(answer({"error": "invalid_token"}, 401, {"WWW-Authenticate": challenge}))
        return token.grant

    async def me(self, call: Call) -> web.StreamResponse:
        person = self.world.person_of(self.caller(call))
        return answer({"sub": person.subject(PROVIDER), "name": person.name, "email": person.email})

    async def accounts(self, call: Call) -> web.StreamResponse:
        listed = self.world.reached(self.caller(call))
        return answer({"accounts": [{"id": a.id, "name": a.name, "currency": a.currency} for a in listed]})

    async def account(self, call: Call) -> web.StreamResponse:
        account = next((a for a in self.world.reached(self.caller(call)) if a.id == call.path["account"]), None)
        if account is None:
            return answer({"error": "forbidden"}, 403)
        return answer({"id": account.id, "name": account.name, "currency": account.currency})

    async def nothing(self, _call: Call) -> web.StreamResponse:
        return answer({"error": "not_found"}, 404)

    # -- trouble

    def rate_limited(self, _call: Call, retry_after_s: float, fault: Fault | None, /) -> web.Response:
        status = (fault.status if fault is not None else None) or 429
        refused = oauth_error("temporarily_unavailable", "too many requests", status)
        refused.headers["Retry-After"] = str(max(1, round(retry_after_s)))
        return refused

    def failing(self, _call: Call, fault: Fault, /) -> web.Response:
        status = fault.status or 503
        default = "server_error" if status >= 500 else "invalid_request"  # noqa: PLR2004
        refused = oauth_error(str(fault.code or default), "simulated fault", status)
        if fault.retry_after is not None:
            refused.headers["Retry-After"] = str(max(1, round(fault.retry_after)))
        return refused


def _basic(header: str) -> tuple[str | None, str | None]:
    scheme, _, value = header.partition(" ")
    if scheme.lower() != "basic":
        return None, None
    try:
        client_id, colon, secret = base64.b64decode(value, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return None, None
    return (unquote_plus(client_id), unquote_plus(secret)) if colon else (None, None)
