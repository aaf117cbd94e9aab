"""One child process: started on a leash in a process group of its own, ended with everything it started."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from common.runtime.clock import monotonic

User = Literal["keep", "namespace", "nobody"]

LEASH = Path(__file__).with_name("leash.py")
#: A log beyond this is set aside as `<name>.1` at the next start, so that a folder kept for months stays small.
MAX_LOG_BYTES = 20 * 1024 * 1024
TAIL_LINES = 15
POLL_S = 0.02


class ChildFailedError(Exception):
    """A child did not start, or ended by itself. The text is for people: what, why, and where the log is."""


@dataclass(slots=True)
class Child:
    """A running (or ended) child. Not a context manager: whoever starts it decides how long it lives."""

    name: str
    process: subprocess.Popen[bytes]
    log: Path
    stop_signal: signal.Signals
    pid_file: Path | None = None

    @classmethod
    def start(
        cls,
        name: str,
        argv: Sequence[str | Path],
        *,
        log: Path,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        stop_signal: signal.Signals = signal.SIGTERM,
        user: User = "keep",
        pid_file: Path | None = None,
    ) -> "Child":
        """Starts it, output appended to `log`. `env` None hands on this process's own environment.

        The leash holds on to the *thread* that calls this: call it from one that lives as long as the child.

        Args:
            name: what it is called in messages.
            argv: the command.
            log: the file that its output is appended to.
            env: its environment; None hands on this process's own.
            cwd: its working directory; None for this process's.
            stop_signal: the signal that asks it to end.
            user: the user that it runs as; None for this process's.
            pid_file: where its process id is written, so that a later start finds what was left behind.

        """
        log.parent.mkdir(parents=True, exist_ok=True)
        if log.exists() and log.stat().st_size > MAX_LOG_BYTES:
            log.replace(log.with_name(log.name + ".1"))
        leashed = [
            sys.executable,
            "-I",
            "-S",
            str(LEASH),
            str(os.getpid()),
            str(int(stop_signal)),
            user,
            "--",
            *map(str, argv),
        ]
        with log.open("ab") as out:
            process = subprocess.Popen(
                leashed,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                env=None if env is None else dict(env),
                cwd=cwd,
                start_new_session=True,
            )
        if pid_file is not None:
            pid_file.write_text(f"{process.pid} {_birth(process.pid)}\n")
        return cls(name=name, process=process, log=log, stop_signal=stop_signal, pid_file=pid_file)

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def returncode(self) -> int | None:
        """None while it runs; negative: the signal that ended it."""
        return self.process.poll()

    def require_running(self) -> None:
        """Raises `ChildFailedError` with the end of the log if it has ended."""
        if (code := self.returncode) is not None:
            raise ChildFailedError(f"{self.name} ended {describe_exit(code)}.\n{self.log_tail()}")

    def log_tail(self, lines: int = TAIL_LINES) -> str:
        """Return the last lines of the log, indented, under a line that says where the rest is."""
        with contextlib.suppress(OSError):
            tail = self.log.read_bytes()[-16_384:].decode(errors="replace").splitlines()[-lines:]
            return "\n".join([f"  last lines of {self.log}:", *(f"  | {line}" for line in tail)])
        return f"  no log at {self.log}"

    def tell_to_stop(self) -> None:
        """Sends the stop signal to the group and does not wait."""
        _signal_group(self.pid, self.stop_signal)

    def stop(self, grace_s: float = 10.0) -> None:
        """Ends it: stop signal, then after `grace_s` SIGKILL to the whole group. Safe to call again."""
        if self.returncode is None:
            self.tell_to_stop()
            try:
                self.process.wait(grace_s)
            except subprocess.TimeoutExpired:
                _signal_group(self.pid, signal.SIGKILL)
                self.process.wait()
        else:
            # its own children may have outlived it
            _signal_group(self.pid, signal.SIGKILL)
        if self.pid_file is not None:
            self.pid_file.unlink(missing_ok=True)

    def kill(self) -> None:
        """SIGKILL to the group, at once: a crash on order."""
        _signal_group(self.pid, signal.SIGKILL)
        self.process.wait()


def describe_exit(code: int) -> str:
    """`with status 1` or `by SIGKILL`."""
    if code >= 0:
        return f"with status {code}"
    with contextlib.suppress(ValueError):
        return f"by {signal.Signals(-code).name}"
    return f"by signal {-code}"


def end_leftover(pid_file: Path, grace_s: float = 10.0) -> bool:
    """Ends what an earlier run left behind, if the pid file still names that very process. True if it did."""
    try:
        pid_text, birth = pid_file.read_text().split()
        pid = int(pid_text)
    except (OSError, ValueError):
        return False
    alive = _alive_since(pid, birth)
    if alive:
        _signal_group(pid, signal.SIGTERM)
        deadline = monotonic() + grace_s
        while _alive_since(pid, birth) and monotonic() < deadline:
            time.sleep(POLL_S)
        if _alive_since(pid, birth):
            _signal_group(pid, signal.SIGKILL)
            while _alive_since(pid, birth) and monotonic() < deadline + grace_s:
                time.sleep(POLL_S)
    pid_file.unlink(missing_ok=True)
    return alive


def _signal_group(pid: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, number)


def _alive_since(pid: int, birth: str) -> bool:
    return _birth(pid) == birth


def _birth(pid: int) -> str:
    """Return a mark that tells this process from a later one with the same number; `?` once it is gone."""
    stat = Path(f"/proc/{pid}/stat")
    if stat.exists():
        with contextlib.suppress(OSError, IndexError):
            # fields after the command name, which may itself hold spaces and brackets: state is 0, start time is 19
            fields = stat.read_text().rpartition(")")[2].split()
            return "?" if fields[0] in {"Z", "X"} else fields[19]
        return "?"
    if Path("/proc/self/stat").exists():
        return "?"
    told = subprocess.run(
        ["ps", "-o", "lstart=", "-p", str(pid)], capture_output=True, text=True, check=False
    ).stdout.strip()
    return told.replace(" ", "_") or "?"
