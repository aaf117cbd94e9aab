"""Rules that stand still: a line in the notice of their token, or, where it has none, one notice of their own."""

from datetime import timedelta
from typing import Any

import pytest

from common.contracts import (
    DetectedBy,
    IncidentState,
    IssuedHow,
    PlatformIncidentV1,
    RevocationCause,
    RulePausedV1,
    RuleResumedV1,
    TokenStatus,
)
from common.runtime.ids import new_id
from notifier.operations import notices
from notifier.operations.notices import Reader

DISCONNECTED = (RevocationCause.DISCONNECTED, DetectedBy.USER)


def _next(token: Any, version: int) -> Any:
    return token.model_copy(update={"version": version})


@pytest.fixture
async def token(world: Any, connector: Any) -> Any:
    made = world.token(connector)
    await world.issued(made)
    await world.know_people()
    return made


def _rule(world: Any, token: Any, **more: Any) -> dict[str, Any]:
    return {
        "rule_id": new_id(),
        "rule_name": "Pause losers",
        "workspace_id": world.workspace_id,
        "account_id": token.accounts[0].account_id,
        "token_id": token.token_id,
        "reason": "dead",
        "auto_paused_at": world.clock.now(),
        "version": 2,
    } | more


async def _paused(world: Any, token: Any, **more: Any) -> dict[str, Any]:
    rule = _rule(world, token, **more)
    await world.take(RulePausedV1(**rule))
    return rule


async def _resumed(world: Any, rule: dict[str, Any], version: int = 3) -> None:
    await world.take(RuleResumedV1(**rule | {"version": version}))


async def _shown(world: Any, name: str = "mia") -> list[tuple[str, str, str | None]]:
    person = world.people[name]
    reader = Reader(user_id=person.user_id, workspace_id=person.workspace_id, role=person.role)
    found, _ = await notices.page(world.deps, reader, before=None, state=None, limit=50, now=world.clock.now())
    return [(item.view.code.value, item.words.title, item.view.resolution) for item in found]


async def test_rules_of_a_connection_that_a_person_disconnected_are_one_notice_a_person(world: Any, token: Any) -> None:
    await world.revoked(_next(token, 2), *DISCONNECTED)
    rules = [await _paused(world, token) for _ in range(4)]
    await world.take(RulePausedV1(**rules[0]))  # again, by a relay that sent it anew
    assert await _shown(world) == [("RULES_PAUSED", "4 automation rules paused for Meta", None)]
    await world.later()
    assert sorted(mail["X-Envelope-To"].partition("@")[0] for mail in world.mailbox.mails) == ["ada", "max", "mia"]
    assert {mail["Subject"] for mail in world.mailbox.mails} == {"4 automation rules paused for Meta"}
    assert "was disconnected in Wevion" in world.mailbox.mails[0].get_body(("plain",)).get_content()
    await _paused(world, token)
    await world.later(timedelta(hours=1))
    assert len(world.mailbox.mails) == 3


async def test_it_does_not_matter_what_is_heard_first(world: Any, token: Any) -> None:
    await _paused(world, token)
    assert await _shown(world) == []
    await world.revoked(_next(token, 2), *DISCONNECTED)
    assert await _shown(world) == [("RULES_PAUSED", "1 automation rule paused for Meta", None)]


async def test_it_is_over_when_the_last_rule_resumes_and_followed_up_once(world: Any, token: Any) -> None:
    await world.revoked(_next(token, 2), *DISCONNECTED)
    first, second = await _paused(world, token), await _paused(world, token)
    await world.later()
    await _resumed(world, first)
    assert await _shown(world) == [("RULES_PAUSED", "1 automation rule paused for Meta", None)]
    await _resumed(world, second)
    assert await _shown(world) == [("RULES_PAUSED", "Automation rules were paused for Meta", "renewed")]
    await _resumed(world, second, 4)
    await world.later()
    await world.later(timedelta(hours=1))
    mails = [mail["Subject"] for mail in world.mailbox.to("mia@agency.example")]
    assert mails == ["2 automation rules paused for Meta", "The automation rules for Meta run again"]


async def test_what_resumes_before_the_message_leaves_is_not_mailed(world: Any, token: Any) -> None:
    await world.revoked(_next(token, 2), *DISCONNECTED)
    rule = await _paused(world, token)
    await _resumed(world, rule)
    await world.later(timedelta(minutes=5))
    assert world.mailbox.mails == []


