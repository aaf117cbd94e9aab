"""Outbrain Amplify: a password, two logins an hour, a token of exactly 30 days (platforms/outbrain.md).

The login is the person's email address with the password of `/_sim/people`. A revoke order (whatever its cause) makes
the token useless and changes the password: `pw-avery-2026` becomes `pw-avery-2026-2`, and so on.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import math
import re
from dataclasses import replace
from typing import Any, ClassVar

from aiohttp import web

from provider_simulator.faults import Fault
from provider_simulator.grants import Grant
from provider_simulator.people import Account
from provider_simulator.platforms.base import Opening, Platform, Revocation
from provider_simulator.wire import Call, Reply, Routes, answer

HOST, BASE = "api.outbrain.com", "/amplify/v0.1"
PROVIDER = "outbrain"
HEADER = "OB-TOKEN-V1"
HOUR_S = 3600.0
REQUESTS_PER_S = 30.0


class Outbrain(Platform):
    """Modes: does a login end the older tokens; logins within an hour (0: no limit)."""

    providers = (PROVIDER,)
    credentials_only = True
    lifetimes: ClassVar[dict[str, float | None]] = {"access_s": 30 * 86_400.0}
    modes: ClassVar[dict[str, Any]] = {"login_ends_old": False, "logins_per_hour": 2, "lost_account_status": 403}

    def routes(self, routes: Routes) -> None:
        routes.add("GET", HOST, BASE + "/login", self.route("token", self.login))
        routes.add("GET", HOST, BASE + "/marketers", self.route("accounts", self.marketers))
        routes.add("GET", HOST, BASE + "/marketers/{marketer}", self.route("api", self.marketer))
        routes.add("GET", HOST, BASE + "/marketers/{marketer}/campaigns", self.route("api", self.campaigns))
        routes.add("GET", HOST, BASE + "/reports/marketers/{marketer}/periodic", self.route("api", self.campaigns))
        routes.otherwise(HOST, self.route("api", self.nothing))

    async def login(self, call: Call) -> web.StreamResponse:
        """A refused login costs one of the two as well."""
        username, password = _basic(call)
        if username is None or password is None:
            call.record("login", "refused:no_credentials")
            return self.error(call, 401, "Basic authentication is required")
        person = next((p for p in self.world.people.values() if p.email == username), None)
        living = [] if person is None else self.world.grants.alive(PROVIDER, person=person.key)
        grant = living[0] if living else None
        most = int(self.mode("logins_per_hour"))
        wait_s = self.world.limits.window(f"outbrain login {username}", most, HOUR_S, call.now) if most else 0.0
        if wait_s:
            call.record("login", "refused:rate_limited", presented=password, grant=grant)
            return self.rate_limited(call, wait_s, None)
        if person is None or not hmac.compare_digest(password.encode(), person.password.encode()):
            call.record("login", "refused:password", presented=password, grant=grant)
            return self.error(call, 401, "Invalid username or password")
        if grant is None:
            grant = self.world.grants.open(PROVIDER, "amplify", person.key, now=call.now)
        if self.mode("login_ends_old"):
            for old in grant.tokens:
                old.dead = old.dead or "new login"
        token = self.issue(grant, call.now)
        call.record("login", "issued", presented=password, grant=grant)
        return self.said(call, {HEADER: token})

    def issue(self, grant: Grant, now: float) -> str:
        value = self.world.randomness.token("MTY", 60)
        return self.world.grants.issue(grant, "access", value, now=now, lifetime_s=self.lifetime("access_s")).value

    def open_grant(self, opening: Opening) -> dict[str, Any]:
        living = self.world.grants.alive(PROVIDER, person=opening.person)
        grant = living[0] if living else self.opened(replace(opening, client_id="amplify"), [])
        found = self.world.people[opening.person]
        return {
            "grant": grant.id,
            "username": found.email,
            "password": found.password,
            "access_token": self.issue(grant, opening.now),
        }

    def revoke(self, grant: Grant, order: Revocation, /) -> list[str]:
        changed = super().revoke(grant, order)
        if changed and order.cause != "permission_changed":
            person = self.world.person_of(grant)
            found = re.fullmatch(r"(.+?-2026)(?:-(\d+))?", person.password)
            base, number = (found[1], found[2]) if found is not None else (person.password, None)
            person.password = f"{base}-{int(number or 1) + 1}"
            self.world.touched(person)
        return changed

    # -- the API

    def caller(self, call: Call) -> Grant:
        value = call.request.headers.get(HEADER, "")
        token = self.good(value, "access", call.now)
        if token is None:
            raise Reply(self.error(call, 401, "Invalid or missing token"))
        wait_s = self.world.limits.average(f"outbrain {value}", REQUESTS_PER_S, REQUESTS_PER_S, call.now)
        if wait_s:
            raise Reply(self.rate_limited(call, wait_s, None))
        return token.grant

    async def marketers(self, call: Call) -> web.StreamResponse:
        listed = [_shown(a) for a in self.world.reached(self.caller(call))]
        return self.said(call, {"marketers": listed, "count": len(listed)})

    def account(self, call: Call) -> Account:
        grant = self.caller(call)
        account = next((a for a in self.world.reached(grant) if a.id == call.path["marketer"]), None)
        if account is None:
            known = self.world.person_of(grant).account(PROVIDER, call.path["marketer"])
            status = 404 if known is None else int(self.mode("lost_account_status"))
            raise Reply(self.error(call, status, "Marketer is not available"))
        return account

    async def marketer(self, call: Call) -> web.StreamResponse:
        return self.said(call, _shown(self.account(call)))

    async def campaigns(self, call: Call) -> web.StreamResponse:
        self.account(call)
        return self.said(call, {"campaigns": [], "count": 0})

    async def nothing(self, call: Call) -> web.StreamResponse:
        return self.error(call, 404, "Not found")

    # -- trouble

    def said(self, _call: Call, body: Any, status: int = 200, headers: dict[str, str] | None = None) -> web.Response:
        """Every answer carries the id that Outbrain's support asks for."""
        return answer(body, status, {"AMPLIFY-REQUEST-ID": self.world.randomness.hex(32)} | (headers or {}))

    def error(self, call: Call, status: int, message: str) -> web.Response:
        return self.said(call, {"message": message}, status)

    def rate_limited(self, call: Call, retry_after_s: float, _fault: Fault | None, /) -> web.Response:
        """How long to wait, in milliseconds."""
        headers = {"rate-limit-msec-left": str(math.ceil(retry_after_s * 1000))}
        return self.said(call, {"message": "Rate limit exceeded"}, 429, headers)

    def failing(self, call: Call, fault: Fault, /) -> web.Response:
        return self.error(call, fault.status or 503, str(fault.code or "Service unavailable"))


def _shown(account: Account) -> dict[str, Any]:
    return {
        "id": account.id,
        "name": account.name,
        "enabled": account.active,
        "currency": account.currency,
        "timeZoneName": account.timezone,
    }


def _basic(call: Call) -> tuple[str | None, str | None]:
    scheme, _, value = call.request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "basic":
        return None, None
    try:
        username, colon, password = base64.b64decode(value, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return None, None
    return (username, password) if colon else (None, None)
