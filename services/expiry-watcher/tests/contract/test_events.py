"""What this service reads and writes, against the contract's own declarations and examples."""

from importlib.resources import files
from importlib.resources.abc import Traversable

import pytest

from common.contracts import EVENT_TYPES, TOPICS, Event, TokenAccountsV1, TokenEvent
from common.runtime.clock import SystemClock
from common.runtime.ids import new_id
from expiry_watcher.consumers import TOPICS as FOLLOWED
from expiry_watcher.core.history import HistoryEvent, line_of, words
from expiry_watcher.core.inventory import fact_of

NAME = "expiry-watcher"


def test_the_topics_that_name_us_are_the_ones_we_follow() -> None:
    assert {topic.name for topic in TOPICS.values() if NAME in topic.consumers} == set(FOLLOWED)
    assert {topic.name for topic in TOPICS.values() if NAME in topic.producers} == {"token.expiring", "token.expired"}


EXAMPLES = [
    (name, path)
    for name in EVENT_TYPES
    for path in (files("wevion_tokens.contracts") / "examples" / name).iterdir()
    if path.name.endswith(".json")
]


@pytest.mark.parametrize(("name", "path"), EXAMPLES, ids=[f"{name}-{path.name}" for name, path in EXAMPLES])
def test_every_example_is_understood(name: str, path: Traversable) -> None:
    body = EVENT_TYPES[name].model_validate_json(path.read_bytes())
    event = Event(id=new_id(), time=SystemClock().now(), source="test", body=body)
    fact, line = fact_of(event), line_of(event)
    assert (fact is not None) == (body.TOPIC in FOLLOWED and not isinstance(body, TokenAccountsV1))
    if line is not None:
        assert isinstance(body, TokenEvent)
        told = HistoryEvent(line.what, line.token.version, line.at, line.at, line.detail)
        said = words(told, line.token.provider)
        assert said.endswith(".")
        assert "{" not in said
