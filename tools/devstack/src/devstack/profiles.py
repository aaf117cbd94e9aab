"""The running stack as a backend service sees it: a profile for the client package, as a file and as variables."""

import json
import shlex

from devstack.services import DEMO_CLIENT, LOOPBACK, Addresses
from devstack.vault import Vault

NAME = "local"
PLAYGROUND = "playground"
"""A database of nobody's, for whoever tries something."""


def profile(addresses: Addresses, vault: Vault) -> dict[str, str]:
    """Where everything is, and a service client that may call it, by the fields of `TokensProfile`."""
    return {
        "oauth_url": addresses.url("oauth-svc"),
        "watcher_url": addresses.url("expiry-watcher"),
        "token_url": f"{addresses.url('session-svc')}/oauth2/token",
        "service_client_id": DEMO_CLIENT,
        "service_client_secret_file": str(vault.folder / f"client-{DEMO_CLIENT}"),
        "issuer": addresses.public_url,
        "jwks_url": f"{addresses.url('session-svc')}/.well-known/jwks.json",
        "kafka_bootstrap_servers": addresses.kafka,
    }


def profiles_toml(addresses: Addresses, vault: Vault) -> str:
    """The file with the profile `local`."""
    # a JSON string without control characters is a TOML basic string
    lines = [f"{name} = {json.dumps(value)}" for name, value in profile(addresses, vault).items()]
    return "\n".join(["# written by devstack at every start", f"[{NAME}]", *lines, ""])


def backend_env(addresses: Addresses, vault: Vault) -> str:
    """The profile as `WEVION_*` variables, and what the examples need beside it."""
    server = f"{LOOPBACK}:{addresses.called_port('postgres')}"
    variables = {f"WEVION_{name.upper()}": value for name, value in profile(addresses, vault).items()} | {
        "EXAMPLE_DATABASE_URL": f"postgresql://{PLAYGROUND}:{vault.secret(f'database-{PLAYGROUND}')}@{server}/{PLAYGROUND}",
        "EXAMPLE_PLATFORM_URL": f"{addresses.platforms_url}/graph.facebook.com",
    }
    lines = [f"{name}={shlex.quote(value)}" for name, value in variables.items()]
    return "\n".join(["# written by devstack at every start", *lines, ""])
