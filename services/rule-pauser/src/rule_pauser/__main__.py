"""The command `rule-pauser`."""

import sys

from common.service import command
from rule_pauser.app import NAME, run
from rule_pauser.settings import PauserSettings


def main() -> int:
    """Read the command line, do it, return the exit status."""
    return command(NAME, PauserSettings, package="rule_pauser", run=run)


if __name__ == "__main__":
    sys.exit(main())
