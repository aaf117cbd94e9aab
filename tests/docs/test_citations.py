"""Every page, heading, decision, product row, target and lesson that a file of the repository names is there."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
REFERENCE = ROOT / "docs" / "reference"
PAGES_OF_TAGS = (REFERENCE / "product.md", REFERENCE / "targets.md", REFERENCE / "lessons.md")
#: Kinds of files whose text may cite something. JSON and the lock file hold data.
TEXTS = (".py", ".js", ".md", ".sql", ".yml", ".yaml", ".toml", ".html", ".css", ".txt", ".sh", "Makefile", "run")
#: Folders below which a page that is named by its bare path may lie.
HOMES = (".", "docs", "docs/reference", "docs/architecture", "docs/adr", "docs/runbooks")

_ROW = re.compile(r"^\| ([A-Z]\d+(?:\.\d+)?) \|", re.MULTILINE)
_LESSON = re.compile(r"^## (L\d+): ", re.MULTILINE)
_TAG = re.compile(r"(?<![\w.\-/#%&\"'=:\[])([TNDEPRL]\d{1,2}(?:\.\d{1,2})?)(?![\w.\-]*[\w\-])")
_NOT_A_TAG = re.compile(r"# noqa.*|\bd=\"[^\"]*\"|\"[Mm][\d. a-zA-Z,\-]+\"")
_DECISION = re.compile(r"\bADRs? (\d+)")
_PAGE = re.compile(r"(?<![\w/.*\-{}])((?:\.{1,2}/)*[\w\-/]+\.md)(#[\w\-]+)?(?![\w*])")
_HEADING = re.compile(r"^#+ +(.+)$", re.MULTILINE)
_ANCHOR = re.compile(r"\]\(([^)\s]*)#([^)\s]+)\)")


def texts() -> list[Path]:
    """Return the repository's text files, but for what is generated or data, and this test."""
    folders = (".ci", "deploy", "docs", "libs", "services", "tests", "tools")
    found = [*ROOT.glob("*"), *(path for folder in folders for path in (ROOT / folder).rglob("*"))]
    return sorted(
        path
        for path in found
        if path.name.endswith(TEXTS)
        and path.is_file()
        and path.name != "pyproject.toml"
        and path != Path(__file__)
        and "node_modules" not in path.parts
    )


FILES = texts()


def lines() -> Iterator[tuple[str, str]]:
    """Yield each line of each file with its place."""
    for path in FILES:
        for number, line in enumerate(path.read_text().splitlines(), 1):
            yield f"{path.relative_to(ROOT)}:{number}", line


def slug(heading: str) -> str:
    """Return the anchor that GitHub gives a heading."""
    words = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).strip().lower()
    return re.sub(r"[^\w\- ]", "", words).replace(" ", "-")


def anchors(page: Path) -> set[str]:
    return {slug(heading) for heading in _HEADING.findall(page.read_text())}


def resolve(path: Path, named: str) -> Path | None:
    """Return the page that `named` means in a file: relative to the file, to the repository or to a home of pages."""
    for home in (path.parent, *(ROOT / folder for folder in HOMES)):
        if (home / named).exists():
            return home / named
    return None


def test_every_tag_that_is_cited_is_defined_once() -> None:
    rows = [
        tag for page in PAGES_OF_TAGS for tag in (*_ROW.findall(page.read_text()), *_LESSON.findall(page.read_text()))
    ]
    assert len(rows) == len(set(rows))
    cited = [(place, tag) for place, line in lines() for tag in _TAG.findall(_NOT_A_TAG.sub("", line))]
    sections = {tag.partition(".")[0] for tag in rows if "." in tag}
    assert not [f"{place}: {tag}" for place, tag in cited if tag not in {*rows, *sections}]
    assert {tag for _, tag in cited} > {"T2.11", "P3", "R1", "N5", "L3"}, "the pattern finds nothing any more"


def test_every_decision_that_is_cited_is_there() -> None:
    numbers = {int(path.name[:4]) for path in (ROOT / "docs" / "adr").glob("0*.md")}
    cited = [(place, int(number)) for place, line in lines() for number in _DECISION.findall(line)]
    assert not [f"{place}: ADR {number}" for place, number in cited if number not in numbers]
    assert cited


def test_every_page_and_heading_that_is_named_is_there() -> None:
    wrong = []
    # A migration that was applied never changes, not even in what it cites.
    for path in (path for path in FILES if path.parent.name != "migrations"):
        for named, anchor in _PAGE.findall(re.sub(r"https?://\S+", "", path.read_text())):
            page = resolve(path, named)
            if page is None or (anchor and anchor[1:] not in anchors(page)):
                wrong.append(f"{path.relative_to(ROOT)}: {named}{anchor}")
    assert not wrong


@pytest.mark.parametrize("page", [path for path in FILES if path.suffix == ".md"], ids=lambda page: page.stem)
def test_every_anchor_of_a_link_is_a_heading(page: Path) -> None:
    for target, anchor in _ANCHOR.findall(page.read_text()):
        if "://" not in target:
            assert anchor in anchors(page.parent / target if target else page), f"{target}#{anchor}"


def test_nothing_outside_of_the_repository_is_cited() -> None:
    assert not [place for place, line in lines() if re.search(r"\.\./shared\b|\bstack notes\b|\blessons [A-Z]\d", line)]
