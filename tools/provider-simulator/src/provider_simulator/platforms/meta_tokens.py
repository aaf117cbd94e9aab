"""Tokens of Meta: a code, a short token, a long one that replaces itself, and what `debug_token` says of them."""

from __future__ import annotations

import json
import re
from typing import Any, ClassVar

from aiohttp import web

from provider_simulator.apps import App
from provider_simulator.grants import Grant, Token
from provider_simulator.pkce import verifies
from provider_simulator.platforms.base import Opening, Platform
from provider_simulator.platforms.meta_errors import ENDINGS, SUBCODES, refuse
from provider_simulator.platforms.meta_signing import appsecret_proof, same
from provider_simulator.wire import Call, Reply, answer

DAY_S = 86_400.0


class MetaTokens(Platform):
    """Issue, exchange, check and describe tokens.

    Modes: whether an exchange of a long token moves its end; whether it ends the old one; what a lost account answers;
    whether `appsecret_proof` is required; whether `error_data` comes as a JSON string; a foreign app that
    `debug_token` names.
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

    async def access_token(self, call: Call) -> web.StreamResponse:
        given = await call.parameters()
        if not given.get("client_id"):
            raise refuse(101, "Missing client_id parameter.")
        app = self.world.apps.get("meta", given["client_id"])
        if app is None:
            raise refuse(101, "Error validating application. Invalid application ID.")
        if not same(given.get("client_secret", ""), app.client_secret):
            call.record("token", "refused:client_secret")
            raise refuse(101, "Error validating client secret.")
        match given.get("grant_type", "authorization_code"):
            case "authorization_code":
                return self.exchange_code(call, app, given)
            case "fb_exchange_token":
                return self.exchange_token(call, app, given)
            case "client_credentials":
                call.record("app_token", "issued")
                return answer({"access_token": f"{app.client_id}|{app.client_secret}", "token_type": "bearer"})
            case other:
                raise refuse(100, f"Invalid grant_type: {other}")

    def exchange_code(self, call: Call, app: App, given: dict[str, str]) -> web.Response:
        value = given.get("code")
        if not value:
            raise refuse(100, "Missing authorization code")
        code = self.world.grants.find(value)
        if code is None or code.kind != "code" or code.grant.client_id != app.client_id:
            call.record("code", "refused:unknown", presented=value)
            raise refuse(100, "Invalid verification code format.")
        if code.spent_at is not None:
            call.record("code", "refused:reused", presented=value, token=code, twice=True)
            raise refuse(100, "This authorization code has been used.", 36009)
        if code.expired(call.now):
            call.record("code", "refused:expired", presented=value, token=code)
            raise refuse(100, "This authorization code has expired.", 36007)
        if given.get("redirect_uri") != code.extra["redirect_uri"]:
            call.record("code", "refused:redirect_uri", presented=value, token=code)
            raise refuse(
                100,
                "Error validating verification code. Please make sure your redirect_uri is identical to the one you "
                "used in the OAuth dialog request",
                36008,
            )
        if not verifies(code.extra["challenge"], given.get("code_verifier")):
            call.record("code", "refused:pkce", presented=value, token=code)
            raise refuse(100, "Invalid code_verifier parameter.")
        code.spent_at = call.now
        call.record("code", "issued", presented=value, token=code)
        if code.grant.extra.get("lasting"):
            token = self.issue(code.grant, "system_user_s", call.now, None)
            return answer({"access_token": token.value, "token_type": "bearer"})
        return self.token_answer(call, code.grant, "system_user_s" if "system_user" in code.grant.extra else "short_s")

    def exchange_token(self, call: Call, app: App, given: dict[str, str]) -> web.Response:
        value = given.get("fb_exchange_token")
        if not value:
            raise refuse(100, "fb_exchange_token parameter not specified")
        token = self.world.grants.find(value)
        try:
            old = self.checked(value, call.now)
        except Reply:
            call.record("exchange", "refused:190", presented=value, token=token)
            raise
        if old.grant.client_id != app.client_id:
            call.record("exchange", "refused:foreign", presented=value, token=token)
            raise refuse(101, "The access token does not belong to application " + app.client_id)
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
            raise refuse(200, "Requires business_management permission to manage the object")
        scopes = [s for s in re.split(r"[,\s]+", given.get("scope", "")) if s]
        if not given.get("system_user_id") or not scopes:
            raise refuse(100, "(#100) The parameters system_user_id and scope are required")
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

    def checked(self, value: str, now: float) -> Token:
        """The living user token behind `value`, or Meta's reason why there is none."""
        token = self.world.grants.find(value)
        if token is None or token.kind != "access" or token.grant.provider != "meta":
            raise refuse(190, "Invalid OAuth access token - Cannot parse access token")
        if token.usable(now):
            return token
        code, subcode, message = self.why_dead(token, now)
        raise refuse(code, "Error validating access token: " + message, subcode, self.error_data(subcode))

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
        value = given.get("access_token") or header_token(call)
        if not value:
            raise refuse(2500, "An active access token must be used to query information about the current user.")
        token = self.checked(value, call.now)
        app = self.world.apps.get("meta", token.grant.client_id)
        proof = given.get("appsecret_proof")
        if app is not None and proof is not None and not same(proof, appsecret_proof(value, app.client_secret)):
            raise refuse(100, "Invalid appsecret_proof provided in the API argument", kind="GraphMethodException")
        if proof is None and self.mode("require_appsecret_proof"):
            raise refuse(
                100, "API calls from the server require an appsecret_proof argument", kind="GraphMethodException"
            )
        return token

    def app_of_token(self, value: str) -> App | None:
        client_id, bar, secret = value.partition("|")
        app = self.world.apps.get("meta", client_id) if bar else None
        return app if app is not None and same(secret, app.client_secret) else None

    async def debug_token(self, call: Call) -> web.StreamResponse:
        given = await call.parameters()
        asking = given.get("access_token") or header_token(call) or ""
        if self.app_of_token(asking) is None:
            if "|" in asking:
                raise refuse(190, "Invalid OAuth access token signature.")
            self.checked(asking, call.now)  # a developer's user token does as well
        value = given.get("input_token")
        if not value:
            raise refuse(100, "(#100) The parameter input_token is required")
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


def header_token(call: Call) -> str | None:
    scheme, _, value = call.request.headers.get("Authorization", "").partition(" ")
    return value if scheme.lower() in {"bearer", "oauth"} and value else None
