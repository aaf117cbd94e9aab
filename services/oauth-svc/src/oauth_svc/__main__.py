"""`oauth-svc run | migrate | settings`."""

import sys

from common.service import command
from oauth_svc.app import run
from oauth_svc.settings import OauthSettings


def main() -> None:
    """The command."""
    sys.exit(command("oauth-svc", OauthSettings, package="oauth_svc", run=run))


if __name__ == "__main__":
    main()
