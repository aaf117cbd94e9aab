"""Snapchat Marketing API: RFC 6749 without PKCE, short tokens, wrapped lists (platforms/snapchat.md)."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import math
from typing import Any, ClassVar

from aiohttp import web

from provider_simulator import consent
from provider_simulator.apps import App
from provider_simulator.faults import Fault
from provider_simulator.grants import Grant
from provider_simulator.people import Account, Person
from provider_simulator.platforms.base import Opening, Platform, oauth_error
from provider_simulator.wire import Call, Reply, Routes, answer

LOGIN, API = "accounts.snapchat.com", "adsapi.snapchat.com"
PROVIDER = "snapchat"
SCOPE = "snapchat-marketing-api"
BRAND = consent.Brand("Snapchat", "#1c1c1e", "S")
APP_PER_S, TOKEN_PER_S, AVERAGED_OVER_S = 20.0, 10.0, 10.0
PAGE_DEFAULT, PAGE_MOST = 50, 1000


class Snapchat(Platform):
    """Modes.

    Does a refresh answer hold a refresh token; does it rotate (the old one then is single use); the shape of API errors
    ("display" or "msg"); are the API's rates enforced; over how many organizations the accounts are spread, and how
    many are on a page; the number of the organization that answers 403; how many ad accounts of each page come as a
    failed sub-request (an item without the account).
    """

    providers = (PROVIDER,)
    lifetimes: ClassVar[dict[str, float | None]] = {"code_s": 600.0, "access_s": 1800.0, "refresh_s": None}
    modes: ClassVar[dict[str, Any]] = {
        "refresh_token_on_refresh": True,
        "rotates": False,
        "error_shape": "display",
        "limits": True,
        "refuses_pkce": True,
        "organizations": 1,
        "organizations_per_page": 50,
        "refused_organization": None,
        "failed_items": 0,
    }

    def routes(self, routes: Routes) -> None:
        for method in ("GET", "POST"):
            routes.add(method, LOGIN, "/login/oauth2/authorize", self.route("authorize", self.authorize))
        routes.add("POST", LOGIN, "/login/oauth2/access_token", self.route("token", self.token))
        routes.add("GET", API, "/v1/me", self.route("identity", self.me))
        routes.add("GET", API, "/v1/me/organizations", self.route("accounts", self.organizations))
        routes.add("GET", API, "/v1/organizations/{organization}/adaccounts", self.route("accounts", self.ad_accounts))
        routes.add("GET", API, "/v1/adaccounts/{account}", self.route("api", self.ad_account))
        routes.add("GET", API, "/v1/adaccounts/{account}/campaigns", self.route("api", self.campaigns))
        routes.otherwise(API, self.route("api", self.nothing))

    # -- consent

    async def authorize(self, call: Call) -> web.StreamResponse:
        query = call.query
        app, redirect_uri = self.linked(call, BRAND)
        if "code_challenge" in query and self.mode("refuses_pkce"):
            return consent.error_page(BRAND, "Something went wrong", "invalid_request: unexpected code_challenge")

        def back(**parameters: str) -> web.Response:
            return consent.redirect(redirect_uri, [*parameters.items(), ("state", query.get("state"))])

        if query.get("response_type") != "code":
            return back(error="unsupported_response_type")
        if query.get("scope") != SCOPE:
            return back(error="invalid_scope")
        asked = [consent.Scope(SCOPE, "Manage your ad accounts, campaigns and reports", fixed=True)]
        decision = await consent.answered(call, consent.Ask(BRAND, app.name, asked, PROVIDER, pick=False))
        if not decision.allow:
            return back(error="access_denied")
        grant = self.world.grants.open(PROVIDER, app.client_id, decision.person.key, now=call.now, scopes=[SCOPE])
        code = self.world.grants.issue(
            grant,
            "code",
            self.world.randomness.token("", 30),
            now=call.now,
            lifetime_s=self.lifetime("code_s"),
            single_use=True,
            extra={"redirect_uri": redirect_uri},
        )
        return back(code=code.value)

    # -- tokens

    async def token(self, call: Call) -> web.StreamResponse:
        form = await call.form()
        app = self.client(call, form)
        if "code_verifier" in form and self.mode("refuses_pkce"):
            return oauth_error("invalid_request", "unexpected code_verifier")
        match form.get("grant_type"):
            case "authorization_code":
                return self.exchange(call, app, form)
            case "refresh_token":
                return self.refresh(call, app, form.get("refresh_token", ""))
            case _:
                call.record("token", "refused:unsupported_grant_type")
                return oauth_error("unsupported_grant_type")

    def client(self, call: Call, form: dict[str, str]) -> App:
        client_id, secret = form.get("client_id", ""), form.get("client_secret")
        scheme, _, value = call.request.headers.get("Authorization", "").partition(" ")
        if secret is None and scheme.lower() == "basic":
            try:
                client_id, _, secret = base64.b64decode(value, validate=True).decode().partition(":")
            except (binascii.Error, UnicodeDecodeError):
                secret = None
        app = self.world.apps.get(PROVIDER, client_id)
        if app is None or secret is None or not hmac.compare_digest(secret.encode(), app.client_secret.encode()):
            call.record("token", "refused:invalid_client")
            raise Reply(oauth_error("invalid_client", "client authentication failed", 401))
        return app

    def exchange(self, call: Call, app: App, form: dict[str, str]) -> web.Response:
        value = form.get("code", "")
        code = self.good(value, "code", call.now, app)
        if code is None:
            self.record_refused_code(call, value)
            return oauth_error("invalid_grant", "invalid authorization code")
        if form.get("redirect_uri") != code.extra["redirect_uri"]:
            call.record("code", "refused:redirect_uri", presented=value, token=code)
            return oauth_error("invalid_grant", "redirect_uri mismatch")
        code.spent_at = call.now
        call.record("code", "issued", presented=value, token=code)
        return answer(self.tokens(code.grant, call.now, self.refresh_token(code.grant, call.now)))

    def refresh(self, call: Call, app: App, value: str) -> web.Response:
        token = self.good(value, "refresh", call.now, app)
        if token is None:
            known = self.world.grants.find(value)
            reused = known is not None and known.spent_at is not None
            outcome = "refused:reused" if reused else "refused:invalid_grant"
            call.record("refresh", outcome, presented=value, token=known, twice=reused)
            return oauth_error("invalid_grant", "refresh token is invalid or was revoked")
        rotates = self.mode("rotates")
        call.record("refresh", "rotated" if rotates else "refreshed", presented=value, token=token)
        if not rotates:
            return answer(self.tokens(token.grant, call.now, value if self.mode("refresh_token_on_refresh") else None))
        token.spent_at = call.now
        return answer(self.tokens(token.grant, call.now, self.refresh_token(token.grant, call.now)))

    def refresh_token(self, grant: Grant, now: float) -> str:
        return self.world.grants.issue(
            grant,
            "refresh",
            self.world.randomness.token("r", 48),
            now=now,
            lifetime_s=self.lifetime("refresh_s"),
            single_use=bool(self.mode("rotates")),
        ).value

    def tokens(self, grant: Grant, now: float, refresh: str | None) -> dict[str, Any]:
        lifetime_s = self.lifetime("access_s")
        access = self.world.grants.issue(
            grant, "access", self.world.randomness.token("h", 60), now=now, lifetime_s=lifetime_s
        )
        body: dict[str, Any] = {"access_token": access.value, "token_type": "Bearer", "scope": SCOPE}
        body |= {} if lifetime_s is None else {"expires_in": int(lifetime_s)}
        return body | ({} if refresh is None else {"refresh_token": refresh})

    def open_grant(self, opening: Opening) -> dict[str, Any]:
        grant = self.opened(opening, [SCOPE])
        return {"grant": grant.id} | self.tokens(grant, opening.now, self.refresh_token(grant, opening.now))

    # -- the API

    def caller(self, call: Call) -> Grant:
        token = self.good(call.bearer, "access", call.now)
        if token is None:
            raise self.refuse(401, "E3002", "Unauthorized")
        if self.mode("limits"):
            average, burst = self.world.limits.average, AVERAGED_OVER_S
            wait_s = average(f"snapchat {token.value}", TOKEN_PER_S, TOKEN_PER_S * burst, call.now)
            app = token.grant.client_id
            wait_s = wait_s or average(f"snapchat app {app}", APP_PER_S, APP_PER_S * burst, call.now)
            if wait_s:
                raise Reply(self.rate_limited(call, wait_s, None))
        return token.grant

    async def me(self, call: Call) -> web.StreamResponse:
        person = self.world.person_of(self.caller(call))
        me = {
            "id": _id("user", person),
            "organization_id": _id("organization", person),
            "display_name": person.name,
            "email": person.email,
            "member_status": "MEMBER",
        }
        return _success({"me": me})

    async def organizations(self, call: Call) -> web.StreamResponse:
        """Wrapped items; `paging.next_link` while there is more."""
        grant = self.caller(call)
        person = self.world.person_of(grant)
        numbers = list(range(int(self.mode("organizations"))))
        page = int(self.mode("organizations_per_page"))
        start = _number(call.query.get("cursor"), 0)
        if start is None:
            raise self.refuse(400, "E1001", "cursor is wrong")
        found: list[dict[str, Any]] = []
        for number in numbers[start : start + page]:
            organization: dict[str, Any] = {
                "id": _organization(person, number),
                "name": f"{person.name} Organization",
                "country": "DE",
                "type": "ENTERPRISE",
            }
            if call.query.get("with_ad_accounts") == "true":
                organization["ad_accounts"] = [_shown(a, person) for a in self.of_organization(grant, number)]
            found.append({"sub_request_status": "SUCCESS", "organization": organization})
        body: dict[str, Any] = {"paging": {}, "organizations": found}
        if start + page < len(numbers):
            body["paging"] = {"next_link": f"{call.origin}{call.request.path}?cursor={start + page}"}
        return _success(body)

    def of_organization(self, grant: Grant, number: int) -> list[Account]:
        """The accounts are dealt out over the person's organizations."""
        person = self.world.person_of(grant)
        dealt = {account.id: index for index, account in enumerate(person.accounts[PROVIDER])}
        count = int(self.mode("organizations"))
        return [account for account in self.world.reached(grant) if dealt[account.id] % count == number]

    async def ad_accounts(self, call: Call) -> web.StreamResponse:
        """Wrapped items; `paging.next_link` while there is more."""
        grant = self.caller(call)
        person = self.world.person_of(grant)
        ids = [_organization(person, number) for number in range(int(self.mode("organizations")))]
        if call.path["organization"] not in ids:
            raise self.refuse(403, "E1003", "No access to this organization")
        number = ids.index(call.path["organization"])
        if number == self.mode("refused_organization"):
            raise self.refuse(403, "E1003", "No access to this organization")
        accounts = self.of_organization(grant, number)
        limit, start = _number(call.query.get("limit"), PAGE_DEFAULT), _number(call.query.get("cursor"), 0)
        if limit is None or start is None or not 1 <= limit <= PAGE_MOST:
            raise self.refuse(400, "E1001", "limit or cursor is wrong")
        shown = accounts[start : start + limit]
        failed = int(self.mode("failed_items"))
        items: list[dict[str, Any]] = [
            {"sub_request_status": "ERROR", "sub_request_error_reason": "internal error"} for _ in shown[:failed]
        ]
        items += [{"sub_request_status": "SUCCESS", "adaccount": _shown(a, person)} for a in shown[failed:]]
        body: dict[str, Any] = {"paging": {}, "adaccounts": items}
        if start + limit < len(accounts):
            link = f"{call.origin}{call.request.path}?limit={limit}&cursor={start + limit}"
            body["paging"] = {"next_link": link}
        return _success(body)

    def account(self, call: Call) -> tuple[Account, Person]:
        grant = self.caller(call)
        person = self.world.person_of(grant)
        account = next((a for a in self.world.reached(grant) if a.id == call.path["account"]), None)
        if account is None:
            known = any(p.account(PROVIDER, call.path["account"]) for p in self.world.people.values())
            raise self.refuse(403 if known else 404, "E1003" if known else "E1004", "No access to this ad account")
        return account, person

    async def ad_account(self, call: Call) -> web.StreamResponse:
        account, person = self.account(call)
        return _success({"adaccounts": [{"sub_request_status": "SUCCESS", "adaccount": _shown(account, person)}]})

    async def campaigns(self, call: Call) -> web.StreamResponse:
        self.account(call)
        return _success({"paging": {}, "campaigns": []})

    async def nothing(self, _call: Call) -> web.StreamResponse:
        raise self.refuse(404, "E1004", "Resource can not be found")

    # -- trouble

    def error(self, status: int, code: str, text: str, headers: dict[str, str] | None = None) -> web.Response:
        """Two shapes are seen in the field."""
        body = {"request_status": "ERROR", "request_id": hashlib.sha256(text.encode()).hexdigest()[:24]}
        if self.mode("error_shape") == "msg":
            return answer(body | {"msg": text}, status, headers)
        return answer(body | {"debug_message": text, "display_message": text, "error_code": code}, status, headers)

    def refuse(self, status: int, code: str, text: str) -> Reply:
        return Reply(self.error(status, code, text))

    def rate_limited(self, call: Call, retry_after_s: float, _fault: Fault | None, /) -> web.Response:
        headers = {
            "X-Rate-Limit-Limit": "10",
            "X-Rate-Limit-Remaining": "0",
            "X-Rate-Limit-Reset": str(math.ceil(call.now + retry_after_s)),
        }
        if call.route.endpoint in {"token", "authorize"}:
            refused = oauth_error("temporarily_unavailable", "too many requests", 429)
            refused.headers.update(headers)
            return refused
        return self.error(429, "E2003", "Too many requests", headers)

    def failing(self, call: Call, fault: Fault, /) -> web.Response:
        status = fault.status or 503
        if call.route.endpoint == "token":
            default = "server_error" if status >= 500 else "invalid_grant"  # noqa: PLR2004
            return oauth_error(str(fault.code or default), "simulated fault", status)
        return self.error(status, str(fault.code or "E0000"), "simulated fault")


def _success(body: dict[str, Any]) -> web.Response:
    request_id = hashlib.sha256(json.dumps(body).encode()).hexdigest()[:24]
    return answer({"request_status": "SUCCESS", "request_id": request_id, **body})


def _id(kind: str, person: Person) -> str:
    h = hashlib.sha256(f"snapchat/{kind}/{person.key}".encode()).hexdigest()
    return f"{h[:8]}-{h[8:12]}-4{h[13:16]}-a{h[17:20]}-{h[20:32]}"


def _organization(person: Person, number: int) -> str:
    return _id("organization" if number == 0 else f"organization-{number}", person)


def _shown(account: Account, person: Person) -> dict[str, Any]:
    return {
        "id": account.id,
        "name": account.name,
        "type": "PARTNER",
        "status": "ACTIVE" if account.active else "DISABLED",
        "organization_id": _id("organization", person),
        "currency": account.currency,
        "timezone": account.timezone,
    }


def _number(text: str | None, default: int) -> int | None:
    if text is None:
        return default
    return int(text) if text.isdigit() else None
