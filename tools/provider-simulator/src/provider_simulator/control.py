"""The control API: how a test or a story orders what the platforms do next. Its table is in the README."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from aiohttp import web

from provider_simulator import orders
from provider_simulator.apps import App
from provider_simulator.faults import Fault
from provider_simulator.grants import Grant
from provider_simulator.http_orders import checked_body, json_object, problem, whole
from provider_simulator.ledger import TOKEN_PREFIX, Line, fingerprint
from provider_simulator.people import make_person
from provider_simulator.platforms.base import Opening, Platform, Revocation
from provider_simulator.webhooks import Delivery
from provider_simulator.world import World

LEDGER_PAGE = 1000


class Control:
    def __init__(self, world: World, platforms: Mapping[str, Platform]) -> None:
        self._world = world
        self._platforms = platforms

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/livez", self.alive),
            web.get("/_sim/ledger", self.ledger),
            web.get("/_sim/faults", self.faults),
            web.post("/_sim/faults", self.order_fault),
            web.delete("/_sim/faults", self.lift_faults),
            web.get("/_sim/grants", self.grants),
            web.post("/_sim/grants/{provider}", self.new_grants),
            web.post("/_sim/grants/{provider}/{grant}/revoke", self.revoke),
            web.post("/_sim/events/{provider}", self.event),
            web.get("/_sim/lifetimes/{provider}", self.switches("lifetimes")),
            web.put("/_sim/lifetimes/{provider}", self.set_switches("lifetimes")),
            web.get("/_sim/modes/{provider}", self.switches("modes")),
            web.put("/_sim/modes/{provider}", self.set_switches("modes")),
            web.get("/_sim/limits", self.limits),
            web.put("/_sim/limits/{provider}", self.set_limit),
            web.get("/_sim/apps", self.apps),
            web.put("/_sim/apps/{provider}/{client_id}", self.put_app),
            web.delete("/_sim/apps/{provider}/{client_id}", self.remove_app),
            web.get("/_sim/people", self.people),
            web.post("/_sim/people", self.new_person),
            web.put("/_sim/people/{person}/accounts/{provider}/{account}", self.change_account),
            web.get("/_sim/webhooks", self.webhooks),
            web.post("/_sim/webhooks/{id}/again", self.webhook_again),
            web.get("/_sim/clock", self.clock),
            web.post("/_sim/clock", self.set_clock),
            web.post("/_sim/reset", self.reset),
        ]

    def _platform(self, provider: str) -> Platform:
        self._world.platform(provider)
        return self._platforms[provider]

    async def alive(self, _request: web.Request) -> web.Response:
        return web.json_response({"status": "ok", "providers": sorted(self._platforms)})

    # -- the ledger

    async def ledger(self, request: web.Request) -> web.Response:
        query, ledger = request.query, self._world.ledger
        lines = ledger.lines(
            provider=query.get("provider"),
            grant=query.get("grant"),
            after=whole(query.get("after", "0"), "after"),
            limit=whole(query.get("limit", str(LEDGER_PAGE)), "limit"),
        )
        return web.json_response(
            {
                "entries": [_line(line) for line in lines],
                "presented_twice": dict(ledger.presented_twice),
                "outcomes": {provider: dict(counts) for provider, counts in ledger.outcomes.items()},
                "peak_per_second": ledger.peak_per_second,
                "written": ledger.written,
                "forgotten": ledger.forgotten,
            }
        )

    # -- faults and limits

    async def faults(self, _request: web.Request) -> web.Response:
        return web.json_response({"faults": [f.model_dump() for f in self._world.faults.standing()]})

    async def order_fault(self, request: web.Request) -> web.Response:
        fault = await checked_body(request, Fault)
        if fault.provider not in {"*", "smtp"}:
            self._world.platform(fault.provider)
        return web.json_response(
            self._world.faults.order(fault.model_copy(update={"hits": 0})).model_dump(), status=201
        )

    async def lift_faults(self, request: web.Request) -> web.Response:
        fault_id = request.query.get("id")
        ended = self._world.faults.lift(
            fault_id=None if fault_id is None else whole(fault_id, "id"), provider=request.query.get("provider")
        )
        return web.json_response({"ended": ended})

    async def limits(self, _request: web.Request) -> web.Response:
        limits = self._world.limits
        return web.json_response({"limits": limits.ordered(), "refused": limits.refused})

    async def set_limit(self, request: web.Request) -> web.Response:
        provider = request.match_info["provider"]
        self._world.platform(provider)
        limit = await checked_body(request, orders.Limit)
        burst = limit.burst if limit.burst is not None else max(1.0, limit.per_second)
        self._world.limits.order(provider, limit.endpoint, limit.per_second, burst)
        return web.json_response({"limits": self._world.limits.ordered()})

    # -- grants

    async def grants(self, request: web.Request) -> web.Response:
        query = request.query
        wanted = {name: query[name] for name in ("provider", "person", "client_id") if name in query}
        living = query.get("alive")
        listed = [
            _grant(self._world, g)
            for g in self._world.grants
            if all(getattr(g, name) == value for name, value in wanted.items())
            and (living is None or g.alive == (living in {"1", "true"}))
        ]
        return web.json_response({"grants": listed})

    async def new_grants(self, request: web.Request) -> web.Response:
        provider = request.match_info["provider"]
        platform = self._platform(provider)
        order = await checked_body(request, orders.NewGrants)
        client_id = order.client_id or next((a.client_id for a in self._world.apps.of(provider)), None)
        if platform.credentials_only:
            client_id = client_id or "none"
        if order.person not in self._world.people or client_id is None:
            raise problem(404, "unknown_person" if client_id else "unknown_app", "see /_sim/people and /_sim/apps")
        now = self._world.clock.now() - order.access_age_s
        opening = Opening(provider, client_id, order.person, order.scopes, now)
        try:
            made = [platform.open_grant(opening) for _ in range(order.count)]
        except LookupError as error:
            raise problem(422, "impossible_order", str(error.args[0])) from None
        return web.json_response({"grants": made}, status=201)

    async def revoke(self, request: web.Request) -> web.Response:
        provider, name = request.match_info["provider"], request.match_info["grant"]
        platform = self._platform(provider)
        order = await checked_body(request, Revocation)
        matching = self._world.matching(provider, name)
        if not matching:
            raise problem(404, "unknown_grant", f"{provider} has no grant {name} and no living grant of such a person")
        changed: list[str] = []
        try:
            for grant in matching:
                changed += platform.revoke(grant, order)
        except LookupError as error:
            raise problem(422, "impossible_order", str(error.args[0])) from None
        return web.json_response({"changed": changed})

    async def event(self, request: web.Request) -> web.Response:
        provider = request.match_info["provider"]
        platform = self._platform(provider)
        order = await checked_body(request, orders.PlatformEvent)
        faults = self._world.faults
        if order.kind == "outage":
            fault = Fault(
                provider=provider,
                kind=order.fault,
                status=order.status,
                retry_after=order.retry_after,
                when=order.when,
            )
            return web.json_response({"fault": faults.order(fault).model_dump()})
        if order.kind == "restored":
            return web.json_response({"ended": faults.lift(provider=provider)})
        revocation = Revocation(cause=order.cause, webhook="send" if order.webhook else "none")
        changed = [g for grant in self._world.grants.alive(provider) for g in platform.revoke(grant, revocation)]
        return web.json_response({"changed": changed})

    # -- switches, apps, people

    def switches(self, kind: str) -> Callable[[web.Request], Any]:
        async def show(request: web.Request) -> web.Response:
            return web.json_response(self._world.switches(request.match_info["provider"], kind))

        return show

    def set_switches(self, kind: str) -> Callable[[web.Request], Any]:
        async def put(request: web.Request) -> web.Response:
            provider = request.match_info["provider"]
            values = await json_object(request)
            if kind == "lifetimes":
                _check_lifetimes(values)
            return web.json_response(self._world.set_switches(provider, kind, values))

        return put

    async def apps(self, _request: web.Request) -> web.Response:
        return web.json_response({"apps": [a.model_dump() for a in self._world.apps.all()]})

    async def put_app(self, request: web.Request) -> web.Response:
        """Make an app, or change the named fields of one; `options` are merged."""
        provider, client_id = request.match_info["provider"], request.match_info["client_id"]
        self._world.platform(provider)
        change = (await checked_body(request, orders.AppChange)).model_dump(exclude_unset=True)
        old = self._world.apps.get(provider, client_id)
        if old is None:
            if "client_secret" not in change:
                raise problem(422, "missing", "a new app needs a client_secret")
            old = App(provider=provider, client_id=client_id, client_secret=change["client_secret"])
        change["options"] = old.options | (change.get("options") or {})
        app = old.model_copy(update=change)
        self._world.put_app(app)
        return web.json_response(app.model_dump())

    async def remove_app(self, request: web.Request) -> web.Response:
        provider, client_id = request.match_info["provider"], request.match_info["client_id"]
        if not self._world.remove_app(provider, client_id):
            raise problem(404, "unknown_app", "see /_sim/apps")
        return web.Response(status=204)

    async def people(self, _request: web.Request) -> web.Response:
        return web.json_response({"people": [asdict(p) for p in self._world.people.values()]})

    async def new_person(self, request: web.Request) -> web.Response:
        order = await checked_body(request, orders.NewPerson)
        person = make_person(order.key, order.name, order.email, order.brand, order.accounts)
        self._world.people[person.key] = person
        self._world.touched(person)
        return web.json_response(asdict(person), status=201)

    async def change_account(self, request: web.Request) -> web.Response:
        person = self._world.people.get(request.match_info["person"])
        account = person and person.account(request.match_info["provider"], request.match_info["account"])
        if person is None or account is None:
            raise problem(404, "unknown_account", "see /_sim/people")
        for name, value in (await checked_body(request, orders.AccountChange)).model_dump(exclude_none=True).items():
            setattr(account, name, value)
        self._world.touched(person)
        return web.json_response(asdict(account))

    # -- webhooks, time, reset

    async def webhooks(self, request: web.Request) -> web.Response:
        query = request.query
        wanted = {name: query[name] for name in ("provider", "kind", "grant") if name in query}
        listed = [
            _delivery(d)
            for d in self._world.webhooks.deliveries
            if all(getattr(d, name) == value for name, value in wanted.items())
        ]
        return web.json_response({"deliveries": listed})

    async def webhook_again(self, request: web.Request) -> web.Response:
        delivery = self._world.webhooks.again(whole(request.match_info["id"], "id"), now=self._world.clock.now())
        if delivery is None:
            raise problem(404, "unknown_delivery", "see /_sim/webhooks")
        return web.json_response(_delivery(delivery), status=201)

    async def clock(self, _request: web.Request) -> web.Response:
        clock = self._world.clock
        return web.json_response({"now": _time(clock.now()), "offset_s": clock.offset_s})

    async def set_clock(self, request: web.Request) -> web.Response:
        order = await checked_body(request, orders.ClockChange)
        if order.reset:
            self._world.clock.offset_s = 0.0
        self._world.clock.advance(order.advance_s)
        self._world.journal.mark("clock", "offset_s")
        return await self.clock(request)

    async def reset(self, _request: web.Request) -> web.Response:
        self._world.reset()
        return web.Response(status=204)


def _check_lifetimes(values: dict[str, Any]) -> None:
    for name, value in values.items():
        if value is not None and (isinstance(value, bool) or not isinstance(value, int | float) or value <= 0):
            raise problem(422, "invalid_order", f"{name} is a number of seconds above 0, or null for no end")


def _time(moment: float | None) -> str | None:
    return None if moment is None else datetime.fromtimestamp(moment, UTC).isoformat()


def _line(line: Line) -> dict[str, Any]:
    return {
        "number": line.number,
        "time": _time(line.time),
        "provider": line.provider,
        "operation": line.operation,
        "grant": line.grant,
        "presented_sha256": fingerprint(line.presented),
        "prefix_sha256": fingerprint(None if line.presented is None else line.presented[:TOKEN_PREFIX]),
        "outcome": line.outcome,
        "fault": line.fault,
        "taken": line.taken,
        "twice": line.twice,
    }


def _grant(world: World, grant: Grant) -> dict[str, Any]:
    now = world.clock.now()
    return {
        "id": grant.id,
        "provider": grant.provider,
        "client_id": grant.client_id,
        "person": grant.person,
        "alive": grant.alive,
        "cause": grant.cause,
        "created_at": _time(grant.created_at),
        "ended_at": _time(grant.ended_at),
        "scopes": grant.scopes,
        "accounts": [a.id for a in world.reached(grant)] if grant.person in world.people else [],
        "picked": grant.accounts,
        "presented_twice": grant.presented_twice,
        "tokens": [
            {
                "kind": t.kind,
                "sha256": fingerprint(t.value),
                "issued_at": _time(t.issued_at),
                "expires_at": _time(t.expires_at),
                "usable": t.usable(now),
                "single_use": t.single_use,
            }
            for t in grant.tokens
        ],
    }


def _delivery(delivery: Delivery) -> dict[str, Any]:
    return {
        "id": delivery.id,
        "provider": delivery.provider,
        "kind": delivery.kind,
        "url": delivery.url,
        "grant": delivery.grant,
        "time": _time(delivery.time),
        "attempts": delivery.attempts,
        "status": delivery.status,
        "error": delivery.error,
        "body": delivery.body.decode("utf-8", "replace"),
        "headers": delivery.headers,
    }
