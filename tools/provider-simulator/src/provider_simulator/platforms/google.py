"""Google's OAuth, shared by Google Ads and Drive: offline access, no rotation, project-wide revocation, RISC events.

platforms/google.md. One grant is one person under one client id; it may hold a hundred refresh tokens. Clients of
one Cloud project stand and fall together (`options.project` of the app).
"""

from __future__ import annotations

from typing import Any

from aiohttp import web

from provider_simulator import consent
from provider_simulator.apps import App
from provider_simulator.faults import Fault
from provider_simulator.grants import Grant
from provider_simulator.platforms import google_ads, google_drive, google_risc
from provider_simulator.platforms.base import Revocation, oauth_error
from provider_simulator.platforms.google_tokens import IDENTITY, ISSUER, PREFIX, GoogleTokens, basic
from provider_simulator.wire import Call, Handler, Route, Routes, answer

ACCOUNTS, OAUTH2, APIS = "accounts.google.com", "oauth2.googleapis.com", "www.googleapis.com"
BRAND = consent.Brand("Google", "#1a73e8", "G", "Google account")
SCOPES = {
    "openid": "Associate you with your personal info on Google",
    "email": "See your primary Google Account email address",
    "profile": "See your personal info",
    PREFIX + "adwords": "See, edit, create and delete your Google Ads accounts and data",
    PREFIX + "drive.readonly": "See and download all your Google Drive files",
    PREFIX + "drive.file": "See and change only the Drive files that you use with this app",
    PREFIX + "drive": "See, edit, create and delete all of your Google Drive files",
}


