"""Pausing and resuming on a real PostgreSQL."""

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from common.contracts import AccountAccess, IssuedHow, RevocationCause
from common.runtime.ids import new_id
from rule_pauser.core.errors import AccountsForbiddenError, RevisionConflictError, RuleForbiddenError, RuleUnknownError
from rule_pauser.core.pausing import Mode, RuleActor, Why
from rule_pauser.operations import RuleDefinition, choose_mode, delete_rule, hear, pause_rule, put_rule, resume_rule
from rule_pauser.store import reconciliations
from rule_pauser.store.housekeeping import tidy

PERSON = RuleActor("01990000-0000-7000-8000-000000000002", "a person", UUID("01990000-0000-7000-8000-000000000002"))

Grants = Callable[..., Any]


async def test_a_death_pauses_and_re_authorising_resumes(house: Any, grant: Grants) -> None:
    meta = grant(accounts=3)
    await house.hear(meta.issued())
    rule = await house.define(*meta.account_ids[:2])
    other = await house.define(grant().account_ids[0])
    await house.hear(meta.revoked())
    found = (await house.rule(rule)).rule
    assert found.auto_paused_at is not None
    assert {reason.why for reason in found.reasons} == {Why.TOKEN_REVOKED}
    assert len(found.reasons) == 2
    assert not await house.paused(other)
    await house.hear(meta.issued(IssuedHow.REAUTHORIZE))
    assert (await house.rule(rule)).rule.running
    assert await house.sent() == [("rule.paused", rule), ("rule.resumed", rule)]
    assert await house.told(rule) == ["created", "paused", "resumed"]


async def test_every_event_three_times_is_one_pause_and_one_resume(house: Any, grant: Grants) -> None:
    meta = grant()
    issued, revoked, again = meta.issued(), meta.revoked(), meta.issued(IssuedHow.REAUTHORIZE)
    await house.hear(issued)
    rule = await house.define(*meta.account_ids)
    await house.hear(revoked, revoked, issued, revoked)
    await house.hear(again, revoked, again, issued, again)
    assert await house.sent() == [("rule.paused", rule), ("rule.resumed", rule)]


async def test_full_expiry_that_is_old_news_pauses_nothing(house: Any, grant: Grants) -> None:
    meta = grant()
    issued = meta.issued()
    expired = meta.expired()
    refreshed = meta.refreshed()
    rule = await house.define(*meta.account_ids)
    assert await house.hear(issued, refreshed, expired) == [True, True, False]
    assert await house.sent() == []
    assert (await house.rule(rule)).rule.running


async def test_full_expiry_pauses_until_a_person_re_authorises(house: Any, grant: Grants) -> None:
    meta = grant()
    rule = await house.define(*meta.account_ids)
    await house.hear(meta.issued(), meta.expired())
    assert (await house.rule(rule)).rule.reasons[0].why is Why.TOKEN_EXPIRED
    await house.hear(meta.issued(IssuedHow.REAUTHORIZE))
    assert not await house.paused(rule)


async def test_a_rule_that_comes_after_the_death_is_paused_at_once(house: Any, grant: Grants) -> None:
    meta = grant()
    await house.hear(meta.issued(), meta.revoked())
    rule = await house.define(*meta.account_ids)
    assert await house.paused(rule)
    assert await house.sent() == [("rule.paused", rule)]


async def test_a_rule_and_the_death_at_the_same_time_do_not_miss_each_other(house: Any, grant: Grants) -> None:
    grants = [grant() for _ in range(30)]
    for meta in grants:
        await house.hear(meta.issued())
    deaths = [meta.revoked() for meta in grants]
    rules, *_ = await asyncio.gather(
        asyncio.gather(*(house.define(*meta.account_ids) for meta in grants)),
        *(hear(house.deps, death, death.time) for death in deaths),
    )
    await house.reconcile()
    assert all([await house.paused(rule) for rule in rules])
    assert sorted(await house.sent()) == sorted(("rule.paused", rule) for rule in rules)


