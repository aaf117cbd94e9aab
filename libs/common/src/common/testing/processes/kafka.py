"""A real Kafka broker: one node that is its own controller (KRaft)."""

import asyncio
import base64
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from threading import Thread

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from common.runtime.clock import monotonic
from common.testing.processes.cache import cache_folder
from common.testing.processes.child import Child, ChildFailedError, end_leftover
from common.testing.processes.java import find_java, kafka_jars
from common.testing.processes.ports import LOOPBACK, choose_port

#: Ports are chosen before the broker binds them; another program may be quicker. So often it is tried again.
BIND_ATTEMPTS = 3
#: No service waits for a tidy broker shutdown longer than this.
STOP_GRACE_S = 15.0
POLL_S = 0.05

# The session timeout is also how long a broker that was killed waits, at its next start, until the controller
# lets go of its former self.
PROPERTIES = """\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@{host}:{controller_port}
listeners=PLAINTEXT://{host}:{port},CONTROLLER://{host}:{controller_port}
advertised.listeners=PLAINTEXT://{host}:{advertised_port}
controller.listener.names=CONTROLLER
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT
log.dirs={data}
auto.create.topics.enable=false
num.partitions=3
default.replication.factor=1
offsets.topic.replication.factor=1
offsets.topic.num.partitions=3
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=3
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=2000
num.network.threads=2
num.io.threads=2
num.recovery.threads.per.data.dir=1
log.cleaner.dedupe.buffer.size=16777216
log.segment.bytes=16777216
log.index.size.max.bytes=1048576
broker.heartbeat.interval.ms=500
broker.session.timeout.ms=3000
"""


@dataclass(slots=True)
class Kafka:
    """A running broker. `start` makes one, `stop` ends it, its data stays in `folder`."""

    folder: Path
    port: int
    #: Random, made when the folder was formatted: tells this broker from another one on the same port.
    cluster_id: str
    child: Child

    @property
    def bootstrap(self) -> str:
        return f"{LOOPBACK}:{self.port}"

    @classmethod
    def prepare(cls, folder: Path) -> None:
        """What only the first start does: fetches the jars (44 MB, once per machine) and formats the storage."""
        folder.mkdir(parents=True, exist_ok=True)
        java, _ = find_java()
        jars = kafka_jars(cache_folder())
        if not (folder / "data" / "meta.properties").exists():
            port = choose_port()
            _format(java, jars, _configure(folder, port=port, advertised_port=port))

    @classmethod
    def launch(
        cls,
        folder: Path,
        *,
        port: int = 0,
        advertised_port: int | None = None,
        heap_mb: int = 512,
    ) -> "Kafka":
        """Starts the process and does not wait; prepares the folder if that was not done.

        `port` 0 takes a free one. `advertised_port` is what clients are sent to: a proxy's, in tests of faults.

        Args:
            folder: where it keeps its data.
            port: the port that it listens on; 0 takes a free one.
            advertised_port: what clients are sent to; None for the port itself.
            heap_mb: the largest heap of its JVM, in MB.

        """
        cls.prepare(folder)
        java, major = find_java()
        pid_file = folder / "kafka.pid"
        end_leftover(pid_file, STOP_GRACE_S)
        port = port or choose_port()
        config = _configure(folder, port=port, advertised_port=advertised_port or port)
        native = ["--enable-native-access=ALL-UNNAMED"] if major > 17 else []  # noqa: PLR2004  # 17 does not warn
        child = Child.start(
            "Kafka",
            [
                java,
                "-Xms128m",
                f"-Xmx{heap_mb}m",
                "-XX:+UseSerialGC",
                "-XX:TieredStopAtLevel=1",
                "-Xshare:auto",
                "-Djava.awt.headless=true",
                "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
                "-Dorg.slf4j.simpleLogger.showDateTime=true",
                *native,
                "-cp",
                f"{kafka_jars(cache_folder())}/*",
                "kafka.Kafka",
                config,
            ],
            log=folder / "kafka.log",
            pid_file=pid_file,
        )
        return cls(folder=folder, port=port, cluster_id=_cluster_id(folder), child=child)

    @classmethod
    def start(
        cls,
        folder: Path,
        *,
        port: int = 0,
        advertised_port: int | None = None,
        heap_mb: int = 512,
        timeout_s: float = 60.0,
    ) -> "Kafka":
        """`launch`, then `wait_ready`; a port that another program took in between is given up for another.

        Args:
            folder: where it keeps its data.
            port: the port that it listens on; 0 takes a free one.
            advertised_port: what clients are sent to; None for the port itself.
            heap_mb: the largest heap of its JVM, in MB.
            timeout_s: seconds until it has to be ready.

        """
        for attempt in range(1, BIND_ATTEMPTS + 1):
            kafka = cls.launch(folder, port=port, advertised_port=advertised_port, heap_mb=heap_mb)
            try:
                kafka.wait_ready(timeout_s)
            except ChildFailedError:
                kafka.stop()
                if attempt == BIND_ATTEMPTS or not _port_was_taken(kafka.child):
                    raise
            except BaseException:
                kafka.stop()
                raise
            else:
                return kafka
        raise ChildFailedError("unreachable: the last attempt returns or raises")

    def wait_ready(self, timeout_s: float = 60.0) -> None:
        """Returns when the broker lists itself in its metadata, which it does once it may host topics."""
        failure: list[BaseException] = []

        def wait() -> None:
            try:
                asyncio.run(self._answers(timeout_s))
            except BaseException as exc:  # noqa: BLE001  # raised again in the caller's thread
                failure.append(exc)

        # a thread of its own: the caller may be inside an event loop, or a sync fixture beside one
        thread = Thread(target=wait, name="kafka-wait", daemon=True)
        thread.start()
        thread.join()
        if failure:
            raise failure[0]

    async def _answers(self, timeout_s: float) -> None:
        deadline = monotonic() + timeout_s
        while True:
            self.child.require_running()
            if await _lists_itself(self.bootstrap, self.cluster_id):
                return
            if monotonic() > deadline:
                raise ChildFailedError(f"Kafka did not answer within {timeout_s:g} s.\n{self.child.log_tail()}")
            await asyncio.sleep(POLL_S)

    def stop(self) -> None:
        self.child.stop(STOP_GRACE_S)


