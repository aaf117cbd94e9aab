"""What a channel's folder is handed when it is put together, and what it hands back."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from common.runtime.clock import Clock
from common.service import Service
from common.web import Routes
from notifier.channels.endpoints.http import Managed
from notifier.consumers import Listener
from notifier.operations.channel import AnyChannel
from notifier.operations.deps import Deps


@dataclass(frozen=True, slots=True)
class Setting:
    """Where the channel is to work: the service that owns clients and tasks, and what the operations work with."""

    service: Service
    deps: Deps

    @property
    def clock(self) -> Clock:
        return self.service.clock


@dataclass(frozen=True, slots=True)
class Opened:
    """A channel (None where it is not set up), its own API, how the workspace manages it, and what it listens to."""

    channel: AnyChannel | None
    routes: Sequence[Routes] = field(default=())
    managed: Managed | None = None
    listener: Listener | None = None
