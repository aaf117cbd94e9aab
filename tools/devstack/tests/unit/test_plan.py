"""Which pytest processes `make test` starts."""

from pathlib import Path

import pytest

from devstack import suite


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for member, folders in {
        "libs/common": ["unit", "contract", "integration"],
        "services/notifier": ["unit"],
        "services/silent": [],
    }.items():
        (tmp_path / member).mkdir(parents=True)
        (tmp_path / member / "pyproject.toml").touch()
        for folder in folders:
            (tmp_path / member / "tests" / folder).mkdir(parents=True)
            (tmp_path / member / "tests" / folder / "test_it.py").touch()
    for folder in ("e2e", "deploy"):
        (tmp_path / "tests" / folder).mkdir(parents=True)
        (tmp_path / "tests" / folder / "test_it.py").touch()
    return tmp_path


def test_everything_is_each_member_once_and_stacks_alone_at_the_end(tree: Path) -> None:
    runs = suite.plan(tree, list(suite.TIERS), None, None)
    assert [run.name for run in runs] == ["common", "notifier", "repository", "tests/e2e"]
    assert runs[0].paths == ("libs/common/tests/unit", "libs/common/tests/contract", "libs/common/tests/integration")
    assert [run.alone for run in runs] == [False, False, False, True]


def test_a_tier_has_only_its_folders(tree: Path) -> None:
    runs = suite.plan(tree, ["unit"], None, None)
    assert [path for run in runs for path in run.paths if "integration" in path or "e2e" in path] == []
    assert runs[-1].paths == ("tests/deploy",)


def test_one_member_is_only_that_member(tree: Path) -> None:
    assert suite.plan(tree, list(suite.TIERS), "notifier", None) == [
        suite.Run("notifier", ("services/notifier/tests/unit",))
    ]


def test_one_file_is_only_that_file(tree: Path) -> None:
    path = "services/notifier/tests/unit/test_it.py::test_x"
    assert suite.plan(tree, ["unit"], None, path) == [suite.Run(path, (path,))]


def test_an_unknown_member_is_refused_with_those_there_are(tree: Path) -> None:
    with pytest.raises(ValueError, match="no member is called notifer; there are common, notifier, silent"):
        suite.plan(tree, ["unit"], "notifer", None)


def test_an_unknown_path_is_refused(tree: Path) -> None:
    with pytest.raises(ValueError, match=r"no such test: tests/nothing.py"):
        suite.plan(tree, ["unit"], None, "tests/nothing.py")


@pytest.mark.parametrize(
    ("paths", "wanted"),
    [
        (("libs/common/tests/unit", "libs/common/tests/contract"), False),
        (("tests/deploy",), False),
        (("tests/e2e/test_demo.py::test_x",), False),
        (("libs/common/tests/unit", "libs/common/tests/integration"), True),
        (("services/notifier/tests",), True),
    ],
)
def test_servers_are_started_only_for_tests_that_may_ask(paths: tuple[str, ...], *, wanted: bool) -> None:
    assert suite.needs_servers([suite.Run("x", paths)]) is wanted