async def _lists_itself(bootstrap: str, cluster_id: str) -> bool:
    host, _, port = bootstrap.rpartition(":")
    try:
        _, writer = await asyncio.open_connection(host, int(port))
    except OSError:
        return False  # cheaper than a client that logs its failure
    writer.close()
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap, request_timeout_ms=5000)
    try:
        await admin.start()
        cluster = await admin.describe_cluster()
        return bool(cluster["brokers"]) and cluster["cluster_id"] == cluster_id
    except (KafkaError, OSError):
        return False
    finally:
        await admin.close()


def _configure(folder: Path, *, port: int, advertised_port: int) -> Path:
    config = folder / "server.properties"
    config.write_text(
        PROPERTIES.format(
            host=LOOPBACK,
            port=port,
            advertised_port=advertised_port,
            controller_port=choose_port(),
            data=folder / "data",
        )
    )
    return config


def _format(java: Path, jars: Path, config: Path) -> None:
    tool = [str(java), "-XX:TieredStopAtLevel=1", "-cp", f"{jars}/*", "kafka.tools.StorageTool"]
    done = subprocess.run(
        [*tool, "format", "-t", _new_cluster_id(), "-c", str(config)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    if done.returncode:
        raise ChildFailedError(f"Kafka's storage could not be formatted.\n{done.stdout}{done.stderr}")


def _new_cluster_id() -> str:
    # the first byte keeps a dash, which the tool would take for an option, from the front
    return base64.urlsafe_b64encode(b"W" + os.urandom(15)).decode().rstrip("=")


def _cluster_id(folder: Path) -> str:
    lines = (folder / "data" / "meta.properties").read_text().splitlines()
    return next(line.partition("=")[2].replace("\\", "") for line in lines if line.startswith("cluster.id="))


def _port_was_taken(child: Child) -> bool:
    return "Address already in use" in child.log_tail(200)