class Google(GoogleTokens):
    """Consent, revocation and the documents of Google's OAuth, with the two products' APIs."""

    def routes(self, routes: Routes) -> None:
        def shared(method: str, host: str, path: str, endpoint: str, handler: Handler) -> None:
            routes.add(method, host, path, Route(self.providers[0], endpoint, handler, self.who))

        for method in ("GET", "POST"):
            shared(method, ACCOUNTS, "/o/oauth2/v2/auth", "authorize", self.authorize)
            shared(method, ACCOUNTS, "/o/oauth2/auth", "authorize", self.authorize)
        for host, path in ((OAUTH2, "/token"), (ACCOUNTS, "/o/oauth2/token"), (APIS, "/oauth2/v3/token")):
            shared("POST", host, path, "token", self.token)
        shared("POST", OAUTH2, "/revoke", "revoke", self.revoke_token)
        for method in ("GET", "POST"):
            shared(method, OAUTH2, "/tokeninfo", "introspect", self.tokeninfo)
        shared("GET", "openidconnect.googleapis.com", "/v1/userinfo", "identity", self.userinfo)
        shared("GET", APIS, "/oauth2/v3/userinfo", "identity", self.userinfo)
        shared("GET", APIS, "/oauth2/v3/certs", "metadata", self.certs)
        shared("GET", ACCOUNTS, "/.well-known/openid-configuration", "metadata", self.openid_configuration)
        shared("GET", ACCOUNTS, "/.well-known/risc-configuration", "metadata", self.risc_configuration)
        google_ads.GoogleAds(self).routes(routes)
        google_drive.GoogleDrive(self).routes(routes)
        google_risc.Management(self).routes(routes)

    async def who(self, call: Call) -> str:
        """Ads or Drive: which product's app is asking."""
        form = await call.form()
        client_id = form.get("client_id") or call.query.get("client_id") or basic(call)[0] or ""
        app = self.world.apps.among(self.providers, client_id)
        if app is not None:
            return app.provider
        value = form.get("token") or call.query.get("token") or call.query.get("access_token") or call.bearer
        token = None if value is None else self.world.grants.find(value)
        return call.route.provider if token is None else token.grant.provider

    # -- consent

    async def authorize(self, call: Call) -> web.StreamResponse:
        query = call.query
        app, redirect_uri = self.linked(call, BRAND)
        if query.get("response_type") != "code":
            return consent.error_page(BRAND, "Error 400: invalid_request", "Invalid response_type.")
        scopes = query.get("scope", "").split()
        unknown = [s for s in scopes if s not in SCOPES]
        if unknown or not scopes:
            return consent.error_page(
                BRAND, "Error 400: invalid_scope", f"Some requested scopes were invalid: {unknown}"
            )
        asked = [consent.Scope(s, SCOPES[s], fixed=s in IDENTITY) for s in scopes]
        ask = consent.Ask(BRAND, app.name, asked, app.provider, pick=False)
        decision = await consent.answered(call, ask)
        state = ("state", query.get("state"))
        if not decision.allow:
            return consent.redirect(redirect_uri, [("error", "access_denied"), state])
        given = scopes if decision.scopes is None else decision.scopes
        grant, first = self.consented(app, decision.person.key, given, call.now)
        if query.get("include_granted_scopes") == "true":
            given = list(dict.fromkeys([*given, *(s for g in self.ends_together(grant) for s in g.scopes)]))
        offline = query.get("access_type") == "offline"
        challenge = query.get("code_challenge")
        code = self.world.grants.issue(
            grant,
            "code",
            "4/0" + self.world.randomness.token("", 48),
            now=call.now,
            lifetime_s=self.lifetime("code_s", app.provider),
            single_use=True,
            extra={
                "redirect_uri": redirect_uri,
                "scopes": given,
                "nonce": query.get("nonce"),
                # With offline alone a refresh token comes on the first consent only.
                "refresh": offline and (first or "consent" in query.get("prompt", "").split()),
                "challenge": None if challenge is None else [query.get("code_challenge_method", "plain"), challenge],
            },
        )
        return consent.redirect(
            redirect_uri, [state, ("code", code.value), ("scope", " ".join(self.named(given, app.provider)))]
        )

    def consented(self, app: App, person: str, scopes: list[str], now: float) -> tuple[Grant, bool]:
        """The one grant of this person under this client, and whether it is new."""
        living = self.world.grants.alive(app.provider, client_id=app.client_id, person=person)
        if living:
            grant = living[0]
            grant.scopes = list(dict.fromkeys([*grant.scopes, *scopes]))
            grant.last_active_at = now
            self.world.grants.changed(grant)
            return grant, not any(t.kind == "refresh" for t in grant.tokens)
        grant = self.world.grants.open(app.provider, app.client_id, person, now=now, scopes=scopes)
        return grant, True

    # -- tokens

    # -- revocation: the whole project's

    async def revoke_token(self, call: Call) -> web.StreamResponse:
        value = call.query.get("token") or (await call.form()).get("token", "")
        token = self.world.grants.find(value)
        if token is None or token.grant.provider not in self.providers or not token.usable(call.now):
            return oauth_error("invalid_token", "Token expired or revoked")
        for grant in self.ends_together(token.grant):
            self.world.grants.end(grant, "disconnected", call.now)
        return answer({})

    def announce(self, grant: Grant, order: Revocation) -> None:
        google_risc.announce(self, grant, order)

    # -- who is asking

    async def tokeninfo(self, call: Call) -> web.StreamResponse:
        value = call.query.get("access_token") or (await call.form()).get("access_token", "")
        token = self.world.grants.find(value)
        if token is None or token.kind != "access" or not token.usable(call.now):
            return oauth_error("invalid_token", "Invalid Value")
        person = self.world.person_of(token.grant)
        expires_at = token.expires_at or call.now
        body = {
            "azp": token.grant.client_id,
            "aud": token.grant.client_id,
            "sub": person.subject("google"),
            "scope": " ".join(self.named(token.extra["scopes"], token.grant.provider)),
            "exp": str(call.platform_time(expires_at)),
            "expires_in": str(int(expires_at - call.now)),
            "access_type": "offline",
        }
        if "email" in token.extra["scopes"]:
            body |= {"email": person.email, "email_verified": "true"}
        return answer(body)

    async def userinfo(self, call: Call) -> web.StreamResponse:
        token = self.checked(call)
        if isinstance(token, str):
            return oauth_error("invalid_request", "Invalid Credentials", 401)
        person = self.world.person_of(token.grant)
        body: dict[str, Any] = {"sub": person.subject("google")}
        if "email" in token.extra["scopes"]:
            body |= {"email": person.email, "email_verified": True}
        if "profile" in token.extra["scopes"]:
            body["name"] = person.name
        return answer(body)

    # -- documents

    async def certs(self, _call: Call) -> web.StreamResponse:
        return answer({"keys": [self.key.public_jwk]}, headers={"Cache-Control": "public, max-age=22000"})

    async def openid_configuration(self, call: Call) -> web.StreamResponse:
        return answer(
            {
                "issuer": ISSUER,
                "authorization_endpoint": f"{call.origin}/{ACCOUNTS}/o/oauth2/v2/auth",
                "token_endpoint": f"{call.origin}/{OAUTH2}/token",
                "revocation_endpoint": f"{call.origin}/{OAUTH2}/revoke",
                "userinfo_endpoint": f"{call.origin}/openidconnect.googleapis.com/v1/userinfo",
                "jwks_uri": f"{call.origin}/{APIS}/oauth2/v3/certs",
                "response_types_supported": ["code"],
                "id_token_signing_alg_values_supported": ["RS256"],
                "code_challenge_methods_supported": ["plain", "S256"],
            }
        )

    async def risc_configuration(self, call: Call) -> web.StreamResponse:
        return answer(
            {
                "issuer": ISSUER + "/",
                "jwks_uri": f"{call.origin}/{APIS}/oauth2/v3/certs",
                "delivery_methods_supported": ["https://schemas.openid.net/secevent/risc/delivery-method/push"],
            }
        )

    # -- trouble

    def rate_limited(self, call: Call, retry_after_s: float, fault: Fault | None, /) -> web.Response:
        if call.route.endpoint == "authorize":
            detail = "Error 403: rate_limit_exceeded. This app has reached its sign-in rate limit for now."
            return consent.error_page(BRAND, "Access blocked", detail, 403)
        if "/drive/" in call.request.path:
            return google_drive.rate_limited(int(self.mode("drive_rate_limit_status", "google-drive")), fault)
        if call.request.path.startswith("/googleads."):
            return google_ads.rate_limited(retry_after_s, fault)
        return oauth_error("rate_limit_exceeded", "Rate Limit Exceeded", 429)

    def failing(self, call: Call, fault: Fault, /) -> web.Response:
        status = fault.status or 503
        if "/drive/" in call.request.path:
            return google_drive.refused(status, str(fault.code or "backendError"), "Simulated fault")
        if call.request.path.startswith("/googleads."):
            return google_ads.failing(status, fault)
        default = "internal_failure" if status >= 500 else "invalid_grant"  # noqa: PLR2004
        return oauth_error(str(fault.code or default), "Simulated fault", status)
