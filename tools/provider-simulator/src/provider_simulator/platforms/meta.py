"""Meta: a code, then a short user token, then a long one that replaces itself while it lives; two clocks.

platforms/meta.md. A grant is one person in one app: removing the app ends every token of that person there.
"""

from __future__ import annotations

import json
import math
import re
from urllib.parse import urlencode

from aiohttp import web

from provider_simulator import consent
from provider_simulator.apps import App
from provider_simulator.faults import Fault
from provider_simulator.grants import Grant
from provider_simulator.platforms.base import Revocation
from provider_simulator.platforms.meta_errors import graph_error, ordered_code, refuse
from provider_simulator.platforms.meta_graph import MetaGraph
from provider_simulator.platforms.meta_signing import signed_request
from provider_simulator.platforms.meta_tokens import DAY_S
from provider_simulator.wire import Call, Handler, Reply, Routes

GRAPH = "graph.facebook.com"
OLDEST_VERSION = 20
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


class Meta(MetaGraph):
    """Graph API and login dialog."""

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
        grant = self.consented(app, decision, asked, call.now, renews=query.get("auth_type") == "reauthorize")
        configuration = app.options.get("configurations", {}).get(query.get("config_id"), {})
        if configuration.get("token") == "system_user":
            grant.extra["system_user"] = f"1{decision.person.subject('meta')}"
            grant.extra["lasting"] = bool(configuration.get("lasting", True))
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

    def consented(
        self, app: App, decision: consent.Decision, asked: list[consent.Scope], now: float, *, renews: bool
    ) -> Grant:
        """One grant per person and app: a second login changes the living one.

        Access to data that has ended is given again by `auth_type=reauthorize` alone.
        """
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
        if renews or now < self.data_access_ends(grant):
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

    # -- who is asking

    # -- introspection and permissions

    # -- the ad accounts

    # -- trouble

    def versioned(self, handler: Handler) -> Handler:
        async def checked(call: Call) -> web.StreamResponse:
            found = re.fullmatch(r"v(\d+)\.0", call.path["version"])
            if found is None:
                raise refuse(2500, f"Unknown path components: /{call.path['version']}")
            if int(found[1]) < OLDEST_VERSION:
                raise refuse(
                    2635,
                    f"(#2635) You are calling a deprecated version of the Ads API. Use v{OLDEST_VERSION}.0 or later.",
                )
            return await handler(call)

        return checked

    async def unknown_path(self, call: Call) -> web.StreamResponse:
        raise refuse(2500, f"Unknown path components: {call.request.path.partition(GRAPH)[2]}")

    def rate_limited(self, call: Call, retry_after_s: float, fault: Fault | None, /) -> web.Response:
        ordered = None if fault is None else fault.code
        node = call.path.get("node", "")
        code, subcode = (
            ordered_code(ordered)
            if ordered is not None
            else ((80004, 2446079) if node.startswith("act_") else (4, None))
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
        return graph_error(code, message, subcode, status=status, transient=True, headers=headers)

    def failing(self, _call: Call, fault: Fault, /) -> web.Response:
        if fault.code is not None:
            code, subcode = ordered_code(fault.code)
            return graph_error(code, f"(#{code}) Simulated fault", subcode, status=fault.status or 400)
        status = fault.status or 503
        if status == 200:  # noqa: PLR2004  Meta does say this with a success status
            return web.Response(text="Service Unavailable", content_type="text/html")
        return graph_error(2, "Service temporarily unavailable", status=status, transient=True)

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


def _challenge(call: Call) -> list[str] | None:
    challenge = call.query.get("code_challenge")
    return None if challenge is None else [call.query.get("code_challenge_method", "plain"), challenge]
