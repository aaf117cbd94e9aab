"""`devstack test`: the members' tests, two at a time, on one real Kafka and one real PostgreSQL.

What cannot be had on this machine (a browser) is left out by name and said; with CI set that is a failure.
"""

import asyncio
import os
import re
import shutil
import signal
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from common.runtime.clock import monotonic
from common.testing.plugin import TEST_KAFKA, TEST_POSTGRES
from common.testing.processes import Kafka, Postgres, cache_folder
from devstack.terminal import Say, paint

#: Folders below a member's (or the repository's) `tests`, per tier.
TIERS: dict[str, tuple[str, ...]] = {
    "unit": ("unit", "contract", "architecture", "deploy", "docs"),
    "integration": ("integration",),
    "e2e": ("e2e", "chaos"),
}
#: Tests are mostly waiting for servers, and a machine that runs CI has two cores.
AT_ONCE = 2
NO_TESTS_COLLECTED = 5
BROWSERS = ("chromium", "chromium-browser", "google-chrome")


@dataclass(frozen=True, slots=True)
class Run:
    """One pytest process."""

    name: str
    paths: tuple[str, ...]
    #: Whole stacks want the machine for themselves.
    alone: bool = False


@dataclass(frozen=True, slots=True)
class Result:
    run: Run
    ok: bool
    summary: str
    output: str
    seconds: float


def plan(root: Path, tiers: Sequence[str], service: str | None, path: str | None) -> list[Run]:
    """Which pytest processes to run.

    Raises `ValueError` with the names there are, if nothing matches.
    """
    if path is not None:
        if not (root / path.partition("::")[0]).exists():
            raise ValueError(f"no such test: {path}")
        return [Run(path, (path,))]
    members = sorted(each.parent for each in root.glob("*/*/pyproject.toml"))
    if service is not None:
        members = [each for each in members if each.name == service]
        if not members:
            known = ", ".join(sorted(each.parent.name for each in root.glob("*/*/pyproject.toml")))
            raise ValueError(f"no member is called {service}; there are {known}")
    together = [tier for tier in tiers if tier != "e2e"]
    runs = [Run(member.name, folders) for member in members if (folders := _folders(root, member, together))]
    if service is None:
        runs += [Run("repository", folders) for folders in [_folders(root, root, together)] if folders]
        if "e2e" in tiers:
            runs += [Run(folder, (folder,), alone=True) for folder in _folders(root, root, ["e2e"])]
    return runs


def needs_servers(runs: Sequence[Run]) -> bool:
    """Whether any of these may ask for Kafka or PostgreSQL; whole stacks bring their own."""
    alone = {*TIERS["unit"], *TIERS["e2e"]}
    return any(not alone & set(Path(path.partition("::")[0]).parts) for run in runs for path in run.paths)


def _folders(root: Path, member: Path, tiers: Sequence[str]) -> tuple[str, ...]:
    wanted = [member / "tests" / folder for tier in tiers for folder in TIERS[tier]]
    return tuple(str(folder.relative_to(root)) for folder in wanted if any(folder.rglob("test_*.py")))


async def run_all(runs: Sequence[Run], *, servers: bool, out: Say) -> int:
    """Runs them and prints a line each, the output of what failed at the end; returns the exit status."""
    began = monotonic()
    with ExitStack() as stack:
        env = dict(os.environ)
        env["PATH"] = os.pathsep.join([str(cache_folder() / "bin"), env.get("PATH", "")])
        left_out = _left_out(out)
        if servers and TEST_KAFKA not in env:
            env |= _start_servers(stack, out)
        results = await _run_together([run for run in runs if not run.alone], env, left_out, out)
        for run in runs:
            if run.alone:
                results += await _run_together([run], env, left_out, out)
    failed = [result for result in results if not result.ok]
    for result in failed:
        out(f"\n{paint('──', 31)} {result.run.name} {paint('─' * 60, 31)}\n{result.output}")
    verdict = (
        f"{len(failed)} of {len(results)} failed: {', '.join(each.run.name for each in failed)}"
        if failed
        else "all passed"
    )
    out(f"\n{verdict} in {monotonic() - began:.0f} s")
    if left_out and env.get("CI"):
        out("but CI must leave nothing out")
        return 1
    return 1 if failed else 0


def _left_out(out: Say) -> list[str]:
    if any(shutil.which(name) for name in BROWSERS):
        return []
    out("  ! no Chromium on this machine: the tests marked `browser` are left out (on Debian: apt install chromium)")
    return ["-m", "not browser"]


def _start_servers(stack: ExitStack, out: Say) -> dict[str, str]:
    began = monotonic()
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="wevion-test-", ignore_cleanup_errors=True)))
    postgres = Postgres.start(folder / "postgres", durable=False)
    stack.callback(postgres.stop)
    kafka = Kafka.start(folder / "kafka", heap_mb=768)
    stack.callback(kafka.stop)
    out(f"  · Kafka and PostgreSQL for all of them in {monotonic() - began:.1f} s")
    return {TEST_KAFKA: kafka.bootstrap, TEST_POSTGRES: postgres.dsn()}


async def _run_together(runs: Sequence[Run], env: Mapping[str, str], extra: Sequence[str], out: Say) -> list[Result]:
    gate = asyncio.Semaphore(AT_ONCE)

    async def one(run: Run) -> Result:
        async with gate:
            result = await _pytest(run, env, extra)
        mark = paint("✓", 32) if result.ok else paint("✗", 31)
        out(f"  {mark} {run.name:<24} {result.summary:<44} {result.seconds:6.1f} s")
        return result

    return list(await asyncio.gather(*(one(run) for run in runs)))


async def _pytest(run: Run, env: Mapping[str, str], extra: Sequence[str]) -> Result:
    began = monotonic()
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "--no-header",
        *extra,
        *run.paths,
        env=env,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        raw, _ = await process.communicate()
    except asyncio.CancelledError:
        process.send_signal(signal.SIGINT)  # lets fixtures end what they started
        await process.wait()
        raise
    output = raw.decode(errors="replace")
    lines = output.rstrip().splitlines()
    summary = re.sub(r" in [\d.:]+s.*", "", lines[-1]).strip("= ") if lines else "no output"
    ok = process.returncode in {0, NO_TESTS_COLLECTED}
    return Result(run, ok, summary, output, monotonic() - began)
