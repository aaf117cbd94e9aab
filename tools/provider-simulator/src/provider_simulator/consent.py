"""The screen on which a person says yes or no, the same plain HTML form for every platform with a consent screen.

A program needs no page: it POSTs the form's fields to the authorize URL (with its query) and follows the redirect.

| field | meaning |
| --- | --- |
| `user` | key of the person; default `avery` |
| `decision` | `allow` (default) or `deny` |
| `accounts` | once per ad account to share; none at all: every one, now and later (unless `accounts_shown` is sent) |
| `scopes` | once per permission to grant; none at all: all that were asked (unless `scopes_shown` is sent) |
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from aiohttp import web
from jinja2 import Environment, PackageLoader, StrictUndefined

from provider_simulator.people import Person
from provider_simulator.wire import Call, Reply

PAGES = Environment(
    loader=PackageLoader("provider_simulator", "pages"), autoescape=True, undefined=StrictUndefined, trim_blocks=True
)
DEFAULT_USER = "avery"


@dataclass(frozen=True, slots=True)
class Brand:
    title: str
    color: str
    mark: str
    accounts_word: str = "ad accounts"


@dataclass(frozen=True, slots=True)
class Scope:
    """`fixed`: cannot be unticked."""

    id: str
    words: str
    fixed: bool = False


@dataclass(frozen=True, slots=True)
class Ask:
    """What the page asks for. `pick` off: the person cannot choose among the accounts; `one`: exactly one of them."""

    brand: Brand
    app_name: str
    scopes: list[Scope]
    provider: str
    pick: bool = True
    one: bool = False


@dataclass(frozen=True, slots=True)
class Decision:
    """`accounts` and `scopes` None: all of them, nothing was unticked."""

    person: Person
    allow: bool
    accounts: list[str] | None
    scopes: list[str] | None


class ConsentError(Exception):
    """The form was filled in wrongly; the message says how."""


def page(call: Call, ask: Ask) -> web.Response:
    people = call.world.people
    person = people.get(call.query.get("_user", DEFAULT_USER)) or next(iter(people.values()))
    return _html(
        "consent.html",
        brand=ask.brand,
        ask=ask,
        person=person,
        accounts=person.reachable(ask.provider),
        others=[(p, _with_user(call, p.key)) for p in people.values() if p.key != person.key],
        action=_with_user(call, None),
    )


def error_page(brand: Brand, title: str, detail: str, status: int = 400) -> web.Response:
    """What a platform shows when it will not even ask, because the link itself is wrong."""
    return _html("error.html", status, brand=brand, title=title, detail=detail)


async def answered(call: Call, ask: Ask) -> Decision:
    """The person's decision once the form comes back; until then the reply is the page."""
    if call.request.method == "GET":
        raise Reply(page(call, ask))
    try:
        return await decide(call, ask)
    except ConsentError as error:
        raise Reply(error_page(ask.brand, "Something is missing", str(error))) from None


async def decide(call: Call, ask: Ask) -> Decision:
    """Read the posted form; a ConsentError for what a person could not have ticked."""
    fields = parse_qsl((await call.body()).decode("utf-8", "replace"), keep_blank_values=True)

    def listed(name: str) -> list[str]:
        return [value for key, value in fields if key == name]

    single = dict(fields)
    person = call.world.people.get(single.get("user", DEFAULT_USER))
    if person is None:
        raise ConsentError(f"nobody here is called {single.get('user')}")
    decision = single.get("decision", "allow")
    if decision not in {"allow", "deny"}:
        raise ConsentError(f"decision is allow or deny, not {decision}")
    reachable = [a.id for a in person.reachable(ask.provider)]
    accounts = _picked(listed("accounts"), reachable, "accounts_shown" in single, f"an account of {person.key}")
    asked = [s.id for s in ask.scopes]
    scopes = _picked(listed("scopes"), asked, "scopes_shown" in single, "asked for")
    if scopes is not None:
        scopes = [s.id for s in ask.scopes if s.fixed or s.id in scopes]
    return Decision(person, decision == "allow", accounts, scopes)


def _picked(ticked: list[str], there: list[str], shown: bool, what: str) -> list[str] | None:
    if strange := [t for t in ticked if t not in there]:
        raise ConsentError(f"{strange[0]} is not {what}")
    if set(ticked) == set(there):
        return None
    return ticked if ticked or shown else None


def redirect(uri: str, parameters: Iterable[tuple[str, str | None]], fragment: str = "") -> web.Response:
    """302 to the app, with `parameters` added to its own query."""
    parts = urlsplit(uri)
    query = parse_qsl(parts.query, keep_blank_values=True) + [(k, v) for k, v in parameters if v is not None]
    location = urlunsplit((parts.scheme, parts.netloc, parts.path, urlencode(query), fragment))
    return web.Response(status=302, headers={"Location": location, "Cache-Control": "no-store"})


def _with_user(call: Call, user: str | None) -> str:
    query = [(k, v) for k, v in call.query.items() if k != "_user"]
    return "?" + urlencode(query + ([] if user is None else [("_user", user)]))


def _html(template: str, status: int = 200, **values: Any) -> web.Response:
    return web.Response(
        status=status,
        text=PAGES.get_template(template).render(**values),
        content_type="text/html",
        headers={"Cache-Control": "no-store", "X-Frame-Options": "DENY"},
    )
