"""What can be configured, and what must hold between the values."""

from pydantic import Field

from common.service import ServiceSettings


class PauserSettings(ServiceSettings):
    """The settings of rule-pauser."""

    http_port: int = Field(default=8084, ge=0, le=65535, description="port to listen on; 0 takes a free one")
    settle_max_wait_s: float = Field(
        default=2.0,
        gt=0,
        le=60,
        description="longest sleep between looks for open settlements; larger costs less, smaller heals sooner",
    )
