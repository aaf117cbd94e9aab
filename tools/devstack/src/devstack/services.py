"""What each service of the stack is told: its settings, its secrets, and how it says that it is ready."""

import json
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from devstack.ports import Ports
from devstack.vault import Vault

LOOPBACK = "127.0.0.1"

#: In the order in which they are shown.
SERVICES = ("session-svc", "oauth-svc", "expiry-watcher", "rule-pauser", "notifier", "gateway")
#: Those that keep a database, and its name.
DATABASES = {
    "session-svc": "session_svc",
    "oauth-svc": "oauth_svc",
    "expiry-watcher": "expiry_watcher",
    "rule-pauser": "rule_pauser",
    "notifier": "notifier",
}
#: Service clients (OAuth client_credentials at session-svc) and the scopes that they need.
CLIENTS = {
    "notifier": ("users:read",),
    "demo-backend": ("tokens:read", "users:read", "rules:write"),
}
#: More than that is no use on one machine.
MAX_REPLICAS = 9
#: The client whose secret is in demo.json, for people and programs to try.
DEMO_CLIENT = "demo-backend"


#: The bot that the simulator has from the start.
SIMULATED_BOT = "7000000001:SimWevionBotToken_AAAAAAAAAAAAAAAAA"


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where everything is, once the ports are chosen."""

    ports: Ports
    replicas: Mapping[str, int] = field(default_factory=dict)
    #: Superuser-free addresses, one per service database.
    database_urls: Mapping[str, str] = field(default_factory=dict)
    #: Ports of the proxies that stand before a part, for those who call it.
    wires: Mapping[str, int] = field(default_factory=dict)

    def url(self, name: str) -> str:
        return f"http://{LOOPBACK}:{self.ports[name]}"

    def operators_url(self, name: str) -> str:
        """Where a service's process has /readyz and /metrics."""
        return self.url(operators(name) if name.partition("#")[0] == "gateway" else name)

    def called_port(self, name: str) -> int:
        """The port at which services call the part: its proxy's, if it has one."""
        return self.wires.get(name, self.ports[name])

    @property
    def platforms_url(self) -> str:
        """Where services call the platforms; browsers go to `url("simulator")`."""
        return f"http://{LOOPBACK}:{self.called_port('simulator')}"

    def urls(self, service: str) -> str:
        """Every replica's, as the gateway's settings want them."""
        return ",".join(self.url(name) for name in replica_names(service, self.replicas))

    @property
    def kafka(self) -> str:
        return f"{LOOPBACK}:{self.called_port('kafka')}"

    @property
    def public_url(self) -> str:
        return self.url("gateway")


@dataclass(frozen=True, slots=True)
class Process:
    """How one service process is started."""

    argv: tuple[str, ...]
    env: dict[str, str]
    ready_url: str


def program(name: str) -> str:
    """The member's command in this environment."""
    return str(Path(sys.executable).with_name(name))


