"""Pages that repeat a contract are compared with it."""

import re
from pathlib import Path

from common.contracts import TOPICS, TRANSITIONS, TokenStatus

ROOT = Path(__file__).parents[4]
_ARROW = re.compile(r"^\s+(\w+) --> (\w+): (\w+)$", re.MULTILINE)


def test_the_drawn_state_machine_is_the_table() -> None:
    page = (ROOT / "docs/architecture/token-states.md").read_text()
    drawn = {(before, trigger, after) for before, after, trigger in _ARROW.findall(page)}
    moves = {(before.value, trigger.value, after.value) for (before, trigger), after in TRANSITIONS.items()}
    assert drawn == {move for move in moves if move[0] != move[2]}
    assert all(f"| `{status.value}` |" in page for status in TokenStatus)


def test_the_flow_page_names_every_topic() -> None:
    page = (ROOT / "docs/architecture/flow.md").read_text()
    for name in TOPICS:
        family, _, last = name.rpartition(".")
        assert name in page or (family in page and last in page), name


def test_every_decision_is_listed_and_complete() -> None:
    listed = (ROOT / "docs/adr/README.md").read_text()
    for path in sorted((ROOT / "docs/adr").glob("0*.md")):
        text = path.read_text()
        assert f"({path.name})" in listed
        for part in ("**Context.**", "**Decision.**", "**Rejected.**", "**Consequences.**", "**Revisit when**"):
            assert part in text, f"{path.name}: {part}"
