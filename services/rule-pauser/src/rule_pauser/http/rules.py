"""Rules: define, read, delete, pause, resume."""

from typing import Annotated
from uuid import UUID

from pydantic import BaseModel, Field, StringConstraints

from common.runtime.clock import Clock
from common.web import (
    Page,
    PageQuery,
    Principal,
    Problem,
    Routes,
    decode_cursor,
    encode_cursor,
    invalid_field,
)
from rule_pauser.core.errors import AccountsForbiddenError, RevisionConflictError, RuleForbiddenError, RuleUnknownError
from rule_pauser.core.pausing import PauseReason, Why
from rule_pauser.core.words import fix_words
from rule_pauser.http.callers import ANYONE, actor_of, named_workspace, visible_workspace
from rule_pauser.http.views import RuleDetail, RuleView, fix_url, rule_detail, rule_view
from rule_pauser.operations import (
    Deps,
    RuleDefinition,
    delete_rule,
    list_rules,
    pause_rule,
    put_rule,
    read_rule,
    resume_rule,
)

MOST_ACCOUNTS = 200
"""An agency has up to 200 ad accounts; a rule over more than all of them is a mistake."""


class RulePath(BaseModel):
    """Names one rule."""

    rule_id: UUID


class RuleBody(BaseModel):
    """A rule as its author wants it."""

    workspace_id: UUID | None = Field(default=None, description="services name the workspace; a user's is their own")
    name: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)]
    account_ids: list[UUID] = Field(min_length=1, max_length=MOST_ACCOUNTS, description="accounts that it works on")
    enabled: bool = True
    revision: int = Field(ge=1, le=2**53, description="higher with each edit; the same again is the same rule")


class RulesQuery(PageQuery):
    """Filters of the list."""

    workspace_id: UUID | None = Field(default=None, description="services: which workspace")
    account: UUID | None = Field(default=None, description="rules that work on this account")
    auto_paused: bool | None = Field(default=None, description="only rules that are, or are not, paused automatically")


UNKNOWN = (404, "rule_unknown")


def rule_routes(deps: Deps, clock: Clock) -> Routes:
    """Return the endpoints of rules."""
    r = Routes("rules")

    @r.get("/api/v1/rules", access=ANYONE, summary="The rules of a workspace", problems=(400, 403))
    async def rules(query: RulesQuery, principal: Principal) -> Page[RuleView]:
        workspace_id = named_workspace(principal, query.workspace_id, "query")
        listing = f"rules:{workspace_id}:{query.account}:{query.auto_paused}"
        after = decode_cursor(listing, query.cursor, (UUID,))
        found = await list_rules(
            deps,
            workspace_id,
            account_id=query.account,
            auto_paused=query.auto_paused,
            after=after[0] if after else None,
            limit=query.limit + 1,
        )
        shown = found[: query.limit]
        return Page(
            items=[rule_view(item, deps.public_url) for item in shown],
            next_cursor=encode_cursor(listing, [shown[-1].rule.rule_id]) if len(found) > query.limit else None,
        )

    @r.put(
        "/api/v1/rules/{rule_id}",
        access=ANYONE,
        summary="Define a rule, or send its next revision",
        problems=((400, "invalid_request"), (403, "forbidden"), (409, "revision_conflict")),
    )
    async def put(path: RulePath, body: RuleBody, principal: Principal) -> RuleDetail:
        wanted = RuleDefinition(
            rule_id=path.rule_id,
            workspace_id=named_workspace(principal, body.workspace_id, "body"),
            name=body.name,
            account_ids=tuple(sorted(set(body.account_ids))),
            enabled=body.enabled,
            revision=body.revision,
        )
        try:
            await put_rule(deps, wanted, actor_of(principal).name, clock.now())
        except (RevisionConflictError, AccountsForbiddenError, RuleForbiddenError) as error:
            raise _refused(error) from error
        return await _detail(deps, path.rule_id, wanted.workspace_id)

    @r.get("/api/v1/rules/{rule_id}", access=ANYONE, summary="One rule with its history", problems=(UNKNOWN,))
    async def get(path: RulePath, principal: Principal) -> RuleDetail:
        return await _detail(deps, path.rule_id, visible_workspace(principal))

    @r.delete("/api/v1/rules/{rule_id}", access=ANYONE, summary="Delete a rule", status=204, problems=(UNKNOWN,))
    async def delete(path: RulePath, principal: Principal) -> None:
        try:
            await delete_rule(deps, path.rule_id, visible_workspace(principal), actor_of(principal).name, clock.now())
        except RuleUnknownError as error:
            raise _unknown() from error

    return r


def person_routes(deps: Deps, clock: Clock) -> Routes:
    """Return the endpoints by which a person stops and starts a rule."""
    r = Routes("rules")

    @r.post("/api/v1/rules/{rule_id}/pause", access=ANYONE, summary="Pause a rule by hand", problems=(UNKNOWN,))
    async def pause(path: RulePath, principal: Principal) -> RuleDetail:
        workspace_id = visible_workspace(principal)
        try:
            await pause_rule(deps, path.rule_id, workspace_id, actor_of(principal), clock.now())
        except RuleUnknownError as error:
            raise _unknown() from error
        return await _detail(deps, path.rule_id, workspace_id)

    @r.post(
        "/api/v1/rules/{rule_id}/resume",
        access=ANYONE,
        summary="Resume a rule by hand",
        problems=(UNKNOWN, (409, "token_dead"), (409, "access_lost"), (409, "platform_incident")),
    )
    async def resume(path: RulePath, principal: Principal) -> RuleDetail:
        workspace_id = visible_workspace(principal)
        try:
            blocked = await resume_rule(deps, path.rule_id, workspace_id, actor_of(principal), clock.now())
        except RuleUnknownError as error:
            raise _unknown() from error
        if blocked is not None:
            raise _cannot_run(blocked.reason, deps.public_url)
        return await _detail(deps, path.rule_id, workspace_id)

    return r


async def _detail(deps: Deps, rule_id: UUID, workspace_id: UUID | None) -> RuleDetail:
    found = await read_rule(deps, workspace_id, rule_id)
    if found is None:
        raise _unknown()
    return rule_detail(found.listed, found.history, deps.public_url)


def _unknown() -> Problem:
    # The same answer for "of another workspace": ids of strangers are not confirmed.
    return Problem(404, "rule_unknown", detail="there is no such rule in your workspace")


def _refused(error: RevisionConflictError | AccountsForbiddenError | RuleForbiddenError) -> Problem:
    match error:
        case RevisionConflictError():
            return Problem(
                409,
                "revision_conflict",
                "The rule is stored in another revision",
                f"revision {error.revision} is stored, and what was sent is not newer",
                fix="Read the rule, apply the edit to it, and send a higher revision.",
                extra={"held_revision": error.revision},
            )
        case AccountsForbiddenError():
            count = len(error.account_ids)
            return invalid_field("account_ids", "foreign_account", f"{count} of them are not of this workspace")
        case RuleForbiddenError():
            return Problem(403, "forbidden", detail="this rule id is not yours")


def _cannot_run(reason: PauseReason, public_url: str) -> Problem:
    return Problem(
        409,
        reason.why if reason.why in {Why.ACCESS_LOST, Why.PLATFORM_INCIDENT} else "token_dead",
        "The rule cannot run now",
        reason.words,
        fix=fix_words(reason.why, reason.provider, reason.account_name),
        fix_url=fix_url(reason, public_url) or "",
        token_kind=reason.kind,
        token_id=reason.token_id,
        cause=reason.cause or reason.why,
    )
