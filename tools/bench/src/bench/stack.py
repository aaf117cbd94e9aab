"""What a benchmark needs running: real PostgreSQL and Kafka, and the processes that are measured."""

import asyncio
import json
import os
import shutil
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from common.kafka import KafkaSettings, create_topics
from common.testing.processes import Child, Kafka, Postgres, choose_port
from common.testing.stack import clone_database, ensure_template

READY_TIMEOUT_S = 60.0
_EMPTY_TEMPLATE = "common.outbox"


@dataclass(frozen=True, slots=True)
class Running:
    """A service that is ready."""

    child: Child
    port: int
    dsn: str

    @property
    def url(self) -> str:
        """Where it answers."""
        return f"http://127.0.0.1:{self.port}"


@dataclass(slots=True)
class Stack:
    """One benchmark's surroundings; `close` ends every process that it started."""

    folder: Path
    postgres: Postgres
    kafka: Kafka
    children: list[Child] = field(default_factory=list)

    def close(self) -> None:
        """End everything, the youngest first."""
        self.end_children()
        self.kafka.stop()
        self.postgres.stop()

    def end_children(self) -> None:
        """End the measured processes, so that the next benchmark has the machine to itself."""
        while self.children:
            self.children.pop().stop()

    async def database(self, package: str = _EMPTY_TEMPLATE) -> str:
        """A new database with the package's tables."""
        template = await ensure_template(self.postgres.dsn(), package)
        return await clone_database(self.postgres.dsn(), template)

    async def topics(self, prefix: str) -> None:
        """The contract's topics under a prefix."""
        await create_topics(self.kafka_settings(prefix))

    def kafka_settings(self, prefix: str) -> KafkaSettings:
        """The benchmark's own way to the topics under a prefix."""
        return KafkaSettings(bootstrap_servers=self.kafka.bootstrap, client_id="bench", topic_prefix=prefix)

    async def service(self, name: str, package: str, prefix: str, **settings: str | float | Path) -> Running:
        """Start a service on a database of its own, unless `database_url` names one, and wait until it is ready."""
        port = free_port()
        if "database_url" not in settings:
            settings["database_url"] = await self.database(package)
        environment = self.environment(**{"kafka_topic_prefix": prefix, "http_port": port, **settings})
        child = self.start(f"{prefix}{name}", [name, "run"], environment)
        await self.ready(child, f"http://127.0.0.1:{port}/readyz")
        return Running(child, port, str(settings["database_url"]))

    def environment(self, **settings: str | float | Path) -> dict[str, str]:
        """A child's environment: ours without `WEVION_*`, and `settings` as `WEVION_<NAME>`."""
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("WEVION_")}
        base = {
            "WEVION_KAFKA_BOOTSTRAP_SERVERS": self.kafka.bootstrap,
            "WEVION_LOG_LEVEL": "warning",
            "WEVION_LAME_DUCK_S": "0",
        }
        return inherited | base | {f"WEVION_{name.upper()}": str(value) for name, value in settings.items()}

    def start(self, name: str, argv: Sequence[str], environment: dict[str, str]) -> Child:
        """Start a process in our folder; its output goes to `<folder>/<name>.log`."""
        command = [_program(argv[0]), *argv[1:]]
        child = Child.start(name, command, log=self.folder / f"{name}.log", env=environment, cwd=self.folder)
        self.children.append(child)
        return child

    def command(self, argv: Sequence[str], environment: dict[str, str]) -> dict[str, Any]:
        """Run a command to its end and read the JSON that it prints last."""
        answer: dict[str, Any] = json.loads(self.verb(argv, environment).strip().splitlines()[-1])
        return answer

    def verb(self, argv: Sequence[str], environment: dict[str, str]) -> str:
        """Run a command to its end; returns what it printed."""
        run = subprocess.run(
            [_program(argv[0]), *argv[1:]], env=environment, capture_output=True, text=True, check=False
        )
        if run.returncode != 0:
            raise RuntimeError(f"{' '.join(argv[:2])} failed: {run.stderr.strip()[-500:]}")
        return run.stdout

    async def ready(self, child: Child, url: str) -> None:
        """Wait until `url` answers 200; fails with the end of the child's log."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + READY_TIMEOUT_S
        while not await asyncio.to_thread(_answers, url):
            child.require_running()
            if loop.time() > deadline:
                raise RuntimeError(f"{child.name} was not ready in time:\n{child.log_tail()}")
            await asyncio.sleep(0.1)


@contextmanager
def opened() -> Iterator[Stack]:
    """PostgreSQL (durable, as in production) and Kafka in a folder that goes away afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="wevion-bench-"))
    postgres = Postgres.start(folder / "postgres", durable=True)
    try:
        stack = Stack(folder, postgres, Kafka.start(folder / "kafka"))
        try:
            yield stack
        finally:
            stack.close()
    finally:
        postgres.stop()
        shutil.rmtree(folder, ignore_errors=True)


def free_port() -> int:
    """A port that nobody listens on."""
    return choose_port()


def _program(name: str) -> str:
    """A console script beside this interpreter, or the interpreter itself."""
    return sys.executable if name == "python" else str(Path(sys.executable).with_name(name))


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:  # noqa: S310  our own child on loopback
            return bool(answer.status == 200)  # noqa: PLR2004
    except (urllib.error.URLError, OSError):
        return False
