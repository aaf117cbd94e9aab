"""What CONTRIBUTING calls the dialect, as far as ruff and import-linter cannot tell."""

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
SOURCES = sorted(path for folder in ("libs", "services") for path in (ROOT / folder).glob("*/src/**/*.py"))
TREES = {path: ast.parse(path.read_text()) for path in SOURCES}


def functions() -> Iterator[tuple[str, ast.FunctionDef | ast.AsyncFunctionDef]]:
    """Yield every function with its place."""
    for path, tree in TREES.items():
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                yield f"{path.relative_to(ROOT)}:{node.lineno} {node.name}", node


def test_the_database_argument_is_db_and_a_pool_is_pool() -> None:
    names = {"Db": "db", "Pool": "pool"}
    seen, wrong = 0, []
    for place, function in functions():
        for argument in (*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs):
            kind = argument.annotation.id if isinstance(argument.annotation, ast.Name) else ""
            if kind in names:
                seen += 1
                if argument.arg != names[kind]:
                    wrong.append(f"{place}: {argument.arg}")
    assert seen
    assert not wrong


def test_a_logger_is_named_after_its_module() -> None:
    seen, wrong = 0, []
    for path, tree in TREES.items():
        for node in tree.body:
            if not (isinstance(node, ast.Assign) and isinstance(node.value, ast.Call)):
                continue
            called = ast.unparse(node.value.func)
            if called.endswith("get_logger"):
                seen += 1
                if ast.unparse(node) != f"_log = {called}(__name__)":
                    wrong.append(f"{path.relative_to(ROOT)}: {ast.unparse(node)}")
    assert seen
    assert not wrong


def test_no_duration_is_measured_with_the_event_loops_clock() -> None:
    wrong = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for path, tree in TREES.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and ast.unparse(node.func).endswith(("get_running_loop().time", "loop.time"))
    ]
    assert not wrong


def test_a_connection_is_taken_in_one_way() -> None:
    """By `common.postgres`, which waits no longer than a request can, and says that the database is away or busy."""
    wrong = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for path, tree in TREES.items()
        if "services" in path.relative_to(ROOT).parts
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and ast.unparse(node.func).endswith(("pool.acquire", "_pool.acquire"))
    ]
    assert not wrong
