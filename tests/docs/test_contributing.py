"""CONTRIBUTING names a file for each of the usual changes, and the file is there."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "CONTRIBUTING.md").read_text()
CHANGES = (
    "a new ad platform",
    "a code that TikTok re-defines",
    "a warning stage",
    "a Slack text",
    "a JWT's lifetime",
    "a rule about sessions",
    "a metric",
    "an alert",
    "a column on accounts",
    "a topic's retention",
    "a path prefix behind the gateway",
    "a KMS",
)
_TEST = re.compile(r"`(test_\w+\.py)`")


@pytest.mark.parametrize("change", CHANGES)
def test_the_place_of_a_change_is_named_and_there(change: str) -> None:
    rows = [line for line in PAGE.splitlines() if line.startswith(f"| {change} | `")]
    assert len(rows) == 1, f"CONTRIBUTING.md has {len(rows)} rows for {change}"
    paths = [path for path in re.findall(r"`([^`]+)`", rows[0]) if "/" in path]
    assert paths
    assert not [path for path in paths if not (ROOT / path).exists()]


def test_what_keeps_the_dialect_is_there() -> None:
    named = set(_TEST.findall(PAGE))
    assert named
    assert not [name for name in named if not [*(ROOT / "tests").rglob(name)]]
