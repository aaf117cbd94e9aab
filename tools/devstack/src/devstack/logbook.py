"""`devstack logs`: what the parts of a stack say, as lines for people, followed until Ctrl-C."""

import json
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

from common.testing.processes import ChildFailedError
from devstack.layout import Layout
from devstack.terminal import Say, paint

FIRST_LINES = 40
FOLLOW_EVERY_S = 0.3
READ_BYTES = 256 * 1024
#: Probes come ten times a second at the start; they say nothing to a reader.
QUIET_ROUTES = {"/readyz", "/livez", "/metrics"}
COLOURS = {"error": 31, "critical": 31, "warning": 33}
SHOWN_FIRST = ("timestamp", "level", "event", "service", "logger", "trace_id")


def files(layout: Layout, part: str | None) -> list[Path]:
    """The log files of a part (with its replicas), or of all.

    Raises `ChildFailedError` naming those there are.
    """
    known = {file.stem: file for file in sorted(layout.logs.glob("*.log"), key=lambda file: file.stem)}
    known |= {name: file for name in ("kafka", "postgres") if (file := layout.root / name / f"{name}.log").exists()}
    found = [file for name, file in known.items() if part is None or name.partition("#")[0] == part]
    if not found:
        raise ChildFailedError(
            f"no logs of {part or 'anything'} in {layout.root}; there are: {', '.join(known) or 'none'}"
        )
    return found


def follow(paths: list[Path], out: Say) -> None:
    """Prints the last lines of each, then what comes, for ever."""
    positions = {path: path.stat().st_size for path in paths}
    for path in paths:
        for line in _tail(path):
            out(line)
    while True:
        time.sleep(FOLLOW_EVERY_S)
        for path in paths:
            size = path.stat().st_size
            if size < positions[path]:
                positions[path] = 0  # set aside and begun anew
            if size > positions[path]:
                with path.open("rb") as file:
                    file.seek(positions[path])
                    text = file.read(READ_BYTES)
                complete, newline, _ = text.rpartition(b"\n")
                positions[path] += len(complete) + len(newline)
                for line in _lines(path.stem, complete):
                    out(line)


def _tail(path: Path) -> list[str]:
    with path.open("rb") as file:
        file.seek(max(path.stat().st_size - READ_BYTES, 0))
        return list(_lines(path.stem, file.read()))[-FIRST_LINES:]


def _lines(part: str, text: bytes) -> Iterator[str]:
    for raw in text.decode(errors="replace").splitlines():
        if raw and (line := readable(part, raw)) is not None:
            yield line


def readable(part: str, raw: str) -> str | None:
    """One log line for a person; None for what only machines want. Text that is not JSON is shown as it is."""
    try:
        entry = json.loads(raw)
    except ValueError:
        entry = None
    if not isinstance(entry, dict):
        return f"{part:<14} {raw}"
    if entry.get("route") in QUIET_ROUTES:
        return None
    level = str(entry.get("level", "info"))
    clock = str(entry.get("timestamp", ""))[11:23]
    event = paint(str(entry.get("event", "")), COLOURS.get(level, 1))
    return f"{clock} {part:<14} {event} {_fields(entry)}".rstrip()


def _fields(entry: Mapping[str, object]) -> str:
    return " ".join(f"{name}={value}" for name, value in entry.items() if name not in SHOWN_FIRST)
