"""Which port each part listens on: its own one if that is free, else any free one, and then it is said."""

from collections.abc import Iterable
from dataclasses import dataclass

from common.testing.processes import choose_port

DEFAULTS = {
    "gateway": 8080,
    "session-svc": 8081,
    "oauth-svc": 8082,
    "expiry-watcher": 8083,
    "rule-pauser": 8084,
    "notifier": 8085,
    "simulator": 9100,
    "simulator-control": 9101,
    "mailbox-smtp": 9125,
    "kafka": 9092,
    "postgres": 5433,
}


@dataclass(frozen=True, slots=True)
class Ports:
    """Chosen once per start. A part that is started again keeps its port."""

    by_name: dict[str, int]

    def __getitem__(self, name: str) -> int:
        return self.by_name[name]

    @property
    def moved(self) -> list[tuple[str, int, int]]:
        """(name, default, chosen) of each that had to go elsewhere."""
        return [
            (name, default, self.by_name[name]) for name, default in DEFAULTS.items() if self.by_name[name] != default
        ]


def choose(extra: Iterable[str] = ()) -> Ports:
    """A port for each part, and a free one for each extra name (a replica); no two the same."""
    chosen: dict[str, int] = {}
    for name in (*DEFAULTS, *extra):
        port = choose_port(DEFAULTS.get(name, 0))
        while port in chosen.values():
            port = choose_port()
        chosen[name] = port
    return Ports(chosen)