async def test_lost_access_to_one_account_pauses_its_rules_only(house: Any, grant: Grants) -> None:
    meta = grant(accounts=2)
    await house.hear(meta.issued())
    lost, fine = await house.define(meta.account_ids[0]), await house.define(meta.account_ids[1])
    gone = meta.access(AccountAccess.LOST)
    await house.hear(gone)
    assert (await house.rule(lost)).rule.reasons[0].why is Why.ACCESS_LOST
    back = meta.access(AccountAccess.GRANTED)
    await house.hear(back, gone)
    assert await house.sent() == [("rule.paused", lost), ("rule.resumed", lost)]
    assert (await house.rule(fine)).rule.version == 1


async def test_a_rule_on_two_grants_resumes_with_the_last_reason(house: Any, grant: Grants) -> None:
    meta, tiktok = grant(), grant(provider="tiktok")
    await house.hear(meta.issued(), tiktok.issued())
    rule = await house.define(meta.account_ids[0], tiktok.account_ids[0])
    await house.hear(meta.revoked(), tiktok.revoked())
    assert len((await house.rule(rule)).rule.reasons) == 2
    await house.hear(meta.issued(IssuedHow.REAUTHORIZE))
    assert await house.paused(rule)
    await house.hear(tiktok.issued(IssuedHow.REAUTHORIZE))
    assert await house.sent() == [("rule.paused", rule), ("rule.resumed", rule)]


async def test_what_a_person_paused_stays_paused(house: Any, grant: Grants, now: datetime) -> None:
    meta = grant()
    await house.hear(meta.issued())
    before, during = await house.define(*meta.account_ids), await house.define(*meta.account_ids)
    await pause_rule(house.deps, before, None, PERSON, now)
    await house.hear(meta.revoked())
    await pause_rule(house.deps, during, None, PERSON, now)
    await house.hear(meta.issued(IssuedHow.REAUTHORIZE))
    for rule in (before, during):
        found = (await house.rule(rule)).rule
        assert found.person_paused_at is not None
        assert not found.running
        assert found.auto_paused_at is None
    assert await house.sent() == [("rule.paused", during)]


async def test_what_a_person_changed_is_not_resumed_for_them(house: Any, grant: Grants, now: datetime) -> None:
    meta = grant()
    await house.hear(meta.issued())
    rule = await house.define(*meta.account_ids)
    await house.hear(meta.revoked())
    await house.define(*meta.account_ids, rule_id=rule, revision=2, name="Stop losers faster")
    await house.hear(meta.issued(IssuedHow.REAUTHORIZE))
    found = (await house.rule(rule)).rule
    assert found.held
    assert await house.sent() == [("rule.paused", rule)]
    assert await resume_rule(house.deps, rule, None, PERSON, now) is None
    assert (await house.rule(rule)).rule.running
    assert await house.sent() == [("rule.paused", rule), ("rule.resumed", rule)]
    assert await house.told(rule) == ["created", "paused", "changed", "held", "resumed"]


async def test_an_edit_that_drops_the_dead_account_lets_the_rule_run(house: Any, grant: Grants) -> None:
    meta, alive = grant(), grant()
    await house.hear(meta.issued(), alive.issued())
    rule = await house.define(meta.account_ids[0], alive.account_ids[0])
    await house.hear(meta.revoked())
    await house.define(alive.account_ids[0], rule_id=rule, revision=2)
    assert (await house.rule(rule)).rule.running
    assert await house.sent() == [("rule.paused", rule), ("rule.resumed", rule)]


