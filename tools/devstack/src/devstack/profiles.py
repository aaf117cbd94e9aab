"""The running stack as a backend service sees it: a profile for the client package."""

import json

from devstack.services import DEMO_CLIENT, Addresses
from devstack.vault import Vault

NAME = "local"


def profiles_toml(addresses: Addresses, vault: Vault) -> str:
    """The file with the profile `local`: where everything is, and a service client that may call it."""
    values = {
        "oauth_url": addresses.url("oauth-svc"),
        "watcher_url": addresses.url("expiry-watcher"),
        "token_url": f"{addresses.url('session-svc')}/oauth2/token",
        "service_client_id": DEMO_CLIENT,
        "service_client_secret_file": str(vault.folder / f"client-{DEMO_CLIENT}"),
        "issuer": addresses.public_url,
        "jwks_url": f"{addresses.url('session-svc')}/.well-known/jwks.json",
        "kafka_bootstrap_servers": addresses.kafka,
    }
    # a JSON string without control characters is a TOML basic string
    lines = [f"{name} = {json.dumps(value)}" for name, value in values.items()]
    return "\n".join(["# written by devstack at every start", f"[{NAME}]", *lines, ""])
