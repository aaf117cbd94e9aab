"""Every row of the product that is the notifier's is in its README; tests/deploy checks that the tests exist."""

import re
from pathlib import Path

MEMBER = Path(__file__).parents[2]


def test_every_row_of_ours_is_in_the_readme() -> None:
    text = (MEMBER / "README.md").read_text()
    rows = re.findall(r"^\| ([TN][0-9.]+) \|", text, re.MULTILINE)
    assert rows == ["T4.1", "T4.2", "T4.3", "N1", "N2", "N3", "N4", "N5"]
