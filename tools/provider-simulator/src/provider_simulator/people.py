"""The people who own ad accounts, and what each of them has at each platform.

Ids never depend on the seed: a test may name `act_1000000001` in its text.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import Any

ACCOUNT_PROVIDERS = ("meta", "google-ads", "tiktok", "taboola", "snapchat", "outbrain", "stripe", "rfc6749")
MANAGED_SHARE = 2  # every second Google Ads customer of a person hangs under that person's manager account


@dataclass(slots=True)
class Account:
    """One ad account (advertiser, marketer, Stripe account) as its platform knows it."""

    id: str
    name: str
    currency: str = "EUR"
    timezone: str = "Europe/Berlin"
    active: bool = True
    lost: bool = False  # the person's access to it was taken away; a new consent does not bring it back
    extra: dict[str, Any] = field(default_factory=dict)


@dataclass(slots=True)
class Person:
    """Somebody with logins at the platforms.

    `password` is what Outbrain's login asks for; `secret` is the client secret that a Taboola manager handed out.
    """

    key: str
    name: str
    email: str
    password: str
    accounts: dict[str, list[Account]]

    def subject(self, provider: str) -> str:
        """The platform's own id of this person (Meta's is app-scoped; one app here)."""
        return number(f"{provider}/{self.key}", 21 if provider == "google" else 16)

    def account(self, provider: str, account_id: str) -> Account | None:
        return next((a for a in self.accounts.get(provider, ()) if a.id == account_id), None)

    def reachable(self, provider: str) -> list[Account]:
        return [a for a in self.accounts.get(provider, ()) if not a.lost]


def number(text: str, digits: int) -> str:
    value = int.from_bytes(hashlib.sha256(text.encode()).digest()[:12], "big")
    return str(10 ** (digits - 1) + value % (9 * 10 ** (digits - 1)))


def _account(provider: str, key: str, brand: str, index: int) -> Account:
    text = f"{provider}/{key}/{index}"
    name = f"{brand} {_MARKETS[index % len(_MARKETS)]}" + (f" {index + 1}" if index >= len(_MARKETS) else "")
    currency, timezone = ("EUR", "Europe/Berlin") if index % 2 == 0 else ("USD", "America/New_York")
    ids = {
        "meta": lambda: "act_" + number(text, 15),
        "google-ads": lambda: number(text, 10),
        "tiktok": lambda: number(text, 19),
        "taboola": lambda: f"{key}-{_MARKETS[index % len(_MARKETS)].lower().replace(' ', '')}-{index + 1}",
        "snapchat": lambda: _uuid(text),
        "outbrain": lambda: "00" + hashlib.sha256(text.encode()).hexdigest()[:32],
        "stripe": lambda: "acct_1" + hashlib.sha256(text.encode()).hexdigest()[:15].upper(),
        "rfc6749": lambda: "acc-" + number(text, 8),
    }
    return Account(ids[provider](), name, currency, timezone, extra={"number": int(number(text, 7))})


def _uuid(text: str) -> str:
    h = hashlib.sha256(text.encode()).hexdigest()
    return f"{h[:8]}-{h[8:12]}-4{h[13:16]}-a{h[17:20]}-{h[20:32]}"


_MARKETS = ("Germany", "France", "Nordics", "Spain", "Italy", "Poland", "Benelux", "UK", "Ireland", "Austria")


def make_person(key: str, name: str, email: str, brand: str, counts: dict[str, int]) -> Person:
    """A person with `counts[provider]` accounts at each platform."""
    accounts = {p: [_account(p, key, brand, i) for i in range(counts.get(p, 0))] for p in ACCOUNT_PROVIDERS}
    for index, customer in enumerate(accounts["google-ads"]):
        # A person reaches one part directly and the rest through a manager account, as agencies do.
        customer.extra["managed"] = index % MANAGED_SHARE == 1
    return Person(key, name, email, f"pw-{key}-2026", accounts)


def seeded() -> dict[str, Person]:
    """Avery (three Meta accounts), Jordan (another person in another team), and an agency with 20 accounts."""
    some = {"google-ads": 4, "tiktok": 3, "taboola": 3, "snapchat": 3, "outbrain": 2, "stripe": 1, "rfc6749": 2}
    people = (
        make_person("avery", "Avery Lindt", "avery@northwind.example", "Northwind", {"meta": 3, **some}),
        make_person("jordan", "Jordan Okafor", "jordan@kestrel.example", "Kestrel", {**some, "meta": 2}),
        make_person(
            "agency",
            "Morgan Reed",
            "morgan@brightside.example",
            "Brightside",
            {p: 20 for p in ACCOUNT_PROVIDERS if p != "stripe"} | {"stripe": 1},
        ),
        make_person("newcomer", "Sam Berg", "sam@fresh.example", "Fresh", {}),
    )
    return {p.key: p for p in people}
