"""The command `expiry-watcher`."""

import sys

from common.service import Verb, command
from expiry_watcher.app import NAME, run, run_rebuild
from expiry_watcher.settings import WatcherSettings


def main() -> int:
    """Read the command line, do it, return the exit status."""
    verbs = {"rebuild": Verb("fill the inventory anew from the topics, with progress", run_rebuild)}
    return command(NAME, WatcherSettings, package="expiry_watcher", run=run, verbs=verbs)


if __name__ == "__main__":
    sys.exit(main())