async def test_what_a_person_deleted_stays_deleted(house: Any, grant: Grants, now: datetime) -> None:
    meta = grant()
    await house.hear(meta.issued())
    rule = await house.define(*meta.account_ids)
    await house.hear(meta.revoked())
    await delete_rule(house.deps, rule, None, "automation", now)
    await delete_rule(house.deps, rule, None, "automation", now)
    await house.hear(meta.issued(IssuedHow.REAUTHORIZE))
    assert await house.sent() == [("rule.paused", rule)]
    with pytest.raises(RuleUnknownError):
        await resume_rule(house.deps, rule, None, PERSON, now)


async def test_resuming_by_hand_while_the_token_is_dead_is_refused_with_the_cause(
    house: Any, grant: Grants, now: datetime
) -> None:
    meta = grant()
    await house.hear(meta.issued())
    rule = await house.define(*meta.account_ids)
    await house.hear(meta.revoked(RevocationCause.PLATFORM_ENFORCED))
    before = await house.rule(rule)
    blocked = await resume_rule(house.deps, rule, None, PERSON, now)
    assert blocked is not None
    assert blocked.reason.cause == "platform_enforced"
    assert await house.rule(rule) == before


async def test_a_workspace_can_turn_it_off_and_on_again(house: Any, grant: Grants, now: datetime) -> None:
    meta = grant()
    await house.hear(meta.issued())
    rule = await house.define(*meta.account_ids)
    await house.hear(meta.revoked())
    for mode, paused in ((Mode.OFF, False), (Mode.ON, True), (Mode.DRY_RUN, False)):
        await choose_mode(house.deps, meta.workspace_id, mode, new_id(), now)
        await house.reconcile()
        assert await house.paused(rule) is paused


async def test_a_dry_run_tells_and_does_not_act(house: Any, grant: Grants, now: datetime) -> None:
    meta = grant()
    await house.hear(meta.issued())
    rule = await house.define(*meta.account_ids)
    await choose_mode(house.deps, meta.workspace_id, Mode.DRY_RUN, new_id(), now)
    await house.hear(meta.revoked())
    assert (await house.rule(rule)).rule.running
    assert await house.sent() == []
    assert await house.told(rule) == ["created", "would_pause"]


async def test_definitions_are_versioned(house: Any, grant: Grants, now: datetime) -> None:
    account = grant().account_ids[0]
    rule = await house.define(account, revision=3)
    await house.define(account, rule_id=rule, revision=3)
    assert (await house.rule(rule)).rule.version == 1, "the same again changes nothing"
    for wrong in ({"revision": 2}, {"revision": 3, "name": "Another"}, {"revision": 3, "enabled": False}):
        with pytest.raises(RevisionConflictError, match="revision 3 is stored"):
            await house.define(account, rule_id=rule, **wrong)
    await delete_rule(house.deps, rule, None, "automation", now)
    with pytest.raises(RevisionConflictError):
        await house.define(account, rule_id=rule, revision=3)
    await house.define(account, rule_id=rule, revision=4)


async def test_workspaces_do_not_touch_each_other(house: Any, grant: Grants, now: datetime) -> None:
    meta, elsewhere = grant(), new_id()
    await house.hear(meta.issued())
    with pytest.raises(AccountsForbiddenError):
        await house.define(*meta.account_ids, workspace_id=elsewhere)
    early = grant(workspace_id=elsewhere)
    stranger = await house.define(*early.account_ids)
    await house.hear(early.issued(), early.revoked())
    assert not await house.paused(stranger), "a grant of another workspace says nothing about this rule"
    wanted = RuleDefinition(stranger, elsewhere, "Mine now", (new_id(),), enabled=True, revision=9)
    with pytest.raises(RuleForbiddenError):
        await put_rule(house.deps, wanted, "automation", now)
    for call in (pause_rule, resume_rule):
        with pytest.raises(RuleUnknownError):
            await call(house.deps, stranger, elsewhere, PERSON, now)


