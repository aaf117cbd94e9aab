"""A stack of its own as one child process, for tests that look at it from outside and do it harm."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Self

from common.runtime.clock import monotonic
from common.testing.processes import ChildFailedError
from devstack.layout import Layout

START_TIMEOUT_S = 240.0
STOP_TIMEOUT_S = 60.0
RESTART_TIMEOUT_S = 90.0
POLL_S = 0.1
READY = "\nready after"


class ChildStack:
    """`ChildStack.start(folder)` is `make run` in that folder; `stop` is its Ctrl-C."""

    def __init__(self, folder: Path, process: "subprocess.Popen[bytes]", log: Path) -> None:
        self.folder = folder
        self.process = process
        self._log = log

    @classmethod
    def start(cls, folder: Path, *arguments: str, log_name: str = "up.log") -> Self:
        """Returns when it is ready. Raises `ChildFailedError` with what it printed if it does not get there."""
        folder.mkdir(parents=True, exist_ok=True)
        log = folder / log_name
        with log.open("wb") as out:
            process = subprocess.Popen(
                _command("up", folder, arguments),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        stack = cls(folder, process, log)
        try:
            _poll(lambda: READY in stack.printed() or process.poll() is not None, START_TIMEOUT_S)
        except TimeoutError:
            stack.stop()
            raise ChildFailedError(f"the stack was not ready in {START_TIMEOUT_S:g} s:\n{stack.printed()}") from None
        if process.poll() is not None:
            raise ChildFailedError(f"the stack ended with status {process.returncode}:\n{stack.printed()}")
        return stack

    @property
    def demo(self) -> dict[str, Any]:
        """demo.json as it is now."""
        found: dict[str, Any] = json.loads(Layout(self.folder).demo_file.read_text())
        return found

    def printed(self) -> str:
        """What it told people so far."""
        return self._log.read_text(errors="replace")

    def pids(self, name: str) -> list[int]:
        """The processes of a part now: a service's name, `kafka`, `postgres` or `simulator`."""
        found: list[int] = self.demo["processes"].get(name, [])
        return found

    def kill(self, name: str) -> list[int]:
        """SIGKILL to every process of a part; returns the pids that were killed."""
        pids = self.pids(name)
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
        return pids

    def wait_back(self, name: str, killed: Sequence[int]) -> None:
        """Returns when the part runs again as other processes. Raises `TimeoutError`."""
        _poll(lambda: bool(self.pids(name)) and not set(self.pids(name)) & set(killed), RESTART_TIMEOUT_S)

    def tell_demo(self) -> "subprocess.Popen[str]":
        """`make demo` against this stack, as a process whose output can be read line by line."""
        return subprocess.Popen(
            _command("demo", self.folder, ()),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def interrupt(self) -> None:
        """Ctrl-C, without waiting."""
        self.process.send_signal(signal.SIGINT)

    def stop(self) -> int:
        """Ctrl-C, and the exit status once everything has ended. Safe to call again."""
        if self.process.poll() is None:
            self.interrupt()
        try:
            return self.process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            # its children are on a leash: they go with it
            self.process.kill()
            return self.process.wait()


def _command(verb: str, folder: Path, arguments: Sequence[str]) -> list[str]:
    return [sys.executable, "-m", "devstack", verb, "--dir", str(folder), *arguments]


def _poll(condition: Callable[[], bool], timeout_s: float) -> None:
    deadline = monotonic() + timeout_s
    while not condition():
        if monotonic() > deadline:
            raise TimeoutError(f"not within {timeout_s:g} s")
        time.sleep(POLL_S)
