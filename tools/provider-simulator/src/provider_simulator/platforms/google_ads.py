"""The Google Ads API: customers reached directly or through a manager (platforms/google-ads.md)."""

from __future__ import annotations

import hashlib
import hmac
import math
import re
from typing import TYPE_CHECKING, Any

from aiohttp import web

from provider_simulator.faults import Fault
from provider_simulator.grants import Grant
from provider_simulator.people import Account, Person
from provider_simulator.wire import Call, Handler, Reply, Route, Routes, answer

if TYPE_CHECKING:
    from provider_simulator.platforms.google_tokens import GoogleTokens

HOST = "googleads.googleapis.com"
PROVIDER = "google-ads"
SCOPE = "https://www.googleapis.com/auth/adwords"
STATUSES = {400: "INVALID_ARGUMENT", 401: "UNAUTHENTICATED", 403: "PERMISSION_DENIED", 429: "RESOURCE_EXHAUSTED"}
WHY = {
    "missing": "OAUTH_TOKEN_HEADER_INVALID",
    "invalid": "OAUTH_TOKEN_INVALID",
    "expired": "OAUTH_TOKEN_EXPIRED",
    "revoked": "OAUTH_TOKEN_REVOKED",
    "deleted": "GOOGLE_ACCOUNT_DELETED",
}


class GoogleAds:
    def __init__(self, google: GoogleTokens) -> None:
        self._google = google
        self._world = google.world

    def routes(self, routes: Routes) -> None:
        def add(method: str, path: str, endpoint: str, handler: Handler) -> None:
            routes.add(method, HOST, "/{version}" + path, Route(PROVIDER, endpoint, handler))

        add("GET", "/customers:listAccessibleCustomers", "accounts", self.accessible)
        add("POST", "/customers/{customer}/googleAds:search", "api", self.search)
        add("POST", "/customers/{customer}/googleAds:searchStream", "api", self.search_stream)

    def caller(self, call: Call) -> Grant:
        token = self._google.checked(call)
        if isinstance(token, str):
            raise _refuse(401, "authenticationError", WHY[token])
        if SCOPE not in token.extra["scopes"]:
            body = {
                "code": 403,
                "message": "Request had insufficient authentication scopes.",
                "status": "PERMISSION_DENIED",
                "details": [{"reason": "ACCESS_TOKEN_SCOPE_INSUFFICIENT"}],
            }
            raise Reply(answer({"error": body}, 403))
        app = self._world.apps.get(PROVIDER, token.grant.client_id)
        wanted = None if app is None else app.options.get("developer_token")
        given = call.request.headers.get("developer-token")
        if given is None:
            raise _refuse(401, "authenticationError", "DEVELOPER_TOKEN_PARAMETER_MISSING")
        if wanted is not None and not hmac.compare_digest(given.encode(), str(wanted).encode()):
            raise _refuse(401, "authenticationError", "DEVELOPER_TOKEN_INVALID")
        return token.grant

    async def accessible(self, call: Call) -> web.StreamResponse:
        """Only the customers that this person reaches directly."""
        person = self._world.person_of(self.caller(call))
        direct = [manager_of(person)] if _managed(person) else []
        direct += [a.id for a in person.reachable(PROVIDER) if not a.extra["managed"]]
        if not person.accounts[PROVIDER]:
            raise _refuse(401, "authenticationError", "NOT_ADS_USER")
        return answer({"resourceNames": [f"customers/{c}" for c in direct]})

    async def search(self, call: Call) -> web.StreamResponse:
        results = await self.results(call)
        document = await call.json() or {}
        if "pageSize" in document:
            raise _refuse(400, "requestError", "PAGE_SIZE_NOT_SUPPORTED")
        token = str(document.get("pageToken", "") or "0")
        start = int(token) if token.isdigit() else -1
        page = int(self._world.mode(PROVIDER, "search_page"))
        if start < 0 or start % page:
            raise _refuse(400, "requestError", "INVALID_PAGE_TOKEN")
        shown = results[start : start + page]
        body: dict[str, Any] = {"results": shown, "fieldMask": ""} if shown else {}
        if start + page < len(results):
            body["nextPageToken"] = str(start + page)
        return answer(body)

    async def search_stream(self, call: Call) -> web.StreamResponse:
        results = await self.results(call)
        return answer([{"results": results, "fieldMask": ""}] if results else [])

    async def results(self, call: Call) -> list[dict[str, Any]]:
        person = self._world.person_of(self.caller(call))
        customer = call.path["customer"]
        document = await call.json() or {}
        found = re.search(r"\bFROM\s+(\w+)", str(document.get("query", "")), re.IGNORECASE)
        if found is None:
            raise _refuse(400, "queryError", "UNEXPECTED_END_OF_QUERY")
        account = self.reach(call, person, customer)
        match found[1]:
            case "customer_client":
                return _clients(person, customer, account)
            case "customer":
                return [{"customer": _customer(customer, account, person)}]
            case "campaign" | "ad_group" | "ad_group_ad" | "metrics":
                return []
            case _:
                raise _refuse(400, "queryError", "BAD_RESOURCE_TYPE_IN_FROM_CLAUSE")

    def reach(self, call: Call, person: Person, customer: str) -> Account | None:
        """The customer asked for (None: the manager itself), by the path that the headers describe."""
        if not re.fullmatch(r"\d{10}", customer):
            raise _refuse(400, "requestError", "INVALID_CUSTOMER_ID")
        login = call.request.headers.get("login-customer-id")
        if login is not None and not re.fullmatch(r"\d{10}", login):
            raise _refuse(400, "headerError", "INVALID_LOGIN_CUSTOMER_ID")
        manager = manager_of(person) if _managed(person) else None
        if customer == manager and login in {None, manager}:
            return None
        account = person.account(PROVIDER, customer)
        if account is None and not any(p.account(PROVIDER, customer) for p in self._world.people.values()):
            raise _refuse(401, "authenticationError", "CUSTOMER_NOT_FOUND")
        if (
            account is None
            or account.lost
            or login not in ({manager} if account.extra["managed"] else {None, customer})
        ):
            # The same words for a missing right and for a missing or wrong login-customer-id.
            raise _refuse(403, "authorizationError", "USER_PERMISSION_DENIED")
        if not account.active:
            raise _refuse(403, "authorizationError", "CUSTOMER_NOT_ENABLED")
        return account


