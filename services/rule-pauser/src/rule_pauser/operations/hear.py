"""Hear of grants, accounts and incidents: store what is true now, and ask for their rules to be reconciled."""

from dataclasses import replace
from datetime import datetime

from common.contracts import (
    AccountAccessChangedV1,
    Event,
    EventBody,
    PlatformIncidentV1,
    TokenAccountsV1,
    TokenEvent,
)
from common.postgres import Db, transaction
from common.runtime.ids import new_id
from rule_pauser import metrics
from rule_pauser.core.grants import RELEVANT_KINDS, KnownGrant, Life, next_grant
from rule_pauser.core.listed import RuleScope
from rule_pauser.operations.deps import Deps
from rule_pauser.operations.incidents import hear_incident
from rule_pauser.store import grants, reconciliations


async def hear(deps: Deps, event: Event[EventBody], now: datetime) -> bool:
    """Apply one event; False if it is old news or none of our business.

    The reconciling of rules is only asked for here, in the same transaction: it happens in batches of its own, so a
    grant with 5,000 rules neither holds a lock for long nor the events behind it.
    """
    async with transaction(deps.pool) as db:
        match event.body:
            case AccountAccessChangedV1() as body:
                heard = await _hear_access(db, body, event.time, now)
            case PlatformIncidentV1() as body:
                heard = await hear_incident(db, body, event.time, now)
            case TokenAccountsV1() as body:
                heard = await _hear_accounts(db, body, event.time, now)
            case TokenEvent() as body if body.token.kind in RELEVANT_KINDS:
                heard = await _hear_grant(db, event, body, now)
            case _:
                heard = False
    metrics.EVENTS.labels("applied" if heard else "stale").inc()
    if heard:
        deps.wake_reconciling()
    return heard


async def _hear_grant(db: Db, event: Event[EventBody], body: TokenEvent, now: datetime) -> bool:
    known = await grants.lock_grant(db, body.token, event.time)
    grant = next_grant(known, event)
    if grant is None:
        return False
    await grants.put_grant(db, body.token, grant)
    came = await grants.put_accounts(db, body.token, grant)
    # A silent refresh concerns no rule: it must neither lock them all every hour nor crowd the list of operations.
    if came or (known.life if known else Life.LIVE, known.cause if known else None) != (grant.life, grant.cause):
        scope = RuleScope(body.token.workspace_id, token_id=body.token.token_id)
        why = f"{body.token.provider}: {grant.life}"
        await reconciliations.open_(db, new_id(), scope, why=why, fact_at=event.time, now=now)
    return known is None or grant != replace(known, passed_at=grant.passed_at)


async def _hear_accounts(db: Db, body: TokenAccountsV1, at: datetime, now: datetime) -> bool:
    """Store a page of a large grant's accounts. They share the life of the grant, so its rules follow it.

    A page says nothing about the life of the grant: one that comes before the first news of its grant belongs to a
    living one, and one of a dead grant takes no account away from the grant that replaced it.
    """
    known = await grants.lock_grant(db, body.token, at)
    grant = known or KnownGrant(0, Life.LIVE, at)
    if not await grants.put_accounts(db, body.token, grant):
        return False
    scope = RuleScope(body.token.workspace_id, token_id=body.token.token_id)
    why = f"{body.token.provider}: {grant.life}"
    await reconciliations.open_(db, new_id(), scope, why=why, fact_at=at, now=now)
    return True


async def _hear_access(db: Db, body: AccountAccessChangedV1, at: datetime, now: datetime) -> bool:
    if not await grants.put_access(db, body, at):
        return False
    scope = RuleScope(body.workspace_id, account_id=body.account.account_id)
    why = f"{body.provider}: access {body.access}"
    await reconciliations.open_(db, new_id(), scope, why=why, fact_at=at, now=now)
    return True
