"""The `notifier` command: `run | migrate | settings`."""

from common.service import command
from notifier.app import run
from notifier.settings import NotifierSettings


def main() -> int:
    """Do what the command line says; the return value is the exit status."""
    return command("notifier", NotifierSettings, package="notifier", run=run)


if __name__ == "__main__":
    raise SystemExit(main())
