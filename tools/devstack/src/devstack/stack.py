"""The whole product on one machine: starts it step by step, keeps it running, stops it in order."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import aiohttp

from common.kafka import KafkaSettings, create_topics
from common.testing import FaultProxy
from common.testing.processes import Child, Kafka, Postgres, cache_folder
from common.testing.processes.java import KAFKA_VERSION, jars_present, kafka_jars
from devstack import databases, identities, ports, services
from devstack.identities import Identities
from devstack.layout import Layout
from devstack.platforms import Platforms, providers_toml
from devstack.profiles import PLAYGROUND, backend_env, profiles_toml
from devstack.services import DATABASES, SERVICES, Addresses
from devstack.supervisor import Part, Supervisor, each
from devstack.terminal import Say, Steps, say
from devstack.tuning import PROXIED, Tuning
from devstack.vault import Vault

READY_TIMEOUT_S = 90.0
#: Recovery after a crash is inside.
SERVER_TIMEOUT_S = 60.0
SERVER_GRACE_S = 15.0


@dataclass(slots=True)
class Stack:
    """A running stack. Made by `running`."""

    layout: Layout
    addresses: Addresses
    vault: Vault
    supervisor: Supervisor
    http: aiohttp.ClientSession
    steps: Steps
    platforms: Platforms
    without: frozenset[str]
    tuning: Tuning
    #: The proxies of `Tuning.proxied`, by the part that they stand before.
    wires: Mapping[str, FaultProxy] = field(default_factory=dict)
    identities: Identities | None = None

    def process(self, service: str, name: str | None = None) -> services.Process:
        """How the service (or the replica called `name`) is started."""
        further = dict(self.tuning.settings.get(service, {}))
        if service == "oauth-svc" and self.tuning.overrides is not None:
            further["PROVIDERS_OVERRIDE_FILE"] = str(self.tuning.overrides)
        return services.process(
            service,
            self.addresses,
            self.vault,
            port=self.addresses.ports[name or service],
            providers_file=self.layout.providers_file,
            operators_port=self.addresses.ports[services.operators(name or service)] if service == "gateway" else None,
            further=further,
        )

    def told(self) -> dict[str, Any]:
        """What demo.json tells programs."""
        address = self.addresses
        return {
            "gateway_url": address.public_url,
            "services": {name: address.url(name) for name in SERVICES if name != "gateway"},
            "simulator_url": address.url("simulator"),
            "simulator_control_url": address.url("simulator-control"),
            "mailbox_url": f"{address.url('simulator-control')}/mailbox",
            "kafka_bootstrap": address.kafka,
            "database_urls": dict(address.database_urls),
            "users": list(self.identities.users) if self.identities else [],
            "service_client": {
                "id": services.DEMO_CLIENT,
                "secret": self.vault.secret(f"client-{services.DEMO_CLIENT}"),
                "token_url": f"{address.url('session-svc')}/oauth2/token",
            },
            "processes": self.supervisor.pids(),
        }

    def write_demo_file(self) -> None:
        """Tells programs what people were told; called at every change, so `processes` is current."""
        for file, text in (
            (self.layout.demo_file, json.dumps(self.told(), indent=2) + "\n"),
            (self.layout.profiles_file, profiles_toml(self.addresses, self.vault)),
            (self.layout.backend_file, backend_env(self.addresses, self.vault)),
        ):
            fresh = file.with_name(f"{file.name}.new")
            fresh.touch(mode=0o600)
            fresh.write_text(text)
            fresh.replace(file)

    def write_environments(self) -> None:
        """Keeps each service's settings, so that its other commands can be run on this stack."""
        for service in SERVICES:
            settings = {name: text for name, text in self.process(service).env.items() if name.startswith("WEVION_")}
            self.vault.write(self.layout.environment_file(service).name, json.dumps(settings, indent=2))


@asynccontextmanager
async def running(
    layout: Layout,
    *,
    replicas: Mapping[str, int],
    out: Say = say,
    without: frozenset[str] = frozenset(),
    tuning: Tuning | None = None,
) -> AsyncIterator[Stack]:
    """The stack inside the block, everything ready; all of it ended after the block, however that ends.

    Raises `ChildFailedError` with the reason if a part does not come up, `StackBusyError` if the folder is in use.
    """
    extra = [name for service in replicas for name in services.replica_names(service, replicas)[1:]]
    extra += [services.operators(name) for name in extra if name.startswith("gateway#")]
    with layout.locked(), ports.reserved(extra) as chosen:
        layout.logs.mkdir(parents=True, exist_ok=True)
        for name, default, port in chosen.moved:
            out(f"  ! port {default} is taken, so {name} listens on {port}")
        vault = Vault(layout.secrets)
        passwords = {name: vault.secret(f"database-{name}") for name in (*DATABASES.values(), PLAYGROUND)}
        tuning = tuning or Tuning()
        async with aiohttp.ClientSession() as http, AsyncExitStack() as proxies:
            supervisor = Supervisor(say=out, http=http)
            wires = {
                name: await proxies.enter_async_context(FaultProxy(services.LOOPBACK, chosen[name]))
                for name in PROXIED
                if tuning.proxied
            }
            stack = Stack(
                layout=layout,
                addresses=Addresses(chosen, replicas, wires={name: wire.port for name, wire in wires.items()}),
                vault=vault,
                supervisor=supervisor,
                http=http,
                steps=Steps(out),
                without=without,
                tuning=tuning,
                wires=wires,
                platforms=Platforms(http, f"http://127.0.0.1:{chosen['simulator-control']}"),
            )
            supervisor.on_change = stack.write_demo_file
            try:
                await _start(stack, passwords, without)
                yield stack
            finally:
                await supervisor.stop(
                    lambda name: name.partition("#")[0] in SERVICES,
                    lambda name: name == "simulator",
                )
                layout.demo_file.unlink(missing_ok=True)
                layout.profiles_file.unlink(missing_ok=True)
                layout.backend_file.unlink(missing_ok=True)


