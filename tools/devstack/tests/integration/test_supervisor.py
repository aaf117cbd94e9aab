"""A crashed part is started again, with backoff, and it is said; at the end nothing is left."""

import sys
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from common.testing import eventually
from common.testing.processes import Child, ChildFailedError, choose_port
from devstack.supervisor import Part, Supervisor

SLEEP = "import time; time.sleep(60)"
SERVE = """
import http.server, sys
class Ready(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.end_headers()
    def log_message(self, *_): pass
http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Ready).serve_forever()
"""


def runs(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


class Told:
    def __init__(self) -> None:
        self.lines: list[str] = []
        self.changes = 0

    def say(self, text: str = "") -> None:
        self.lines.append(text)

    def changed(self) -> None:
        self.changes += 1


@pytest.fixture
def told() -> Told:
    return Told()


@pytest.fixture
async def supervisor(told: Told) -> AsyncIterator[Supervisor]:
    async with aiohttp.ClientSession() as http:
        supervisor = Supervisor(say=told.say, http=http)
        supervisor.on_change = told.changed
        yield supervisor
        await supervisor.stop()


def part(tmp_path: Path, name: str, code: str, *arguments: str, ready_url: str | None = None) -> Part:
    argv = [sys.executable, "-c", code, *arguments]
    return Part(name, lambda: Child.start(name, argv, log=tmp_path / f"{name}.log"), ready_url, grace_s=5)


async def test_a_killed_part_comes_back_and_it_is_said(supervisor: Supervisor, told: Told, tmp_path: Path) -> None:
    port = choose_port()
    url = f"http://127.0.0.1:{port}/"
    supervisor.start(part(tmp_path, "web", SERVE, str(port), ready_url=url))
    await supervisor.wait_ready("web", 20)
    [before] = supervisor.pids()["web"]
    changes = told.changes
    supervisor.kill("web")
    await eventually(lambda: any("web is back" in line for line in told.lines), 30)
    [after] = supervisor.pids()["web"]
    assert after != before
    assert told.changes >= changes + 2
    assert any("web ended by SIGKILL; starting it again in 0.5 s" in line for line in told.lines)


async def test_a_part_that_keeps_crashing_waits_longer_each_time(
    supervisor: Supervisor, told: Told, tmp_path: Path
) -> None:
    supervisor.start(part(tmp_path, "weak", "raise SystemExit(1)"))
    await eventually(lambda: sum("weak ended with status 1" in line for line in told.lines) >= 3, 30)
    waits = [line.partition(" again in ")[2].partition(" s")[0] for line in told.lines if "again in" in line]
    assert waits[:3] == ["0.5", "1", "2"]


async def test_a_held_part_stays_away_until_it_is_released(supervisor: Supervisor, told: Told, tmp_path: Path) -> None:
    supervisor.start(part(tmp_path, "server", SLEEP))
    [before] = supervisor.pids()["server"]
    await supervisor.hold("server")
    assert supervisor.pids()["server"] == []
    supervisor.start(part(tmp_path, "other", "raise SystemExit(1)"))
    await eventually(lambda: any("other ended" in line for line in told.lines), 30, what="the watcher has looked")
    assert supervisor.pids()["server"] == []
    supervisor.release("server")
    supervisor.release("server")
    [after] = supervisor.pids()["server"]
    assert after != before
    assert not any("server ended" in line for line in told.lines)


async def test_a_wrong_setting_ends_the_wait_at_once_with_its_words(supervisor: Supervisor, tmp_path: Path) -> None:
    code = "print('setting WEVION_X: is not set'); raise SystemExit(2)"
    supervisor.start(part(tmp_path, "strict", code, ready_url=f"http://127.0.0.1:{choose_port()}/"))
    with pytest.raises(ChildFailedError, match=r"(?s)strict refused to start with status 2.*WEVION_X"):
        await supervisor.wait_ready("strict", 60)


async def test_one_that_never_answers_is_given_up_with_what_is_known(supervisor: Supervisor, tmp_path: Path) -> None:
    supervisor.start(part(tmp_path, "mute", SLEEP, ready_url=f"http://127.0.0.1:{choose_port()}/"))
    with pytest.raises(ChildFailedError, match=r"(?s)mute was not ready within 0.3 s .*Connect call failed"):
        await supervisor.wait_ready("mute", 0.3)


async def test_stop_ends_all_waves_in_order_and_can_be_called_again(
    supervisor: Supervisor, told: Told, tmp_path: Path
) -> None:
    for name in ("service", "server"):
        supervisor.start(part(tmp_path, name, SLEEP))
    pids = [pid for pids in supervisor.pids().values() for pid in pids]
    await supervisor.stop(lambda name: name == "service")
    await supervisor.stop()
    assert supervisor.pids() == {}
    assert not any(runs(pid) for pid in pids)
    assert not any("starting it again" in line for line in told.lines)


async def test_replicas_are_counted_under_their_service(supervisor: Supervisor, tmp_path: Path) -> None:
    supervisor.start(part(tmp_path, "oauth-svc", SLEEP))
    supervisor.start(part(tmp_path, "oauth-svc#2", SLEEP))
    assert len(supervisor.pids()["oauth-svc"]) == 2
