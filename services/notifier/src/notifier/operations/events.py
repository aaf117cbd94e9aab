"""What each event does here. Inbox, copy, notices and messages change in one transaction, or not at all."""

from datetime import datetime
from uuid import UUID

from common.contracts import (
    AccountAccess,
    AccountAccessChangedV1,
    DataGapClosedV1,
    Event,
    EventBody,
    NoticeCode,
    PlatformIncidentV1,
    RulePausedV1,
    RuleResumedV1,
    TokenEvent,
    TokenKind,
)
from common.outbox import accept
from common.postgres import Connection, transaction
from notifier import metrics
from notifier.core import conditions as rules
from notifier.core.conditions import Fact, Resolution
from notifier.core.routing import affected_by_incident
from notifier.core.tokens import Account, Reading, fold
from notifier.operations import telling
from notifier.operations.deps import CONSUMER, Deps
from notifier.store import conditions, deliveries, people, tokens


async def take(deps: Deps, event: Event[EventBody], now: datetime) -> None:
    """Apply one event, once.

    Raises:
        Retryable: the database is away.

    """
    body = event.body
    if isinstance(body, TokenEvent) and body.token.kind is TokenKind.SESSION:
        return  # sessions have no notices; there are too many of them to keep copies for nothing
    async with transaction(deps.pool) as connection:
        if not await accept(connection, CONSUMER, event.id):
            metrics.EVENTS.labels("repeated").inc()
            return
        match body:
            case TokenEvent():
                await _token(connection, deps, body, now)
            case PlatformIncidentV1():
                await _incident(connection, deps, body, now)
            case RulePausedV1() | RuleResumedV1():
                await _rule(connection, deps, body, now)
            case DataGapClosedV1():
                await _gap(connection, deps, body, now)
            case AccountAccessChangedV1():
                await _access(connection, deps, body, now)
            case _:
                metrics.EVENTS.labels("ignored").inc()
    deps.committed()


async def _token(connection: Connection, deps: Deps, body: TokenEvent, now: datetime) -> None:
    await tokens.lock(connection, body.token.token_id)
    held = await tokens.get(connection, body.token.token_id)
    token, reading = fold(held, body)
    if reading is Reading.NEWS:
        await tokens.save(connection, token, now)
        await people.want(connection, [token.workspace_id], now)
    told = rules.tell(token, body, reading, now)
    if told.fact is not None:
        await telling.tell(connection, deps, told.fact, now)
    else:
        metrics.EVENTS.labels(told.why_not).inc()
    if reading is Reading.NEWS:
        await telling.settle(connection, deps, token, now)
        await telling.follow_rules(connection, deps, token, now)


async def _rule(connection: Connection, deps: Deps, body: RulePausedV1 | RuleResumedV1, now: datetime) -> None:
    await tokens.lock(connection, body.token_id)
    await tokens.save_rule(
        connection,
        body.rule_id,
        body.token_id,
        name=body.rule_name,
        paused=isinstance(body, RulePausedV1),
        paused_at=body.auto_paused_at,
        version=body.version,
    )
    # Also after a late event: the rule may have moved on to another token, and left this one without any.
    token = await tokens.get(connection, body.token_id)
    if token is not None:
        await telling.follow_rules(connection, deps, token, now, rule_id=body.rule_id)


async def _incident(connection: Connection, deps: Deps, body: PlatformIncidentV1, now: datetime) -> None:
    if not await conditions.save_incident(connection, body):
        metrics.EVENTS.labels("stale").inc()
        return
    fact = Fact(
        code=NoticeCode.PLATFORM_INCIDENT,
        subject_id=body.incident_id,
        episode=0,
        provider=body.provider,
        kind=TokenKind.PLATFORM_OAUTH,
        tokens_affected=body.tokens_affected,
    )
    if rules.incident_is_over(body.state):
        await _close_incident(connection, deps, fact, body.incident_id, now)
        return
    makers = await tokens.makers_by_workspace(connection, body.provider, body.workspace_ids)
    makers = {workspace: makers.get(workspace, frozenset()) for workspace in {*makers, *body.workspace_ids}}
    await people.want(connection, list(makers), now)
    affected = affected_by_incident(await people.of_workspaces(connection, list(makers)), makers)
    await telling.tell_many(connection, deps, fact, affected, now)
    # Deaths seen just before, in our own refused calls, may be part of it: they wait until it is over.
    fresh = await conditions.lock_fresh_dead(connection, body.provider, now - deps.incident_lookback)
    held = [item.condition_id for item in fresh if rules.could_be_the_platform(item.fact.detected_by)]
    await conditions.hold(connection, held, body.incident_id)
    await deliveries.forget_waiting_of(connection, held)


