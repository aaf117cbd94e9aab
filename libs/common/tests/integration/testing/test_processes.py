"""Real servers as child processes: they answer, they keep their data, and they never outlive who started them."""

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import asyncpg
import pytest

from common.testing import eventually
from common.testing.processes import Child, ChildFailedError, Kafka, Postgres, choose_port, end_leftover, port_is_free

SLEEPER = [sys.executable, "-c", "import signal; print('up', flush=True); signal.alarm(60); signal.pause()"]

START_BOTH_AND_DIE = """
import os, sys
from pathlib import Path
from common.testing.processes import Child
child = Child.start("sleeper", sys.argv[2:], log=Path(sys.argv[1]) / "log")
print(child.pid, flush=True)
os.kill(os.getpid(), 9)
"""


def exists(pid: int) -> bool:
    stat = Path(f"/proc/{pid}/stat")
    return stat.exists() and stat.read_text().rpartition(")")[2].split()[0] != "Z"


async def test_postgres_answers_and_keeps_its_data(tmp_path: Path) -> None:
    first = Postgres.start(tmp_path)
    try:
        db = await asyncpg.connect(first.dsn())
        await db.execute("CREATE TABLE kept (x int)")
        await db.close()
    finally:
        first.stop()
    second = Postgres.start(tmp_path)
    try:
        db = await asyncpg.connect(second.dsn())
        assert await db.fetchval("SELECT count(*) FROM kept") == 0
        await db.close()
    finally:
        second.stop()
    assert port_is_free(second.port)


async def test_postgres_asks_for_the_password(tmp_path: Path) -> None:
    server = Postgres.start(tmp_path, durable=False)
    try:
        assert (tmp_path / "password").stat().st_mode & 0o777 == 0o600
        with pytest.raises(asyncpg.InvalidPasswordError):
            await asyncpg.connect(server.dsn().replace(server.password, "guess"))
    finally:
        server.stop()


def test_kafka_is_back_with_its_data_after_a_crash(tmp_path: Path) -> None:
    kafka = Kafka.start(tmp_path)
    try:
        kafka.child.kill()
        again = Kafka.start(tmp_path, port=kafka.port)
        again.stop()
    finally:
        kafka.stop()
    assert again.bootstrap == kafka.bootstrap


def test_a_server_that_cannot_start_says_why(tmp_path: Path) -> None:
    server = Postgres.start(tmp_path / "one", durable=False)
    try:
        with pytest.raises(ChildFailedError, match="could not bind"):
            Postgres.start(tmp_path / "two", port=server.port, durable=False)
    finally:
        server.stop()


async def test_children_die_with_their_parent_however_it_dies(tmp_path: Path) -> None:
    parent = subprocess.run(  # noqa: ASYNC221  # nothing else runs in this loop
        [sys.executable, "-c", START_BOTH_AND_DIE, str(tmp_path), *SLEEPER], capture_output=True, text=True, check=False
    )
    assert parent.returncode == -signal.SIGKILL
    pid = int(parent.stdout)
    await eventually(lambda: not exists(pid), what="the orphan is gone")


async def test_stop_kills_what_does_not_listen(tmp_path: Path) -> None:
    deaf = "import signal; signal.signal(15, signal.SIG_IGN); print('up', flush=True); signal.alarm(60); signal.pause()"
    child = Child.start("deaf", [sys.executable, "-c", deaf], log=tmp_path / "log")
    await eventually(lambda: "up" in child.log.read_text(), what="it ignores SIGTERM")
    child.stop(grace_s=0.2)
    assert child.returncode == -signal.SIGKILL
    child.stop()  # a second time is fine


async def test_stop_ends_the_whole_group(tmp_path: Path) -> None:
    family = f"import subprocess, sys; c = subprocess.Popen({SLEEPER!r}); print(c.pid, flush=True); c.wait()"
    child = Child.start("family", [sys.executable, "-c", family], log=tmp_path / "log")
    await eventually(lambda: "up" in child.log.read_text(), what="the grandchild runs")
    grandchild = int(child.log.read_text().split()[0])
    child.stop()
    await eventually(lambda: not exists(grandchild), what="the signalled grandchild is gone")


def test_the_end_of_a_child_is_told_with_its_last_words(tmp_path: Path) -> None:
    child = Child.start("brief", [sys.executable, "-c", "print('no luck'); raise SystemExit(3)"], log=tmp_path / "log")
    child.process.wait()
    with pytest.raises(ChildFailedError, match=r"(?s)brief ended with status 3.*no luck"):
        child.require_running()


def test_a_leftover_is_ended_by_its_pid_file(tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    child = Child.start("sleeper", SLEEPER, log=tmp_path / "log", pid_file=pid_file)
    try:
        assert end_leftover(pid_file) is True
        child.process.wait(5)
        assert end_leftover(pid_file) is False
    finally:
        child.stop()


def test_a_pid_that_now_is_somebody_else_is_left_alone(tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    pid_file.write_text(f"{os.getpid()} 12345\n")
    assert end_leftover(pid_file) is False
    assert not pid_file.exists()


@pytest.mark.parametrize("text", ["", "x y z", "notanumber 1"])
def test_a_spoiled_pid_file_is_no_leftover(tmp_path: Path, text: str) -> None:
    pid_file = tmp_path / "pid"
    pid_file.write_text(text)
    assert end_leftover(pid_file) is False


def test_a_taken_port_is_not_chosen() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert not port_is_free(port)
        assert choose_port(port) != port
    assert choose_port(port) == port
