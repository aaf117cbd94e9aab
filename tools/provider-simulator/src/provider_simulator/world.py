"""Everything the simulated platforms remember, in one place that the handlers share."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from provider_simulator import people as everybody
from provider_simulator.apps import App, Apps, default_apps
from provider_simulator.clock import SimClock
from provider_simulator.faults import Faults
from provider_simulator.grants import Grant, Grants
from provider_simulator.journal import Journal
from provider_simulator.ledger import Ledger
from provider_simulator.limits import Limits
from provider_simulator.people import Account, Person
from provider_simulator.randomness import Randomness
from provider_simulator.webhooks import Webhooks

if TYPE_CHECKING:
    from provider_simulator.settings import Settings


class Switched(Protocol):
    """What the world has to know of a platform: its switches with their defaults, and how it forgets."""

    lifetimes: ClassVar[dict[str, float | None]]
    modes: ClassVar[dict[str, Any]]

    def reset(self) -> None:
        """Forget what is kept outside of the world."""


class UnknownNameError(Exception):
    """A lifetime, mode or provider that does not exist; the message lists the ones that do."""


class World:
    def __init__(self, settings: Settings, clock: SimClock | None = None) -> None:
        self.settings = settings
        self.clock = clock or SimClock()
        self.journal = Journal(settings.state_file)
        found = self.journal.read()
        boot = int(found.get("boot", {}).get("boot", -1)) + 1
        self.randomness = Randomness(settings.seed, boot)
        self.grants = Grants(lambda grant: self.journal.mark("grants", grant.id))
        self.ledger = Ledger()
        self.faults = Faults(Randomness(settings.seed))
        self.limits = Limits()
        self.webhooks = Webhooks()
        self.apps = Apps()
        self.people: dict[str, Person] = {}
        self.platforms: dict[str, Switched] = {}
        self.mail: dict[str, dict[str, Any]] = {}
        self.mail_came = asyncio.Event()
        self.chats: dict[str, dict[str, Any]] = {}
        self._overrides: dict[str, dict[str, Any]] = {}
        self._own_apps: set[str] = set()
        self._dumps()
        self._seed()
        self._load(found)
        self.journal.start({**self._all(), "boot": {"boot": boot}})

    # -- what is remembered over a restart

    def _dumps(self) -> None:
        def grant(key: str) -> Any:
            return None if (g := self.grants.get(key)) is None else self.grants.dump(g)

        def person(key: str) -> Any:
            return dataclasses.asdict(self.people[key]) if key in self.people else None

        self.journal.section("grants", grant)
        self.journal.section("apps", self._app)
        self.journal.section("people", person)
        self.journal.section("overrides", self._overrides.get)
        self.journal.section("clock", lambda _key: self.clock.offset_s)
        self.journal.section("mail", self.mail.get)
        self.journal.section("chats", self.chats.get)

    def _all(self) -> dict[str, dict[str, Any]]:
        return {
            "grants": {g.id: self.grants.dump(g) for g in self.grants},
            # Untouched ones are made from the settings at each start: the product's address may be another then.
            "apps": {key: self._app(key) for key in sorted(self._own_apps)},
            "people": {p.key: dataclasses.asdict(p) for p in self.people.values()},
            "overrides": dict(self._overrides),
            "clock": {"offset_s": self.clock.offset_s},
            "mail": dict(self.mail),
            "chats": dict(self.chats),
        }

    def _seed(self) -> None:
        self.people.update(everybody.seeded())
        for app in default_apps(self.settings.public_url):
            self.apps.put(app)

    def _load(self, found: dict[str, dict[str, Any]]) -> None:
        for document in found.get("people", {}).values():
            accounts = {p: [Account(**a) for a in listed] for p, listed in document.pop("accounts").items()}
            person = Person(**document, accounts=accounts)
            self.people[person.key] = person
        for key, document in found.get("apps", {}).items():
            self.apps.put(App(**document))
            self._own_apps.add(key)
        for document in found.get("grants", {}).values():
            self.grants.load(document)
        for grant in self.grants:
            if grant.presented_twice:
                self.ledger.presented_twice[grant.id] = grant.presented_twice
        self._overrides.update(found.get("overrides", {}))
        self.clock.offset_s = float(found.get("clock", {}).get("offset_s", 0.0))
        self.mail.update(found.get("mail", {}))
        self.chats.update(found.get("chats", {}))

    def reset(self) -> None:
        """As at the first start: seeded people and apps, no grants, no faults, no mail, the real time."""
        for section, things in self._all().items():
            for key in things:
                self.journal.mark(section, key)
        self.grants.clear()
        self.ledger.clear()
        self.faults.lift()
        self.limits.clear()
        self.webhooks.clear()
        self.apps.clear()
        self._own_apps.clear()
        self.people.clear()
        self._overrides.clear()
        self.mail.clear()
        self.chats.clear()
        self.clock.offset_s = 0.0
        self._seed()
        for platform in set(self.platforms.values()):
            platform.reset()

    # -- switches

    def lifetime(self, provider: str, name: str) -> float | None:
        """Seconds; None: no end."""
        override = self._overrides.get(provider)
        if override is not None and name in override:
            value: float | None = override[name]
            return value
        return self.platforms[provider].lifetimes[name]

    def mode(self, provider: str, name: str) -> Any:
        override = self._overrides.get(provider)
        if override is not None and name in override:
            return override[name]
        return self.platforms[provider].modes[name]

    def set_switches(self, provider: str, kind: str, values: dict[str, Any]) -> dict[str, Any]:
        """Set lifetimes or modes of a provider; what now holds. Unknown names are refused."""
        known = self.switches(provider, kind)
        if unknown := sorted(set(values) - set(known)):
            raise UnknownNameError(
                f"{provider} has no {kind} {', '.join(unknown)}; it has {', '.join(known) or 'none'}"
            )
        self._overrides.setdefault(provider, {}).update(values)
        self.journal.mark("overrides", provider)
        return self.switches(provider, kind)

    def switches(self, provider: str, kind: str) -> dict[str, Any]:
        platform = self.platform(provider)
        defaults = platform.lifetimes if kind == "lifetimes" else platform.modes
        return {name: self._overrides.get(provider, {}).get(name, value) for name, value in defaults.items()}

    def platform(self, provider: str) -> Switched:
        if (platform := self.platforms.get(provider)) is None:
            raise UnknownNameError(f"no provider {provider}; there are {', '.join(sorted(self.platforms))}")
        return platform

    # -- people and what their grants reach

    def person_of(self, grant: Grant) -> Person:
        return self.people[grant.person]

    def reached(self, grant: Grant) -> list[Account]:
        """The accounts that this grant opens now: picked by the person, and not lost since."""
        return [a for a in self.people[grant.person].reachable(grant.provider) if grant.covers(a.id)]

    def touched(self, person: Person) -> None:
        self.journal.mark("people", person.key)

    def put_app(self, app: App) -> None:
        key = f"{app.provider} {app.client_id}"
        self.apps.put(app)
        self._own_apps.add(key)
        self.journal.mark("apps", key)

    def remove_app(self, provider: str, client_id: str) -> bool:
        key = f"{provider} {client_id}"
        self._own_apps.discard(key)
        self.journal.mark("apps", key)
        return self.apps.remove(provider, client_id)

    def _app(self, key: str) -> Any:
        provider, _, client_id = key.partition(" ")
        return None if (app := self.apps.get(provider, client_id)) is None else app.model_dump()

    def matching(self, provider: str, name: str) -> list[Grant]:
        """Grants by id, or the living ones of a person's key; `*`: all living ones."""
        grant = self.grants.get(name)
        if grant is not None and grant.provider == provider:
            return [grant]
        living = self.grants.alive(provider)
        return living if name == "*" else [g for g in living if g.person == name]

    def newest(self, grants: Iterable[Grant]) -> Grant | None:
        return max(grants, key=lambda g: g.created_at, default=None)
