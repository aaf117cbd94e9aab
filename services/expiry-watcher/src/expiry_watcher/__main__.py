"""The command `expiry-watcher`."""

import sys

from common.service import command
from expiry_watcher.app import NAME, run
from expiry_watcher.settings import WatcherSettings


def main() -> int:
    """Read the command line, do it, return the exit status."""
    return command(NAME, WatcherSettings, package="expiry_watcher", run=run)


if __name__ == "__main__":
    sys.exit(main())
