"""`devstack mutants`: whether a service's unit tests notice when a rule of its core is changed.

cosmic-ray makes the changes, one at a time, in a scratch copy of the service; a mutant is killed when a unit or
contract test fails on it. Each is tried in a fork of one process that has everything but the service imported
already, because starting Python, pytest and pydantic anew takes ten times as long as the tests of a core.
"""

import difflib
import gc
import importlib
import json
import multiprocessing
import os
import random
import re
import resource
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cosmic_ray.commands import init
from cosmic_ray.mutating import mutate_code
from cosmic_ray.plugins import get_operator
from cosmic_ray.work_db import WorkDB

from common.runtime.clock import monotonic
from devstack.equivalence import why_left_out
from devstack.terminal import Say, table

#: docs/reference/targets.md asks for it of every core.
MUST_KILL = 0.9
FOLDERS = ("unit", "contract")
#: A mutant may loop for ever, or count to 2**60 in a list. Bounds are of processor time and memory, which a busy
#: machine does not change; one that waits for ever is ended by pytest's timeout, which counts minutes on the wall.
PATIENCE = 10
LEAST_CPU_S = 10
MEMORY_BYTES = 4 << 30
WAITS_S = 900
PROGRESS_EVERY = 25


class CannotStartError(ValueError):
    """There is nothing to measure; the text says why."""


@dataclass(frozen=True, slots=True)
class Mutant:
    """One change to one module of core."""

    module: Path
    operator: str
    before: str
    after: str

    @property
    def diff(self) -> str:
        lines = difflib.unified_diff(
            self.before.splitlines(), self.after.splitlines(), str(self.module), self.operator, n=1, lineterm=""
        )
        return "\n".join(lines)


@dataclass(frozen=True, slots=True)
class Drawn:
    """The mutants to try, of how many, and why others were left out on the way."""

    mutants: tuple[Mutant, ...]
    possible: int
    left_out: Counter[str]


def draw(core: Path, size: int | None, seed: int) -> Drawn:
    """`size` mutants (None: all) of the package `core`, the same for the same seed and the same code."""
    database = WorkDB(":memory:", WorkDB.Mode.create)
    init(sorted(core.rglob("*.py")), database, {})
    changes = [change for item in database.work_items for change in item.mutations]
    database.close()
    changes.sort(key=lambda change: (change.module_path, change.operator_name, change.occurrence))
    random.Random(seed).shuffle(changes)  # noqa: S311  a sample that can be drawn again, not a secret
    sources = {path: path.read_text() for path in core.rglob("*.py")}
    mutants: list[Mutant] = []
    left_out: Counter[str] = Counter()
    for change in changes:
        if len(mutants) == size:
            break
        before = sources[change.module_path]
        after = mutate_code(before, get_operator(change.operator_name)(), change.occurrence)
        if reason := why_left_out(change.operator_name, before, after):
            left_out[reason] += 1
        else:
            mutants.append(Mutant(change.module_path, change.operator_name, before, after))
    return Drawn(tuple(mutants), len(changes), left_out)


class Copy:
    """A scratch copy of a service, whose tests run against its own sources."""

    def __init__(self, root: Path, service: str, folder: Path) -> None:
        self.folder = folder
        self.member = folder / "services" / service
        shutil.copytree(
            root / "services" / service, self.member, ignore=shutil.ignore_patterns("__pycache__", ".hypothesis")
        )
        shutil.copy(root / "pyproject.toml", folder)
        self._source = self.member / "src"
        self.core = self._source / service.replace("-", "_") / "core"
        self._tests = [path for name in FOLDERS for path in sorted((self.member / "tests" / name).rglob("test_*.py"))]
        self._imported = folder / "imported.json"
        self._cpu_s = resource.RLIM_INFINITY
        self._warm = False
        self._forks = multiprocessing.get_context("fork")

    def warm_up(self) -> float:
        """Runs the tests on the code as it is, and imports here what they imported from elsewhere.

        Returns the processor seconds that one run takes. Raises `CannotStartError` if they fail, all together or only
        those that name one module: then every mutant would seem to be killed.
        """
        self._must_pass(self._tests)
        for name in json.loads(self._imported.read_text()):
            with suppress(ImportError):
                importlib.import_module(name)
        # Compiled files are matched by size and second of change: two mutants of one second could be taken for one.
        for cache in self.core.rglob("__pycache__"):
            shutil.rmtree(cache)
        self._warm = True
        gc.freeze()  # pytest collects garbage twice a run, and would look at everything that is imported here
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        self._must_pass(self._tests)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        self._cpu_s = max(LEAST_CPU_S, int(PATIENCE * seconds))
        for module in self.core.rglob("*.py"):
            if near := self._near(module):
                self._must_pass(near)
        return seconds

    def _must_pass(self, tests: Sequence[Path]) -> None:
        if not tests or not self.passes(tests):
            raise CannotStartError("the unit and contract tests have to be there and pass before anything is mutated")

    def _near(self, module: Path) -> list[Path]:
        """The tests that name a module."""
        named = re.compile(rf"\bcore\b.*\b{module.stem}\b")
        return [path for path in self._tests if named.search(path.read_text())]

    def kills(self, mutant: Mutant) -> bool:
        """Whether a test fails on it, or never ends. Those that name its module are asked first: they mostly know."""
        near = self._near(mutant.module)
        far = [path for path in self._tests if path not in near]
        mutant.module.write_text(mutant.after)
        try:
            return not all(self.passes(tests) for tests in (near, far) if tests)
        finally:
            mutant.module.write_text(mutant.before)

    def passes(self, tests: Sequence[Path]) -> bool:
        """Whether these tests pass on what is in the copy now."""
        run = self._forks.Process(target=self._run, args=(tests,))
        run.start()
        run.join()
        return run.exitcode == 0

    def _run(self, tests: Sequence[Path]) -> None:
        """In the fork: pytest, with nothing that only helps people to read a failure."""
        import pytest  # noqa: PLC0415  only the forks run tests
        from hypothesis import Phase, settings  # noqa: PLC0415

        resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
        resource.setrlimit(resource.RLIMIT_CPU, (self._cpu_s, self._cpu_s))
        sys.path.insert(0, str(self._source))
        sys.dont_write_bytecode = self._warm
        os.chdir(self.folder)
        quiet = os.open(os.devnull, os.O_RDWR)
        for stream in (0, 1, 2):
            os.dup2(quiet, stream)
        # The same examples for every mutant, and no search for a smaller one when a test has failed.
        settings.register_profile(
            "mutants", derandomize=True, database=None, deadline=None, phases=(Phase.explicit, Phase.generate)
        )
        settings.load_profile("mutants")
        options = ["-x", "-q", "-p", "no:randomly", "-p", "no:cacheprovider", "--assert=plain", f"--timeout={WAITS_S}"]
        status = pytest.main([*options, "-c", str(self.folder / "pyproject.toml"), *map(str, tests)])
        if not self._warm:
            self._imported.write_text(json.dumps(_imported_from_elsewhere(self.folder)))
        os._exit(int(status))


