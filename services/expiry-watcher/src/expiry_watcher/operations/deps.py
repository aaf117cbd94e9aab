"""What the operations work with; built once, in `app`."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from common.postgres import Pool
from expiry_watcher.core.ladder import Ladder

SOURCE = "expiry-watcher"


def _nobody() -> None:
    return


def _sleeps_on(_: datetime) -> None:
    return


@dataclass(frozen=True, slots=True)
class Deps:
    """Resources and hints.

    Attributes:
        pool: this service's database.
        ladder: the stages of workspaces that chose none.
        public_url: the gateway's origin, for links that fix things.
        wake_sweep: told of the earliest deadline that was just set, so that the sweep does not sleep past it.
        committed: called after a commit that wrote events; wakes the relay.

    """

    pool: Pool
    ladder: Ladder
    public_url: str = "http://127.0.0.1:8080"
    wake_sweep: Callable[[datetime], None] = _sleeps_on
    committed: Callable[[], None] = _nobody
