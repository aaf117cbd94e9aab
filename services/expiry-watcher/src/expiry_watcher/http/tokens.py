"""The inventory: list, one token with its history."""

import re
from datetime import timedelta
from typing import Annotated
from uuid import UUID

from pydantic import AfterValidator, BaseModel, Field

from common.contracts import TokenKind, TokenStatus
from common.runtime.clock import Clock
from common.web import Access, Page, PageQuery, Principal, Problem, Routes, decode_cursor, encode_cursor
from expiry_watcher.core.tracked import TokenFilters
from expiry_watcher.http.callers import scope_of, scope_of_one
from expiry_watcher.http.views import CountView, TokenDetail, TokenView, token_detail, token_view
from expiry_watcher.operations import Deps, count_tokens, list_tokens, read_story

SCOPE = "tokens:read"
_SPAN = re.compile(r"([1-9][0-9]{0,3})([dhm])")
_UNITS = {"d": timedelta(days=1), "h": timedelta(hours=1), "m": timedelta(minutes=1)}


def _check_span(value: str) -> str:
    if _SPAN.fullmatch(value) is None:
        raise ValueError("is a whole number of days, hours or minutes, such as 7d, 6h or 30m")
    return value


class TokensQuery(PageQuery):
    """Filters of the list."""

    workspace_id: UUID | None = Field(default=None, description="services and support admins: which workspace")
    kind: TokenKind | None = None
    provider: str | None = Field(default=None, min_length=1, max_length=64)
    status: TokenStatus | None = None
    account: UUID | None = Field(default=None, description="tokens that give access to this account")
    expiring_within: Annotated[str, AfterValidator(_check_span)] | None = Field(
        default=None, description="alive, and full expiry at most this far away, such as 7d", examples=["7d"]
    )


class TokenPage(Page[TokenView]):
    """One page of tokens, and how many there are."""

    counts: list[CountView] | None = Field(
        default=None, description="all tokens that the caller can see, by kind and status; on the first page only"
    )


class TokenPath(BaseModel):
    """Names one token."""

    token_id: UUID


def token_routes(deps: Deps, clock: Clock) -> Routes:
    """Return the endpoints of the inventory."""
    r = Routes("tokens")

    @r.get(
        "/api/v1/tokens",
        access=Access.user_or_service(SCOPE),
        summary="Every token of a workspace, of all four kinds",
        problems=(400, 403),
    )
    async def tokens(query: TokensQuery, principal: Principal) -> TokenPage:
        scope, now = scope_of(principal, query.workspace_id), clock.now()
        within = _span(query.expiring_within)
        filters = TokenFilters(
            kind=query.kind,
            provider=query.provider,
            status=query.status,
            account_id=query.account,
            expires_before=None if within is None else now + within,
        )
        chosen = (query.kind, query.provider, query.status, query.account, query.expiring_within)
        listing = f"tokens:{scope.workspace_id}:{':'.join(map(str, chosen))}"
        after = decode_cursor(listing, query.cursor, (UUID,))
        found = await list_tokens(
            deps, scope, filters, after=after[0] if after else None, limit=query.limit + 1, now=now
        )
        counts = await count_tokens(deps, scope, now) if after is None else None
        shown = found[: query.limit]
        return TokenPage(
            items=[token_view(token, now, deps.public_url) for token in shown],
            next_cursor=encode_cursor(listing, [shown[-1].token_id]) if len(found) > query.limit else None,
            counts=None
            if counts is None
            else [CountView(kind=kind, status=status, count=count) for (kind, status), count in sorted(counts.items())],
        )

    @r.get(
        "/api/v1/tokens/{token_id}",
        access=Access.user_or_service(SCOPE),
        summary="One token with its history in words",
        problems=((404, "token_unknown"),),
    )
    async def token(path: TokenPath, principal: Principal) -> TokenDetail:
        now = clock.now()
        found = await read_story(deps, scope_of_one(principal), path.token_id, now)
        if found is None:
            # The same answer for "of another workspace": ids of strangers are not confirmed.
            raise Problem(404, "token_unknown", detail="there is no such token in your workspace")
        return token_detail(found.token, found.history, now, deps.public_url)

    return r


def _span(text: str | None) -> timedelta | None:
    match = _SPAN.fullmatch(text) if text else None
    return None if match is None else int(match[1]) * _UNITS[match[2]]
