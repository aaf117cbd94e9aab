"""A platform's incident that lasts pauses the rules on its accounts; its end resumes them, and nothing else does."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from common.contracts import AccountAccess, Event, EventBody, IncidentState, IssuedHow, PlatformIncidentV1
from common.runtime.ids import new_id
from rule_pauser.core.pausing import Mode, RuleActor, Why
from rule_pauser.operations import choose_mode, pause_for_incidents, pause_rule, resume_rule
from rule_pauser.store import reconciliations

PERSON = RuleActor("01990000-0000-7000-8000-000000000002", "a person", UUID("01990000-0000-7000-8000-000000000002"))

Grants = Callable[..., Any]
PATIENCE = timedelta(hours=6)


@dataclass
class Trouble:
    """One incident, and its news."""

    provider: str
    since: datetime
    incident_id: UUID

    def _event(self, state: IncidentState, version: int, at: datetime) -> Event[EventBody]:
        body = PlatformIncidentV1(
            incident_id=self.incident_id,
            provider=self.provider,
            state=state,
            tokens_affected=40,
            since=self.since,
            version=version,
        )
        return Event(id=new_id(), time=at, source="oauth-svc", body=body)

    def opened(self) -> Event[EventBody]:
        return self._event(IncidentState.OPENED, 1, self.since)

    def closed(self, at: datetime) -> Event[EventBody]:
        return self._event(IncidentState.CLOSED, 2, at)


@pytest.fixture
def trouble(now: datetime) -> Trouble:
    return Trouble("meta", now, new_id())


@pytest.fixture
def late(now: datetime) -> datetime:
    """When the incident has lasted long enough."""
    return now + PATIENCE


async def look(house: Any, at: datetime) -> int:
    began: int = await pause_for_incidents(house.deps, at)
    await house.reconcile(at)
    return began


async def test_an_incident_that_passes_pauses_nothing(
    house: Any, grant: Grants, trouble: Trouble, now: datetime, late: datetime
) -> None:
    meta = grant()
    rule = await house.define(*meta.account_ids)
    await house.hear(meta.issued(), trouble.opened())
    assert await look(house, late - timedelta(seconds=1)) == 0
    await house.hear(trouble.closed(late))
    assert await look(house, late + timedelta(days=3)) == 0
    assert await house.sent() == []
    assert (await house.rule(rule)).rule.version == 1


async def test_one_that_lasts_pauses_its_platforms_rules_until_it_is_over(
    house: Any, grant: Grants, trouble: Trouble, late: datetime
) -> None:
    meta, tiktok = grant(accounts=2), grant(provider="tiktok")
    rule, other = await house.define(meta.account_ids[0]), await house.define(tiktok.account_ids[0])
    await house.hear(meta.issued(), tiktok.issued(), trouble.opened())
    assert await look(house, late) == 1
    assert await look(house, late) == 0, "once"
    reason = (await house.rule(rule)).rule.reasons[0]
    assert (reason.why, reason.account_id, reason.token_id) == (
        Why.PLATFORM_INCIDENT,
        meta.account_ids[0],
        meta.token_id,
    )
    assert "Meta has had trouble for a long time" in reason.words
    assert not await house.paused(other)
    operation = (await reconciliations.recent(house.deps.pool, meta.workspace_id, 1))[0]
    assert (operation.scope.provider, operation.seen, operation.paused) == ("meta", 1, 1)
    assert await house.paused(await house.define(meta.account_ids[1])), "a new rule on it is paused at once"
    over = trouble.closed(late + timedelta(hours=1))
    await house.hear(over, trouble.opened(), over, trouble.opened())
    assert (await house.rule(rule)).rule.running
    assert await look(house, late + timedelta(days=1)) == 0
    assert [topic for topic, key in await house.sent() if key == rule] == ["rule.paused", "rule.resumed"]


async def test_it_survives_a_restart_and_a_changed_setting(
    house: Any, grant: Grants, trouble: Trouble, late: datetime
) -> None:
    meta = grant()
    rule = await house.define(*meta.account_ids)
    await house.hear(meta.issued(), trouble.opened())
    await pause_for_incidents(house.deps, late)  # and dies before a rule was reconciled
    restarted = replace(house, deps=replace(house.deps, incident_pause_after=timedelta(days=9)))
    await look(restarted, late)
    assert await restarted.paused(rule)
    switched_off = replace(house, deps=replace(house.deps, incident_pause_after=None))
    await look(switched_off, late)
    assert await switched_off.paused(rule), "what is paused ends with its incident, not with a setting"
    await switched_off.hear(trouble.closed(late))
    assert not await house.paused(rule)


async def test_switched_off_no_incident_pauses(house: Any, grant: Grants, trouble: Trouble, late: datetime) -> None:
    meta = grant()
    rule = await house.define(*meta.account_ids)
    off = replace(house, deps=replace(house.deps, incident_pause_after=None))
    await off.hear(meta.issued(), trouble.opened())
    assert await look(off, late + timedelta(days=9)) == 0
    assert not await house.paused(rule)


@pytest.mark.parametrize("other", ["revoked", "access"])
async def test_its_end_lifts_no_other_reason(
    house: Any, grant: Grants, trouble: Trouble, late: datetime, other: str
) -> None:
    meta = grant()
    rule = await house.define(*meta.account_ids)
    await house.hear(meta.issued(), trouble.opened())
    await look(house, late)
    await house.hear(meta.revoked() if other == "revoked" else meta.access(AccountAccess.LOST))
    assert (await house.rule(rule)).rule.reasons[0].why in {Why.TOKEN_REVOKED, Why.ACCESS_LOST}, (
        "who needs a person first"
    )
    await house.hear(trouble.closed(late))
    assert await house.paused(rule)
    await house.hear(meta.issued(IssuedHow.REAUTHORIZE), meta.access(AccountAccess.GRANTED))
    assert await house.sent() == [("rule.paused", rule), ("rule.resumed", rule)]


async def test_a_recovery_in_the_middle_does_not_lift_it(
    house: Any, grant: Grants, trouble: Trouble, late: datetime
) -> None:
    meta = grant()
    rule = await house.define(*meta.account_ids)
    await house.hear(meta.issued(), meta.revoked(), trouble.opened())
    await look(house, late)
    await house.hear(meta.issued(IssuedHow.REAUTHORIZE))
    assert (await house.rule(rule)).rule.reasons[0].why is Why.PLATFORM_INCIDENT
    assert await house.sent() == [("rule.paused", rule)]


async def test_a_person_wins(house: Any, grant: Grants, trouble: Trouble, now: datetime, late: datetime) -> None:
    meta = grant()
    rule = await house.define(*meta.account_ids)
    await house.hear(meta.issued(), trouble.opened())
    await pause_rule(house.deps, rule, None, PERSON, now)
    await look(house, late)
    blocked = await resume_rule(house.deps, rule, None, PERSON, late)
    assert blocked is not None
    assert blocked.reason.why is Why.PLATFORM_INCIDENT
    await house.hear(trouble.closed(late))
    found = (await house.rule(rule)).rule
    assert (found.person_paused_at, found.running) == (now, False)
    assert await house.sent() == []


async def test_a_workspace_that_switched_it_off_is_left_alone(
    house: Any, grant: Grants, trouble: Trouble, now: datetime, late: datetime
) -> None:
    meta = grant()
    rule = await house.define(*meta.account_ids)
    await choose_mode(house.deps, meta.workspace_id, Mode.OFF, new_id(), now)
    await house.hear(meta.issued(), trouble.opened())
    await look(house, late)
    assert (await house.rule(rule)).rule.running


async def test_a_rule_that_is_stored_meanwhile_is_not_missed(
    house: Any, grant: Grants, trouble: Trouble, late: datetime
) -> None:
    grants = [grant(workspace_id=new_id()) for _ in range(20)]
    await house.hear(*(meta.issued() for meta in grants), trouble.opened())
    rules, _ = await asyncio.gather(
        asyncio.gather(*(house.define(*meta.account_ids, workspace_id=meta.workspace_id) for meta in grants)),
        pause_for_incidents(house.deps, late),
    )
    await house.reconcile(late)
    assert all([await house.paused(rule) for rule in rules])


async def test_how_it_is_told(api: Any, house: Any, grant: Grants, trouble: Trouble, late: datetime) -> None:
    meta = grant()
    rule = await house.define(*meta.account_ids)
    await house.hear(meta.issued(), trouble.opened())
    await look(house, late)
    person = api.person(meta.workspace_id)
    shown = (await api.call("GET", f"/api/v1/rules/{rule}", person)).body
    assert (shown["reasons"][0]["why"], shown["reasons"][0]["fix_url"]) == ("platform_incident", None)
    assert shown["reasons"][0]["fix"].startswith("Nothing to do")
    assert shown["history"][0]["words"].startswith("Paused automatically: Meta has had trouble")
    refused = await api.call("POST", f"/api/v1/rules/{rule}/resume", person)
    assert (refused.status, refused.body["code"], refused.body["cause"]) == (
        409,
        "platform_incident",
        "platform_incident",
    )
    assert "fix_url" not in refused.body
    operations = (await api.call("GET", "/api/v1/rules/operations", person)).body["items"]
    assert (operations[0]["provider"], operations[0]["why"]) == ("meta", "meta: incident")