async def _close_incident(connection: Connection, deps: Deps, fact: Fact, incident_id: UUID, now: datetime) -> None:
    condition = await conditions.lock_fact(connection, fact)
    if condition is not None:
        await telling.resolve(connection, deps, condition, Resolution.CLOSED, now)
    for held in await conditions.lock_held_by(connection, incident_id):
        token = await tokens.get(connection, held.fact.subject_id)
        resolution = rules.judge(held.code, held.fact.expires_at, token)
        if resolution is None and held.open:
            await telling.release(connection, deps, held, now)
        else:
            metrics.SUPPRESSED.labels("incident").inc()
            await conditions.release(connection, [held.condition_id])
            if resolution is not None:
                await telling.resolve(connection, deps, held, resolution, now)


async def _gap(connection: Connection, deps: Deps, body: DataGapClosedV1, now: datetime) -> None:
    await tokens.lock(connection, body.token_id)
    token = await tokens.get(connection, body.token_id)
    fact = Fact(
        code=NoticeCode.DATA_GAP,
        subject_id=body.token_id,
        episode=token.outage if token is not None else 0,
        provider=body.provider,
        kind=token.kind if token is not None else TokenKind.PLATFORM_OAUTH,
        workspace_id=body.workspace_id,
        owner_user_id=body.owner_user_id,
        token_id=body.token_id,
        cause=body.cause,
    )
    await people.want(connection, [body.workspace_id], now)
    await telling.tell(connection, deps, fact, now)
    condition = await conditions.lock_fact(connection, fact)
    assert condition is not None  # noqa: S101  it was just told
    await tokens.save_gap(connection, condition.condition_id, body)


async def _access(connection: Connection, deps: Deps, body: AccountAccessChangedV1, now: datetime) -> None:
    await tokens.lock(connection, body.token_id)
    account = Account(body.account.account_id, body.account.external_id, body.account.name)
    if body.access is AccountAccess.GRANTED:
        await _access_granted(connection, deps, body.token_id, account, now)
        return
    token = await tokens.get(connection, body.token_id)
    if token is not None and not token.status.alive and token.version >= body.version:
        metrics.EVENTS.labels("stale").inc()  # the whole grant is dead, and that is what is told
        return
    fact = Fact(
        code=NoticeCode.ACCOUNT_ACCESS_LOST,
        subject_id=body.token_id,
        episode=body.version,
        provider=body.provider,
        kind=token.kind if token is not None else TokenKind.PLATFORM_OAUTH,
        workspace_id=body.workspace_id,
        owner_user_id=body.owner_user_id,
        token_id=body.token_id,
        cause=body.cause,
        accounts=(account,),
    )
    await people.want(connection, [body.workspace_id], now)
    await telling.tell(connection, deps, fact, now)
    condition = await conditions.lock_fact(connection, fact)
    if condition is not None and condition.open and account not in condition.fact.accounts:
        await conditions.set_accounts(connection, condition.condition_id, (*condition.fact.accounts, account), now)


async def _access_granted(connection: Connection, deps: Deps, token_id: UUID, account: Account, now: datetime) -> None:
    for condition in await conditions.lock_open_of_token(connection, token_id):
        if condition.code is not NoticeCode.ACCOUNT_ACCESS_LOST:
            continue
        left = [item for item in condition.fact.accounts if item.account_id != account.account_id]
        if left:
            await conditions.set_accounts(connection, condition.condition_id, left, now)
        else:
            await telling.resolve(connection, deps, condition, Resolution.RENEWED, now)
