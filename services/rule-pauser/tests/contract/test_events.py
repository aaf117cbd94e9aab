"""What this service reads and writes, against the contract's own declarations and examples."""

from datetime import UTC, datetime
from importlib.resources import files
from importlib.resources.abc import Traversable

import pytest

from common.contracts import (
    EVENT_TYPES,
    TOPICS,
    AccountAccessChangedV1,
    Event,
    PlatformIncidentV1,
    RulePausedV1,
    TokenAccountsV1,
    TokenEvent,
)
from common.runtime.ids import new_id
from rule_pauser.consumers import TOPICS as CONSUMED
from rule_pauser.core.grants import RELEVANT_KINDS, next_grant
from rule_pauser.core.pausing import Pause, Reconciled, Rule, RuleOutcome
from rule_pauser.operations.reconcile import event_of

NAME = "rule-pauser"
NOW = datetime(2026, 9, 14, 12, 0, tzinfo=UTC)


def test_the_topics_that_name_us_are_the_ones_we_consume() -> None:
    assert {topic.name for topic in TOPICS.values() if NAME in topic.consumers} == set(CONSUMED)
    assert {topic.name for topic in TOPICS.values() if NAME in topic.producers} == {"rule.paused", "rule.resumed"}


EXAMPLES = [
    (name, path)
    for name, body in EVENT_TYPES.items()
    if body.TOPIC in CONSUMED
    for path in (files("wevion_tokens.contracts") / "examples" / name).iterdir()
    if path.name.endswith(".json")
]


@pytest.mark.parametrize(("name", "path"), EXAMPLES, ids=[f"{name}-{path.name}" for name, path in EXAMPLES])
def test_every_example_is_understood(name: str, path: Traversable) -> None:
    body = EVENT_TYPES[name].model_validate_json(path.read_bytes())
    if isinstance(body, TokenEvent) and not isinstance(body, TokenAccountsV1):
        grant = next_grant(None, Event(id=new_id(), time=NOW, source="test", body=body))
        assert (grant is not None) == (body.token.kind in RELEVANT_KINDS)
    else:
        assert isinstance(body, AccountAccessChangedV1 | PlatformIncidentV1 | TokenAccountsV1)


def test_what_we_emit_keeps_the_contract() -> None:
    rule = Rule(new_id(), new_id(), "Stop losers", enabled=True, revision=3, version=7)
    pause = Pause(new_id(), new_id(), NOW)
    body = event_of(Reconciled(rule, RuleOutcome.PAUSED, "Paused automatically: it is dead.", pause))
    assert isinstance(body, RulePausedV1)
    assert (body.subject(), body.aggregate_version(), body.auto_paused_at) == (str(rule.rule_id), 7, NOW)
    assert RulePausedV1.model_validate_json(body.model_dump_json(by_alias=True)) == body
    assert event_of(Reconciled(rule, RuleOutcome.RELEASED, "words", pause)) is None
