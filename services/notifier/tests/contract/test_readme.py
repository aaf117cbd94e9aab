"""What the README says is shown by a test is shown by a test of that name, where it says."""

import re
from pathlib import Path

MEMBER = Path(__file__).parents[2]


def test_readme_names_tests_that_exist() -> None:
    text = (MEMBER / "README.md").read_text()
    named = set()
    for line in text.splitlines():
        file = ""
        for found in re.finditer(r"`(?:(test_\w+\.py))?::(test_\w+)`", line):
            file = found[1] or file
            named.add((file, found[2]))
    assert len(named) > 30
    sources = {path.name: path.read_text() for path in (MEMBER / "tests" / "integration").glob("test_*.py")}
    assert [(file, name) for file, name in named if f"def {name}(" not in sources.get(file, "")] == []


def test_every_row_of_ours_is_in_the_readme() -> None:
    text = (MEMBER / "README.md").read_text()
    rows = re.findall(r"^\| ([TN][0-9.]+) \|", text, re.MULTILINE)
    assert rows == ["T4.1", "T4.2", "T4.3", "N1", "N2", "N3", "N4", "N5"]
