"""Read, in one place and under locks, all that an occasion touches.

The locks are taken in one order: the subject (a token or an incident), conditions, notices, lines of deliveries.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from uuid import UUID

from common.contracts import (
    AccountAccessChangedV1,
    DataGapClosedV1,
    EventBody,
    PlatformIncidentV1,
    RulePausedV1,
    RuleResumedV1,
    TokenEvent,
    TokenIssuedV1,
    TokenRefreshedV1,
)
from common.postgres import Db
from notifier.core.conditions import Fact, incident_is_over
from notifier.core.drafting import FOLLOWED_UP, owner_alone
from notifier.core.notices import Condition
from notifier.core.planning import episodes, plan
from notifier.core.plans import (
    Delivered,
    FactFound,
    FactOver,
    Manner,
    Occasion,
    PeopleLearned,
    Readers,
    SettledByPerson,
    Snapshot,
)
from notifier.core.routing import Person
from notifier.operations import wishes
from notifier.operations.deps import Deps
from notifier.store import conditions, deliveries, notices, people, tokens

CHUNK = 2_000
"""One statement's worth of rows: larger ones would come near the limit on a statement's time."""


async def load(db: Db, deps: Deps, occasion: Occasion | EventBody, manner: Manner, now: datetime) -> Snapshot:
    """Read what an occasion touches, inside the caller's transaction.

    The people are read if the occasion tells something: a plan that is made without them says about what.

    Args:
        db: in the transaction that applies the plan.
        deps: the parts of the service.
        occasion: what happened.
        manner: how people are told.
        now: the present.

    Returns:
        The snapshot from which the plan is made.

    """
    snapshot = await _facts(db, deps, occasion, now)
    announced = plan(occasion, snapshot, manner, now).announced
    if not announced:
        return snapshot
    return replace(snapshot, audience=await _audience(db, deps, snapshot, announced, now))


async def _facts(db: Db, deps: Deps, occasion: Occasion | EventBody, now: datetime) -> Snapshot:
    match occasion:
        case TokenEvent():
            return await _of_token(db, occasion.token.token_id, occasion, now)
        case RulePausedV1() | RuleResumedV1() | DataGapClosedV1() | AccountAccessChangedV1():
            return await _of_token(db, occasion.token_id, occasion, now)
        case PlatformIncidentV1():
            return await _of_incident(db, deps, occasion, now)
        case PeopleLearned(workspace_id):
            found = await conditions.lock_incomplete(db, workspace_id)
        case SettledByPerson(code, owner_user_id):
            found = await conditions.lock_open_of_owner(db, code, owner_user_id)
        case FactFound(fact) | FactOver(fact):
            found = await conditions.lock_fact(db, fact)
        case Delivered():
            return await _of_delivered(db, occasion)
        case _:
            found = []
    return await _with_notices(db, Snapshot(), found)


async def _of_token(db: Db, token_id: UUID, occasion: Occasion | EventBody, now: datetime) -> Snapshot:
    await tokens.lock(db, token_id)
    token = await tokens.get(db, token_id)
    found = await conditions.lock_of_token(db, token_id, episodes(occasion, token, now))
    rules = await tokens.rules_that_stand_still(db, token_id)
    snapshot = Snapshot(tokens={token_id: token} if token is not None else {}, rules=rules)
    if isinstance(occasion, RulePausedV1 | RuleResumedV1):
        snapshot = replace(snapshot, rule_version=await tokens.rule_version(db, occasion.rule_id))
    if rules or isinstance(occasion, RulePausedV1):
        snapshot = replace(snapshot, rules_told_until=await conditions.rules_told_until(db, token_id))
    if isinstance(occasion, TokenEvent) and not isinstance(occasion, TokenIssuedV1 | TokenRefreshedV1):
        incident_id = await conditions.open_incident(db, occasion.token.provider)
        snapshot = replace(snapshot, incident_id=incident_id)
    return await _with_notices(db, snapshot, found)


async def _of_incident(db: Db, deps: Deps, incident: PlatformIncidentV1, now: datetime) -> Snapshot:
    await tokens.lock(db, incident.incident_id)
    version = await conditions.incident_version(db, incident.incident_id)
    snapshot = Snapshot(incident_version=version)
    if version >= incident.version:
        return snapshot
    found = await conditions.lock_of_incident(db, incident.incident_id)
    if incident_is_over(incident.state):
        held = await tokens.get_many(db, {condition.fact.subject_id for condition in found})
        return await _with_notices(db, replace(snapshot, tokens=held), found)
    makers = await tokens.makers_by_workspace(db, incident.provider, incident.workspace_ids)
    named = {workspace: makers.get(workspace, frozenset()) for workspace in {*makers, *incident.workspace_ids}}
    snapshot = await _with_notices(db, replace(snapshot, makers=named), found)
    fresh = await conditions.lock_fresh_dead(db, incident.provider, now - deps.incident_lookback)
    return replace(snapshot, conditions=(*snapshot.conditions, *fresh))


async def _of_delivered(db: Db, occasion: Delivered) -> Snapshot:
    found = await conditions.of_notices(db, occasion.notice_ids)
    over = [condition.condition_id for condition in found if condition.resolution in FOLLOWED_UP]
    return Snapshot(
        conditions=tuple(found),
        notices=await notices.lock_these(db, occasion.notice_ids, found),
        reached=await deliveries.unanswered(db, over) if over else {},
    )


async def _with_notices(db: Db, snapshot: Snapshot, found: Sequence[Condition]) -> Snapshot:
    if not found:
        return snapshot
    return replace(
        snapshot,
        conditions=tuple(found),
        notices=await notices.lock_of_conditions(db, found),
        reached=await deliveries.unanswered(db, [condition.condition_id for condition in found]),
    )


async def _audience(db: Db, deps: Deps, snapshot: Snapshot, announced: Sequence[Fact], now: datetime) -> Readers:
    """The people of all workspaces in question, their wishes, how they are reached, and what they were sent lately."""
    workspaces = {*snapshot.makers, *(fact.workspace_id for fact in announced if fact.workspace_id is not None)}
    everybody = await people.of_workspaces(db, workspaces)
    everybody += await wishes.workspaces_reached(db, deps, list(workspaces))
    by_workspace: dict[UUID, list[Person]] = {}
    for person in everybody:
        by_workspace.setdefault(person.workspace_id, []).append(person)
    audience = Readers(
        people={workspace: tuple(members) for workspace, members in by_workspace.items()},
        known=await people.known(db, workspaces),
    )
    subjects = {fact.subject_id for fact in announced}
    since = now - max(deps.pace.cooldown, deps.pace.digest_window)
    for fact in announced:
        if fact.workspace_id not in audience.known:
            everybody += owner_alone(fact)
    for start in range(0, len(everybody), CHUNK):
        some = everybody[start : start + CHUNK]
        user_ids = [person.user_id for person in some]
        audience = replace(
            audience,
            preferences={**audience.preferences, **await wishes.of(db, some)},
            reachable={**audience.reachable, **await wishes.reachable(db, some, deps.channels.values())},
            past={**audience.past, **await deliveries.past(db, user_ids, subjects, since)},
        )
    return audience
