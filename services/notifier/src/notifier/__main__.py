"""The `notifier` command: `run | migrate | settings | resend`."""

import argparse
from datetime import timedelta
from uuid import UUID

from common.runtime.clock import SystemClock
from common.service import Verb, command
from notifier.app import offline, run
from notifier.operations import sending
from notifier.settings import NotifierSettings


async def resend(settings: NotifierSettings, arguments: argparse.Namespace) -> int:
    """Have failed messages delivered again."""
    now = SystemClock().now()
    async with offline(settings) as deps:
        since = now - timedelta(hours=arguments.hours)
        lines = await sending.resend(deps, notice_id=arguments.notice, since=since, now=now)
    print(f"{lines} notices wait to be delivered again; what is over meanwhile is not said")
    return 0


def _hours(text: str) -> float:
    hours = float(text)
    if not 0 < hours <= 24 * 30:
        raise argparse.ArgumentTypeError("takes more than 0 and at most 720 hours")
    return hours


def _resend_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--notice", type=UUID, help="this notice alone")
    parser.add_argument("--hours", type=_hours, default=24.0, help="what failed in the last HOURS (default 24)")


VERBS = {"resend": Verb("deliver again what failed or may not have arrived", resend, _resend_arguments)}


def main() -> int:
    """Do what the command line says; the return value is the exit status."""
    return command("notifier", NotifierSettings, package="notifier", run=run, verbs=VERBS)


if __name__ == "__main__":
    raise SystemExit(main())
