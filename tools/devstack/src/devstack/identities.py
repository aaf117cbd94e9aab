"""The first people and service clients, made by session-svc's own commands, once."""

import asyncio
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from common.testing.processes import ChildFailedError
from devstack.services import CLIENTS, Process, program
from devstack.vault import Vault

WORKSPACE = "Northwind Agency"
#: Each command is a Python start; more at once than cores only take longer each.
AT_ONCE = 2
COMMAND_TIMEOUT_S = 60.0


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody who can sign in. `role` is theirs in the workspace, or `support_admin`."""

    key: str
    name: str
    role: str
    time_zone: str

    @property
    def email(self) -> str:
        return f"{self.key}@{'wevion' if self.role == 'support_admin' else 'northwind'}.example"


PEOPLE = (
    Person("olivia", "Olivia Hart", "owner", "Europe/Berlin"),
    Person("adam", "Adam Novak", "admin", "America/New_York"),
    Person("mia", "Mia Sato", "member", "Asia/Tokyo"),
    Person("sam", "Sam Lowe", "support_admin", "UTC"),
)


@dataclass(frozen=True, slots=True)
class Identities:
    """What was made: the workspace's id, and each person with their password, as demo.json tells it."""

    workspace_id: str
    users: tuple[dict[str, str], ...]

    def user(self, role: str) -> dict[str, str]:
        return next(user for user in self.users if user["role"] == role)


async def ensure(session_svc: Process, vault: Vault, kept: Path) -> Identities:
    """Makes them if this stack's folder does not remember that they were made.

    Raises `ChildFailedError` with a command's own words if it refuses.
    """
    if known := _remembered(kept):
        return known
    gate = asyncio.Semaphore(AT_ONCE)

    async def command(*arguments: str) -> dict[str, Any]:
        async with gate:
            return await _run(session_svc, arguments)

    workspace = (await command("create-workspace", "--name", WORKSPACE))["workspace_id"]
    clients = [
        command(
            "create-client", "--id", client, *_each("--scope", scopes), "--secret-file", str(_secret(vault, client))
        )
        for client, scopes in CLIENTS.items()
    ]
    people = [command(*_person(person, workspace, vault)) for person in PEOPLE]
    made = (await asyncio.gather(*people, *clients))[: len(PEOPLE)]
    users = tuple(
        {
            "email": person.email,
            "password": vault.secret(f"user-{person.key}"),
            "role": person.role,
            "name": person.name,
            "user_id": result["user_id"],
            "workspace_id": result["workspace_id"],
        }
        for person, result in zip(PEOPLE, made, strict=True)
    )
    vault.write(
        kept.name, json.dumps({"fingerprint": _fingerprint(), "workspace_id": workspace, "users": users}, indent=2)
    )
    return Identities(workspace, users)


def _remembered(kept: Path) -> Identities | None:
    if not kept.exists():
        return None
    known = json.loads(kept.read_text())
    if known["fingerprint"] != _fingerprint():
        return None
    return Identities(known["workspace_id"], tuple(known["users"]))


def _person(person: Person, workspace: str, vault: Vault) -> list[str]:
    vault.secret(f"user-{person.key}")
    arguments = ["--email", person.email, "--name", person.name, "--time-zone", person.time_zone]
    arguments += ["--password-file", str(vault.folder / f"user-{person.key}")]
    if person.role == "support_admin":
        return ["create-admin", *arguments]
    return ["create-user", *arguments, "--workspace-id", workspace, "--role", person.role]


def _secret(vault: Vault, client: str) -> Path:
    vault.secret(f"client-{client}")
    return vault.folder / f"client-{client}"


def _each(option: str, values: Sequence[str]) -> list[str]:
    return [word for value in values for word in (option, value)]


def _fingerprint() -> str:
    return hashlib.sha256(repr((WORKSPACE, PEOPLE, CLIENTS)).encode()).hexdigest()


async def _run(session_svc: Process, arguments: Sequence[str]) -> dict[str, Any]:
    child = await asyncio.create_subprocess_exec(
        program("session-svc"),
        *arguments,
        "--json",
        env=session_svc.env,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(COMMAND_TIMEOUT_S):
            out, err = await child.communicate()
    except BaseException:
        child.kill()
        await child.wait()
        raise
    if child.returncode:
        raise ChildFailedError(f"session-svc {arguments[0]} failed: {err.decode(errors='replace').strip()}")
    result: dict[str, Any] = json.loads(out.decode().strip().splitlines()[-1])
    return result
