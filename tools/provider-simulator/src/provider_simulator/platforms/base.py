"""What every simulated platform can be told to do, whatever it looks like on the wire."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from aiohttp import web
from pydantic import BaseModel, ConfigDict

from provider_simulator import consent
from provider_simulator.apps import App
from provider_simulator.faults import Fault
from provider_simulator.grants import Grant, Kind, Token
from provider_simulator.wire import Call, Handler, Reply, Route, Routes, answer
from provider_simulator.world import World

Cause = Literal[
    "user_revoked",
    "permission_changed",
    "platform_enforced",
    "compromise",
    "password_changed",
    "logged_out",
    "unused",
    "expired",
    "account_deleted",
]


class Revocation(BaseModel):
    """How a grant comes to harm. `permission_changed` needs `account` or `scope` and leaves the grant alive.

    `webhook`: what becomes of the platform's own signal, where it has one. `code` overrides the platform's error code
    (Meta: a subcode of 190).
    """

    model_config = ConfigDict(extra="forbid")

    cause: Cause = "user_revoked"
    account: str | None = None
    scope: str | None = None
    code: str | int | None = None
    webhook: Literal["send", "none", "bad_signature", "twice", "stale", "other_mode"] = "send"
    data_deletion: bool = False


@dataclass(frozen=True, slots=True)
class Opening:
    """A grant to be opened without a consent."""

    provider: str
    client_id: str
    person: str
    scopes: list[str]
    now: float


class Platform(ABC):
    """One platform. `lifetimes` in seconds (None: no end); `modes` switch between documented behaviours."""

    providers: ClassVar[tuple[str, ...]]
    lifetimes: ClassVar[dict[str, float | None]] = {}
    modes: ClassVar[dict[str, Any]] = {}
    credentials_only: ClassVar[bool] = False  # no app of ours is registered there: the customer brings credentials

    def __init__(self, world: World) -> None:
        self.world = world

    @abstractmethod
    def routes(self, routes: Routes) -> None: ...

    @abstractmethod
    def rate_limited(self, call: Call, retry_after_s: float, fault: Fault | None, /) -> web.Response:
        """The way in which "too often" is said here."""

    @abstractmethod
    def failing(self, call: Call, fault: Fault, /) -> web.Response:
        """The error shape here for `fault.status` and `fault.code`."""

    def announce(self, grant: Grant, order: Revocation) -> None:  # noqa: B027  most platforms have no signal
        """Send the platform's own signal that this grant ended, where it has one."""

    def reset(self) -> None:  # noqa: B027  most platforms keep nothing beside the world
        """Forget what is kept outside of the world."""

    async def close(self) -> None:  # noqa: B027
        """End what runs by itself."""

    def open_grant(self, opening: Opening) -> dict[str, Any]:
        """A grant with tokens, without a consent: for load. What a client would have stored."""
        raise LookupError(f"{opening.provider} has no grants that can be opened without a person")

    def revoke(self, grant: Grant, order: Revocation, /) -> list[str]:
        """Carry out `order`; the ids of the grants that changed."""
        now = self.world.clock.now()
        if order.cause == "permission_changed":
            return self.withdraw(grant, order)
        ended = [g for g in self.ends_together(grant) if self.world.grants.end(g, self.ending(order), now)]
        if ended:
            self.announce(grant, order)
        return [g.id for g in ended]

    def ending(self, order: Revocation) -> str:
        """What is written on the grant, for the error texts: the cause, with the ordered code."""
        return order.cause if order.code is None else f"{order.cause} {order.code}"

    def ends_together(self, grant: Grant) -> list[Grant]:
        return [grant]

    def withdraw(self, grant: Grant, order: Revocation) -> list[str]:
        """Take one account from the person, or one permission from the grant; everything else goes on."""
        if order.account is not None:
            person = self.world.person_of(grant)
            account = person.account(grant.provider, order.account)
            if account is None:
                raise LookupError(f"{person.key} has no account {order.account} at {grant.provider}")
            account.lost = True
            self.world.touched(person)
        if order.scope is not None:
            if order.scope not in grant.scopes:
                raise LookupError(f"grant {grant.id} has no permission {order.scope}")
            grant.scopes.remove(order.scope)
            self.world.grants.changed(grant)
        if order.account is None and order.scope is None:
            raise LookupError("permission_changed needs an account or a scope")
        return [grant.id]

    # -- for the platforms

    def good(self, value: str | None, kind: Kind, now: float, app: App | None = None) -> Token | None:
        """The token behind `value` if it is one of this platform's (and of this app's) and works now."""
        token = None if value is None else self.world.grants.find(value)
        if token is None or token.kind != kind or token.grant.provider not in self.providers or not token.usable(now):
            return None
        return token if app is None or token.grant.client_id == app.client_id else None

    def record_refused_code(self, call: Call, value: str) -> None:
        code = self.world.grants.find(value)
        reused = code is not None and code.spent_at is not None
        call.record(
            "code", "refused:reused" if reused else "refused:unknown", presented=value, token=code, twice=reused
        )

    def opened(self, opening: Opening, scopes: list[str], accounts: list[str] | None = None) -> Grant:
        return self.world.grants.open(
            opening.provider, opening.client_id, opening.person, now=opening.now, scopes=scopes, accounts=accounts
        )

    def linked(
        self, call: Call, brand: consent.Brand, *, providers: tuple[str, ...] | None = None, client: str = "client_id"
    ) -> tuple[App, str]:
        """The app and the redirect URI of an authorization link; a page, and no redirect, when one of them is wrong.

        RFC 6749 section 4.1.2.1 forbids the redirect then; all the platforms here compare the whole URI.
        """
        app = self.world.apps.among(providers or self.providers, call.query.get(client, ""))
        if app is None:
            raise Reply(consent.error_page(brand, "Unknown app", f"No app with this {client} is registered here."))
        redirect_uri = call.query.get("redirect_uri", "")
        if redirect_uri not in app.redirect_uris:
            detail = "The redirect_uri of this link is not among those that the app has registered."
            raise Reply(consent.error_page(brand, "URL blocked", detail))
        return app, redirect_uri

    def route(self, endpoint: str, handler: Handler, provider: str | None = None) -> Route:
        return Route(provider or self.providers[0], endpoint, handler)

    def lifetime(self, name: str, provider: str | None = None) -> float | None:
        return self.world.lifetime(provider or self.providers[0], name)

    def mode(self, name: str, provider: str | None = None) -> Any:
        return self.world.mode(provider or self.providers[0], name)


def oauth_error(error: str, description: str | None = None, status: int = 400, **more: Any) -> web.Response:
    """RFC 6749 section 5.2."""
    body = {"error": error} | ({} if description is None else {"error_description": description}) | more
    return answer(body, status, {"Cache-Control": "no-store", "Pragma": "no-cache"})
