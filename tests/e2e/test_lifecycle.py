"""Starting, stopping, starting again; two stacks beside each other; ends that nobody planned."""

import os
import signal
from pathlib import Path

import pytest

from common.testing import eventually
from common.testing.processes import ChildFailedError
from devstack.browser import Browser
from devstack.child_stack import ChildStack
from devstack.services import SERVICES


def all_pids(stack: ChildStack) -> list[int]:
    return [pid for pids in stack.demo["processes"].values() for pid in pids]


def gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


async def connections(stack: ChildStack) -> dict[str, str]:
    """Every connection of the owner's workspace with its status."""
    owner = next(user for user in stack.demo["users"] if user["role"] == "owner")
    async with Browser(stack.demo["gateway_url"]) as browser:
        await browser.sign_in(owner["email"], owner["password"])
        page = await browser.get("/api/v1/connections", limit="100")
        return {each["connection_id"]: each["status"] for each in page["items"]}


@pytest.mark.timeout(600)
async def test_a_second_stack_beside_the_first_keeps_its_own_data(stack: ChildStack, tmp_path: Path) -> None:
    second = ChildStack.start(tmp_path / "second")
    try:
        ports = {url.rpartition(":")[2] for each in (stack, second) for url in each.demo["services"].values()}
        assert len(ports) == 2 * len(stack.demo["services"])
        assert stack.demo["kafka_bootstrap"] != second.demo["kafka_bootstrap"]
        assert "is taken, so" in second.printed()
        before = await connections(second)
        assert set(before.values()) >= {"active", "expiring", "revoked", "expired", "degraded"}
        assert not set(before) & set(await connections(stack))

        pids = all_pids(second)
        second.kill("oauth-svc")  # Ctrl-C right after a crash still ends everything
        assert second.stop() == 0
        assert [pid for pid in pids if not gone(pid)] == []
        assert not (tmp_path / "second" / "demo.json").exists()

        second = ChildStack.start(tmp_path / "second")
        after = await connections(second)
        assert set(after) == set(before)
        assert "0 migrations" not in second.printed()
        assert "up to date" in second.printed()

        pids = all_pids(second)
        second.process.send_signal(signal.SIGKILL)
        second.process.wait()
        await eventually(lambda: all(gone(pid) for pid in pids), 30, what="the orphans are gone")
    finally:
        second.stop()


def test_a_folder_that_is_in_use_is_refused(stack: ChildStack) -> None:
    before = stack.printed()
    with pytest.raises(ChildFailedError, match=rf"already runs in .* \(process {stack.process.pid}\)"):
        ChildStack.start(stack.folder, log_name="again.log")
    assert before == stack.printed()
    assert set(stack.demo["processes"]) >= set(SERVICES)


async def test_demo_json_tells_everything(stack: ChildStack) -> None:
    demo = stack.demo
    assert set(demo) >= {
        "gateway_url",
        "services",
        "users",
        "service_client",
        "simulator_url",
        "mailbox_url",
        "kafka_bootstrap",
        "database_urls",
        "processes",
    }
    assert {user["role"] for user in demo["users"]} == {"owner", "admin", "member", "support_admin"}
    assert all({"email", "password", "role", "workspace_id"} <= set(user) for user in demo["users"])
    assert set(demo["service_client"]) >= {"id", "secret"}
    assert (stack.folder / "demo.json").stat().st_mode & 0o777 == 0o600
    assert all(len(pids) == 1 for pids in demo["processes"].values())
