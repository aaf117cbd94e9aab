"""No module imports itself in a circle, and no source file is longer than one can read at once."""

from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import grimp
import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = sorted(path.parent.name for path in ROOT.glob("*/*/src/*/__init__.py"))
LONGEST = 400


def test_no_import_goes_in_a_circle() -> None:
    graph = grimp.build_graph(*PACKAGES, cache_dir=None)
    imports = {module: sorted(graph.find_modules_directly_imported_by(module)) for module in sorted(graph.modules)}
    assert len(imports) > len(PACKAGES)
    try:
        TopologicalSorter(imports).prepare()
    except CycleError as error:
        pytest.fail(" imports ".join(reversed(error.args[1])))


def test_no_source_file_is_longer_than_it_may_be() -> None:
    sources = [path for kind in ("*.py", "*.js", "*.css") for path in ROOT.glob(f"*/*/src/**/{kind}")]
    assert sources
    longer = {str(path.relative_to(ROOT)) for path in sources if len(path.read_text().splitlines()) > LONGEST}
    assert not longer
