"""What can be configured, and what must hold between the values."""

from typing import Annotated

from pydantic import Field, field_validator
from pydantic_settings import NoDecode

from common.service import ServiceSettings
from expiry_watcher.core.errors import LadderRefusedError
from expiry_watcher.core.ladder import Ladder


class WatcherSettings(ServiceSettings):
    """The settings of expiry-watcher."""

    http_port: int = Field(default=8083, ge=0, le=65535, description="port to listen on; 0 takes a free one")
    ladder_stages: Annotated[tuple[str, ...], NoDecode] = Field(
        default=("14d", "7d", "3d", "1d", "6h", "1h"),
        description="when to warn before full expiry, separated by commas; a workspace may choose its own",
    )
    ladder_rate_per_s: int = Field(
        default=5000,
        ge=1,
        le=100_000,
        description="announcements per second at most; smaller spreads a burst of equal deadlines over a longer time",
    )
    sweep_max_wait_s: float = Field(
        default=5.0,
        gt=0,
        le=60,
        description="longest sleep between sweeps; larger saves look-ups, smaller sees other replicas' work sooner",
    )

    oauth_url: str = Field(
        default="http://127.0.0.1:8082",
        pattern=r"^https?://[^/]+$",
        description="oauth-svc, which asks a platform whether the token that a diagnosis found works now",
    )
    notifier_url: str = Field(
        default="http://127.0.0.1:8085",
        pattern=r"^https?://[^/]+$",
        description="where notices are read, to tell which token one is about",
    )

    @field_validator("ladder_stages", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value

    @field_validator("ladder_stages")
    @classmethod
    def _check_stages(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        try:
            return Ladder.parse(value).names
        except LadderRefusedError as error:
            raise ValueError(str(error)) from error

    @property
    def ladder(self) -> Ladder:
        """Return the default ladder."""
        return Ladder.parse(self.ladder_stages)
