"""Docstrings are read by people who know only the field: they are sentences, and explain what they take."""

import ast
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
MANY = 4

_NOUN = re.compile(
    r"(The|A|An|Whether|Every|Everything|All|What|How|Who|Which|When|Where|Those|Seconds) (?P<rest>[^.;:,]*)"
)
_SENTENCE = re.compile(r"\b(is|are|was|were|has|have|had|do|does|can|may|must|will|becomes?|decides?|ends?|gets?)\b")


def functions() -> Iterator[tuple[str, ast.FunctionDef | ast.AsyncFunctionDef]]:
    """Yield every public function and method of what is shipped, with the member that has it."""
    for folder in ("libs", "services"):
        for path in sorted((ROOT / folder).glob("*/src/**/*.py")):
            member = "/".join(path.relative_to(ROOT).parts[:2])
            for node in _public(ast.parse(path.read_text()).body):
                yield member, node


def _public(body: list[ast.stmt]) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in body:
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            yield from _public(node.body)
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and not node.name.startswith("_"):
            yield node


def parameters(function: ast.FunctionDef | ast.AsyncFunctionDef) -> list[str]:
    arguments = function.args
    names = [each.arg for each in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)]
    return [name for name in names if name not in {"self", "cls"}]


def test_what_takes_four_parameters_explains_them() -> None:
    without = [
        f"{member}: {function.name}"
        for member, function in functions()
        if len(parameters(function)) >= MANY and "Args:" not in (ast.get_docstring(function) or "")
    ]
    assert not without


def test_what_returns_something_says_so_with_a_verb() -> None:
    nouns: Counter[str] = Counter()
    for member, function in functions():
        first = (ast.get_docstring(function) or "").partition("\n")[0]
        returns = function.returns is not None and ast.unparse(function.returns) not in {"None", "NoReturn"}
        found = _NOUN.match(first)
        if returns and found is not None and not _SENTENCE.search(found["rest"]):
            nouns[member] += 1
    assert not nouns
