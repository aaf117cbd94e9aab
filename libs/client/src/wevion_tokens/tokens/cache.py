"""Access tokens that may be used again: not beyond their end, and not after something happened to their connection."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

MOST = 50_000
"""So many accounts are remembered; beyond it, those that were asked for first are forgotten."""


class AccountToken(BaseModel):
    """A token to call a platform with, now, for one account. Ask again for the next call; never store it."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    account_id: UUID
    external_id: str = Field(description="the platform's id of the account")
    connection_id: UUID = Field(description="the `token_id` of events")
    workspace_id: UUID
    provider: str
    access_token: str = Field(repr=False)
    header: str = Field(description="the header that carries it")
    scheme: str = Field(description="what stands before the token in that header; may be empty")
    expires_at: datetime | None = None
    status: str
    stale_refresh: bool = Field(description="refreshing fails for now; this older token still works")
    missing_scopes: tuple[str, ...] = ()
    details: dict[str, str] = Field(default_factory=dict, description="such as login_customer_id")

    @property
    def headers(self) -> dict[str, str]:
        """Return the header to send, ready for a call to the platform."""
        return {self.header: f"{self.scheme} {self.access_token}".lstrip()}


@dataclass(slots=True)
class HeldToken:
    """A token with the seconds (on the monotonic clock) between which it may be given out."""

    token: AccountToken
    came_at: float
    ends_at: float


@dataclass(slots=True)
class TokenCache:
    """Pure but for the clock that callers read.

    Args:
        margin_s: a token is not given out in its last seconds.
        unfollowed_s: how long a token is kept while nobody tells that it was revoked.
        in_step: whether changes of connections are being told at this moment.

    """

    margin_s: float
    unfollowed_s: float
    in_step: Callable[[], bool] = lambda: False
    _held: dict[UUID | str, HeldToken] = field(default_factory=dict)
    _accounts: dict[str, set[UUID]] = field(default_factory=dict)  # by connection
    _changes: int = 0
    _changed: dict[str, int] = field(default_factory=dict)  # connection or account -> its last change, for flights
    _flights: int = 0

    def find(self, account_id: UUID | str, min_ttl_s: float, now: float) -> AccountToken | None:
        """Return a token that is good for `min_ttl_s` more seconds, if there is one."""
        held = self._held.get(account_id)
        if held is None or held.ends_at - now <= (max(self.margin_s, min_ttl_s)):
            return None
        if now - held.came_at > self.unfollowed_s and not self.in_step():
            return None
        return held.token

    def begin(self) -> int:
        """Note that a token is being asked for; what comes is compared with what changes from here on."""
        self._flights += 1
        return self._changes

    def end(self) -> None:
        """Note that it was answered, or not."""
        self._flights -= 1
        if not self._flights:
            self._changed.clear()

    def is_outdated(self, token: AccountToken, begun: int) -> bool:
        """Return whether something happened to the connection or the account after this flight had begun."""
        if not self._changed:
            return False
        about = (str(token.connection_id), str(token.account_id))
        return any(self._changed.get(each, 0) > begun for each in about)

    def put(self, token: AccountToken, came_at: float, left_s: float | None) -> None:
        """Keep a token that has `left_s` seconds from `came_at` on; None where the platform states no end."""
        ends_at = came_at + left_s if left_s is not None else float("inf")
        held = HeldToken(token, came_at, ends_at)
        if len(self._held) >= 2 * MOST:
            self._forget(next(iter(self._held.values())).token)
        self._held[token.account_id] = held
        self._held[str(token.account_id)] = held
        self._accounts.setdefault(str(token.connection_id), set()).add(token.account_id)

    def drop(self, about: str) -> None:
        """Forget the tokens of a connection, or of one account: something happened to it."""
        self._changes += 1
        if self._flights:
            self._changed[about] = self._changes
        for account_id in tuple(self._accounts.get(about, ())):
            self._forget(self._held[account_id].token)
        if (held := self._held.get(about)) is not None:
            self._forget(held.token)

    def clear(self) -> None:
        """Forget all of them, such as when it is not known what was missed."""
        self._held.clear()
        self._accounts.clear()

    def _forget(self, token: AccountToken) -> None:
        for key in (token.account_id, str(token.account_id)):
            self._held.pop(key, None)
        accounts = self._accounts.get(str(token.connection_id))
        if accounts is not None:
            accounts.discard(token.account_id)
            if not accounts:
                del self._accounts[str(token.connection_id)]
