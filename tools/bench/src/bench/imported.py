"""Grants of a foreign system by the thousand, in the file that `oauth-svc import` reads."""

import json
from datetime import datetime
from pathlib import Path
from uuid import UUID

PROVIDER = "bench"
WORKSPACES = 20


def write_grants(path: Path, count: int, *, ends: datetime) -> None:
    """`count` grants of one account each, spread over a few workspaces; their access tokens end at `ends`."""
    with path.open("w") as file:
        for number in range(count):
            line = {
                "provider": PROVIDER,
                "workspace_id": str(UUID(int=number % WORKSPACES + 1, version=4)),
                "owner_user_id": str(UUID(int=number % WORKSPACES + 1000, version=4)),
                "external_user_id": f"person-{number}",
                "accounts": [{"external_id": f"account-{number}", "name": f"Account {number}"}],
                "access_token": f"at-{number}.0",
                "refresh_token": f"ours-{number}.0",
                "access_expires_at": ends.isoformat(),
                "expires_at": None,
                "scopes": [],
            }
            file.write(json.dumps(line) + "\n")
