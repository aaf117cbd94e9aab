"""Stripe Connect: tokens without end, a code that must never be sent twice, a signed event (platforms/stripe.md).

One grant is one connected account under one platform (client id). What is durable is the account: the platform's secret
key with `Stripe-Account` works as long as the connection stands.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from typing import Any, ClassVar

from aiohttp import web

from provider_simulator import consent
from provider_simulator.apps import App
from provider_simulator.faults import Fault
from provider_simulator.grants import Grant
from provider_simulator.people import Account
from provider_simulator.platforms.base import Opening, Platform, Revocation
from provider_simulator.wire import Call, Reply, Routes, answer

CONNECT, API = "connect.stripe.com", "api.stripe.com"
PROVIDER = "stripe"
BRAND = consent.Brand("Stripe", "#635bff", "S", "Stripe account")
SCOPES = {"read_only": "Read the data of your Stripe account", "read_write": "Read and change your Stripe account"}
EVENT_VERSION = "2026-10-28"
STALE_S = 3600
REUSED = "This authorization code has already been used. All tokens issued with this code have been revoked."
SHOULD_RETRY = "Stripe-Should-Retry"


class Stripe(Platform):
    """Modes: the header `Stripe-Should-Retry` on failures (null, "true", "false"); 429 as an old 400; rotation."""

    providers = (PROVIDER,)
    lifetimes: ClassVar[dict[str, float | None]] = {"code_s": 300.0}
    modes: ClassVar[dict[str, Any]] = {"should_retry": None, "rate_limit_status": 429}

    def routes(self, routes: Routes) -> None:
        for method in ("GET", "POST"):
            for path in ("/oauth/authorize", "/express/oauth/authorize", "/oauth/v2/authorize"):
                routes.add(method, CONNECT, path, self.route("authorize", self.authorize))
        routes.add("POST", CONNECT, "/oauth/token", self.route("token", self.token))
        routes.add("POST", CONNECT, "/oauth/deauthorize", self.route("revoke", self.deauthorize))
        routes.add("GET", API, "/v1/account", self.route("identity", self.own_account))
        routes.add("GET", API, "/v1/accounts/{account}", self.route("identity", self.account))
        routes.add("GET", API, "/v1/balance", self.route("api", self.balance))
        routes.add("GET", API, "/v1/charges", self.route("api", self.charges))
        routes.otherwise(API, self.route("api", self.nothing))

    # -- consent

    async def authorize(self, call: Call) -> web.StreamResponse:
        query = call.query
        app, redirect_uri = self.where(call)

        def back(**parameters: str) -> web.Response:
            return consent.redirect(redirect_uri, [*parameters.items(), ("state", query.get("state"))])

        if query.get("response_type") != "code":
            return back(error="unsupported_response_type", error_description="response_type must be code")
        scope = query.get("scope", "read_only")
        if scope not in SCOPES:
            return back(error="invalid_scope", error_description=f"unknown scope {scope}")
        asked = [consent.Scope(scope, SCOPES[scope], fixed=True)]
        decision = await consent.answered(call, consent.Ask(BRAND, app.name, asked, PROVIDER, one=True))
        if not decision.allow:
            return back(error="access_denied", error_description="The user denied your request")
        picked = decision.accounts or [a.id for a in decision.person.reachable(PROVIDER)]
        if len(picked) != 1:
            detail = f"{decision.person.name} has {len(picked)} Stripe accounts to connect; one has to be chosen."
            return consent.error_page(BRAND, "Choose one account", detail)
        grant = self.connected(app, picked[0])
        if grant is None:
            grant = self.world.grants.open(
                PROVIDER, app.client_id, decision.person.key, now=call.now, scopes=[scope], accounts=picked
            )
        elif scope not in grant.scopes:
            grant.scopes.append(scope)
        code = self.world.grants.issue(
            grant,
            "code",
            self.world.randomness.token("ac_", 24),
            now=call.now,
            lifetime_s=self.lifetime("code_s"),
            single_use=True,
            extra={"scope": scope, "livemode": bool(app.options.get("livemode"))},
        )
        return back(scope=scope, code=code.value)

    def where(self, call: Call) -> tuple[App, str]:
        """As everywhere, but without a redirect URI the first registered one is meant."""
        app = self.world.apps.get(PROVIDER, call.query.get("client_id", ""))
        if app is not None and "redirect_uri" not in call.query and app.redirect_uris:
            return app, app.redirect_uris[0]
        app, redirect_uri = self.linked(call, BRAND)
        if app.options.get("livemode") and not redirect_uri.startswith("https://"):
            raise Reply(consent.error_page(BRAND, "Invalid redirect URI", "Live mode redirects must use HTTPS."))
        return app, redirect_uri

    def connected(self, app: App, account_id: str) -> Grant | None:
        """The account's owner is looked for first, since a platform may have very many connections."""
        owners = [p.key for p in self.world.people.values() if p.account(PROVIDER, account_id) is not None]
        living = [g for key in owners for g in self.world.grants.alive(PROVIDER, client_id=app.client_id, person=key)]
        return next((g for g in living if g.accounts == [account_id]), None)

    # -- tokens

    async def token(self, call: Call) -> web.StreamResponse:
        form = await call.form()
        app, live = self.platform_key(call, form)
        match form.get("grant_type"):
            case "authorization_code":
                return self.exchange(call, app, form.get("code", ""), live=live)
            case "refresh_token":
                return self.refresh(call, app, form)
            case None:
                return _oauth("invalid_request", "Missing required parameter: grant_type")
            case other:
                return _oauth("unsupported_grant_type", f"Unsupported grant type: {other}")

    def platform_key(self, call: Call, form: dict[str, str]) -> tuple[App, bool]:
        """Whose secret key this is, in the header or as `client_secret`; and whether it is the live one."""
        key = call.bearer or form.get("client_secret", "")
        for app in self.world.apps.of(PROVIDER):
            live_key = str(app.options.get("live_secret", ""))
            for secret, live in ((app.client_secret, bool(app.options.get("livemode"))), (live_key, True)):
                if secret and hmac.compare_digest(key.encode(), secret.encode()):
                    return app, live
        call.record(call.route.endpoint, "refused:invalid_client")
        raise Reply(_oauth("invalid_client", "No such API key", 401))

    def exchange(self, call: Call, app: App, value: str, *, live: bool) -> web.Response:
        code = self.world.grants.find(value)
        if code is None or code.kind != "code" or code.grant.client_id != app.client_id:
            call.record("code", "refused:unknown", presented=value)
            return _oauth("invalid_grant", f"Authorization code does not exist: {value}")
        if code.spent_at is not None:
            call.record("code", "refused:reused", presented=value, token=code, twice=True)
            self.world.grants.end(code.grant, "code_reused", call.now)
            return _oauth("invalid_grant", REUSED)
        if not code.usable(call.now):
            call.record("code", "refused:expired", presented=value, token=code)
            return _oauth("invalid_grant", f"Authorization code expired: {value}")
        if live != code.extra["livemode"]:
            call.record("code", "refused:mode", presented=value, token=code)
            return _oauth("invalid_grant", "The mode of the key does not match the mode of the authorization code")
        code.spent_at = call.now
        call.record("code", "issued", presented=value, token=code)
        return answer(self.tokens(code.grant, call.now, code.extra["scope"], live=live))

    def refresh(self, call: Call, app: App, form: dict[str, str]) -> web.Response:
        value = form.get("refresh_token", "")
        token = self.good(value, "refresh", call.now, app)
        if token is None:
            call.record("refresh", "refused:invalid_grant", presented=value, token=self.world.grants.find(value))
            return _oauth("invalid_grant", "Refresh token does not exist")
        scope = form.get("scope", token.extra["scope"])
        if scope not in SCOPES or (scope == "read_write" and token.extra["scope"] == "read_only"):
            return _oauth("invalid_scope", "The requested scope is greater than the granted one")
        call.record("refresh", "refreshed", presented=value, token=token)
        return answer(self.tokens(token.grant, call.now, scope, live=token.extra["livemode"], refresh=value))

    def tokens(self, grant: Grant, now: float, scope: str, *, live: bool, refresh: str | None = None) -> dict[str, Any]:
        """No `expires_in`: the token does not end by itself."""
        issue, fresh, mode = self.world.grants.issue, self.world.randomness.token, "live" if live else "test"
        extra = {"scope": scope, "livemode": live}
        access = issue(grant, "access", fresh(f"sk_{mode}_", 48), now=now, lifetime_s=None, extra=extra)
        if refresh is None:
            refresh = issue(grant, "refresh", fresh("rt_", 48), now=now, lifetime_s=None, extra=extra).value
        account_id = (grant.accounts or [""])[0]
        return {
            "access_token": access.value,
            "livemode": live,
            "refresh_token": refresh,
            "token_type": "bearer",
            "stripe_publishable_key": f"pk_{mode}_{hashlib.sha256(account_id.encode()).hexdigest()[:32]}",
            "stripe_user_id": account_id,
            "scope": scope,
        }

    def open_grant(self, opening: Opening) -> dict[str, Any]:
        accounts = [a.id for a in self.world.people[opening.person].accounts[PROVIDER]][:1]
        scope = (opening.scopes or ["read_write"])[0]
        grant = self.opened(opening, [scope], accounts)
        return {"grant": grant.id} | self.tokens(grant, opening.now, scope, live=False)

    async def deauthorize(self, call: Call) -> web.StreamResponse:
        """Acts on the account; one that is already gone gives 401 `invalid_client`."""
        form = await call.form()
        app, _live = self.platform_key(call, form)
        account_id = form.get("stripe_user_id", "")
        if form.get("client_id") != app.client_id:
            return _oauth("invalid_client", f"No such application: '{form.get('client_id', '')}'", 401)
        grant = self.connected(app, account_id)
        if grant is None:
            text = f"This application is not connected to stripe account {account_id}, or that account does not exist."
            return _oauth("invalid_client", text, 401)
        self.world.grants.end(grant, "disconnected", call.now)
        self.announce(grant, Revocation())
        return answer({"stripe_user_id": account_id})

    # -- the API

    def acting_on(self, call: Call) -> Account:
        """The account that a call acts on, by an access token or by the platform's key with `Stripe-Account`."""
        key = call.bearer or ""
        token = self.world.grants.find(key)
        wanted = call.request.headers.get("Stripe-Account") or call.path.get("account")
        if token is not None and token.kind == "access" and token.grant.provider == PROVIDER:
            grant: Grant | None = token.grant if token.usable(call.now) else None
            wanted = wanted or (token.grant.accounts or [""])[0]
        else:
            app = next((a for a in self.world.apps.of(PROVIDER) if hmac.compare_digest(a.client_secret, key)), None)
            if app is None:
                shown = f"{key[:7]}{'*' * 8}{key[-4:]}"
                raise Reply(_api(401, "invalid_request_error", None, f"Invalid API Key provided: {shown}"))
            grant = None if wanted is None else self.connected(app, wanted)
        account = None if grant is None else self.world.person_of(grant).account(PROVIDER, wanted or "")
        if grant is None or account is None or account.lost or not grant.covers(account.id):
            text = (
                f"The provided key '{key[:7]}***' does not have access to account '{wanted}' (or that account does not "
                "exist). Application access may have been revoked."
            )
            raise Reply(_api(403, "invalid_request_error", "account_invalid", text))
        return account

    async def own_account(self, call: Call) -> web.StreamResponse:
        return answer(_shown(self.acting_on(call)))

    async def account(self, call: Call) -> web.StreamResponse:
        return answer(_shown(self.acting_on(call)))

    async def balance(self, call: Call) -> web.StreamResponse:
        account = self.acting_on(call)
        amounts = [{"amount": account.extra.get("number", 0), "currency": account.currency.lower()}]
        return answer({"object": "balance", "available": amounts, "pending": [], "livemode": False})

    async def charges(self, call: Call) -> web.StreamResponse:
        self.acting_on(call)
        return answer({"object": "list", "data": [], "has_more": False, "url": "/v1/charges"})

    async def nothing(self, call: Call) -> web.StreamResponse:
        path = call.request.path.partition(API)[2]
        return _api(404, "invalid_request_error", None, f"Unrecognized request URL ({call.request.method}: {path}).")

    # -- the Connect webhook

    def announce(self, grant: Grant, order: Revocation) -> None:
        """`account.application.deauthorized`: the account is at top level, the object is the application."""
        app = self.world.apps.get(PROVIDER, grant.client_id)
        if app is None or app.webhook_url is None or order.webhook == "none":
            return
        now = self.world.clock.now()
        moment = int(now + self.world.faults.skew_s(PROVIDER)) - (STALE_S if order.webhook == "stale" else 0)
        event = {
            "id": self.world.randomness.token("evt_1", 18),
            "object": "event",
            "account": (grant.accounts or [""])[0],
            "api_version": EVENT_VERSION,
            "created": moment,
            "data": {"object": {"id": app.client_id, "object": "application", "name": app.name}},
            "livemode": bool(app.options.get("livemode")) != (order.webhook == "other_mode"),
            "pending_webhooks": 1,
            "request": {"id": None, "idempotency_key": None},
            "type": "account.application.deauthorized",
        }
        body = json.dumps(event, indent=2).encode()
        secret = "not-the-secret" if order.webhook == "bad_signature" else app.webhook_secret or ""

        def signed(body: bytes) -> dict[str, str]:
            """Stripe signs every attempt anew, at its own time (docs.stripe.com/webhooks, read on 2026-12-01)."""
            stamp = int(self.world.clock.now() + self.world.faults.skew_s(PROVIDER))
            return {"Content-Type": "application/json; charset=utf-8", "Stripe-Signature": sign(body, secret, stamp)}

        for _ in range(2 if order.webhook == "twice" else 1):
            self.world.webhooks.send(
                PROVIDER, str(event["type"]), app.webhook_url, body, {}, now=now, grant=grant.id, resign=signed
            )

    # -- trouble

    def rate_limited(self, call: Call, _retry_after_s: float, _fault: Fault | None, /) -> web.Response:
        status = int(self.mode("rate_limit_status"))
        if call.route.endpoint in {"token", "revoke"}:
            return _oauth("rate_limit", "Request rate limit exceeded", status)
        return _api(status, "invalid_request_error", "rate_limit", "Request rate limit exceeded")

    def failing(self, call: Call, fault: Fault, /) -> web.Response:
        status = fault.status or 503
        if call.route.endpoint in {"token", "revoke"}:
            failed = _oauth(str(fault.code or "server_error"), "Simulated fault", status)
        else:
            failed = _api(status, "api_error", None if fault.code is None else str(fault.code), "Simulated fault")
        if (should_retry := self.mode("should_retry")) is not None:
            failed.headers[SHOULD_RETRY] = str(should_retry).lower()
        return failed


def sign(body: bytes, secret: str, moment: int) -> str:
    """`Stripe-Signature`: HMAC-SHA256 over `<t>.<raw body>`; another `v1` stands beside it, as in a rollover."""
    right = hmac.new(secret.encode(), f"{moment}.".encode() + body, hashlib.sha256).hexdigest()
    other = hmac.new(b"previous secret", body, hashlib.sha256).hexdigest()
    return f"t={moment},v1={other},v1={right},v0={other}"


def _shown(account: Account) -> dict[str, Any]:
    return {
        "id": account.id,
        "object": "account",
        "business_profile": {"name": account.name},
        "charges_enabled": account.active,
        "payouts_enabled": account.active,
        "country": "DE",
        "default_currency": account.currency.lower(),
        "type": "standard",
    }


def _oauth(error: str, text: str, status: int = 400) -> web.Response:
    """At OAuth URLs `error` is a string."""
    return answer({"error": error, "error_description": text}, status)


def _api(status: int, kind: str, code: str | None, text: str) -> web.Response:
    """At API URLs `error` is an object."""
    error = {"type": kind, "message": text} | ({} if code is None else {"code": code})
    return answer({"error": error}, status)
