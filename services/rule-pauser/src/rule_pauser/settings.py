"""What can be configured, and what must hold between the values."""

from datetime import timedelta

from pydantic import Field

from common.service import ServiceSettings


class PauserSettings(ServiceSettings):
    """The settings of rule-pauser."""

    http_port: int = Field(default=8084, ge=0, le=65535, description="port to listen on; 0 takes a free one")
    settle_max_wait_s: float = Field(
        default=5.0,
        gt=0,
        le=60,
        description="longest sleep between looks for open reconciliations; larger costs less, smaller heals sooner",
    )
    incident_pause_after_s: float = Field(
        default=6 * 3600.0,
        ge=0,
        le=30 * 86400,
        description="how long a platform's incident lasts before the rules on its accounts are paused (0: never); "
        "larger lets rules act on older data, smaller stops them for troubles that pass",
    )

    @property
    def incident_pause_after(self) -> timedelta | None:
        """Return the patience with incidents; None: no incident pauses a rule."""
        return timedelta(seconds=self.incident_pause_after_s) if self.incident_pause_after_s > 0 else None
