"""The settings of session-svc."""

from datetime import timedelta
from typing import Self
from urllib.parse import urlsplit

from pydantic import Field, field_validator, model_validator

from common import edge
from common.crypto import KeyOptions
from common.service import ServiceSettings
from session_svc.core.keys import Schedule

_LOOPBACK_HOSTS = frozenset({"127.0.0.1", "localhost", "::1"})


class SessionSettings(ServiceSettings, KeyOptions):
    """The settings of `session-svc run` and of the commands."""

    http_port: int = Field(default=8081, ge=0, le=65535, description="port to listen on; 0 takes a free one")
    notifier_url: str = Field(
        default="http://127.0.0.1:8085", pattern=r"^https?://", description="where reset mails are handed over"
    )
    trusted_proxies: str = Field(
        default="127.0.0.0/8,::1",
        description="addresses or CIDR ranges, separated by commas, whose X-Forwarded-For is believed: the gateways",
    )
    key_signs_for_s: int = Field(
        default=30 * 24 * 3600,
        ge=2,
        description="seconds until a signing key is replaced; shorter limits what a stolen one is good for",
    )
    jwks_max_age_s: int = Field(
        default=300,
        ge=1,
        le=3600,
        description="seconds that verifiers may keep the JWKS; longer means fewer fetches and later rotations",
    )
    keys_reload_s: float = Field(
        default=20, ge=0.2, le=300, description="seconds between two looks for keys that another replica made"
    )
    password_threads: int = Field(
        default=2, ge=1, le=32, description="passwords checked at once; each takes a core for tens of milliseconds"
    )
    password_queue: int = Field(
        default=64, ge=1, le=10_000, description="sign-ins that may wait for a thread; more are turned away at once"
    )
    password_memory_kib: int = Field(
        default=19_456, ge=8, description="memory of one argon2id hash; more costs attackers, and us, more"
    )
    password_passes: int = Field(default=2, ge=1, le=20, description="passes of argon2id over that memory")

    @field_validator("trusted_proxies")
    @classmethod
    def _networks(cls, value: str) -> str:
        edge.networks(value.split(","))
        return value

    @model_validator(mode="after")
    def _rotation_fits(self) -> Self:
        if timedelta(seconds=self.key_signs_for_s) <= self.schedule().publish_ahead:
            raise ValueError(
                "WEVION_KEY_SIGNS_FOR_S must be more than WEVION_JWKS_MAX_AGE_S + 2 x WEVION_KEYS_RELOAD_S: "
                "a key is published that long before it signs"
            )
        return self

    def schedule(self) -> Schedule:
        """Return the times of key rotation."""
        return Schedule(
            signs_for=timedelta(seconds=self.key_signs_for_s),
            jwks_max_age=timedelta(seconds=self.jwks_max_age_s),
            reload_every=timedelta(seconds=self.keys_reload_s),
        )

    @property
    def secure_cookie(self) -> bool:
        """Return whether the cookie is for TLS only: always, but on this machine itself."""
        parts = urlsplit(self.public_url)
        return not (parts.scheme == "http" and parts.hostname in _LOOPBACK_HOSTS)