def _imported_from_elsewhere(folder: Path) -> list[str]:
    ours = str(folder)
    found: list[tuple[str, Any]] = [(name, getattr(module, "__file__", None)) for name, module in sys.modules.items()]
    return [name for name, file in found if file and not file.startswith(ours) and not name.startswith("__")]


def run(root: Path, service: str, sample: str, seed: int, out: Say) -> int:
    """Tries a sample and prints what came of it; returns the exit status.

    Raises `ValueError` for a service without a core, and for a sample that is no number.
    """
    known = sorted(path.parents[2].name for path in root.glob("services/*/src/*/core"))
    if service not in known:
        raise ValueError(f"which one? make mutants S={'|'.join(known)}")
    size = None if sample == "all" else int(sample)
    with tempfile.TemporaryDirectory(prefix="wevion-mutants-") as folder:
        copy = Copy(root, service, Path(folder).resolve())
        drawn = draw(copy.core, size, seed)
        seconds = copy.warm_up()
        left_out = ", ".join(f"{count} {reason}" for reason, count in sorted(drawn.left_out.items()))
        out(f"{service}: {len(drawn.mutants)} mutants of {drawn.possible} possible, seed {seed}")
        out(f"  left out while drawing: {left_out or 'none'}; {seconds:.1f} s of processor a run of the tests")
        killed = _try_all(copy, drawn.mutants, out)
        return report(copy.core, drawn.mutants, killed, out)


def _try_all(copy: Copy, mutants: Sequence[Mutant], out: Say) -> list[bool]:
    began = monotonic()
    killed: list[bool] = []
    for mutant in mutants:
        killed.append(copy.kills(mutant))
        if len(killed) % PROGRESS_EVERY == 0:
            each = (monotonic() - began) / len(killed)
            out(f"  · {len(killed)} of {len(mutants)}: {killed.count(False)} survived, {each:.2f} s each")
    return killed


def report(core: Path, mutants: Sequence[Mutant], killed: Sequence[bool], out: Say) -> int:
    """The survivors, a line per module, and the verdict; returns the exit status."""
    tries = list(zip(mutants, killed, strict=True))
    for mutant, dead in tries:
        if not dead:
            out(f"\n{mutant.diff.replace(str(core.parents[2]) + os.sep, '')}")
    rows = [
        _row(str(module.relative_to(core)), [dead for mutant, dead in tries if mutant.module == module])
        for module in sorted({mutant.module for mutant in mutants})
    ]
    out(f"\n{table([('module', 'mutants', 'killed', 'survived', 'rate'), *rows, _row('all', killed)])}")
    enough = bool(killed) and sum(killed) >= MUST_KILL * len(killed)
    out(f"\n{'enough' if enough else 'not enough'}: at least {MUST_KILL:.0%} have to be killed")
    return 0 if enough else 1


def _row(name: str, killed: Sequence[bool]) -> tuple[str, str, str, str, str]:
    rate = sum(killed) / len(killed) if killed else 0.0
    return name, str(len(killed)), str(sum(killed)), str(len(killed) - sum(killed)), f"{rate:.1%}"
