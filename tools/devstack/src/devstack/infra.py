"""`devstack infra`: only Kafka and PostgreSQL, shared by several test runs of one machine."""

import signal
import threading
from pathlib import Path

from common.testing.processes import Kafka, Postgres


def run(folder: Path, env_file: Path) -> int:
    """Starts both, writes their addresses as `WEVION_TEST_*` settings for the test fixtures, stops on Ctrl-C.

    Not durable: what tests write need not survive the machine.
    """
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    postgres = Postgres.start(folder / "postgres", durable=False)
    try:
        kafka = Kafka.start(folder / "kafka", heap_mb=768)
        try:
            settings = {"WEVION_TEST_KAFKA": kafka.bootstrap, "WEVION_TEST_POSTGRES": postgres.dsn()}
            _write(env_file, settings)
            print(f"Kafka {kafka.bootstrap}, PostgreSQL 127.0.0.1:{postgres.port}; settings in {env_file}", flush=True)
            while not stop.wait(1.0):
                kafka.child.require_running()
                postgres.child.require_running()
        finally:
            env_file.unlink(missing_ok=True)
            kafka.stop()
    finally:
        postgres.stop()
    return 0


def _write(file: Path, settings: dict[str, str]) -> None:
    fresh = file.with_name(file.name + ".new")
    fresh.touch(mode=0o600)
    fresh.write_text("".join(f"{name}={value}\n" for name, value in settings.items()))
    fresh.replace(file)
