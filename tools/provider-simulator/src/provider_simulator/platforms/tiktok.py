"""TikTok for Business: own names, a JSON body, HTTP 200 for everything, no expiry (platforms/tiktok.md).

One grant is one authorisation: a second one by the same person gives another token beside the first.
"""

from __future__ import annotations

import hmac
import json
from typing import Any, ClassVar

from aiohttp import web

from provider_simulator import consent
from provider_simulator.apps import App
from provider_simulator.faults import Fault
from provider_simulator.grants import Grant
from provider_simulator.platforms.base import Opening, Platform
from provider_simulator.wire import Call, Handler, Reply, Routes, answer

API, PORTAL, SANDBOX = "business-api.tiktok.com", "ads.tiktok.com", "sandbox-ads.tiktok.com"
PROVIDER = "tiktok"
BASE = "/open_api/v1.3"
DAY_S = 86_400.0
MOST_IDS = 100
BRAND = consent.Brand("TikTok for Business", "#fe2c55", "T", "advertiser accounts")
SCOPES = {4: "Ad account management", 5: "Ads management", 6: "Audience management", 7: "Reporting"}
MESSAGES = {
    40000: "Invalid parameter.",
    40001: "No permission to operate the advertiser.",
    40002: "Parameter error.",
    40016: "Frequency control.",
    40100: "App reaches the QPS limit.",
    40101: "The app_id or secret is incorrect.",
    40102: "Access token expired.",
    40103: "Refresh token expired.",
    40104: "Access token is empty.",
    40105: "Access token is incorrect or has been revoked.",
    40106: "Invalid core user.",
    40107: "Refresh token is invalid.",
    40110: "Auth code is invalid, used or expired.",
    40113: "The app is forbidden.",
    40114: "The advertiser has logged out.",
    40130: "The scope is not authorized.",
    40132: "Request frequency limited.",
    40300: "The advertiser does not exist.",
    40301: "The advertiser role is wrong.",
    40309: "Login is required.",
    20001: "Partial success.",
    50000: "System error.",
    50002: "System timeout.",
    60001: "The system is under maintenance.",
    61000: "Too many requests.",
}
ENDINGS = {"platform_enforced": 40102, "expired": 40102, "logged_out": 40114, "account_deleted": 40106}