def _ways(account: Account, manager: str | None) -> set[str | None]:
    """What `login-customer-id` may say for this account: a child needs its manager, a direct one needs none."""
    return {manager} if account.extra["managed"] else {None, account.id}


def manager_of(person: Person) -> str:
    number = int.from_bytes(hashlib.sha256(f"google-ads-manager/{person.key}".encode()).digest()[:8], "big")
    return str(10**9 + number % (9 * 10**9))


def _managed(person: Person) -> list[Account]:
    return [a for a in person.reachable(PROVIDER) if a.extra["managed"]]


def _customer(customer: str, account: Account | None, person: Person) -> dict[str, Any]:
    return {
        "resourceName": f"customers/{customer}",
        "id": customer,
        "descriptiveName": f"{person.name} (manager)" if account is None else account.name,
        "currencyCode": "EUR" if account is None else account.currency,
        "timeZone": "Europe/Berlin" if account is None else account.timezone,
        "status": "ENABLED" if account is None or account.active else "CANCELED",
        "manager": account is None,
    }


def _clients(person: Person, customer: str, account: Account | None) -> list[dict[str, Any]]:
    """The customer itself at level 0, and a manager's children at level 1; `id` and `level` come as strings."""
    below: list[tuple[str, Account | None, int]] = [(customer, account, 0)]
    if account is None:
        below += [(a.id, a, 1) for a in _managed(person)]
    return [
        {
            "customerClient": _customer(c, a, person)
            | {
                "resourceName": f"customers/{customer}/customerClients/{c}",
                "clientCustomer": f"customers/{c}",
                "level": str(level),
            }
        }
        for c, a, level in below
    ]


def _failure(
    status: int, kind: str, code: str, message: str | None = None, details: dict[str, Any] | None = None
) -> web.Response:
    error: dict[str, Any] = {"errorCode": {kind: code}, "message": message or code.replace("_", " ").capitalize() + "."}
    if details is not None:
        error["details"] = details
    request_id = hashlib.sha256(f"{kind}{code}".encode()).hexdigest()[:22]
    body = {
        "code": status,
        "message": "Request had invalid authentication credentials." if status == 401 else "The caller failed.",  # noqa: PLR2004
        "status": STATUSES.get(status, "INTERNAL"),
        "details": [
            {
                "@type": "type.googleapis.com/google.ads.googleads.v25.errors.GoogleAdsFailure",
                "errors": [error],
                "requestId": request_id,
            }
        ],
    }
    return answer({"error": body}, status, {"request-id": request_id})


def _refuse(status: int, kind: str, code: str) -> Reply:
    return Reply(_failure(status, kind, code))


def rate_limited(retry_after_s: float, fault: Fault | None) -> web.Response:
    code = str((fault.code if fault is not None else None) or "RESOURCE_EXHAUSTED")
    if code == "RAW":  # what gRPC says by itself, without details
        return answer({"error": {"code": 429, "message": "Resource exhausted", "status": "RESOURCE_EXHAUSTED"}}, 429)
    details = {
        "quotaErrorDetails": {
            "rateScope": "ACCOUNT",
            "rateName": "Number of operations for explorer access",
            "retryDelay": f"{math.ceil(retry_after_s)}s",
        }
    }
    return _failure(429, "quotaError", code, details=details)


def failing(status: int, fault: Fault) -> web.Response:
    if fault.code is None:
        name = {500: "INTERNAL", 503: "UNAVAILABLE"}.get(status, "INTERNAL")
        return answer({"error": {"code": status, "message": "Internal error encountered.", "status": name}}, status)
    code = str(fault.code)
    kind = "authenticationError" if status == 401 else "authorizationError"  # noqa: PLR2004
    return _failure(status, kind, code)
