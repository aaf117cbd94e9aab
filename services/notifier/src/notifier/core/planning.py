"""What follows from an occasion: a plan of conditions, notices, deliveries and events, as one value.

Every occasion takes the same way. The shell loads a snapshot of what the occasion touches, under locks; `plan` decides,
here and without any question in between; the shell applies the plan in the same transaction.
"""

from dataclasses import replace
from datetime import datetime
from itertools import chain
from uuid import UUID

from common.contracts import (
    AccountAccess,
    AccountAccessChangedV1,
    DataGapClosedV1,
    EventBody,
    NoticeChannel,
    NoticeCode,
    PlatformIncidentV1,
    RulePausedV1,
    RuleResumedV1,
    TokenEvent,
    TokenKind,
)
from notifier.core import conditions as rules
from notifier.core import routing
from notifier.core.conditions import Fact, Resolution
from notifier.core.deliveries import Kind
from notifier.core.drafting import FOLLOWED_UP, Draft
from notifier.core.notices import Condition
from notifier.core.plans import (
    Delivered,
    FactFound,
    FactOver,
    Manner,
    Occasion,
    PausedRule,
    PeopleLearned,
    Plan,
    SettledByPerson,
    Snapshot,
)
from notifier.core.tokens import Reading, Token, TokenAccount, fold


def plan(  # noqa: C901  a table: one branch for each occasion
    occasion: Occasion | EventBody, snapshot: Snapshot, manner: Manner, now: datetime
) -> Plan:
    """Decide all that follows from an occasion.

    Args:
        occasion: an event of another service, or something that happened here.
        snapshot: what is known of all that it touches.
        manner: how people are told.
        now: the present.

    Returns:
        The plan. The same occasion a second time, with a snapshot from after the first, plans nothing new.

    """
    draft = Draft(snapshot, manner, now)
    match occasion:
        case TokenEvent():
            _take_token(draft, occasion)
        case PlatformIncidentV1():
            _take_incident(draft, occasion)
        case RulePausedV1() | RuleResumedV1():
            _take_rule(draft, occasion)
        case DataGapClosedV1():
            _take_gap(draft, occasion)
        case AccountAccessChangedV1():
            _take_access(draft, occasion)
        case PeopleLearned():
            _complete(draft)
        case SettledByPerson() | FactOver():
            for condition in snapshot.conditions:
                draft.resolve(condition, occasion.resolution)
        case Delivered():
            _note_delivered(draft)
        case FactFound():
            draft.tell(occasion.fact)
        case _:
            draft.results.append("ignored")
    return draft.plan(occasion.channel if isinstance(occasion, Delivered) else NoticeChannel.IN_APP)


def episodes(occasion: Occasion | EventBody, token: Token | None, now: datetime) -> frozenset[int]:
    """Return the episodes of a token that an occasion may be about: conditions of these are known, open or not."""
    found = set()
    match occasion:
        case TokenEvent():
            token, reading = fold(token, occasion)
            fact = rules.tell(token, occasion, reading, now).fact
            found |= {fact.episode} if fact is not None else set()
        case AccountAccessChangedV1():
            found.add(occasion.version)
    return frozenset(found | {token.outage if token is not None else 0})


def _take_token(draft: Draft, body: TokenEvent) -> None:
    token, reading = fold(draft.snapshot.tokens.get(body.token.token_id), body)
    if reading is Reading.NEWS:
        draft.made = replace(draft.made, token=token)
        draft.workspaces.append(token.workspace_id)
    told = rules.tell(token, body, reading, draft.now)
    if told.fact is not None:
        draft.tell(told.fact)
    else:
        draft.results.append(told.why_not)
    if reading is Reading.NEWS:
        for condition in draft.open():
            resolution = rules.judge(condition.code, condition.fact.expires_at, token)
            if condition.fact.token_id == token.token_id and resolution is not None:
                draft.resolve(condition, resolution)
        _follow_rules(draft, token, draft.snapshot.rules)


def _take_rule(draft: Draft, body: RulePausedV1 | RuleResumedV1) -> None:
    stopped = draft.snapshot.rules
    if body.version > draft.snapshot.rule_version:
        draft.made = replace(draft.made, rule=body)
        stopped = tuple(rule for rule in stopped if rule.rule_id != body.rule_id)
        if isinstance(body, RulePausedV1):
            stopped += (PausedRule(body.rule_id, body.auto_paused_at),)
    # Also after a late event: the rule may have moved on to another token, and left this one without any.
    token = draft.snapshot.tokens.get(body.token_id)
    if token is not None:
        _follow_rules(draft, token, stopped, rule_id=body.rule_id)


def _take_incident(draft: Draft, body: PlatformIncidentV1) -> None:
    if body.version <= draft.snapshot.incident_version:
        draft.results.append("stale")
        return
    draft.made = replace(draft.made, incident=body)
    fact = Fact(
        code=NoticeCode.PLATFORM_INCIDENT,
        subject_id=body.incident_id,
        episode=0,
        provider=body.provider,
        kind=TokenKind.PLATFORM_OAUTH,
        tokens_affected=body.tokens_affected,
        verdict=body.reason,
    )
    condition = draft.find(fact)
    if rules.incident_is_over(body.state):
        if condition is not None:
            draft.resolve(condition, Resolution.CLOSED)
        _release_held_by(draft, body.incident_id)
        return
    makers = draft.snapshot.makers
    draft.workspaces += makers
    if condition is None:
        condition = draft.keep(draft.new_condition(fact))
    if condition.open:
        people = chain.from_iterable(draft.snapshot.audience.people.get(space, ()) for space in makers)
        draft.announce(condition, routing.affected_by_incident(people, makers))
    # Deaths seen just before, in our own refused calls, may be part of it: they wait until it is over.
    for dead in draft.open():
        if dead.code in rules.DEAD_CODES and rules.could_be_the_platform(dead.fact.detected_by):
            draft.keep(replace(dead, held_by=body.incident_id))
            draft.withdraw(dead.condition_id, Kind.ALERT)


