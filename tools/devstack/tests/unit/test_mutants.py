"""A mutant is killed by a test that notices it; what no test notices is shown, and too much of it fails the run."""

from pathlib import Path

import pytest

from devstack import mutants

CORE = "services/tiny-svc/src/tiny_svc/core"
RULE = '''"""One rule."""


def may_enter(age: int | None) -> bool:
    return age is not None and age >= 18
'''
BLIND = """from tiny_svc.core.rule import may_enter


def test_something() -> None:
    assert may_enter(30)
"""
SHARP = """from tiny_svc.core.rule import may_enter


def test_the_edge() -> None:
    assert [may_enter(age) for age in (None, 17, 18, 19)] == [False, False, True, True]
"""


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A repository of one service with one rule."""
    core = tmp_path / CORE
    core.mkdir(parents=True)
    for folder in (core, core.parent):
        (folder / "__init__.py").touch()
    (core / "rule.py").write_text(RULE)
    (tmp_path / "services/tiny-svc/tests/unit").mkdir(parents=True)
    return tmp_path


def judged(tree: Path, tests: str) -> tuple[int, str]:
    (tree / "services/tiny-svc/tests/unit/test_rule.py").write_text(tests)
    said: list[str] = []
    return mutants.run(tree, "tiny-svc", said.append), "\n".join(said)


def test_a_test_that_looks_at_the_edge_kills_all(tree: Path) -> None:
    status, said = judged(tree, SHARP)
    assert status == 0
    assert "(100.0%)" in said


def test_what_a_blind_test_lets_live_is_shown_and_fails(tree: Path) -> None:
    status, said = judged(tree, BLIND)
    assert status == 1
    assert "+    return age is not None and age > 18" in said
    assert "not enough: at least 90%" in said


def test_tests_that_fail_anyhow_judge_nothing(tree: Path) -> None:
    with pytest.raises(ValueError, match="have to pass"):
        judged(tree, SHARP.replace("True, True", "True, False"))


def test_a_service_without_a_core_is_named_with_those_that_have_one(tree: Path) -> None:
    with pytest.raises(ValueError, match=r"make mutants S=tiny-svc"):
        mutants.run(tree, "gateway", print)


def test_a_mutant_that_no_test_runs_counts_as_one_that_lived() -> None:
    said: list[str] = []
    counts = {"total": 10, "survived": 1, "no_tests": 1, "skipped": 0}
    assert mutants.report(counts, said.append) == 1
    assert "8 of 10 killed (80.0%), 1 that no test runs" in said[0]
