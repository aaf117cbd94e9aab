"""`oauth-svc run | migrate | settings | import | keys | purge | republish | recovery | google-risc`."""

import argparse
import json
import sys
from datetime import timedelta
from pathlib import Path
from uuid import UUID

from common.service import Verb, command
from oauth_svc.app import offline, run
from oauth_svc.core.errors import RefusalError
from oauth_svc.operations import importing, keys, purge, recovery, risc, witness
from oauth_svc.operations.deps import Deps
from oauth_svc.operations.republish import republish
from oauth_svc.providers.base import PlatformError
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


async def recover(settings: OauthSettings, arguments: argparse.Namespace) -> int:
    """Show how the database stands to the log; hold or release credentials by hand."""
    chosen = (arguments.provider, arguments.connection, arguments.all or None)
    if arguments.action != "status" and sum(one is not None for one in chosen) != 1:
        print("name one of --connection, --provider and --all", file=sys.stderr)
        return 2
    async with offline(settings) as deps:
        if arguments.action == "status":
            report = await recovery.status(deps, settings.kafka("oauth-svc-recovery"))
            print(recovery.as_json(report) if arguments.json else recovery.as_text(report))
            return 0
        change = witness.hold if arguments.action == "hold" else witness.release
        done = await recovery.each(deps, change, arguments.provider, arguments.connection)
    word = "held" if arguments.action == "hold" else "released"
    print(json.dumps({word: done}) if arguments.json else f"{done} grants {word}")
    return 0


async def google_risc(settings: OauthSettings, arguments: argparse.Namespace) -> int:
    """Register, show or try the stream of Google's security events."""
    async with offline(settings) as deps:
        wanted = [arguments.provider] if arguments.provider else sorted(deps.providers.streams)
        if not wanted:
            print("no provider has a service_account_file in the providers file", file=sys.stderr)
            return 1
        try:
            return max([await _one_stream(deps, provider, arguments.action) for provider in wanted])
        except (PlatformError, RefusalError) as error:
            words = error.failure.words if isinstance(error, PlatformError) else ""
            print(f"{error} {words}".rstrip(), file=sys.stderr)
            return 1


async def _one_stream(deps: Deps, provider: str, action: str) -> int:
    if action == "register":
        print(
            f"{provider}  events go to {await risc.register(deps, provider)}; run `oauth-svc google-risc verify` next"
        )
        return 0
    if action == "verify":
        arrived = await risc.verify(deps, provider)
        print(
            f"{provider}  {'the event arrived' if arrived else 'no event arrived: see `oauth-svc google-risc status`'}"
        )
        return 0 if arrived else 1
    found = await risc.status(deps, provider)
    when = f"{found.verified_at:%Y-%m-%d %H:%M} UTC" if found.verified_at else "never"
    print(f"{provider}  {found.wrong or 'registered'}; {found.receiver_url}; last verification received: {when}")
    return 1 if found.wrong else 0


def _risc_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("action", choices=("register", "status", "verify"))
    parser.add_argument("--provider", help="only this one; else each with a service_account_file")


def _days(text: str) -> float:
    days = float(text)
    if not 1 <= days <= 3650:  # noqa: PLR2004 - as the setting
        raise argparse.ArgumentTypeError("takes 1 to 3650 days")
    return days


def _purge_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--dry-run", action="store_true", help="say what would be forgotten and change nothing")
    parser.add_argument("--dead-for-days", type=_days, help="instead of WEVION_PURGE_AFTER_DAYS")
    parser.add_argument("--connection", type=UUID, help="this dead grant alone, however long it is dead")


def _recovery_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("action", choices=("status", "hold", "release"))
    parser.add_argument("--provider", help="hold, release: the grants of this provider alone")
    parser.add_argument("--connection", type=UUID, help="hold, release: this grant alone")
    parser.add_argument("--all", action="store_true", help="hold, release: every living grant")
    parser.add_argument("--json", action="store_true", help="print one line of JSON instead of a table")


VERBS = {
    "recovery": Verb(
        "an older database: what the log proves, what is held; hold, release", recover, _recovery_arguments
    ),
    "purge": Verb("forget the credentials of grants that are long dead", purge_dead, _purge_arguments),
    "keys": Verb("status, rotation and re-encryption of the keys", manage_keys, _keys_arguments),
    "google-risc": Verb("register, show or try the stream of Google's security events", google_risc, _risc_arguments),
    "republish": Verb("publish the state of every connection again (token.state was lost)", republish_states),
    "import": Verb("import grants of another system from a file", import_grants, _import_arguments),
}


def main() -> None:
    """The command."""
    sys.exit(command("oauth-svc", OauthSettings, package="oauth_svc", run=run, verbs=VERBS))


if __name__ == "__main__":
    main()
