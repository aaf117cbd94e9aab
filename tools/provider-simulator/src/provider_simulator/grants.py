"""Grants and the tokens that were given out under them: what a platform remembers about one person and one app.

A grant ends once and stays ended; a new consent opens a new one. Tokens are found by their value in one dictionary,
because a platform's token endpoint must stay cheap under thousands of requests a second.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

Kind = Literal["code", "access", "refresh"]

KEEP_TOKENS_PER_GRANT = 96  # spent ones are kept this long, so that a reuse is recognised; then forgotten


@dataclass(slots=True)
class Token:
    """`expires_at` None: no end. `spent_at`: when a single-use token was taken. `dead`: why it alone was revoked."""

    value: str
    kind: Kind
    grant: Grant
    issued_at: float
    expires_at: float | None
    single_use: bool = False
    spent_at: float | None = None
    dead: str | None = None
    extra: dict[str, Any] = field(default_factory=dict)

    def expired(self, now: float) -> bool:
        return self.expires_at is not None and now >= self.expires_at

    def usable(self, now: float) -> bool:
        """Alive by itself and by its grant."""
        return self.dead is None and self.spent_at is None and self.grant.ended_at is None and not self.expired(now)


@dataclass(slots=True, eq=False)
class Grant:
    """`accounts` None: everything that the person reaches, now and later; a list: the ones that were picked."""

    id: str
    provider: str
    client_id: str
    person: str
    scopes: list[str]
    accounts: list[str] | None
    created_at: float
    last_active_at: float
    ended_at: float | None = None
    cause: str | None = None
    presented_twice: int = 0
    tokens: list[Token] = field(default_factory=list)
    extra: dict[str, Any] = field(default_factory=dict)

    @property
    def alive(self) -> bool:
        return self.ended_at is None

    def covers(self, account_id: str) -> bool:
        return self.accounts is None or account_id in self.accounts


class Grants:
    def __init__(self, on_change: Callable[[Grant], None] | None = None) -> None:
        self._by_id: dict[str, Grant] = {}
        self._tokens: dict[str, Token] = {}
        self._by_person: dict[tuple[str, str], list[Grant]] = {}
        self.changed: Callable[[Grant], None] = on_change or (lambda _grant: None)

    def __iter__(self) -> Iterator[Grant]:
        return iter(self._by_id.values())

    def __len__(self) -> int:
        return len(self._by_id)

    def get(self, grant_id: str) -> Grant | None:
        return self._by_id.get(grant_id)

    def find(self, value: str) -> Token | None:
        return self._tokens.get(value)

    def alive(self, provider: str, *, client_id: str | None = None, person: str | None = None) -> list[Grant]:
        grants = self.of(provider, person) if person is not None else self._by_id.values()
        return [
            g
            for g in grants
            if g.provider == provider and g.ended_at is None and (client_id is None or g.client_id == client_id)
        ]

    def of(self, provider: str, person: str) -> list[Grant]:
        """Living and ended, in the order in which they were opened."""
        return self._by_person.get((provider, person), [])

    def open(
        self,
        provider: str,
        client_id: str,
        person: str,
        *,
        now: float,
        scopes: Iterable[str] = (),
        accounts: list[str] | None = None,
        extra: dict[str, Any] | None = None,
    ) -> Grant:
        siblings = self._by_person.setdefault((provider, person), [])
        name = f"{provider}-{person}-{len(siblings) + 1}"
        grant = Grant(name, provider, client_id, person, list(scopes), accounts, now, now, extra=extra or {})
        self._by_id[grant.id] = grant
        siblings.append(grant)
        self.changed(grant)
        return grant

    def issue(
        self,
        grant: Grant,
        kind: Kind,
        value: str,
        *,
        now: float,
        lifetime_s: float | None,
        single_use: bool = False,
        extra: dict[str, Any] | None = None,
    ) -> Token:
        expires_at = None if lifetime_s is None else now + lifetime_s
        token = Token(value, kind, grant, now, expires_at, single_use, extra=extra or {})
        self._tokens[value] = token
        grant.tokens.append(token)
        if len(grant.tokens) > KEEP_TOKENS_PER_GRANT:
            self._prune(grant, now)
        self.changed(grant)
        return token

    def _prune(self, grant: Grant, now: float) -> None:
        """Forget the older half, but never a refresh token or code that still works."""
        usable = {id(t) for t in grant.tokens if t.usable(now) and t.kind != "access"}
        keep = grant.tokens[-KEEP_TOKENS_PER_GRANT // 2 :]
        kept = [t for t in grant.tokens[: -KEEP_TOKENS_PER_GRANT // 2] if id(t) in usable]
        for token in grant.tokens[: -KEEP_TOKENS_PER_GRANT // 2]:
            if id(token) not in usable:
                self._tokens.pop(token.value, None)
        grant.tokens = kept + keep

    def end(self, grant: Grant, cause: str, now: float) -> bool:
        """True the first time."""
        if grant.ended_at is not None:
            return False
        grant.ended_at, grant.cause = now, cause
        self.changed(grant)
        return True

    def clear(self) -> None:
        self._by_id.clear()
        self._tokens.clear()
        self._by_person.clear()

    def dump(self, grant: Grant) -> dict[str, Any]:
        document = {f.name: getattr(grant, f.name) for f in dataclasses.fields(grant) if f.name != "tokens"}
        document["tokens"] = [
            {f.name: getattr(t, f.name) for f in dataclasses.fields(t) if f.name != "grant"} for t in grant.tokens
        ]
        return document

    def load(self, document: dict[str, Any]) -> None:
        tokens = document.pop("tokens")
        grant = Grant(**document)
        grant.tokens = [Token(grant=grant, **t) for t in tokens]
        self._by_id[grant.id] = grant
        self._tokens |= {t.value: t for t in grant.tokens}
        self._by_person.setdefault((grant.provider, grant.person), []).append(grant)
