"""`oauth-svc run | migrate | settings | import | keys | purge`."""

import argparse
import sys
from datetime import timedelta
from pathlib import Path
from uuid import UUID

from common.service import Verb, command
from oauth_svc.app import offline, run
from oauth_svc.core.errors import RefusalError
from oauth_svc.operations import importing, keys, purge
from oauth_svc.operations.republish import republish
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


async def manage_keys(settings: OauthSettings, arguments: argparse.Namespace) -> int:
    """Status, rotation and re-encryption of the keys, while the service runs."""
    async with offline(settings) as deps:
        if arguments.action == "status":
            for use in await keys.status(deps):
                print(f"{use.kek_id}  {use.state:<8}  {use.data_keys} data keys  {use.ciphertexts} ciphertexts")
            return 0
        if arguments.action == "rotate":
            done = await keys.rotate(deps, arguments.workspace, lambda count: print(f"{count} rotated", flush=True))
            print(f"{done} workspaces have a new data key; run `oauth-svc keys reencrypt` next")
            return 0
        found = await keys.reencrypt(deps, lambda count, left: print(f"{count} done, {left} left", flush=True))
    print(
        f"{found.rewrapped} data keys wrapped anew, {found.resealed} credentials sealed anew, {found.deleted} keys deleted"  # noqa: E501
    )
    if found.retiring:
        print(
            f"{found.retiring} old keys are kept: still in use, or replaced less than an hour ago; run this again later"
        )
    return 0


def _keys_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("action", choices=("status", "rotate", "reencrypt"))
    parser.add_argument("--workspace", type=UUID, help="rotate: only this workspace")


async def purge_dead(settings: OauthSettings, arguments: argparse.Namespace) -> int:
    """Forget the credentials of the long dead, or of one dead grant."""
    async with offline(settings) as deps:
        if arguments.connection is not None:
            try:
                found = await purge.one(deps, arguments.connection, dry_run=arguments.dry_run)
            except RefusalError as refusal:
                print(f"{refusal} {refusal.fix}".rstrip(), file=sys.stderr)
                return 1
            print(f"{found.provider}  {found.status.value} since {found.since:%Y-%m-%d}  1 grant")
        else:
            days = settings.purge_after_days if arguments.dead_for_days is None else arguments.dead_for_days
            dead_before = deps.clock.now() - timedelta(days=days)
            planned = await purge.plan(deps, dead_before)
            for group in planned.groups:
                print(
                    f"{group.provider}  {group.status}  {group.grants} grants, the oldest since {group.oldest:%Y-%m-%d}"
                )
            if not arguments.dry_run:
                planned = await purge.run(deps, dead_before)
            print(f"{planned.grants} grants dead for more than {days:g} days")
    print("nothing was purged (--dry-run)" if arguments.dry_run else "their credentials are forgotten")
    return 0


async def republish_states(settings: OauthSettings, _: argparse.Namespace) -> int:
    """Publish the state of every connection again."""
    async with offline(settings) as deps:
        kafka = settings.kafka("oauth-svc-republish")
        done = await republish(deps, kafka, lambda count: print(f"\r{count} published", end="", flush=True))
    print(f"\n{done.sent} states published, {done.raised} of them above the version that Kafka had")
    if done.held_back:
        print(f"{done.held_back} were left alone: they live here, and Kafka has had their end")
    return 0


def _days(text: str) -> float:
    days = float(text)
    if not 1 <= days <= 3650:  # noqa: PLR2004 - as the setting
        raise argparse.ArgumentTypeError("takes 1 to 3650 days")
    return days


def _purge_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--dry-run", action="store_true", help="say what would be forgotten and change nothing")
    parser.add_argument("--dead-for-days", type=_days, help="instead of WEVION_PURGE_AFTER_DAYS")
    parser.add_argument("--connection", type=UUID, help="this dead grant alone, however long it is dead")


VERBS = {
    "purge": Verb("forget the credentials of grants that are long dead", purge_dead, _purge_arguments),
    "keys": Verb("status, rotation and re-encryption of the keys", manage_keys, _keys_arguments),
    "republish": Verb("publish the state of every connection again (token.state was lost)", republish_states),
    "import": Verb("import grants of another system from a file", import_grants, _import_arguments),
}


def main() -> None:
    """The command."""
    sys.exit(command("oauth-svc", OauthSettings, package="oauth_svc", run=run, verbs=VERBS))


if __name__ == "__main__":
    main()
