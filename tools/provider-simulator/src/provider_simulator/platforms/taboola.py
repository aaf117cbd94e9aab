"""Taboola Backstage: client credentials that the customer was handed, 12 hours a token (platforms/taboola.md).

There is no consent. Person `avery` has the client `taboola-avery` with the secret `secret-avery`; when Taboola takes it
back (a revoke order), the next pair is `taboola-avery-2` and `secret-avery-2`, and so on.
"""

from __future__ import annotations

import hmac
from dataclasses import replace
from typing import Any, ClassVar
from xml.sax.saxutils import escape

from aiohttp import web

from provider_simulator.faults import Fault
from provider_simulator.grants import Grant, Token
from provider_simulator.people import Account, Person
from provider_simulator.platforms.base import Opening, Platform
from provider_simulator.wire import Call, Handler, Reply, Routes, answer

PROVIDER = "taboola"
# The same API under two hosts; neither accepts a trailing slash at the token URL.
HOSTS = (("backstage.taboola.com", "/backstage"), ("authentication.taboola.com", "/authentication"))
CSRF_PAGE = "<!DOCTYPE html><html><head><title>403</title></head><body><h1>Forbidden (CSRF)</h1></body></html>"


class Taboola(Platform):
    providers = (PROVIDER,)
    credentials_only = True
    lifetimes: ClassVar[dict[str, float | None]] = {"access_s": 43_200.0}
    modes: ClassVar[dict[str, Any]] = {"lost_account_status": 403}  # or 404

    def routes(self, routes: Routes) -> None:
        for host, base in HOSTS:

            def add(
                method: str, path: str, endpoint: str, handler: Handler, at: tuple[str, str] = (host, base)
            ) -> None:
                routes.add(method, at[0], at[1] + path, self.route(endpoint, handler))

            add("POST", "/oauth/token", "token", self.token)
            add("POST", "/oauth/token/", "token", self.csrf)
            add("GET", "/api/1.0/token-details", "identity", self.token_details)
            add("GET", "/api/1.0/users/current/allowed-accounts", "accounts", self.allowed_accounts)
            add("GET", "/api/1.0/users/current/account", "identity", self.own_account)
            add("GET", "/api/1.0/{account}/advertisers", "accounts", self.advertisers)
            add("GET", "/api/1.0/{account}/campaigns", "api", self.campaigns)
            add("GET", "/api/1.0/{account}/campaigns/", "api", self.campaigns)
            routes.otherwise(host, self.route("api", self.nothing))

    # -- tokens

    async def token(self, call: Call) -> web.StreamResponse:
        form = await call.form()
        client_id, secret = form.get("client_id", ""), form.get("client_secret", "")
        if form.get("grant_type") != "client_credentials":
            call.record("credentials", "refused:unsupported_grant_type", presented=secret)
            text = "Unsupported grant type"
            return _refused(call, 400, "unsupported_grant_type", text, "UnsupportedGrantTypeException")
        person = self.person(client_id)
        grant = self.credential(client_id, person)
        good = person is not None and hmac.compare_digest(secret.encode(), secret_of(client_id).encode())
        if person is None or not good or (grant is not None and not grant.alive):
            call.record("credentials", "refused:invalid_client", presented=secret, grant=grant)
            return _refused(call, 400, "invalid_client", "Bad client credentials", "BadClientCredentialsException")
        if grant is None:
            grant = self.world.grants.open(PROVIDER, client_id, person.key, now=call.now)
        lifetime_s = self.lifetime("access_s")
        token = self.world.grants.issue(
            grant, "access", self.world.randomness.token("CC", 60), now=call.now, lifetime_s=lifetime_s
        )
        call.record("credentials", "issued", presented=secret, grant=grant)
        body: dict[str, Any] = {"access_token": token.value, "token_type": "bearer"}
        return answer(body | ({} if lifetime_s is None else {"expires_in": int(lifetime_s)}))

    async def csrf(self, _call: Call) -> web.StreamResponse:
        return web.Response(status=403, text=CSRF_PAGE, content_type="text/html")

    def person(self, client_id: str) -> Person | None:
        """Whose client this is; only the next pair after those that were taken back exists."""
        for person in self.world.people.values():
            if client_id in {client_of(person.key, n) for n in range(self.taken_back(person.key) + 1)}:
                return person
        return None

    def credential(self, client_id: str, person: Person | None) -> Grant | None:
        grants = [] if person is None else self.world.grants.of(PROVIDER, person.key)
        return next((g for g in grants if g.client_id == client_id), None)

    def taken_back(self, person: str) -> int:
        return sum(1 for g in self.world.grants.of(PROVIDER, person) if not g.alive)

    def open_grant(self, opening: Opening) -> dict[str, Any]:
        living = self.world.grants.alive(PROVIDER, person=opening.person)
        client = living[0].client_id if living else client_of(opening.person, self.taken_back(opening.person))
        grant = living[0] if living else self.opened(replace(opening, client_id=client), [])
        return {"grant": grant.id, "client_id": client, "client_secret": secret_of(client)}

    # -- the API

    def caller(self, call: Call) -> Token:
        token = self.good(call.bearer, "access", call.now)
        if token is None:
            text = "Access token is missing or expired"
            raise Reply(_refused(call, 401, "invalid_token", text, "UnauthorizedException"))
        return token

    async def token_details(self, call: Call) -> web.StreamResponse:
        token = self.caller(call)
        person = self.world.person_of(token.grant)
        return answer(
            {
                "username": token.grant.client_id,
                "account_id": network_of(person),
                "full_name": person.name,
                "expires_in": int((token.expires_at or call.now) - call.now),
                "permissions": [],
                "user_id": int(person.subject(PROVIDER)[:9]),
            }
        )

    async def allowed_accounts(self, call: Call) -> web.StreamResponse:
        grant = self.caller(call).grant
        listed = [self.network(self.world.person_of(grant)), *(shown(a) for a in self.world.reached(grant))]
        return answer({"results": listed, "metadata": {"total": None, "count": None}})

    async def own_account(self, call: Call) -> web.StreamResponse:
        return answer(self.network(self.world.person_of(self.caller(call).grant)))

    async def advertisers(self, call: Call) -> web.StreamResponse:
        grant = self.caller(call).grant
        if call.path["account"] != network_of(self.world.person_of(grant)):
            self.account(grant, call.path["account"])
            return _plain(403, "The account is not a network")
        return answer({"results": [shown(a) for a in self.world.reached(grant)], "metadata": {}})

    async def campaigns(self, call: Call) -> web.StreamResponse:
        self.account(self.caller(call).grant, call.path["account"])
        return answer({"results": [], "metadata": {}})

    def account(self, grant: Grant, account_id: str) -> Account:
        """By its alphabetic id; the numeric one is not accepted in URLs."""
        account = next((a for a in self.world.reached(grant) if a.id == account_id), None)
        if account is None:
            known = self.world.person_of(grant).account(PROVIDER, account_id)
            status = 404 if known is None else int(self.mode("lost_account_status"))
            raise Reply(_plain(status, f"Account {account_id} is not available for this user"))
        return account

    def network(self, person: Person) -> dict[str, Any]:
        return {
            "id": int(person.subject("taboola-network")[:7]),
            "name": f"{person.name} Network",
            "account_id": network_of(person),
            "partner_types": ["ADVERTISER"],
            "type": "NETWORK",
            "is_active": True,
            "currency": "EUR",
        }

    async def nothing(self, call: Call) -> web.StreamResponse:
        return _plain(404, f"No resource at {call.request.path}")

    # -- trouble

    def rate_limited(self, _call: Call, _retry_after_s: float, _fault: Fault | None, /) -> web.Response:
        return _plain(429, "Too many requests")

    def failing(self, call: Call, fault: Fault, /) -> web.Response:
        status = fault.status or 503
        if fault.code is not None:
            return _refused(call, status, str(fault.code), "Simulated fault", "BackstageException")
        return _plain(status, "Service unavailable")


def client_of(person: str, taken_back: int) -> str:
    return f"taboola-{person}" + (f"-{taken_back + 1}" if taken_back else "")


def secret_of(client_id: str) -> str:
    return client_id.replace("taboola-", "secret-", 1)


def network_of(person: Person) -> str:
    return f"{person.key}-network"


def shown(account: Account) -> dict[str, Any]:
    """The alphabetic `account_id` beside the numeric `id`."""
    return {
        "id": account.extra["number"],
        "name": account.name,
        "account_id": account.id,
        "partner_types": ["ADVERTISER"],
        "type": "PARTNER",
        "is_active": account.active,
        "currency": account.currency,
    }


def _plain(status: int, message: str) -> web.Response:
    return answer({"http_status": status, "message": message}, status)


def _refused(call: Call, status: int, error: str, text: str, name: str) -> web.Response:
    """XML, unless the caller says that it wants JSON."""
    if "application/json" in call.request.headers.get("Accept", ""):
        return answer({"error": error, "error_description": text}, status)
    xml = f"<{name}><error>{escape(error)}</error><error_description>{escape(text)}</error_description></{name}>"
    return web.Response(status=status, text=xml, content_type="application/xml")