def process(
    service: str,
    addresses: Addresses,
    vault: Vault,
    *,
    port: int,
    providers_file: Path,
    operators_port: int | None = None,
    further: Mapping[str, str] | None = None,
) -> Process:
    """Return the command and the environment of one process of a service.

    Args:
        service: its name.
        addresses: where everything is.
        vault: has its secrets.
        port: it listens there.
        providers_file: what oauth-svc knows about platforms.
        operators_port: for the gateway: where /readyz and /metrics are.
        further: settings (without their prefix) that add to these, and win.

    Returns:
        How it is started, and where it says that it is ready.

    """
    settings = {
        "HTTP_HOST": LOOPBACK,
        "HTTP_PORT": str(port),
        "KAFKA_BOOTSTRAP_SERVERS": addresses.kafka,
        "PUBLIC_URL": addresses.public_url,
        "ISSUER": addresses.public_url,
        "JWKS_URL": f"{addresses.url('session-svc')}/.well-known/jwks.json",
        "TOKEN_URL": f"{addresses.url('session-svc')}/oauth2/token",
        "LOG_FORMAT": "json",
        "LAME_DUCK_S": "1",  # nobody routes by /readyz here, and Ctrl-C is impatient
    }
    secrets: dict[str, str] = {}
    if service in addresses.database_urls:
        secrets["WEVION_DATABASE_URL"] = addresses.database_urls[service]
    if service in CLIENTS:
        settings["SERVICE_CLIENT_ID"] = service
        secrets["WEVION_SERVICE_CLIENT_SECRET"] = vault.secret(f"client-{service}")
    if service in {"session-svc", "oauth-svc", "notifier"}:
        settings["KEYRING_FILE"] = str(vault.keyring(service))
    if service == "oauth-svc":
        settings["PROVIDERS_FILE"] = str(providers_file)
    if service in {"session-svc", "expiry-watcher"}:
        settings["NOTIFIER_URL"] = addresses.url("notifier")
    if service == "expiry-watcher":
        settings["OAUTH_URL"] = addresses.url("oauth-svc")
    if service == "gateway":
        settings |= {
            "OPERATORS_PORT": str(operators_port),
            "SESSION_URL": addresses.urls("session-svc"),
            "OAUTH_URL": addresses.urls("oauth-svc"),
            "WATCHER_URL": addresses.urls("expiry-watcher"),
            "PAUSER_URL": addresses.urls("rule-pauser"),
            "NOTIFIER_URL": addresses.urls("notifier"),
        }
    if service == "notifier":
        settings |= {
            "SESSION_URL": addresses.url("session-svc"),
            "SMTP_HOST": LOOPBACK,
            "SMTP_PORT": str(addresses.ports["mailbox-smtp"]),
            "SMTP_TLS": "none",
            # the same few people are told the same story again and again; nothing of it may wait for a digest
            "DIGEST_AFTER": "1000",
            "TELEGRAM_API_URL": f"{addresses.platforms_url}/api.telegram.org",
            "SLACK_API_URL": f"{addresses.platforms_url}/slack.com/api",
            "SLACK_HOOKS_URL": f"{addresses.platforms_url}/hooks.slack.com",
            "WEBHOOK_ALLOW_PRIVATE_HOSTS": json.dumps([urlsplit(addresses.platforms_url).netloc]),
        }
        secrets["WEVION_TELEGRAM_BOT_TOKEN"] = SIMULATED_BOT
    settings |= further or {}
    env = _inherited() | {f"WEVION_{name}": value for name, value in settings.items()}
    env["WEVION_SECRETS_DIR"] = str(vault.service_folder(service, secrets))
    return Process(
        argv=(program(service), "run"),
        env=env,
        ready_url=f"http://{LOOPBACK}:{operators_port or port}/readyz",
    )


def replica_names(service: str, replicas: Mapping[str, int]) -> list[str]:
    """`oauth-svc`, `oauth-svc#2`, …: the first has the port that everybody knows."""
    return [service, *(f"{service}#{number}" for number in range(2, replicas.get(service, 1) + 1))]


def operators(name: str) -> str:
    """What the port is called where the gateway (or its replica of this name) speaks to operators."""
    return f"{name}-operators"


def _inherited() -> dict[str, str]:
    """The environment of this process without settings that were meant for something else."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("WEVION_")}
    return kept | {"PYTHONUNBUFFERED": "1", "PROMETHEUS_DISABLE_CREATED_SERIES": "True"}


def names(text: str) -> frozenset[str]:
    """`notifier,rule-pauser` as a set.

    Raises `ValueError` naming the one that does not exist.
    """
    found = frozenset(name.strip() for name in text.split(",") if name.strip())
    if unknown := sorted(found - set(SERVICES)):
        raise ValueError(f"no service is called {unknown[0]}; there are {', '.join(SERVICES)}")
    return found


def left_out(without: str, only: str) -> frozenset[str]:
    """Which services are not started: those of `without`, or all but those of `only`.

    Raises `ValueError` naming the one that does not exist.
    """
    kept = names(only)
    return names(without) | (frozenset(SERVICES) - kept if kept else frozenset())


def replicas(text: str) -> dict[str, int]:
    """`oauth-svc=3,notifier=2` as numbers.

    Raises `ValueError` naming what is wrong with it.
    """
    found: dict[str, int] = {}
    for item in (item.strip() for item in text.split(",") if item.strip()):
        name, _, count = item.partition("=")
        names(name)
        if not count.isdigit() or not 1 <= int(count) <= MAX_REPLICAS:
            raise ValueError(f"REPLICAS={item}: write a number from 1 to {MAX_REPLICAS}, as in oauth-svc=3")
        found[name] = int(count)
    return found
