"""Which port each part listens on: its own one if that is free, else one a hundred higher, and then it is said.

A port that is free now may be taken when a slow server binds it. Other programs are rare; another stack that
starts at the same moment is not, so stacks reserve their ports from each other by locked files for as long as they run.
"""

import contextlib
import fcntl
import os
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from common.testing.processes import ChildFailedError, port_is_free

DEFAULTS = {
    "gateway": 8080,
    "session-svc": 8081,
    "oauth-svc": 8082,
    "expiry-watcher": 8083,
    "rule-pauser": 8084,
    "notifier": 8085,
    "gateway-operators": 8086,
    "simulator": 9100,
    "simulator-control": 9101,
    "mailbox-smtp": 9125,
    "kafka": 9092,
    "postgres": 5433,
}
#: Further replicas of a service start here: nobody needs to know their ports by heart.
REPLICAS_FROM = 8600
STEP = 100
TRIES = 100


@dataclass(frozen=True, slots=True)
class Ports:
    """Chosen once per start. A part that is started again keeps its port."""

    by_name: dict[str, int]

    def __getitem__(self, name: str) -> int:
        return self.by_name[name]

    @property
    def moved(self) -> list[tuple[str, int, int]]:
        """(name, default, chosen) of each that had to go elsewhere."""
        return [
            (name, default, self.by_name[name]) for name, default in DEFAULTS.items() if self.by_name[name] != default
        ]


@contextlib.contextmanager
def reserved(extra: Iterable[str] = (), folder: Path | None = None) -> Iterator[Ports]:
    """A port for each part, and for each extra name (a replica), reserved against other stacks inside the block.

    Raises `ChildFailedError` if a hundred candidates are all taken.
    """
    folder = folder or Path(tempfile.gettempdir()) / "wevion-ports"
    with contextlib.ExitStack() as held:
        chosen = {
            name: _take(folder, held, name, DEFAULTS.get(name), DEFAULTS.get(name, REPLICAS_FROM))
            for name in (*DEFAULTS, *extra)
        }
        yield Ports(chosen)


def _take(folder: Path, held: contextlib.ExitStack, name: str, default: int | None, first: int) -> int:
    step = 1 if default is None else STEP
    for port in range(first, first + TRIES * step, step):
        if port_is_free(port) and (lock := _lock(folder / str(port))) is not None:
            held.enter_context(lock)
            return port
    raise ChildFailedError(f"no free port for {name}: {first} and {TRIES - 1} others are taken")


def _lock(file: Path) -> IO[str] | None:
    """The open, locked file, or None if another stack has it. The lock ends with the file or the process."""
    try:
        if not file.parent.exists():
            file.parent.mkdir(exist_ok=True)
            file.parent.chmod(0o1777)  # for every user of the machine
        descriptor = os.open(file, os.O_RDWR | os.O_CREAT, 0o666)
    except PermissionError:
        return None  # another user's
    lock = os.fdopen(descriptor, "r+")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.close()
        return None
    return lock
