"""One class name, one class: what is shipped has no two public classes of different packages under one name."""

import ast
from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).parents[2]
#: Names that several packages share, and why that says the same thing in each of them.
SHARED = {
    "Deps": "what the operations of a service work with; each service has exactly one",
    "RefusalError": "the base of a service's refusals in its core/errors.py; each service has at most one",
}


def classes() -> dict[str, set[str]]:
    """Return the packages that define each public class name.

    The rooms `http` are left out: their models are the names of one OpenAPI document each.
    """
    found: dict[str, set[str]] = defaultdict(set)
    for folder in ("libs", "services"):
        for path in (ROOT / folder).glob("*/src/**/*.py"):
            parts = path.relative_to(ROOT).parts
            package, rooms = parts[3], parts[4:]
            if rooms[0] == "http" or "testing" in rooms:
                continue
            for node in ast.parse(path.read_text()).body:
                if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                    found[node.name].add(package)
    return found


def test_no_class_name_means_two_things() -> None:
    found = classes()
    twice = {name for name, packages in found.items() if len(packages) > 1}
    assert not twice - SHARED.keys()
    assert SHARED.keys() <= found.keys()