def _take_gap(draft: Draft, body: DataGapClosedV1) -> None:
    token = draft.snapshot.tokens.get(body.token_id)
    draft.workspaces.append(body.workspace_id)
    condition = draft.tell(_about(body, token, NoticeCode.DATA_GAP, token.outage if token is not None else 0))
    draft.made = replace(draft.made, gap=(condition.condition_id, body))


def _take_access(draft: Draft, body: AccountAccessChangedV1) -> None:
    account = TokenAccount.of(body.account)
    if body.access is AccountAccess.GRANTED:
        for condition in draft.open():
            if condition.code is NoticeCode.ACCOUNT_ACCESS_LOST:
                _give_back(draft, condition, account)
        return
    token = draft.snapshot.tokens.get(body.token_id)
    if token is not None and not token.status.alive and token.version >= body.version:
        draft.results.append("stale")  # the whole grant is dead, and that is what is told
        return
    draft.workspaces.append(body.workspace_id)
    fact = _about(body, token, NoticeCode.ACCOUNT_ACCESS_LOST, body.version)
    condition = draft.tell(replace(fact, accounts=(account,)))
    if condition.open and account not in condition.fact.accounts:
        draft.set_accounts(condition, (*condition.fact.accounts, account))


def _about(body: DataGapClosedV1 | AccountAccessChangedV1, token: Token | None, code: NoticeCode, episode: int) -> Fact:
    """Return a fact of a token that may not be known here yet."""
    return Fact(
        code=code,
        subject_id=body.token_id,
        episode=episode,
        provider=body.provider,
        kind=token.kind if token is not None else TokenKind.PLATFORM_OAUTH,
        workspace_id=body.workspace_id,
        owner_user_id=body.owner_user_id,
        token_id=body.token_id,
        cause=body.cause,
    )


def _complete(draft: Draft) -> None:
    for condition in draft.snapshot.conditions:
        draft.keep(replace(condition, people_complete=True))
        if condition.open and condition.held_by is None:
            draft.announce(condition, draft.people_of(condition.fact))


def _note_delivered(draft: Draft) -> None:
    for notices in draft.snapshot.notices.values():
        draft.raise_versions(notices)
    # A recovery that came while the message was on its way found nothing sent: it is followed up here.
    for condition in draft.snapshot.conditions:
        if condition.resolution in FOLLOWED_UP:
            draft.follow_up(condition.condition_id)


def _follow_rules(draft: Draft, token: Token, stopped: tuple[PausedRule, ...], *, rule_id: UUID | None = None) -> None:
    """Tell of rules that stand still without a notice of their token, and of their return; or do nothing.

    A rule's pause and the death that it follows from arrive in any order, so this looks at what is known of both:
    it is called after either. With `rule_id`, that rule alone is new.
    """
    fact = rules.tell_rules(token)
    if fact is None and rule_id is None:
        return  # it lives, so whatever there was is settled; most tokens are refreshed without having any rule
    if fact is not None and any(
        rule_id in (None, rule.rule_id)
        and rule.paused_at > draft.now - rules.OLD_NEWS
        and not _speaks_of_rules(draft, rule.paused_at)
        for rule in stopped
    ):
        draft.tell(fact)
    elif not stopped:
        draft.end_rules_notice(Resolution.RENEWED)


def _speaks_of_rules(draft: Draft, paused_at: datetime) -> bool:
    """Return whether a notice of the token speaks of rules that were paused then.

    One does that stands, or that stood when the pause began. A notice that an incident held was seen by nobody;
    while it is held, though, it is not known yet whether there will be one.
    """
    until = draft.snapshot.rules_told_until
    return (until is not None and until >= paused_at) or any(
        condition.resolved_at is None or (condition.held_by is None and condition.resolved_at >= paused_at)
        for condition in draft.conditions.values()
        if condition.code in rules.NAMES_ITS_RULES
    )


def _release_held_by(draft: Draft, incident_id: UUID) -> None:
    """Look again at what an incident held: it is told after all, or it is over without anybody having heard."""
    for held in draft.snapshot.conditions:
        if held.held_by != incident_id:
            continue
        free = draft.keep(replace(held, held_by=None))
        resolution = rules.judge(held.code, held.fact.expires_at, draft.snapshot.tokens.get(held.fact.subject_id))
        if resolution is None and held.open:
            draft.withdraw(held.condition_id, Kind.ALERT)
            draft.announce(free, draft.people_of(held.fact))
            continue
        draft.results.append("incident")
        if resolution is not None:
            draft.resolve(free, resolution)


def _give_back(draft: Draft, condition: Condition, account: TokenAccount) -> None:
    left = tuple(item for item in condition.fact.accounts if item.account_id != account.account_id)
    if left:
        draft.set_accounts(condition, left)
    else:
        draft.resolve(condition, Resolution.RENEWED)
