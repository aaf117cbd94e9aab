"""Which mutants count, which of them are drawn, and that a mutant is killed by a test that notices it."""

from pathlib import Path

import pytest

from devstack import mutants
from devstack.equivalence import why_left_out

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


@pytest.mark.parametrize(
    ("before", "after", "reason"),
    [
        ("x = 1", "x = 2", None),
        ("def f(*, a): pass", "def f(+, a): pass", "does not compile"),
        ("def f(a: int | None) -> str | None: pass", "def f(a: int & None) -> str | None: pass", "only types differ"),
        ("def f() -> str | None: pass", "def f() -> str + None: pass", "only types differ"),
        ("a: int | str = 1", "a: int - str = 1", "only types differ"),
        ("a: int | str = 1", "a: int | str = 2", None),
        ("def f(a: int = 1): pass", "def f(a: int = 2): pass", None),
        ("def f(a, *, b=1): pass", "def f(a, /, b=1): pass", "only types differ"),
        ("def f(a, *, b=1): pass", "def f(a, *, b=2): pass", None),
        ("Change = Began | Ended", "Change = Began << Ended", "only types differ"),
        ("ALL = FEW | MANY", "ALL = FEW & MANY", None),
        ("class A(Protocol): a = 1", "class A(Protocol): a = 2", "only types differ"),
        ("class A(Base): a = 1", "class A(Base): a = 2", None),
        ("@dataclass(slots=True)\nclass A: a: int", "@dataclass(slots=False)\nclass A: a: int", "only types differ"),
        ("@dataclass(order=True)\nclass A: a: int", "@dataclass(order=False)\nclass A: a: int", None),
        ("@dataclass(slots=True)\nclass A: a: int", "class A: a: int", None),
    ],
)
def test_what_says_nothing_about_the_tests_is_left_out(before: str, after: str, reason: str | None) -> None:
    assert why_left_out("core/NumberReplacer", before, after) == reason


@pytest.mark.parametrize(
    ("name", "counts"),
    [("Is_Eq", False), ("NotEq_IsNot", False), ("IsNot_GtE", False), ("Is_IsNot", True), ("Eq_GtE", True)],
)
def test_what_is_compared_by_identity_is_the_same_or_not(name: str, *, counts: bool) -> None:
    reason = why_left_out(f"core/ReplaceComparisonOperator_{name}", "a = b", "a = c")
    assert (reason is None) is counts


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A repository of one service with one rule, and a test that does not look at it closely."""
    core = tmp_path / CORE
    core.mkdir(parents=True)
    (tmp_path / "pyproject.toml").write_text("[tool.pytest.ini_options]\naddopts = ['--import-mode=importlib']\n")
    (core.parent / "__init__.py").touch()
    (core / "__init__.py").touch()
    (core / "rule.py").write_text(RULE)
    tests = tmp_path / "services/tiny-svc/tests/unit"
    tests.mkdir(parents=True)
    (tests / "test_rule.py").write_text(BLIND)
    return tmp_path


def test_a_seed_draws_the_same_mutants_again(tree: Path) -> None:
    first, again, other = (mutants.draw(tree / CORE, 4, seed).mutants for seed in (1, 1, 2))
    assert first == again
    assert first != other
    assert len(first) == 4


def test_all_of_them_are_those_that_count(tree: Path) -> None:
    drawn = mutants.draw(tree / CORE, None, 1)
    assert len(drawn.mutants) + sum(drawn.left_out.values()) == drawn.possible
    assert drawn.left_out == {"only types differ": 11}


def test_a_test_that_looks_at_the_edge_kills_what_another_lets_live(tree: Path) -> None:
    said: list[str] = []
    assert mutants.run(tree, "tiny-svc", "all", 1, said.append) == 1
    assert any("+    return age is not None and age > 18" in line for line in said)
    assert said[-1].strip().startswith("not enough")

    (tree / "services/tiny-svc/tests/unit/test_rule.py").write_text(SHARP)
    said.clear()
    assert mutants.run(tree, "tiny-svc", "all", 1, said.append) == 0
    assert said[-1].strip().startswith("enough")

    assert (tree / CORE / "rule.py").read_text() == RULE, "mutants live in a copy"


def test_a_mutant_that_never_ends_is_killed(
    tree: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mutants, "LEAST_CPU_S", 1)
    monkeypatch.setattr(mutants, "PATIENCE", 1)
    copy = mutants.Copy(tree, "tiny-svc", tmp_path_factory.mktemp("copy"))
    copy.warm_up()
    endless = RULE.replace("return", "while True:\n        pass\n    return")
    assert copy.kills(mutants.Mutant(copy.core / "rule.py", "core/None", RULE, endless))


def test_a_suite_that_fails_before_anything_is_mutated_proves_nothing(tree: Path) -> None:
    (tree / "services/tiny-svc/tests/unit/test_rule.py").write_text("def test_it():\n    assert False\n")
    with pytest.raises(mutants.CannotStartError, match="have to be there and pass"):
        mutants.run(tree, "tiny-svc", "5", 1, lambda _line: None)


def test_a_service_that_is_not_there_is_refused_with_those_there_are(tree: Path) -> None:
    with pytest.raises(ValueError, match=r"which one\? make mutants S=tiny-svc"):
        mutants.run(tree, "tinny-svc", "5", 1, lambda _line: None)
