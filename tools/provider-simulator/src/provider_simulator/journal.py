"""An optional file that lets a second start find the grants, people, apps, chats and mail of the first.

Append-only: one JSON line per changed thing, written a quarter of a second after the change and at the end; the last
line of a thing wins. The file is written anew, short, at each start. What a crash can lose is that quarter of a second.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TextIO

FLUSH_EVERY_S = 0.25

Dump = Callable[[str], Any]


class Journal:
    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._dumps: dict[str, Dump] = {}
        self._changed: dict[tuple[str, str], None] = {}
        self._file: TextIO | None = None

    def section(self, name: str, dump: Dump) -> None:
        """`dump(key)` gives the thing as JSON data, or None when it is gone."""
        self._dumps[name] = dump

    def mark(self, section: str, key: str) -> None:
        if self._path is not None:
            self._changed[section, key] = None

    def read(self) -> dict[str, dict[str, Any]]:
        """All things of the file, by section and key; empty without a file."""
        found: dict[str, dict[str, Any]] = {}
        if self._path is None or not self._path.exists():
            return found
        with self._path.open(encoding="utf-8") as lines:
            for section, key, value in _entries(lines):
                things = found.setdefault(section, {})
                things.pop(key, None)
                if value is not None:
                    things[key] = value
        return found

    def start(self, things: dict[str, dict[str, Any]]) -> None:
        """Write the file anew with `things` and go on appending to it."""
        if self._path is None:
            return
        self._path.parent.mkdir(parents=True, exist_ok=True)
        fresh = self._path.with_suffix(".new")
        with fresh.open("w", encoding="utf-8") as file:
            for section, entries in things.items():
                for key, value in entries.items():
                    file.write(json.dumps([section, key, value]) + "\n")
        fresh.replace(self._path)
        self._file = self._path.open("a", encoding="utf-8")

    def flush(self) -> int:
        """Write what changed; the number of things written."""
        if self._file is None or not self._changed:
            return 0
        changed, self._changed = self._changed, {}
        for section, key in changed:
            self._file.write(json.dumps([section, key, self._dumps[section](key)]) + "\n")
        self._file.flush()
        return len(changed)

    async def run(self) -> None:
        while True:
            await asyncio.sleep(FLUSH_EVERY_S)
            self.flush()

    def close(self) -> None:
        self.flush()
        if self._file is not None:
            self._file.close()
            self._file = None


def _entries(lines: TextIO) -> Iterator[tuple[str, str, Any]]:
    for line in lines:
        try:
            section, key, value = json.loads(line)
        except ValueError:
            return  # the last line of a process that was killed while writing
        yield section, key, value
