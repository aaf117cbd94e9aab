"""What every operation is given."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from uuid import UUID

from common.postgres import Pool
from common.runtime import ids
from common.runtime.clock import Clock
from oauth_svc.operations.fence import Fence
from oauth_svc.operations.uses import Uses
from oauth_svc.operations.vault import Vault
from oauth_svc.providers.registry import Providers

SOURCE = "oauth-svc"


def _nothing() -> None:
    """Nobody to wake."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Figures that the settings set; each is explained there."""

    lease: timedelta = timedelta(seconds=30)
    in_flight: int = 128
    state_life: timedelta = timedelta(minutes=15)
    canary_every: timedelta = timedelta(seconds=10)
    evidence_window: timedelta = timedelta(seconds=60)
    evidence_grants: int = 8
    workspace_share: int = 256
    purge_after: timedelta = timedelta(days=180)
    confirm_after: timedelta = timedelta(minutes=2)
    signal_grace: timedelta = timedelta(days=7)


@dataclass(slots=True)
class Deps:
    """One per process, built by `app`. `committed` is called after a commit: it wakes the relay and the sweeps."""

    pool: Pool
    providers: Providers
    vault: Vault
    clock: Clock
    public_url: str
    limits: Limits = field(default_factory=Limits)
    uses: Uses = field(default_factory=Uses)
    fence: Fence = field(default_factory=Fence)
    committed: Callable[[], None] = _nothing

    def fix_url(self, provider: str, connection_id: object) -> str:
        """Return the link that opens the consent (or the credential form) for one connection."""
        return f"{self.public_url}/connect/{provider}?connection_id={connection_id}"

    @staticmethod
    def new_id() -> UUID:
        return ids.new_id()

    def redirect_uri(self, provider: str) -> str:
        return f"{self.public_url}/connect/{provider}/callback"