async def test_with_a_notice_of_the_token_the_rules_are_a_line_in_it_and_have_none(world: Any, token: Any) -> None:
    await _paused(world, token)  # heard before the death that it follows from
    await world.revoked(_next(token, 2))
    await _paused(world, token)
    assert await _shown(world) == [("TOKEN_REVOKED", "Meta access was ended", None)]
    # Whoever disconnects it then has been told of the rules: not again.
    await world.state(_next(token, 3), TokenStatus.REVOKED, cause=RevocationCause.DISCONNECTED)
    assert await _shown(world) == [("TOKEN_REVOKED", "Meta access was ended", "ended")]
    world.clock.advance(timedelta(hours=1))
    await _paused(world, token)  # one more, of which nobody was told
    assert (await _shown(world))[0] == ("RULES_PAUSED", "3 automation rules paused for Meta", None)


async def test_the_tokens_own_notice_takes_the_place_of_the_rules(world: Any, token: Any) -> None:
    await world.revoked(_next(token, 2), *DISCONNECTED)
    await _paused(world, token)
    await world.issued(_next(token, 3), how=IssuedHow.REAUTHORIZE)
    await world.revoked(_next(token, 4))
    assert await _shown(world) == [
        ("TOKEN_REVOKED", "Meta access was ended", None),
        ("RULES_PAUSED", "1 automation rule paused for Meta", "renewed"),
    ]


async def test_each_outage_is_a_fact_of_its_own(world: Any, token: Any) -> None:
    for version in (2, 4):
        await world.revoked(_next(token, version), *DISCONNECTED)
        rule = await _paused(world, token)
        await _resumed(world, rule)
        await world.issued(_next(token, version + 1), how=IssuedHow.REAUTHORIZE)
    assert [(code, over) for code, _, over in await _shown(world)] == [("RULES_PAUSED", "renewed")] * 2


async def test_while_an_incident_may_explain_the_death_the_rules_wait_with_it(world: Any, token: Any) -> None:
    incident = {
        "incident_id": new_id(),
        "provider": "meta",
        "tokens_affected": 9,
        "since": world.clock.now(),
        "workspace_ids": (world.workspace_id,),
    }
    await world.take(PlatformIncidentV1(state=IncidentState.OPENED, version=1, **incident))
    await world.revoked(_next(token, 2), RevocationCause.PLATFORM_ENFORCED, DetectedBy.REFRESH)
    await _paused(world, token)
    assert [code for code, _, _ in await _shown(world)] == ["PLATFORM_INCIDENT"]
    # Somebody disconnects it meanwhile: of its death nobody will be told, so of its rules they are.
    await world.state(_next(token, 3), TokenStatus.REVOKED, cause=RevocationCause.DISCONNECTED)
    assert [code for code, _, _ in await _shown(world)] == ["RULES_PAUSED", "PLATFORM_INCIDENT"]


async def test_rules_of_a_living_or_unknown_token_are_no_news(world: Any, token: Any) -> None:
    await _paused(world, token)
    await _paused(world, world.token(world.people["mia"]))
    assert await _shown(world) == []


async def test_a_pause_of_long_ago_is_no_news(world: Any, token: Any) -> None:
    await world.revoked(_next(token, 2), *DISCONNECTED)
    await _paused(world, token, auto_paused_at=world.clock.now() - timedelta(days=8))
    assert await _shown(world) == []


async def test_a_late_return_of_a_rule_that_moved_on_still_ends_the_notice(world: Any, token: Any) -> None:
    other = world.token(world.people["mia"])
    await world.issued(other)
    await world.revoked(_next(token, 2), *DISCONNECTED)
    rule = await _paused(world, token)
    await _paused(world, other, rule_id=rule["rule_id"], version=4)
    await _resumed(world, rule)  # version 3, late
    assert [over for _, _, over in await _shown(world)] == ["renewed"]


async def test_a_rule_that_is_paused_again_in_the_same_outage_opens_the_same_notice(world: Any, token: Any) -> None:
    await world.revoked(_next(token, 2), *DISCONNECTED)
    rule = await _paused(world, token)
    await world.later()
    await _resumed(world, rule)
    await _paused(world, token, version=4)  # another one, before the follow-up leaves
    await world.later()
    assert await _shown(world) == [("RULES_PAUSED", "1 automation rule paused for Meta", None)]
    assert len(world.mailbox.mails) == 3