async def _start(stack: Stack, passwords: Mapping[str, str], without: frozenset[str]) -> None:
    layout, steps, chosen = stack.layout, stack.steps, stack.addresses.ports
    postgres: Postgres | None = None

    def launch_postgres() -> Child:
        nonlocal postgres
        postgres = Postgres.launch(layout.postgres, port=chosen["postgres"])
        return postgres.child

    kafka: Kafka | None = None

    def launch_kafka() -> Child:
        nonlocal kafka
        kafka = Kafka.launch(layout.kafka, port=chosen["kafka"], advertised_port=stack.addresses.called_port("kafka"))
        return kafka.child

    async def databases_up() -> None:
        with steps.step("PostgreSQL 18", f"127.0.0.1:{chosen['postgres']}"):
            await asyncio.to_thread(Postgres.prepare, layout.postgres)
            stack.supervisor.start(Part("postgres", launch_postgres, grace_s=SERVER_GRACE_S))
            assert postgres is not None  # noqa: S101  # just launched
            await asyncio.to_thread(postgres.wait_ready, SERVER_TIMEOUT_S)
        with steps.step("databases and their tables") as detail:
            await databases.provision(postgres.dsn(), passwords)
            server = f"{services.LOOPBACK}:{stack.addresses.called_port('postgres')}"
            urls = {
                service: f"postgresql://{name}:{passwords[name]}@{server}/{name}" for service, name in DATABASES.items()
            }
            stack.addresses = replace(stack.addresses, database_urls=urls)
            applied = await databases.migrate_all(
                {DATABASES[service]: url for service, url in urls.items() if service not in without}
            )
            detail.text = f"{len(applied)} migrations applied" if applied else "up to date"

    async def topics_up() -> None:
        if not jars_present():
            with steps.step("Kafka's jars", "44 MB, once per machine"):
                await asyncio.to_thread(kafka_jars, cache_folder())
        with steps.step(f"Kafka {KAFKA_VERSION}", stack.addresses.kafka):
            await asyncio.to_thread(Kafka.prepare, layout.kafka)
            stack.supervisor.start(Part("kafka", launch_kafka, grace_s=SERVER_GRACE_S))
            assert kafka is not None  # noqa: S101  # just launched
            await asyncio.to_thread(kafka.wait_ready, SERVER_TIMEOUT_S)
        with steps.step("topics") as detail:
            new = await create_topics(KafkaSettings(bootstrap_servers=stack.addresses.kafka, client_id="devstack"))
            detail.text = f"{len(new)} created" if new else "up to date"

    async def simulator_up() -> None:
        with steps.step("provider simulator and mailbox", stack.addresses.url("simulator")):
            stack.supervisor.start(_simulator(stack))
            await stack.supervisor.wait_ready("simulator", READY_TIMEOUT_S)
            apps = await stack.platforms.set_up_apps(stack.addresses.public_url)
            told = providers_toml(
                stack.addresses.platforms_url, stack.addresses.url("simulator"), apps, stack.tuning.providers
            )
            stack.vault.write(layout.providers_file.name, told)

    await each(databases_up(), topics_up(), simulator_up())
    stack.write_environments()
    if "session-svc" not in without:
        with steps.step("people and service clients") as detail:
            process = stack.process("session-svc")
            stack.identities = await identities.ensure(process, stack.vault, layout.identities_file)
            detail.text = f"{len(stack.identities.users)} people, {len(services.CLIENTS)} clients"
    await _start_services(stack, without)


async def _start_services(stack: Stack, without: frozenset[str]) -> None:
    async def up(service: str, name: str) -> None:
        port = stack.addresses.ports[name]
        with stack.steps.step(name, f"http://127.0.0.1:{port}"):
            process = stack.process(service, name)
            log = stack.layout.logs / f"{name}.log"
            stack.supervisor.start(Part(name, _launcher(name, process, log), ready_url=process.ready_url))
            await stack.supervisor.wait_ready(name, READY_TIMEOUT_S)

    wanted = [
        (service, name)
        for service in SERVICES
        if service not in without
        for name in services.replica_names(service, stack.addresses.replicas)
    ]
    await each(*(up(service, name) for service, name in wanted))


def _launcher(name: str, process: services.Process, log: Path) -> Callable[[], Child]:
    return lambda: Child.start(name, process.argv, env=process.env, log=log)


def _simulator(stack: Stack) -> Part:
    chosen = stack.addresses.ports
    argv = [services.program("provider-simulator"), "run"]
    argv += ["--port", str(chosen["simulator"]), "--control-port", str(chosen["simulator-control"])]
    argv += ["--smtp-port", str(chosen["mailbox-smtp"]), "--public-url", stack.addresses.public_url]
    argv += ["--state-file", str(stack.layout.simulator_state)]
    log = stack.layout.logs / "simulator.log"
    return Part(
        "simulator",
        lambda: Child.start("simulator", argv, log=log),
        ready_url=f"{stack.addresses.url('simulator-control')}/livez",
    )
