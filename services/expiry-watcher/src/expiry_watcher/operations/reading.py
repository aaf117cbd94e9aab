"""Read the inventory for a caller."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from common.contracts import TokenKind, TokenStatus
from expiry_watcher.core.history import HistoryEvent
from expiry_watcher.core.tracked import TokenFilters, TokenScope, TrackedToken
from expiry_watcher.operations.deps import Deps
from expiry_watcher.store import history, queries

HISTORY_LIMIT = 200


@dataclass(frozen=True, slots=True)
class TokenStory:
    """A token and the latest of what happened to it, newest first."""

    token: TrackedToken
    history: list[HistoryEvent]


async def list_tokens(
    deps: Deps, scope: TokenScope, filters: TokenFilters, *, after: UUID | None, limit: int, now: datetime
) -> list[TrackedToken]:
    """Return tokens that a caller may see, in the order in which they came into being.

    Args:
        deps: what operations work with.
        scope: what the caller may see.
        filters: which of those tokens.
        after: the last token of the page before; None: the first page.
        limit: how many at most.
        now: the moment whose status is shown.

    """
    return await queries.page(deps.pool, scope, filters, now=now, after=after, limit=limit)


async def count_tokens(deps: Deps, scope: TokenScope, now: datetime) -> dict[tuple[TokenKind, TokenStatus], int]:
    """Count the tokens that a caller may see, by kind and by their status at `now`."""
    return await queries.counts(deps.pool, scope, now=now)


async def read_story(deps: Deps, scope: TokenScope, token_id: UUID, now: datetime) -> TokenStory | None:
    """Return a token with its history; None if there is none that the caller may see.

    Args:
        deps: what operations work with.
        scope: what the caller may see.
        token_id: the token.
        now: the moment whose status is shown.

    """
    token = await queries.one(deps.pool, scope, token_id, now=now)
    if token is None:
        return None
    return TokenStory(token, await history.read(deps.pool, token_id, HISTORY_LIMIT))
