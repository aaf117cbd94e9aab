"""Where the local stack keeps what: everything below one folder, `.local` unless told otherwise."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

CACHE = "cache"


class StackBusyError(Exception):
    """Another stack runs in this folder; the text names it."""


@dataclass(frozen=True, slots=True)
class Layout:
    """The folders and files of one stack. Two stacks on one machine need two folders and nothing else."""

    root: Path

    @property
    def postgres(self) -> Path:
        return self.root / "postgres"

    @property
    def kafka(self) -> Path:
        return self.root / "kafka"

    @property
    def logs(self) -> Path:
        return self.root / "logs"

    @property
    def secrets(self) -> Path:
        return self.root / "secrets"

    @property
    def simulator_state(self) -> Path:
        return self.root / "simulator.json"

    @property
    def providers_file(self) -> Path:
        return self.secrets / "providers.toml"

    @property
    def identities_file(self) -> Path:
        return self.secrets / "identities.json"

    @property
    def seed_file(self) -> Path:
        return self.secrets / "seed.json"

    @property
    def demo_file(self) -> Path:
        return self.root / "demo.json"

    @property
    def profiles_file(self) -> Path:
        """What `wevion_tokens` reads: the stack as a backend service sees it."""
        return self.root / "profiles.toml"

    @property
    def backend_file(self) -> Path:
        """The same as variables, for a shell or a process manager."""
        return self.root / "backend.env"

    def environment_file(self, service: str) -> Path:
        """The settings that a service of the running stack has, for its other commands."""
        return self.secrets / f"environment-{service}.json"

    @property
    def lock_file(self) -> Path:
        return self.root / "lock"

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Holds the folder for one stack. The lock goes with the process, however that ends.

        Raises `StackBusyError` if another process holds it.
        """
        self.root.mkdir(parents=True, exist_ok=True)
        with self.lock_file.open("a+") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                file.seek(0)
                raise StackBusyError(
                    f"a stack already runs in {self.root} (process {file.read().strip() or 'unknown'})"
                ) from None
            file.truncate(0)
            file.write(str(os.getpid()))
            file.flush()
            yield
            file.truncate(0)

    def running_pid(self) -> int | None:
        """The process that holds the folder, or None."""
        try:
            with self.lock_file.open("r+") as file:
                try:
                    fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
                except BlockingIOError:
                    text = file.read().strip()
                    return int(text) if text.isdigit() else None
        except FileNotFoundError:
            return None
        return None