class TikTok(Platform):
    """Modes: does the answer hold `expires_in` and a refresh token; does a new authorisation end the older ones."""

    providers = (PROVIDER,)
    lifetimes: ClassVar[dict[str, float | None]] = {
        "code_s": 600.0,
        "access_s": None,
        "expiring_access_s": DAY_S,
        "refresh_s": 365 * DAY_S,
    }
    modes: ClassVar[dict[str, Any]] = {
        "sends_expiry": False,
        "new_ends_old": False,
        "lost_account": 40001,  # or 40300, 40301
    }

    def routes(self, routes: Routes) -> None:
        for host, path in ((API, "/portal/auth"), (PORTAL, "/marketing_api/auth")):
            for method in ("GET", "POST"):
                routes.add(method, host, path, self.route("authorize", self.authorize))

        def add(method: str, path: str, endpoint: str, handler: Handler) -> None:
            routes.add(method, API, BASE + path, self.route(endpoint, handler))
            routes.add(method, SANDBOX, BASE + path, self.route(endpoint, handler))

        add("POST", "/oauth2/access_token/", "token", self.access_token)
        add("POST", "/oauth2/refresh_token/", "token", self.refresh_token)
        add("POST", "/oauth2/revoke_token/", "revoke", self.revoke_token)
        add("GET", "/oauth2/advertiser/get/", "accounts", self.advertisers)
        add("GET", "/advertiser/info/", "api", self.advertiser_info)
        add("GET", "/user/info/", "identity", self.user_info)
        add("GET", "/campaign/get/", "api", self.campaigns)
        add("GET", "/report/integrated/get/", "api", self.campaigns)
        for host in (API, SANDBOX):
            routes.otherwise(host, self.route("api", self.nothing))

    # -- consent

    async def authorize(self, call: Call) -> web.StreamResponse:
        app, redirect_uri = self.linked(call, BRAND, client="app_id")
        asked = [consent.Scope(str(n), words) for n, words in SCOPES.items()]
        decision = await consent.answered(call, consent.Ask(BRAND, app.name, asked, PROVIDER))
        state = ("state", call.query.get("state"))
        if not decision.allow:
            return consent.redirect(redirect_uri, [("error", "access_denied"), state])
        grants = self.world.grants
        if self.mode("new_ends_old"):
            for old in grants.alive(PROVIDER, client_id=app.client_id, person=decision.person.key):
                grants.end(old, "superseded", call.now)
        scopes = decision.scopes if decision.scopes is not None else [s.id for s in asked]
        grant = grants.open(
            PROVIDER, app.client_id, decision.person.key, now=call.now, scopes=scopes, accounts=decision.accounts
        )
        code = grants.issue(
            grant,
            "code",
            self.world.randomness.hex(40),
            now=call.now,
            lifetime_s=self.lifetime("code_s"),
            single_use=True,
        )
        return consent.redirect(redirect_uri, [("auth_code", code.value), state])

    # -- tokens

    async def access_token(self, call: Call) -> web.StreamResponse:
        given = await self.given(call)
        app = self.app(given)
        value = str(given.get("auth_code", ""))
        code = self.good(value, "code", call.now, app)
        if code is None:
            self.record_refused_code(call, value)
            return _failure(40110)
        code.spent_at = call.now
        call.record("code", "issued", presented=value, token=code)
        return self.token_answer(call, code.grant)

    async def refresh_token(self, call: Call) -> web.StreamResponse:
        """Deprecated; it works only for a token that came with a refresh token."""
        given = await self.given(call)
        app = self.app(given)
        value = str(given.get("refresh_token", ""))
        token = self.world.grants.find(value)
        if token is None or token.kind != "refresh" or token.grant.client_id != app.client_id:
            call.record("refresh", "refused:unknown", presented=value)
            return _failure(40107)
        if not token.usable(call.now):
            call.record("refresh", "refused:expired", presented=value, token=token, twice=token.spent_at is not None)
            return _failure(40103 if token.expired(call.now) else 40107)
        token.spent_at = call.now
        call.record("refresh", "rotated", presented=value, token=token)
        return self.token_answer(call, token.grant)

    def token_answer(self, call: Call, grant: Grant) -> web.Response:
        body: dict[str, Any] = {
            "advertiser_ids": [a.id for a in self.world.reached(grant)],
            "scope": [int(s) for s in grant.scopes],
        }
        return _success(body | self.tokens(grant, call.now))

    def tokens(self, grant: Grant, now: float) -> dict[str, Any]:
        issue, fresh = self.world.grants.issue, self.world.randomness.hex
        expiring = self.mode("sends_expiry")
        lifetime_s = self.lifetime("expiring_access_s" if expiring else "access_s")
        body: dict[str, Any] = {"access_token": issue(grant, "access", fresh(40), now=now, lifetime_s=lifetime_s).value}
        if expiring:
            refresh_s = self.lifetime("refresh_s")
            refresh = issue(grant, "refresh", fresh(40), now=now, lifetime_s=refresh_s, single_use=True)
            body |= {"refresh_token": refresh.value}
            body |= {} if lifetime_s is None else {"expires_in": int(lifetime_s)}
            body |= {} if refresh_s is None else {"refresh_token_expires_in": int(refresh_s)}
        return body

    def open_grant(self, opening: Opening) -> dict[str, Any]:
        grant = self.opened(opening, opening.scopes or ["4", "5"])
        return {"grant": grant.id} | self.tokens(grant, opening.now)

    async def revoke_token(self, call: Call) -> web.StreamResponse:
        given = await self.given(call)
        self.app(given)
        grant = self.caller(call)
        token = self.world.grants.find(str(given.get("access_token", "")))
        if token is None or token.grant is not grant:
            return _failure(40105)
        self.world.grants.end(grant, "disconnected", call.now)
        return _success({})

    async def given(self, call: Call) -> dict[str, Any]:
        """The JSON body; a form is not one."""
        document = await call.json()
        if document is None:
            raise Reply(_failure(40002, "The request body is not JSON."))
        return document

    def app(self, given: dict[str, Any]) -> App:
        app = self.world.apps.get(PROVIDER, str(given.get("app_id", "")))
        if app is None or not hmac.compare_digest(str(given.get("secret", "")).encode(), app.client_secret.encode()):
            raise Reply(_failure(40101))
        return app

    # -- the API

    def caller(self, call: Call) -> Grant:
        """By the header `Access-Token` and no other."""
        value = call.request.headers.get("Access-Token")
        if not value:
            raise Reply(_failure(40104))
        token = self.world.grants.find(value)
        if token is None or token.kind != "access" or token.grant.provider != PROVIDER:
            raise Reply(_failure(40105))
        if token.grant.ended_at is not None:
            cause, _, code = (token.grant.cause or "").partition(" ")
            raise Reply(_failure(int(code) if code.isdigit() else ENDINGS.get(cause, 40105)))
        if not token.usable(call.now):
            raise Reply(_failure(40102))
        return token.grant

    async def advertisers(self, call: Call) -> web.StreamResponse:
        """The list of now, which may be shorter than the one in the token answer; the secret is in the query."""
        if call.request.path.startswith("/" + SANDBOX):
            return _failure(40002, "This endpoint is not available in the sandbox.")
        self.app(dict(call.query))
        grant = self.caller(call)
        listed = [{"advertiser_id": a.id, "advertiser_name": a.name} for a in self.world.reached(grant)]
        return _success({"list": listed})

    async def advertiser_info(self, call: Call) -> web.StreamResponse:
        grant = self.caller(call)
        ids = _ids(call.query.get("advertiser_ids"))
        for advertiser in ids:
            self.allowed(grant, advertiser)
        listed = [
            {
                "advertiser_id": a.id,
                "name": a.name,
                "currency": a.currency,
                "timezone": a.timezone,
                "status": "STATUS_ENABLE" if a.active else "STATUS_DISABLE",
            }
            for a in self.world.reached(grant)
            if a.id in ids
        ]
        return _success({"list": listed})

    async def user_info(self, call: Call) -> web.StreamResponse:
        person = self.world.person_of(self.caller(call))
        return _success({"display_name": person.name, "email": person.email, "core_user_id": person.subject(PROVIDER)})

    async def campaigns(self, call: Call) -> web.StreamResponse:
        self.allowed(self.caller(call), call.query.get("advertiser_id", ""))
        page = {"page": 1, "page_size": 10, "total_number": 0, "total_page": 0}
        return _success({"list": [], "page_info": page})

    def allowed(self, grant: Grant, advertiser: str) -> None:
        if any(a.id == advertiser for a in self.world.reached(grant)):
            return
        known = any(p.account(PROVIDER, advertiser) for p in self.world.people.values())
        raise Reply(_failure(int(self.mode("lost_account")) if known else 40300))

    async def nothing(self, _call: Call) -> web.StreamResponse:
        """A path without its trailing slash is another path."""
        return web.Response(status=404, text="404 page not found")

    # -- trouble

    def rate_limited(self, _call: Call, _retry_after_s: float, fault: Fault | None, /) -> web.Response:
        return _failure(int((fault.code if fault is not None else None) or 40100))

    def failing(self, _call: Call, fault: Fault, /) -> web.Response:
        """HTTP 200 whatever happened, unless another status is ordered."""
        return _failure(int(fault.code or 50000), status=fault.status or 200)


def _ids(text: str | None) -> list[str]:
    """A JSON array in a string."""
    try:
        ids = json.loads(text or "")
    except ValueError:
        ids = None
    if not isinstance(ids, list) or not ids or len(ids) > MOST_IDS:
        raise Reply(_failure(40002, "advertiser_ids: a JSON array of 1 to 100 ids is expected."))
    return [str(i) for i in ids]


def _success(data: dict[str, Any]) -> web.Response:
    return answer({"code": 0, "message": "OK", "request_id": _request_id(0), "data": data})


def _failure(code: int, message: str | None = None, status: int = 200) -> web.Response:
    said = message or MESSAGES.get(code, "Error.")
    return answer({"code": code, "message": said, "request_id": _request_id(code), "data": {}}, status)


def _request_id(code: int) -> str:
    return f"2026{code:028d}"