async def test_five_thousand_rules_are_one_visible_operation(house: Any, grant: Grants) -> None:
    meta = grant()
    await house.hear(meta.issued())
    await house.deps.pool.execute(
        """WITH made AS (
             INSERT INTO automation_rule
                    (rule_id, workspace_id, name, enabled, revision, version, created_at, updated_at)
             SELECT gen_random_uuid(), $1, 'Rule', true, 1, 1, now(), now() FROM generate_series(1, 5000)
             RETURNING rule_id)
           INSERT INTO rule_account (rule_id, account_id) SELECT rule_id, $2 FROM made""",
        meta.workspace_id,
        meta.account_ids[0],
    )
    for event, topic in ((meta.revoked(), "rule.paused"), (meta.issued(IssuedHow.REAUTHORIZE), "rule.resumed")):
        await house.hear(event)
        done = (await reconciliations.recent(house.deps.pool, meta.workspace_id, 1))[0]
        assert (done.seen, done.paused + done.resumed) == (5000, 5000)
        assert done.finished_at is not None
        sent = await house.deps.pool.fetchval("SELECT count(*) FROM outbox WHERE topic = $1", topic)
        assert sent == 5000


async def test_what_is_old_is_forgotten(house: Any, grant: Grants, now: datetime) -> None:
    meta = grant()
    await house.hear(meta.issued())
    deleted, kept = await house.define(*meta.account_ids), await house.define(*meta.account_ids)
    await delete_rule(house.deps, deleted, None, "automation", now)
    assert await tidy(house.deps.pool, now) == 0
    assert await tidy(house.deps.pool, now + timedelta(days=100)) == 2, "the operation and the deleted rule"
    assert await tidy(house.deps.pool, now + timedelta(days=100)) == 0
    assert (await house.rule(kept)).rule.running


async def test_a_silent_refresh_reconciles_nothing(house: Any, grant: Grants) -> None:
    meta = grant()
    rule = await house.define(*meta.account_ids)
    await house.hear(meta.issued())
    before = await reconciliations.recent(house.deps.pool, meta.workspace_id, 50)
    assert await house.hear(meta.refreshed(), meta.refreshed()) == [True, True]
    assert await reconciliations.recent(house.deps.pool, meta.workspace_id, 50) == before
    assert (await house.rule(rule)).rule.running


async def test_a_refresh_that_did_not_move_the_end_does_not_bring_back_what_has_ended(
    house: Any, grant: Grants
) -> None:
    """After a crash topics overtake each other: the announced end of a version comes before the next version."""
    meta = grant()
    rule = await house.define(*meta.account_ids)
    issued, expired = meta.issued(), meta.expired()
    meta.expires_at -= timedelta(days=1)  # the next refresh adds the day again: it keeps the end
    await house.hear(issued, expired, meta.refreshed())
    assert (await house.rule(rule)).rule.reasons[0].why is Why.TOKEN_EXPIRED
    assert await house.sent() == [("rule.paused", rule)]


async def test_lost_access_pauses_before_anything_was_heard_of_the_grant(house: Any, grant: Grants) -> None:
    meta = grant()
    rule = await house.define(*meta.account_ids)
    meta.issued()
    await house.hear(meta.access(AccountAccess.LOST))
    assert (await house.rule(rule)).rule.reasons[0].why is Why.ACCESS_LOST


async def test_an_account_that_moved_to_a_living_grant_is_not_taken_down_by_the_old_one(
    house: Any, grant: Grants
) -> None:
    old, new = grant(), grant()
    new.accounts = old.accounts
    await house.hear(old.issued(), *(old.refreshed() for _ in range(5)), old.access(AccountAccess.LOST))
    rule = await house.define(*old.account_ids)
    assert await house.paused(rule)
    await house.hear(old.revoked(), new.issued())
    assert (await house.rule(rule)).rule.running, "what was said of the account under the old grant is over"
    assert await house.hear(old.access(AccountAccess.LOST)) == [False]
    await house.hear(new.access(AccountAccess.LOST))
    assert await house.paused(rule)
    await house.hear(new.access(AccountAccess.GRANTED))
    assert (await house.rule(rule)).rule.running
