"""`session-svc run | migrate | settings`, and the commands that make the first people and clients."""

import argparse
import json
import sys
from collections.abc import Callable, Coroutine
from dataclasses import asdict
from pathlib import Path
from typing import Any, NoReturn
from uuid import UUID

import aiohttp

from common import addresses
from common.runtime.clock import SystemClock
from common.runtime.errors import PermanentError
from common.runtime.ids import random_token
from common.service import Verb, command
from session_svc import app
from session_svc.core.errors import InvalidError, NotFoundError
from session_svc.core.people import Role
from session_svc.operations import setup
from session_svc.operations.keys import SigningKeys
from session_svc.operations.republish import republish
from session_svc.settings import SessionSettings

Run = Callable[[SessionSettings, argparse.Namespace], Coroutine[Any, Any, dict[str, Any]]]


def main() -> NoReturn:
    """Do what the command line says."""
    sys.exit(command("session-svc", SessionSettings, package="session_svc", run=app.run, verbs=_VERBS))


async def _create_workspace(settings: SessionSettings, arguments: argparse.Namespace) -> dict[str, Any]:
    async with app.database(settings) as pool:
        workspace_id, created = await setup.create_workspace(
            pool, name=arguments.name, workspace_id=arguments.id, now=SystemClock().now()
        )
    return {"workspace_id": str(workspace_id), "created": created}


async def _create_user(settings: SessionSettings, arguments: argparse.Namespace) -> dict[str, Any]:
    return await _person(settings, arguments, Role(arguments.role), support_admin=False)


async def _create_admin(settings: SessionSettings, arguments: argparse.Namespace) -> dict[str, Any]:
    return await _person(settings, arguments, Role.ADMIN, support_admin=True)


async def _person(
    settings: SessionSettings, arguments: argparse.Namespace, role: Role, *, support_admin: bool
) -> dict[str, Any]:
    try:
        addresses.mailable(arguments.email)
    except addresses.AddressError as refusal:
        raise InvalidError("email", str(refusal), "Write it as name@example.com.") from None
    given = _secret(arguments.password_file)
    password = given or random_token(18)
    hasher = app.password_hasher(settings)
    try:
        async with app.database(settings) as pool:
            made = await setup.create_user(
                pool,
                hasher,
                email=arguments.email,
                name=arguments.name or arguments.email.partition("@")[0],
                password=password,
                workspace_id=arguments.workspace_id,
                role=role,
                time_zone=arguments.time_zone,
                locale=arguments.locale,
                support_admin=support_admin,
                now=SystemClock().now(),
            )
    finally:
        hasher.close()
    shown = {"password": password} if made.created and given is None else {}
    return {
        "user_id": str(made.user_id),
        "workspace_id": str(made.workspace_id),
        "created": made.created,
        **shown,
    }


async def _create_client(settings: SessionSettings, arguments: argparse.Namespace) -> dict[str, Any]:
    async with app.database(settings) as pool:
        secret = await setup.create_client(
            pool,
            client_id=arguments.id,
            name=arguments.name or arguments.id,
            scopes=arguments.scope,
            secret=_secret(arguments.secret_file),
            now=SystemClock().now(),
        )
    return {"client_id": arguments.id, "scopes": arguments.scope} | ({"client_secret": secret} if secret else {})


async def _rotate_keys(settings: SessionSettings, arguments: argparse.Namespace) -> dict[str, Any]:
    now = SystemClock().now()
    async with app.database(settings) as pool, aiohttp.ClientSession() as http:
        keys = SigningKeys(pool, settings.keys(lambda: http), settings.schedule())
        if arguments.reseal:
            return {"resealed": await keys.reseal(now)}
        made = await keys.ensure(now, rotate=True)
        return {"created": made, "keys": {kid: state.value for kid, state in keys.states(now).items()}}


async def _republish(settings: SessionSettings, _: argparse.Namespace) -> dict[str, Any]:
    now = SystemClock().now()
    async with app.database(settings) as pool, aiohttp.ClientSession() as http:
        keys = SigningKeys(pool, settings.keys(lambda: http), settings.schedule())
        await keys.load(now)
        done = await republish(pool, keys, settings.kafka("session-svc-republish"), now, lambda _: None)
    return asdict(done)


def _secret(path: Path | None) -> str | None:
    """Return the content of a file that holds a secret, without the line's end."""
    if path is None:
        return None
    try:
        return path.read_text(encoding="utf-8").strip()
    except OSError as error:
        raise PermanentError(f"{path}: cannot be read ({type(error).__name__})") from None


def _nothing(_: argparse.ArgumentParser) -> None:
    """Add no arguments of its own."""


def _verb(text: str, run: Run, arguments: Callable[[argparse.ArgumentParser], None]) -> Verb:
    async def report(settings: SessionSettings, parsed: argparse.Namespace) -> int:
        try:
            result = await run(settings, parsed)
        except InvalidError as error:
            raise PermanentError(f"{error} {error.fix}") from None
        except NotFoundError as error:
            raise PermanentError(f"there is no such {error.what}") from None
        if parsed.json:
            print(json.dumps(result))
        else:
            for name, value in result.items():
                print(f"{name}: {value}")
        return 0

    def add(parser: argparse.ArgumentParser) -> None:
        parser.add_argument("--json", action="store_true", help="print the result as one line of JSON")
        arguments(parser)

    return Verb(text, report, add)


def _workspace_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--name", required=True, help="a workspace of this name is made once")
    parser.add_argument("--id", type=UUID, help="its id; default: a new one")


def _person_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--email", required=True)
    parser.add_argument("--name", help="default: the part of the address before the @")
    parser.add_argument("--password-file", type=Path, help="default: a password is made, and shown once")
    parser.add_argument("--time-zone", default="UTC")
    parser.add_argument("--locale", default="en")


def _user_arguments(parser: argparse.ArgumentParser) -> None:
    _person_arguments(parser)
    parser.add_argument("--workspace-id", type=UUID, required=True)
    parser.add_argument("--role", choices=["owner", "admin", "member"], default="member")


def _admin_arguments(parser: argparse.ArgumentParser) -> None:
    _person_arguments(parser)
    parser.add_argument("--workspace-id", type=UUID, help="default: the workspace of Wevion's support")


def _client_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--id", required=True, help="the client id")
    parser.add_argument("--name")
    parser.add_argument("--scope", action="append", default=[], help="may be given several times")
    parser.add_argument("--secret-file", type=Path, help="default: a secret is made the first time, and shown once")


def _rotate_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--reseal", action="store_true", help="seal the keys anew under the keyring's active key")


_VERBS = {
    "create-admin": _verb("make a support admin", _create_admin, _admin_arguments),
    "create-user": _verb("make a user in a workspace", _create_user, _user_arguments),
    "create-workspace": _verb("make a workspace", _create_workspace, _workspace_arguments),
    "create-client": _verb("make a service client, or give it a new secret", _create_client, _client_arguments),
    "republish": _verb("publish the state of every session again (token.state was lost)", _republish, _nothing),
    "rotate-keys": _verb("make the next signing key now", _rotate_keys, _rotate_arguments),
}

if __name__ == "__main__":
    main()
