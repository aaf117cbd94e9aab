"""Meta: a code, then a short user token, then a long one that replaces itself while it lives; two clocks.

providers.md section 1. A grant is one person in one app: removing the app ends every token of that person there.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import math
import re
from collections.abc import Callable
from typing import Any, ClassVar
from urllib.parse import urlencode

from aiohttp import web

from provider_simulator import consent
from provider_simulator.apps import App
from provider_simulator.faults import Fault
from provider_simulator.grants import Grant, Token
from provider_simulator.people import Account
from provider_simulator.pkce import verifies
from provider_simulator.platforms.base import Opening, Platform, Revocation
from provider_simulator.wire import Call, Handler, Reply, Routes, answer

GRAPH = "graph.facebook.com"
OLDEST_VERSION = 20
DAY_S = 86_400.0
PAGE_DEFAULT, PAGE_MOST = 25, 500
BRAND = consent.Brand("Facebook", "#0866ff", "f")
SCOPES = {
    "public_profile": "See your name and picture",
    "email": "See your email address",
    "ads_management": "Manage ads in the ad accounts that you choose",
    "ads_read": "Read the reports of these ad accounts",
    "business_management": "Manage your businesses",
    "pages_show_list": "See the list of your pages",
    "pages_read_engagement": "Read the content of your pages",
    "leads_retrieval": "Read your leads",
    "read_insights": "Read the insights of your pages and apps",
    "catalog_management": "Manage your catalogues",
}
# Why a token of an ended grant is refused: subcode of 190 and the sentence that Meta says.
SUBCODES: dict[int, str] = {
    458: "The user has not authorized application {app}.",
    459: "The session has been invalidated because the user was checkpointed. Please log in at www.facebook.com.",
    460: "The session has been invalidated because the user changed their password or Facebook has changed the session "
    "for security reasons.",
    461: "The application was reinstalled by the user.",
    463: "Session has expired.",
    464: "Sessions for the user are not allowed because the user is not a confirmed user.",
    466: "The session has been invalidated by the application.",
    467: "The session is invalid because the user logged out.",
    468: "The session has been invalidated because it was not used for a long time.",
    492: "The user lost the role on the page or business.",
}
ENDINGS = {
    "user_revoked": 458,
    "disconnected": 458,
    "platform_enforced": 459,
    "compromise": 460,
    "password_changed": 460,
    "expired": 463,
    "logged_out": 467,
    "unused": 468,
    "account_deleted": 464,
}
ACCOUNT_FIELDS: dict[str, Callable[[Account], Any]] = {
    "id": lambda a: a.id,
    "account_id": lambda a: a.id.removeprefix("act_"),
    "name": lambda a: a.name,
    "account_status": lambda a: 1 if a.active else 2,
    "disable_reason": lambda a: 0 if a.active else 1,
    "currency": lambda a: a.currency,
    "timezone_name": lambda a: a.timezone,
    "user_tasks": lambda _a: ["DRAFT", "ANALYZE", "ADVERTISE", "MANAGE"],
    "amount_spent": lambda a: str(a.extra.get("number", 0)),
    "balance": lambda _a: "0",
}


class Meta(Platform):
    """Graph API and login dialog.

    Modes: does an exchange of a long token move its end; does it kill the old one; what a lost account answers; is
    `appsecret_proof` required; does `error_data` come as a JSON string; a foreign app that `debug_token` names.
    """

    providers = ("meta",)
    lifetimes: ClassVar[dict[str, float | None]] = {
        "code_s": 600.0,
        "short_s": 5400.0,
        "long_s": 5_183_944.0,
        "data_access_s": 90 * DAY_S,
        "system_user_s": 60 * DAY_S,
    }
    modes: ClassVar[dict[str, Any]] = {
        "exchange_extends": True,
        "exchange_kills_old": False,
        "lost_account": "200",  # or "10", or "100/33"
        "require_appsecret_proof": False,
        "error_data_as_string": False,
        "debug_foreign_app": None,  # an app id
    }

    def routes(self, routes: Routes) -> None:
        dialog = self.route("authorize", self.dialog)
        routes.add("GET", "www.facebook.com", "/dialog/oauth", dialog)
        routes.add("POST", "www.facebook.com", "/dialog/oauth", dialog)
        routes.add("GET", "www.facebook.com", "/{version}/dialog/oauth", dialog)
        routes.add("POST", "www.facebook.com", "/{version}/dialog/oauth", dialog)

        def graph(method: str, path: str, endpoint: str, handler: Handler) -> None:
            route = self.route(endpoint, self.versioned(handler))
            routes.add(method, GRAPH, "/{version}" + path, route)

        for method in ("GET", "POST"):
            graph(method, "/oauth/access_token", "token", self.access_token)
        routes.add("GET", GRAPH, "/oauth/access_token", self.route("token", self.access_token))
        graph("GET", "/debug_token", "introspect", self.debug_token)
        graph("GET", "/me", "identity", self.me)
        graph("GET", "/me/adaccounts", "accounts", self.ad_accounts)
        graph("GET", "/me/assigned_ad_accounts", "accounts", self.ad_accounts)
        graph("GET", "/me/permissions", "permissions", self.permissions)
        graph("DELETE", "/me/permissions", "revoke", self.delete_permissions)
        graph("DELETE", "/me/permissions/{permission}", "revoke", self.delete_permissions)
        graph("POST", "/{business}/system_user_access_tokens", "system_user", self.system_user_token)
        graph("GET", "/{node}/adaccounts", "accounts", self.ad_accounts)
        graph("GET", "/{node}/permissions", "permissions", self.permissions)
        graph("DELETE", "/{node}/permissions", "revoke", self.delete_permissions)
        graph("DELETE", "/{node}/permissions/{permission}", "revoke", self.delete_permissions)
        graph("GET", "/{node}/{edge}", "api", self.edge)
        graph("GET", "/{node}", "api", self.node)
        routes.otherwise(GRAPH, self.route("api", self.unknown_path))

    # -- the login dialog

    async def dialog(self, call: Call) -> web.StreamResponse:
        query = call.query
        app, redirect_uri = self.linked(call, BRAND)
        if query.get("response_type", "code") != "code":
            return consent.error_page(BRAND, "Unsupported response type", "Only the code flow is open to this app.")
        asked = self.asked(app, query.get("config_id"), query.get("scope", ""))
        if query.get("auth_type") != "rerequest":
            hidden = await self.declined(call, app)
            asked = [s for s in asked if s.id not in hidden]
        decision = await consent.answered(call, consent.Ask(BRAND, app.name, asked, "meta"))
        state = ("state", query.get("state"))
        all_or_nothing = query.get("config_id") is not None and decision.scopes is not None
        if not decision.allow or all_or_nothing:
            denied = {
                "error": "access_denied",
                "error_code": "200",
                "error_description": "Permissions error",
                "error_reason": "user_denied",
            }
            return consent.redirect(redirect_uri, [*denied.items(), state], "_=_")
        grant = self.consented(app, decision, asked, call.now)
        code = self.world.grants.issue(
            grant,
            "code",
            self.world.randomness.token("AQ", 120),
            now=call.now,
            lifetime_s=self.lifetime("code_s"),
            single_use=True,
            extra={"redirect_uri": redirect_uri, "challenge": _challenge(call)},
        )
        return consent.redirect(redirect_uri, [("code", code.value), state], "_=_")

    def asked(self, app: App, config_id: str | None, scope: str) -> list[consent.Scope]:
        """What the page asks for."""
        if config_id is not None:
            configuration = app.options.get("configurations", {}).get(config_id)
            if configuration is None:
                detail = f"There is no login configuration {config_id}."
                raise Reply(consent.error_page(BRAND, "Invalid configuration", detail))
            return [consent.Scope(s, SCOPES.get(s, s)) for s in configuration["permissions"]]
        names = ["public_profile", *(s for s in re.split(r"\s*,\s*", scope.strip()) if s and s != "public_profile")]
        if unknown := [s for s in names if s not in SCOPES]:
            detail = f"Invalid Scopes: {', '.join(unknown)}."
            raise Reply(consent.error_page(BRAND, "Invalid Scopes", detail))
        return [consent.Scope(s, SCOPES[s], fixed=s == "public_profile") for s in names]

    async def declined(self, call: Call, app: App) -> list[str]:
        """What this person said no to before: the dialog does not show it again unless it is asked to."""
        on_page = call.query.get("_user", consent.DEFAULT_USER)
        person = on_page if call.request.method == "GET" else (await call.form()).get("user", consent.DEFAULT_USER)
        living = self.world.grants.alive("meta", client_id=app.client_id, person=person)
        return list(living[0].extra.get("declined", ())) if living else []

    def consented(self, app: App, decision: consent.Decision, asked: list[consent.Scope], now: float) -> Grant:
        """One grant per person and app: a second login changes the living one."""
        person = decision.person
        scopes = decision.scopes if decision.scopes is not None else [s.id for s in asked]
        living = self.world.grants.alive("meta", client_id=app.client_id, person=person.key)
        refused = [s.id for s in asked if s.id not in scopes]
        if not living:
            return self.world.grants.open(
                "meta",
                app.client_id,
                person.key,
                now=now,
                scopes=scopes,
                accounts=decision.accounts,
                extra={"declined": refused},
            )
        grant = living[0]
        grant.scopes = [s for s in dict.fromkeys([*grant.scopes, *scopes]) if s not in refused]
        known = dict.fromkeys([*grant.extra.get("declined", ()), *refused])
        grant.extra["declined"] = [s for s in known if s not in grant.scopes]
        grant.accounts = decision.accounts
        grant.last_active_at = now
        self.world.grants.changed(grant)
        return grant

    def withdraw(self, grant: Grant, order: Revocation) -> list[str]:
        """A permission that the person takes back counts as declined from then on."""
        changed = super().withdraw(grant, order)
        if order.scope is not None:
            grant.extra["declined"] = [*grant.extra.get("declined", ()), order.scope]
            self.world.grants.changed(grant)
        return changed

    # -- tokens

    async def access_token(self, call: Call) -> web.StreamResponse:
        given = await call.parameters()
        if not given.get("client_id"):
            raise _refuse(101, "Missing client_id parameter.")
        app = self.world.apps.get("meta", given["client_id"])
        if app is None:
            raise _refuse(101, "Error validating application. Invalid application ID.")
        if not _same(given.get("client_secret", ""), app.client_secret):
            call.record("token", "refused:client_secret")
            raise _refuse(101, "Error validating client secret.")
        match given.get("grant_type", "authorization_code"):
            case "authorization_code":
                return self.exchange_code(call, app, given)
            case "fb_exchange_token":
                return self.exchange_token(call, app, given)
            case "client_credentials":
                call.record("app_token", "issued")
                return answer({"access_token": f"{app.client_id}|{app.client_secret}", "token_type": "bearer"})
            case other:
                raise _refuse(100, f"Invalid grant_type: {other}")

    def exchange_code(self, call: Call, app: App, given: dict[str, str]) -> web.Response:
        value = given.get("code")
        if not value:
            raise _refuse(100, "Missing authorization code")
        code = self.world.grants.find(value)
        if code is None or code.kind != "code" or code.grant.client_id != app.client_id:
            call.record("code", "refused:unknown", presented=value)
            raise _refuse(100, "Invalid verification code format.")
        if code.spent_at is not None:
            call.record("code", "refused:reused", presented=value, token=code, twice=True)
            raise _refuse(100, "This authorization code has been used.", 36009)
        if code.expired(call.now):
            call.record("code", "refused:expired", presented=value, token=code)
            raise _refuse(100, "This authorization code has expired.", 36007)
        if given.get("redirect_uri") != code.extra["redirect_uri"]:
            call.record("code", "refused:redirect_uri", presented=value, token=code)
            raise _refuse(
                100,
                "Error validating verification code. Please make sure your redirect_uri is identical to the one you "
                "used in the OAuth dialog request",
                36008,
            )
        if not verifies(code.extra["challenge"], given.get("code_verifier")):
            call.record("code", "refused:pkce", presented=value, token=code)
            raise _refuse(100, "Invalid code_verifier parameter.")
        code.spent_at = call.now
        call.record("code", "issued", presented=value, token=code)
        return self.token_answer(call, code.grant, "short_s")

    def exchange_token(self, call: Call, app: App, given: dict[str, str]) -> web.Response:
        value = given.get("fb_exchange_token")
        if not value:
            raise _refuse(100, "fb_exchange_token parameter not specified")
        token = self.world.grants.find(value)
        try:
            old = self.checked(value, call.now)
        except Reply:
            call.record("exchange", "refused:190", presented=value, token=token)
            raise
        if old.grant.client_id != app.client_id:
            call.record("exchange", "refused:foreign", presented=value, token=token)
            raise _refuse(101, "The access token does not belong to application " + app.client_id)
        call.record("exchange", "exchanged", presented=value, token=old)
        keeps_end = old.extra.get("long") and not self.mode("exchange_extends") and old.expires_at is not None
        fresh = self.token_answer(call, old.grant, "long_s", until=old.expires_at if keeps_end else None)
        if self.mode("exchange_kills_old"):
            old.dead = "exchanged"
        return fresh

    def token_answer(self, call: Call, grant: Grant, lifetime: str, until: float | None = None) -> web.Response:
        lifetime_s = self.lifetime(lifetime) if until is None else until - call.now
        token = self.issue(grant, lifetime, call.now, lifetime_s)
        body: dict[str, Any] = {"access_token": token.value, "token_type": "bearer"}
        if lifetime_s is not None:
            body["expires_in"] = int(lifetime_s)
        return answer(body)

    def issue(self, grant: Grant, lifetime: str, now: float, lifetime_s: float | None) -> Token:
        return self.world.grants.issue(
            grant,
            "access",
            self.world.randomness.token("EAA", 120),
            now=now,
            lifetime_s=lifetime_s,
            extra={"long": lifetime != "short_s"},
        )

    def open_grant(self, opening: Opening) -> dict[str, Any]:
        grant = self.opened(opening, opening.scopes or ["public_profile", "ads_management", "ads_read"])
        token = self.issue(grant, "long_s", opening.now, self.lifetime("long_s"))
        return {"grant": grant.id, "access_token": token.value, "expires_at": token.expires_at}

    async def system_user_token(self, call: Call) -> web.StreamResponse:
        """An admin's token opens one for a system user of the business: without end, or for 60 days."""
        given = await call.parameters()
        admin = self.caller(call, given)
        if "business_management" not in admin.grant.scopes:
            raise _refuse(200, "Requires business_management permission to manage the object")
        scopes = [s for s in re.split(r"[,\s]+", given.get("scope", "")) if s]
        if not given.get("system_user_id") or not scopes:
            raise _refuse(100, "(#100) The parameters system_user_id and scope are required")
        lasting = given.get("set_token_expires_in_60_days", "").lower() != "true"
        assets = json.loads(given["asset"]) if given.get("asset", "").startswith("[") else None
        grant = self.world.grants.open(
            "meta",
            admin.grant.client_id,
            admin.grant.person,
            now=call.now,
            scopes=scopes,
            accounts=None if assets is None else [f"act_{str(a).removeprefix('act_')}" for a in assets],
            extra={"system_user": given["system_user_id"]},
        )
        lifetime_s = None if lasting else self.lifetime("system_user_s")
        token = self.issue(grant, "system_user_s", call.now, lifetime_s)
        return answer({"access_token": token.value})

    # -- who is asking

    def checked(self, value: str, now: float) -> Token:
        """The living user token behind `value`, or Meta's reason why there is none."""
        token = self.world.grants.find(value)
        if token is None or token.kind != "access" or token.grant.provider != "meta":
            raise _refuse(190, "Invalid OAuth access token - Cannot parse access token")
        if token.usable(now):
            return token
        code, subcode, message = self.why_dead(token, now)
        raise _refuse(code, "Error validating access token: " + message, subcode, self.error_data(subcode))

    def why_dead(self, token: Token, now: float) -> tuple[int, int, str]:
        cause, _, code = (token.grant.cause or "").partition(" ")
        if token.grant.ended_at is not None:
            subcode = int(code) if code.isdigit() else ENDINGS.get(cause, 466)
        else:
            subcode = 463 if token.expired(now) else 466
        return 190, subcode, SUBCODES.get(subcode, "The session is invalid.").format(app=token.grant.client_id)

    def error_data(self, subcode: int) -> Any:
        if subcode != ENDINGS["platform_enforced"]:
            return None
        data = {"url": "https://www.facebook.com/checkpoint/"}
        return json.dumps(data) if self.mode("error_data_as_string") else data

    def caller(self, call: Call, given: dict[str, str]) -> Token:
        """The user token of a Graph call, with `appsecret_proof` checked; from the query or the header."""
        value = given.get("access_token") or _header_token(call)
        if not value:
            raise _refuse(2500, "An active access token must be used to query information about the current user.")
        token = self.checked(value, call.now)
        app = self.world.apps.get("meta", token.grant.client_id)
        proof = given.get("appsecret_proof")
        if app is not None and proof is not None and not _same(proof, appsecret_proof(value, app.client_secret)):
            raise _refuse(100, "Invalid appsecret_proof provided in the API argument", kind="GraphMethodException")
        if proof is None and self.mode("require_appsecret_proof"):
            raise _refuse(
                100, "API calls from the server require an appsecret_proof argument", kind="GraphMethodException"
            )
        return token

    def app_of_token(self, value: str) -> App | None:
        client_id, bar, secret = value.partition("|")
        app = self.world.apps.get("meta", client_id) if bar else None
        return app if app is not None and _same(secret, app.client_secret) else None

    # -- introspection and permissions

    async def debug_token(self, call: Call) -> web.StreamResponse:
        given = await call.parameters()
        asking = given.get("access_token") or _header_token(call) or ""
        if self.app_of_token(asking) is None:
            if "|" in asking:
                raise _refuse(190, "Invalid OAuth access token signature.")
            self.checked(asking, call.now)  # a developer's user token does as well
        value = given.get("input_token")
        if not value:
            raise _refuse(100, "(#100) The parameter input_token is required")
        if (app := self.app_of_token(value)) is not None:
            return answer(
                {
                    "data": {
                        "app_id": app.client_id,
                        "type": "APP",
                        "application": app.name,
                        "is_valid": True,
                        "scopes": [],
                    }
                }
            )
        token = self.world.grants.find(value)
        if token is None or token.kind != "access" or token.grant.provider != "meta":
            error = {"code": 190, "message": "Invalid OAuth access token - Cannot parse access token"}
            return answer({"data": {"error": error, "is_valid": False, "scopes": []}})
        return answer({"data": self.described(call, token)})

    def described(self, call: Call, token: Token) -> dict[str, Any]:
        grant = token.grant
        app = self.world.apps.get("meta", grant.client_id)
        data: dict[str, Any] = {
            "app_id": self.mode("debug_foreign_app") or grant.client_id,
            "type": "SYSTEM_USER" if "system_user" in grant.extra else "USER",
            "application": "Wevion" if app is None else app.name,
            "data_access_expires_at": call.platform_time(self.data_access_ends(grant)),
            "expires_at": 0 if token.expires_at is None else call.platform_time(token.expires_at),
            "is_valid": token.usable(call.now),
            "issued_at": call.platform_time(token.issued_at),
            "scopes": list(grant.scopes),
            "granular_scopes": self.granular(grant),
            "user_id": self.user_id(grant),
        }
        if not data["is_valid"]:
            code, subcode, message = self.why_dead(token, call.now)
            data["error"] = {
                "code": code,
                "message": "Error validating access token: " + message,
                "subcode": subcode,
            }
            data["scopes"] = []
        return data

    def granular(self, grant: Grant) -> list[dict[str, Any]]:
        """`target_ids` only where the person limited the grant to chosen accounts."""
        named = [s for s in grant.scopes if s in {"ads_management", "ads_read", "business_management"}]
        if grant.accounts is None:
            return [{"scope": s} for s in named]
        targets = [a.id.removeprefix("act_") for a in self.world.reached(grant)]
        return [{"scope": s, "target_ids": targets} if s.startswith("ads_") else {"scope": s} for s in named]

    def data_access_ends(self, grant: Grant) -> float:
        lifetime_s = self.lifetime("data_access_s")
        return grant.last_active_at + (lifetime_s or 0.0)

    def user_id(self, grant: Grant) -> str:
        system_user: str | None = grant.extra.get("system_user")
        return system_user or self.world.person_of(grant).subject("meta")

    async def permissions(self, call: Call) -> web.StreamResponse:
        grant = self.caller(call, await call.parameters()).grant
        self.own_node(call, grant)
        shown = [(s, "granted") for s in grant.scopes] + [(s, "declined") for s in grant.extra.get("declined", ())]
        return answer({"data": [{"permission": s, "status": status} for s, status in shown]})

    async def delete_permissions(self, call: Call) -> web.StreamResponse:
        """With the user's token, or for `/{user-id}` with an app token; one scope or all of it."""
        given = await call.parameters()
        value = given.get("access_token") or _header_token(call) or ""
        app = self.app_of_token(value)
        if app is None:
            grants = [self.caller(call, given).grant]
            self.own_node(call, grants[0])
        else:
            living = self.world.grants.alive("meta", client_id=app.client_id)
            grants = [g for g in living if self.user_id(g) == call.path.get("node")]
        if not grants:
            raise _refuse(100, "Unsupported delete request. Object does not exist.", 33, kind="GraphMethodException")
        permission = call.path.get("permission")
        for grant in grants:
            if permission is None:
                self.world.grants.end(grant, "disconnected", call.now)
            elif permission in grant.scopes:
                grant.scopes.remove(permission)
                self.world.grants.changed(grant)
        return answer(True)

    def own_node(self, call: Call, grant: Grant) -> None:
        node = call.path.get("node")
        if node not in {None, "me", self.user_id(grant)}:
            raise _refuse(100, f"Unsupported request. Object with ID '{node}' does not exist.", 33)

    # -- the ad accounts

    async def me(self, call: Call) -> web.StreamResponse:
        grant = self.caller(call, await call.parameters()).grant
        return answer({"name": self.world.person_of(grant).name, "id": self.user_id(grant)})

    async def ad_accounts(self, call: Call) -> web.StreamResponse:
        given = await call.parameters()
        token = self.caller(call, given)
        self.own_node(call, token.grant)
        self.may_read_ads(token.grant, call.now)
        names = _fields(given.get("fields"), ("account_id", "id"))
        accounts = self.world.reached(token.grant)
        limit = min(max(1, _integer(given, "limit", PAGE_DEFAULT)), PAGE_MOST)
        start = _after(given.get("after"))
        shown = accounts[start : start + limit]
        body: dict[str, Any] = {"data": [_shown(a, names) for a in shown]}
        if shown:
            after = _cursor(start + len(shown))
            body["paging"] = {"cursors": {"before": _cursor(start), "after": after}}
            if start + limit < len(accounts):
                again = given | {"limit": str(limit), "after": after}
                body["paging"]["next"] = f"{call.origin}{call.request.path}?{urlencode(again)}"
        return answer(body, headers=self.usage(call))

    async def node(self, call: Call) -> web.StreamResponse:
        given = await call.parameters()
        token = self.caller(call, given)
        node = call.path["node"]
        if node in {self.user_id(token.grant), "me"}:
            return await self.me(call)
        account = self.account(token.grant, node, call.now)
        return answer(
            _shown(account, _fields(given.get("fields"), ("account_id", "id"))),
            headers=self.usage(call, account),
        )

    async def edge(self, call: Call) -> web.StreamResponse:
        """What a sync reads below one ad account."""
        given = await call.parameters()
        token = self.caller(call, given)
        account = self.account(token.grant, call.path["node"], call.now)
        if call.path["edge"] not in {"campaigns", "adsets", "ads", "insights", "adcreatives"}:
            raise _refuse(
                100, f"(#100) Tried accessing nonexisting field ({call.path['edge']}) on node type (AdAccount)"
            )
        return answer({"data": []}, headers=self.usage(call, account))

    def account(self, grant: Grant, node: str, now: float) -> Account:
        self.may_read_ads(grant, now)
        if not node.removeprefix("act_").isdigit():
            raise _refuse(803, f"(#803) Some of the aliases you requested do not exist: {node}")
        known = self.world.person_of(grant).account("meta", node)
        if known is not None and not known.lost and grant.covers(node):
            return known
        lost = self.mode("lost_account") if known is not None else "100/33"
        if lost == "100/33":
            raise _refuse(
                100,
                f"Unsupported get request. Object with ID '{node}' does not exist, cannot be loaded due to missing "
                "permissions, or does not support this operation.",
                33,
                kind="GraphMethodException",
            )
        if lost == "10":
            raise _refuse(10, "(#10) Application does not have permission for this action", status=403)
        raise _refuse(200, "(#200) Ad account owner has NOT grant ads_management or ads_read permission", status=403)

    def may_read_ads(self, grant: Grant, now: float) -> None:
        if not {"ads_read", "ads_management"} & set(grant.scopes):
            raise _refuse(
                294,
                "(#294) Managing advertisements requires an access token with the extended permission ads_management",
                status=403,
            )
        if now >= self.data_access_ends(grant) and "system_user" not in grant.extra:
            raise _refuse(10, "(#10) The user's data access for this application has expired", status=403)

    def usage(
        self, call: Call, account: Account | None = None, percent: int = 3, regain_s: float = 0
    ) -> dict[str, str]:
        """The usage headers: minutes in one of them, seconds in another."""
        load = {"call_count": percent, "total_cputime": percent // 2, "total_time": percent // 2}
        headers = {"X-App-Usage": json.dumps(load), "facebook-api-version": call.path.get("version", "v25.0")}
        if account is not None:
            number = account.id.removeprefix("act_")
            case = {"type": "ads_management", **load, "estimated_time_to_regain_access": math.ceil(regain_s / 60)}
            headers["X-Business-Use-Case-Usage"] = json.dumps({number: [case]})
            headers["X-Ad-Account-Usage"] = json.dumps(
                {
                    "acc_id_util_pct": percent,
                    "reset_time_duration": math.ceil(regain_s),
                    "ads_api_access_tier": "standard_access",
                }
            )
            if call.path.get("edge") == "insights":
                headers["X-FB-Ads-Insights-Throttle"] = json.dumps(
                    {"app_id_util_pct": percent, "acc_id_util_pct": percent}
                )
        return headers

    # -- trouble

    def versioned(self, handler: Handler) -> Handler:
        async def checked(call: Call) -> web.StreamResponse:
            found = re.fullmatch(r"v(\d+)\.0", call.path["version"])
            if found is None:
                raise _refuse(2500, f"Unknown path components: /{call.path['version']}")
            if int(found[1]) < OLDEST_VERSION:
                raise _refuse(
                    2635,
                    f"(#2635) You are calling a deprecated version of the Ads API. Use v{OLDEST_VERSION}.0 or later.",
                )
            return await handler(call)

        return checked

    async def unknown_path(self, call: Call) -> web.StreamResponse:
        raise _refuse(2500, f"Unknown path components: {call.request.path.partition(GRAPH)[2]}")

    def rate_limited(self, call: Call, retry_after_s: float, fault: Fault | None, /) -> web.Response:
        ordered = None if fault is None else fault.code
        node = call.path.get("node", "")
        code, subcode = (
            _code(ordered) if ordered is not None else ((80004, 2446079) if node.startswith("act_") else (4, None))
        )
        message = "(#17) User request limit reached" if code == 17 else f"(#{code}) Application request limit reached"  # noqa: PLR2004
        load = {"call_count": 100, "total_cputime": 62, "total_time": 71}
        headers = {"X-App-Usage": json.dumps(load)}
        if node.startswith("act_"):
            case = {"type": "ads_management", **load, "estimated_time_to_regain_access": math.ceil(retry_after_s / 60)}
            headers["X-Business-Use-Case-Usage"] = json.dumps({node.removeprefix("act_"): [case]})
            headers["X-Ad-Account-Usage"] = json.dumps(
                {"acc_id_util_pct": 100, "reset_time_duration": math.ceil(retry_after_s)}
            )
        status = (fault.status if fault is not None else None) or 400
        return _error(code, message, subcode, status=status, transient=True, headers=headers)

    def failing(self, _call: Call, fault: Fault, /) -> web.Response:
        if fault.code is not None:
            code, subcode = _code(fault.code)
            return _error(code, f"(#{code}) Simulated fault", subcode, status=fault.status or 400)
        status = fault.status or 503
        if status == 200:  # noqa: PLR2004  Meta does say this with a success status
            return web.Response(text="Service Unavailable", content_type="text/html")
        return _error(2, "Service temporarily unavailable", status=status, transient=True)

    # -- the deauthorise callback

    def announce(self, grant: Grant, order: Revocation) -> None:
        """Only the removal of the app is told; a password change or a checkpoint is not."""
        app = self.world.apps.get("meta", grant.client_id)
        if app is None or order.cause != "user_revoked" or order.webhook == "none":
            return
        if app.webhook_url is not None:
            self.signal(app, app.webhook_url, grant, order, "deauthorize")
        if order.data_deletion and app.data_deletion_url is not None:
            self.signal(app, app.data_deletion_url, grant, order, "data_deletion")

    def signal(self, app: App, url: str, grant: Grant, order: Revocation, kind: str) -> None:
        now = self.world.clock.now()
        issued_at = now - DAY_S if order.webhook == "stale" else now
        key = "not-the-app-secret" if order.webhook == "bad_signature" else app.client_secret
        payload = {"algorithm": "HMAC-SHA256", "issued_at": int(issued_at), "user_id": self.user_id(grant)}
        body = urlencode({"signed_request": signed_request(payload, key)}).encode()
        for _ in range(2 if order.webhook == "twice" else 1):
            self.world.webhooks.send(
                "meta", kind, url, body, {"Content-Type": "application/x-www-form-urlencoded"}, now=now, grant=grant.id
            )


def appsecret_proof(access_token: str, app_secret: str) -> str:
    """Hex HMAC-SHA256 of one access token, keyed with the app secret."""
    return hmac.new(app_secret.encode(), access_token.encode(), hashlib.sha256).hexdigest()


def signed_request(payload: dict[str, Any], app_secret: str) -> str:
    """base64url(signature).base64url(payload); the signature is over the encoded payload."""
    encoded = _base64url(json.dumps(payload).encode())
    signature = hmac.new(app_secret.encode(), encoded.encode(), hashlib.sha256).digest()
    return f"{_base64url(signature)}.{encoded}"


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def _error(
    code: int,
    message: str,
    subcode: int | None = None,
    *,
    status: int = 400,
    kind: str = "OAuthException",
    transient: bool = False,
    data: Any = None,
    headers: dict[str, str] | None = None,
) -> web.Response:
    error: dict[str, Any] = {"message": message, "type": kind, "code": code}
    if subcode is not None:
        error["error_subcode"] = subcode
    if transient:
        error["is_transient"] = True
    if data is not None:
        error["error_data"] = data
    trace = hashlib.sha256(f"{code}{subcode}{message}".encode()).hexdigest()[:20]
    return answer({"error": error | {"fbtrace_id": f"A{trace}"}}, status, headers)


def _refuse(
    code: int,
    message: str,
    subcode: int | None = None,
    data: Any = None,
    *,
    status: int = 400,
    kind: str = "OAuthException",
) -> Reply:
    return Reply(_error(code, message, subcode, status=status, kind=kind, data=data))


def _code(ordered: str | int) -> tuple[int, int | None]:
    """`190/463` or `4`."""
    code, _, subcode = str(ordered).partition("/")
    return int(code), int(subcode) if subcode else None


def _same(one: str, other: str) -> bool:
    return hmac.compare_digest(one.encode(), other.encode())


def _header_token(call: Call) -> str | None:
    scheme, _, value = call.request.headers.get("Authorization", "").partition(" ")
    return value if scheme.lower() in {"bearer", "oauth"} and value else None


def _challenge(call: Call) -> list[str] | None:
    challenge = call.query.get("code_challenge")
    return None if challenge is None else [call.query.get("code_challenge_method", "plain"), challenge]


def _fields(given: str | None, default: tuple[str, ...]) -> list[str]:
    names = [n.strip() for n in given.split(",") if n.strip()] if given else list(default)
    if unknown := [n for n in names if n not in ACCOUNT_FIELDS]:
        raise _refuse(100, f"(#100) Tried accessing nonexisting field ({unknown[0]}) on node type (AdAccount)")
    return list(dict.fromkeys([*names, "id"]))


def _shown(account: Account, names: list[str]) -> dict[str, Any]:
    return {name: ACCOUNT_FIELDS[name](account) for name in names}


def _integer(given: dict[str, str], name: str, default: int) -> int:
    try:
        return int(given.get(name, default))
    except ValueError:
        raise _refuse(100, f"(#100) Param {name} must be an integer") from None


def _cursor(position: int) -> str:
    return base64.b64encode(f"at:{position}".encode()).decode()


def _after(cursor: str | None) -> int:
    if cursor is None:
        return 0
    try:
        name, _, position = base64.b64decode(cursor, validate=True).decode().partition(":")
        if name == "at":
            return int(position)
    except ValueError:
        pass
    raise _refuse(100, "(#100) Invalid cursor after")
