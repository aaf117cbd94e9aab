"""What the operations work with; built once, in `app`."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from common.postgres import Pool

SOURCE = "rule-pauser"


def _nobody() -> None:
    return


@dataclass(frozen=True, slots=True)
class Deps:
    """Resources and hints.

    Attributes:
        pool: this service's database.
        public_url: the gateway's origin, for links that fix things.
        incident_pause_after: how long a platform's incident lasts before its rules are paused; None: they never are.
        wake_reconciling: told after a commit that asked for rules to be reconciled.
        committed: called after a commit that wrote events; wakes the relay.

    """

    pool: Pool
    public_url: str = "http://127.0.0.1:8080"
    incident_pause_after: timedelta | None = None
    wake_reconciling: Callable[[], None] = _nobody
    committed: Callable[[], None] = _nobody
