"""The `gateway` command: `run | settings`."""

from common.service import command
from gateway.app import NAME, run
from gateway.settings import GatewaySettings


def main() -> int:
    """Do what the command line says; the return value is the exit status."""
    return command(NAME, GatewaySettings, run=run)


if __name__ == "__main__":
    raise SystemExit(main())
