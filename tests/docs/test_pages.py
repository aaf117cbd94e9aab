"""What the pages claim about files and commands is there."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = sorted(
    path
    for folder in (".", "docs", "docs/adr", "docs/architecture", "docs/runbooks", "libs/*", "services/*", "tools/*")
    for path in ROOT.glob(f"{folder}/*.md")
)
_LINK = re.compile(r"\]\(([^)#\s]+)(#[^)]*)?\)")
_MAKE = re.compile(r"`make ([a-z0-9-]+)|^make ([a-z0-9-]+)", re.MULTILINE)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_somewhere(page: Path) -> None:
    for target, _ in _LINK.findall(page.read_text()):
        if "://" not in target and not target.startswith("mailto:"):
            assert (page.parent / target).exists(), f"{page.relative_to(ROOT)} links to {target}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_make_verb_exists(page: Path) -> None:
    verbs = set(re.findall(r"^([a-z][a-z0-9-]*):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for quoted, plain in _MAKE.findall(page.read_text()):
        assert (quoted or plain) in verbs, f"{page.relative_to(ROOT)} names `make {quoted or plain}`"


def test_every_member_says_what_it_is() -> None:
    for member in (*ROOT.glob("libs/*"), *ROOT.glob("services/*"), *ROOT.glob("tools/*")):
        if (member / "pyproject.toml").exists():
            assert (member / "README.md").exists(), f"{member.name} has no README.md"


def test_no_page_names_this_machine() -> None:
    for page in PAGES:
        assert not re.search(r"/(work|root|home)/", page.read_text()), page


_TEST = re.compile(r"(?:([\w./-]+\.py))?::(test_\w+)")
READMES = sorted(ROOT.glob("*/*/README.md"))


@pytest.mark.parametrize("page", READMES, ids=lambda page: page.parent.name)
def test_every_test_that_a_page_names_is_there(page: Path) -> None:
    """`file.py::test_name`; a bare `::test_name` is in the file that was named last, `test_name_*` is several."""
    file = ""
    for named, name in _TEST.findall(page.read_text()):
        file = named or file
        pattern = f"tests/**/{Path(file).name}"
        found = [*page.parent.glob(pattern), *ROOT.glob(pattern)] or [*ROOT.glob(f"*/*/{pattern}")]
        tests = "".join(path.read_text() for path in found)
        begins = name if name.endswith("_") else rf"{name}\("
        assert re.search(rf"def {begins}|^{name} = ", tests, re.MULTILINE), f"{page.parent.name}: {file}::{name}"


_EVENT = re.compile(r"`([a-z]+(?:_[a-z]+)+)`")
RUNBOOKS = sorted((ROOT / "docs" / "runbooks").glob("*.md"))


@pytest.mark.parametrize("page", RUNBOOKS, ids=lambda page: page.stem)
def test_every_log_event_that_a_runbook_names_is_written_somewhere(page: Path) -> None:
    sources = "".join(path.read_text() for part in ("libs", "services") for path in ROOT.glob(f"{part}/*/src/**/*.py"))
    for line in page.read_text().splitlines():
        if "og event" in line:
            for event in _EVENT.findall(line):
                assert f'"{event}"' in sources, f"{page.stem} names `{event}`"
