"""The small verbs on a stack that runs, or that should not: migrate, topics, replay, clean."""

import asyncio
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from typing import Any

from common.kafka import KafkaSettings, create_topics
from common.testing.processes import ChildFailedError
from devstack import apis, databases
from devstack.layout import CACHE, Layout, StackBusyError
from devstack.services import DATABASES, names, program
from devstack.terminal import say


def running_demo(layout: Layout) -> dict[str, Any]:
    """The demo.json of the stack that runs in this folder.

    Raises `ChildFailedError` if none runs.
    """
    if layout.running_pid() is None or not layout.demo_file.exists():
        raise ChildFailedError(f"no stack runs in {layout.root}; start one with `make run`")
    found: dict[str, Any] = json.loads(layout.demo_file.read_text())
    return found


def migrate(layout: Layout) -> int:
    """Brings the running stack's databases up to date, as a service's own `migrate` would."""
    urls = running_demo(layout)["database_urls"]
    applied = asyncio.run(databases.migrate_all({DATABASES[service]: url for service, url in urls.items()}))
    say("\n".join(f"applied {name}" for name in applied) or "every database is up to date")
    return 0


def topics(layout: Layout) -> int:
    """Creates the running stack's missing topics."""
    settings = KafkaSettings(bootstrap_servers=running_demo(layout)["kafka_bootstrap"], client_id="devstack")
    new = asyncio.run(create_topics(settings))
    say("\n".join(f"created {name}" for name in new) or "every topic is there")
    return 0


def replay(layout: Layout, arguments: Sequence[str]) -> int:
    """Dead letters of the running stack, by the operators' own command."""
    env = dict(os.environ) | {"WEVION_KAFKA_BOOTSTRAP_SERVERS": running_demo(layout)["kafka_bootstrap"]}
    command = [sys.executable, "-m", "common", "replay", *(arguments or ["list"])]
    return subprocess.run(command, env=env, check=False).returncode


def openapi(layout: Layout, *, breaking: bool) -> int:
    """Rewrites the stored OpenAPI documents from the running stack, unless that would break who calls."""
    found = apis.store(running_demo(layout)["services"], breaking_too=breaking)
    say("\n".join(found) or f"{apis.STORED} is as the services are")
    if found and not breaking:
        say("nothing was written: add a field, a path or a version instead; --breaking writes it all the same")
    return int(bool(found) and not breaking)


def ctl(layout: Layout, service: str, arguments: Sequence[str]) -> int:
    """Runs a command of a service with the settings that it has in the running stack; returns its exit status.

    Raises `ValueError` for a service that does not exist, `ChildFailedError` if no stack runs.
    """
    names(service)
    running_demo(layout)
    settings: dict[str, str] = json.loads(layout.environment_file(service).read_text())
    kept = {name: text for name, text in os.environ.items() if not name.startswith("WEVION_")}
    return subprocess.run([program(service), *arguments], env=kept | settings, check=False).returncode


def clean(layout: Layout) -> int:
    """Forgets a stopped stack's data, secrets and logs. Downloads stay: they are the machine's, not the stack's.

    Raises `StackBusyError` if it runs.
    """
    if (pid := layout.running_pid()) is not None:
        raise StackBusyError(f"a stack runs in {layout.root} (process {pid}): stop it first, with Ctrl-C where it runs")
    removed = []
    for path in sorted(layout.root.glob("*")):
        if path.name == CACHE:
            continue
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()
        removed.append(path.name)
    say(f"removed {', '.join(removed)} from {layout.root}" if removed else f"nothing to remove in {layout.root}")
    return 0
