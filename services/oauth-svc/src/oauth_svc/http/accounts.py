"""Accounts: list, and verify one at the platform now."""

from uuid import UUID

from pydantic import BaseModel, Field

from common.contracts import DetectedBy
from common.web import Access, Page, PageQuery, Principal, Routes, decode_cursor, encode_cursor
from oauth_svc.http.refusals import as_problems, caller_of
from oauth_svc.http.views import AccountView, account_view
from oauth_svc.operations.deps import Deps
from oauth_svc.operations.engine.refreshing import Engine
from oauth_svc.operations.serving import probe, reading


class AccountPath(BaseModel):
    """Which account."""

    id: UUID


class AccountsQuery(PageQuery):
    """Filters of the list."""

    connection_id: UUID | None = Field(default=None, description="only the accounts of this connection")


class Verification(BaseModel):
    """What the platform says about one account now."""

    account: AccountView
    verified: bool = Field(description="the platform confirmed this very account just now")
    reason: str | None = Field(default=None, description="class and code, when it did not")
    explanation: str


def routes(deps: Deps, engine: Engine) -> Routes:
    """Return the endpoints of this file."""
    r = Routes("accounts")

    @r.get("/api/v1/accounts", access=Access.user(), summary="The workspace's ad accounts, each with its status")
    async def accounts(query: AccountsQuery, principal: Principal) -> Page[AccountView]:
        listing = f"accounts:{query.connection_id}"
        after = decode_cursor(listing, query.cursor, (UUID,))
        found = await reading.accounts(
            deps,
            caller_of(principal).workspace_id,
            connection_id=query.connection_id,
            after=after[0] if after else None,
            limit=query.limit + 1,
        )
        items = [account_view(deps, account, connection) for account, connection in found[: query.limit]]
        more = len(found) > query.limit
        return Page(items=items, next_cursor=encode_cursor(listing, [items[-1].account_id]) if more else None)

    @r.post("/api/v1/accounts/{id}/verify", access=Access.user(), summary="Verify one account", problems=(404,))
    async def verify(path: AccountPath, principal: Principal) -> Verification:
        """Asks the platform about the grant and this account, and writes what changed."""
        with as_problems():
            account, connection = await reading.account(deps, caller_of(principal).workspace_id, path.id)
            finding = await probe.probe(deps, engine, connection.connection_id, DetectedBy.PROBE)
            account, connection = await reading.account(deps, caller_of(principal).workspace_id, path.id)
        view = account_view(deps, account, connection)
        failure = finding.failure
        if failure is None and view.usable and view.asked:
            words = f"{view.title} confirms access to {view.name}."
        elif connection.status.alive and (failure is not None or not view.asked):
            words = f"{view.title} could not be asked; it is tried again by itself."
        else:
            words = view.summary
        return Verification(
            account=view,
            verified=failure is None and view.usable and view.asked,
            reason=None if failure is None else f"{failure.verdict.value}:{failure.code}",
            explanation=words,
        )

    return r
