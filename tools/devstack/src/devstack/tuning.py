"""How a test's stack differs from `make run`: shorter waits, and proxies that can break the wires."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

#: The parts that others can be made to call by way of a `FaultProxy`.
PROXIED = ("postgres", "kafka", "simulator")


@dataclass(frozen=True, slots=True)
class Tuning:
    """What to add to the settings that every stack has."""

    #: Service -> further settings, without the prefix `WEVION_`.
    settings: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    #: Provider -> further keys of its table in the providers file.
    providers: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    #: A providers file of somebody's own, laid over the stack's: real test apps, or further providers.
    overrides: Path | None = None
    #: Whether services reach PostgreSQL, Kafka and the platforms through `Stack.wires`.
    proxied: bool = False
