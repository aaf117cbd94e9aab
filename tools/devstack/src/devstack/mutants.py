"""`devstack mutants`: whether a service's unit tests notice when a rule of its core is changed.

mutmut makes the changes and runs the tests on each, in a scratch copy of the service: a mutant is killed when a unit
or contract test fails on it. A mutant that no test runs counts as one that survived.
"""

import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import tomli_w

from devstack.terminal import Say

#: docs/reference/targets.md asks for it of every core.
MUST_KILL = 0.9
FOLDERS = ("unit", "contract")
PYTEST = ("--import-mode=importlib", "-p", "common.testing.plugin", "-p", "no:randomly", "-p", "no:cacheprovider")


def run(root: Path, service: str, out: Say) -> int:
    """Tries every mutant, prints each survivor as a diff and the count; returns the exit status.

    Raises `ValueError` for a service without a core, and where the tests fail on the code as it is.
    """
    known = sorted(path.parents[2].name for path in root.glob("services/*/src/*/core"))
    if service not in known:
        raise ValueError(f"which one? make mutants S={'|'.join(known)}")
    with tempfile.TemporaryDirectory(prefix="wevion-mutants-") as folder:
        copy = _copied(root / "services" / service, Path(folder).resolve())
        if _mutmut(copy, ["run"]).returncode:
            raise ValueError(f"the unit and contract tests of {service} have to pass before they are judged")
        _mutmut(copy, ["export-cicd-stats"], quiet=True)
        stats: dict[str, int] = json.loads((copy / "mutants" / "mutmut-cicd-stats.json").read_text())
        for name in _lived(_mutmut(copy, ["results"], quiet=True).stdout):
            out(f"\n{_mutmut(copy, ['show', name], quiet=True).stdout.strip()}")
        return report(stats, out)


def report(stats: dict[str, int], out: Say) -> int:
    """The verdict on what mutmut has counted; returns the exit status."""
    total, lived = stats["total"], stats["survived"] + stats["no_tests"]
    killed = total - lived - stats["skipped"]
    enough = total > 0 and killed >= MUST_KILL * total
    out(f"\n{killed} of {total} killed ({killed / max(total, 1):.1%}), {stats['no_tests']} that no test runs")
    out(f"{'enough' if enough else 'not enough'}: at least {MUST_KILL:.0%} have to be killed")
    return 0 if enough else 1


def _copied(member: Path, folder: Path) -> Path:
    """A copy of the member's sources and unit tests, with the settings that mutmut reads."""
    core = next(member.glob("src/*/core")).relative_to(member)
    shutil.copytree(member / "src", folder / "src", ignore=shutil.ignore_patterns("*.egg-info", "__pycache__"))
    tests = [name for name in FOLDERS if (member / "tests" / name).is_dir()]
    for name in tests:
        shutil.copytree(member / "tests" / name, folder / "tests" / name)
    for file in member.glob("tests/*.py"):
        shutil.copy(file, folder / "tests")
    settings = {
        "mutmut": {
            "source_paths": [str(core)],
            "also_copy": ["src", "tests"],
            "pytest_add_cli_args": list(PYTEST),
            "pytest_add_cli_args_test_selection": [f"tests/{name}" for name in tests],
        },
        "pytest": {"ini_options": {"asyncio_mode": "auto", "asyncio_default_fixture_loop_scope": "function"}},
    }
    (folder / "pyproject.toml").write_text(tomli_w.dumps({"tool": settings}))
    return folder


def _mutmut(folder: Path, arguments: Sequence[str], *, quiet: bool = False) -> subprocess.CompletedProcess[str]:
    # It puts the mutated copy before the installed member by itself; progress goes to the terminal as it is.
    command = [sys.executable, "-m", "mutmut", *arguments]
    return subprocess.run(command, cwd=folder, text=True, capture_output=quiet, check=False)


def _lived(results: str) -> list[str]:
    lines = (line.strip().rpartition(": ") for line in results.splitlines())
    return [name for name, _, state in lines if state in {"survived", "no tests"}]
