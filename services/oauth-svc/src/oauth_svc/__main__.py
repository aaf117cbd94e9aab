"""`oauth-svc run | migrate | settings | import`."""

import argparse
import sys
from pathlib import Path

from common.service import Verb, command
from oauth_svc.app import offline, run
from oauth_svc.operations import importing
from oauth_svc.settings import OauthSettings


async def import_grants(settings: OauthSettings, arguments: argparse.Namespace) -> int:
    """Check the whole file, then write it. Nothing is written when a line is wrong."""
    path: Path = arguments.file
    async with offline(settings) as deps:
        try:
            with path.open(encoding="utf-8") as lines:
                good, errors = importing.check(deps, lines)
        except (OSError, UnicodeDecodeError) as error:
            print(f"{path}: {error}", file=sys.stderr)
            return 1
        if errors:
            print("\n".join(str(error) for error in errors), file=sys.stderr)
            print("nothing was imported", file=sys.stderr)
            return 1
        if arguments.dry_run:
            print(f"{good} grants are good; nothing was imported (--dry-run)")
            return 0
        with path.open(encoding="utf-8") as lines:
            done = await importing.load(deps, lines, lambda count: print(f"\r{count}/{good}", end="", flush=True))
    print(f"\n{done.made} imported, {done.known} were connected already")
    return 0


def _import_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--file", type=Path, required=True, help="JSON Lines: one grant a line (see the README)")
    parser.add_argument("--dry-run", action="store_true", help="check the file and write nothing")


VERBS = {"import": Verb("import grants of another system from a file", import_grants, _import_arguments)}


def main() -> None:
    """The command."""
    sys.exit(command("oauth-svc", OauthSettings, package="oauth_svc", run=run, verbs=VERBS))


if __name__ == "__main__":
    main()
