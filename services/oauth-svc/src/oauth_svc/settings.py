"""Settings of oauth-svc. Each says its meaning and unit, and what a larger or smaller value costs."""

from datetime import timedelta
from pathlib import Path

from pydantic import Field, model_validator

from common.crypto import KeyOptions
from common.service import ServiceSettings
from oauth_svc.operations.deps import Limits


class OauthSettings(ServiceSettings, KeyOptions):
    """What oauth-svc needs beside what every service has."""

    http_port: int = Field(default=8082, ge=0, le=65535, description="port to listen on; 0 takes a free one")
    providers_file: Path | None = Field(
        default=None, description="TOML: base URLs and clients of the providers, and providers of your own"
    )
    providers_override_file: Path | None = Field(
        default=None, description="TOML of the same form, laid over the first key by key: a developer's own test apps"
    )
    poll_s: float = Field(
        default=0.5, gt=0, le=60, description="seconds between looks at the schedule; smaller reacts faster"
    )
    lease_s: float = Field(
        default=30, ge=12, le=600, description="a killed refresh is resumed after this; above a provider's deadline"
    )
    in_flight: int = Field(default=128, ge=1, le=2000, description="provider calls at once per provider and process")
    state_life_s: float = Field(default=900, ge=60, le=3600, description="how long a consent may take")
    canary_every_s: float = Field(
        default=10, gt=0, le=600, description="one trial call per so many seconds while an incident is open"
    )
    evidence_grants: int = Field(
        default=8, ge=2, le=1000, description="unrelated grants that must fail alike before an incident opens"
    )
    evidence_window_s: float = Field(default=60, ge=1, le=3600, description="within so many seconds")

    confirm_after_s: float = Field(
        default=120, ge=0, le=3600, description="so long refusals of many grants at once are doubted before they count"
    )

    signal_grace_days: float = Field(
        default=7,
        ge=0,
        le=180,
        description="the credential of a grant that a platform's signal ended is kept, sealed, for so long, so that a "
        "mistaken end heals by itself; longer keeps secrets of people who left",
    )
    purge_after_days: float = Field(
        default=180, ge=1, le=3650, description="credentials of grants that are dead for so long are forgotten"
    )

    @model_validator(mode="after")
    def _keys_are_reachable(self) -> "OauthSettings":
        if self.keys_missing is not None:
            raise ValueError(self.keys_missing)
        return self

    @property
    def limits(self) -> Limits:
        return Limits(
            lease=timedelta(seconds=self.lease_s),
            in_flight=self.in_flight,
            state_life=timedelta(seconds=self.state_life_s),
            canary_every=timedelta(seconds=self.canary_every_s),
            evidence_window=timedelta(seconds=self.evidence_window_s),
            evidence_grants=self.evidence_grants,
            purge_after=timedelta(days=self.purge_after_days),
            signal_grace=timedelta(days=self.signal_grace_days),
            confirm_after=timedelta(seconds=self.confirm_after_s),
        )
