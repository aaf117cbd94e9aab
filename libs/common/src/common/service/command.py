"""The command of each service: `<service> run | migrate | settings` and its own verbs."""

import argparse
import asyncio
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from common.postgres import MigrationError, migrate
from common.runtime import settings as runtime_settings
from common.runtime.errors import PermanentError, RetryableError
from common.runtime.memory import give_back_blocks
from common.service.settings import ServiceSettings
from common.telemetry import logs

S = TypeVar("S", bound=ServiceSettings)

EXIT_FAILED = 1


@dataclass(frozen=True, slots=True)
class Verb:
    """One of a service's own verbs.

    Attributes:
        help: one line for `--help`.
        run: the work; its return value is the exit status.
        arguments: adds the verb's arguments to its parser.

    """

    help: str
    run: Callable[[Any, argparse.Namespace], Awaitable[int]]
    arguments: Callable[[argparse.ArgumentParser], None] | None = None


def command(
    name: str,
    settings: type[S],
    *,
    run: Callable[[S], Awaitable[None]],
    package: str | None = None,
    verbs: Mapping[str, Verb] | None = None,
    argv: Sequence[str] | None = None,
) -> int:
    """Read the command line, do it, and return the exit status.

    `package` is where the migrations are; a service that keeps nothing has none, and no verb for them.

    0: done. 1: failed, with one line that says why. 2: a wrong setting or argument.

    Args:
        name: the command's name.
        settings: the class of its settings.
        run: runs the service.
        package: where the migrations are; None for a service without a database.
        verbs: the service's own verbs by name.
        argv: the arguments; None for those of the process.

    """
    parser = argparse.ArgumentParser(prog=name)
    subparsers = parser.add_subparsers(dest="verb", required=True)
    subparsers.add_parser("run", help="run the service until SIGTERM")
    if package is not None:
        subparsers.add_parser("migrate", help="bring the database up to date, and say what was applied")
    subparsers.add_parser("settings", help="print every setting with its value (secrets redacted) and meaning")
    for verb_name, verb in (verbs or {}).items():
        verb_parser = subparsers.add_parser(verb_name, help=verb.help)
        if verb.arguments is not None:
            verb.arguments(verb_parser)
    arguments = parser.parse_args(argv)
    loaded = runtime_settings.load(settings)
    logs.configure(name, loaded.log_format, loaded.log_level)
    if arguments.verb == "settings":
        sys.stdout.write(runtime_settings.describe(loaded) + "\n")
        return 0
    try:
        if arguments.verb == "run":
            give_back_blocks()
            asyncio.run(_as_coroutine(run(loaded)))
            return 0
        if arguments.verb == "migrate" and package is not None:
            applied = asyncio.run(migrate(loaded.database_url.get_secret_value(), package))
            sys.stdout.write("".join(f"applied {item}\n" for item in applied) or "up to date\n")
            return 0
        return asyncio.run(_as_coroutine((verbs or {})[arguments.verb].run(loaded, arguments)))
    except (MigrationError, PermanentError, RetryableError) as error:
        cause = f" ({error.__cause__})" if error.__cause__ is not None and str(error.__cause__) else ""
        sys.stderr.write(f"{name} {arguments.verb}: {error}{cause}\n")
        return EXIT_FAILED
    except KeyboardInterrupt:
        return EXIT_FAILED


T = TypeVar("T")


async def _as_coroutine(work: Awaitable[T]) -> T:
    return await work
