"""The nodes of Meta's Graph API that a token opens: the person, their permissions and the ad accounts."""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

from aiohttp import web

from provider_simulator.grants import Grant
from provider_simulator.people import Account
from provider_simulator.platforms.meta_errors import refuse
from provider_simulator.platforms.meta_tokens import MetaTokens, header_token
from provider_simulator.wire import Call, answer

PAGE_DEFAULT, PAGE_MOST = 25, 500


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


class MetaGraph(MetaTokens):
    """Answer for `me`, for permissions and for ad accounts."""

    async def permissions(self, call: Call) -> web.StreamResponse:
        grant = self.caller(call, await call.parameters()).grant
        self.own_node(call, grant)
        shown = [(s, "granted") for s in grant.scopes] + [(s, "declined") for s in grant.extra.get("declined", ())]
        return answer({"data": [{"permission": s, "status": status} for s, status in shown]})

    async def delete_permissions(self, call: Call) -> web.StreamResponse:
        """With the user's token, or for `/{user-id}` with an app token; one scope or all of it."""
        given = await call.parameters()
        value = given.get("access_token") or header_token(call) or ""
        app = self.app_of_token(value)
        if app is None:
            grants = [self.caller(call, given).grant]
            self.own_node(call, grants[0])
        else:
            living = self.world.grants.alive("meta", client_id=app.client_id)
            grants = [g for g in living if self.user_id(g) == call.path.get("node")]
        if not grants:
            raise refuse(100, "Unsupported delete request. Object does not exist.", 33, kind="GraphMethodException")
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
            raise refuse(100, f"Unsupported request. Object with ID '{node}' does not exist.", 33)

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
            raise refuse(
                100, f"(#100) Tried accessing nonexisting field ({call.path['edge']}) on node type (AdAccount)"
            )
        return answer({"data": []}, headers=self.usage(call, account))

    def account(self, grant: Grant, node: str, now: float) -> Account:
        self.may_read_ads(grant, now)
        if not node.removeprefix("act_").isdigit():
            raise refuse(803, f"(#803) Some of the aliases you requested do not exist: {node}")
        known = self.world.person_of(grant).account("meta", node)
        if known is not None and not known.lost and grant.covers(node):
            return known
        lost = self.mode("lost_account") if known is not None else "100/33"
        if lost == "100/33":
            raise refuse(
                100,
                f"Unsupported get request. Object with ID '{node}' does not exist, cannot be loaded due to missing "
                "permissions, or does not support this operation.",
                33,
                kind="GraphMethodException",
            )
        if lost == "10":
            raise refuse(10, "(#10) Application does not have permission for this action", status=403)
        raise refuse(200, "(#200) Ad account owner has NOT grant ads_management or ads_read permission", status=403)

    def may_read_ads(self, grant: Grant, now: float) -> None:
        if not {"ads_read", "ads_management"} & set(grant.scopes):
            raise refuse(
                294,
                "(#294) Managing advertisements requires an access token with the extended permission ads_management",
                status=403,
            )
        if now >= self.data_access_ends(grant) and "system_user" not in grant.extra:
            raise refuse(10, "(#10) The user's data access for this application has expired", status=403)

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


def _fields(given: str | None, default: tuple[str, ...]) -> list[str]:
    names = [n.strip() for n in given.split(",") if n.strip()] if given else list(default)
    if unknown := [n for n in names if n not in ACCOUNT_FIELDS]:
        raise refuse(100, f"(#100) Tried accessing nonexisting field ({unknown[0]}) on node type (AdAccount)")
    return list(dict.fromkeys([*names, "id"]))


def _shown(account: Account, names: list[str]) -> dict[str, Any]:
    return {name: ACCOUNT_FIELDS[name](account) for name in names}


def _integer(given: dict[str, str], name: str, default: int) -> int:
    try:
        return int(given.get(name, default))
    except ValueError:
        raise refuse(100, f"(#100) Param {name} must be an integer") from None


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
    raise refuse(100, "(#100) Invalid cursor after")
