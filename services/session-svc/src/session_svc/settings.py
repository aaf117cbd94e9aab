"""Settings of the two processes: the identity API (`run`) and the public origin (`gateway`)."""

from datetime import timedelta
from ipaddress import ip_network
from pathlib import Path
from typing import Self
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, field_validator, model_validator

from common.service import ServiceSettings
from session_svc.core import edge
from session_svc.core.keys import Schedule

_LOOPBACK_HOSTS = frozenset({"127.0.0.1", "localhost", "::1"})


def _check_networks(value: str) -> str:
    for part in value.split(","):
        if part.strip():
            ip_network(part.strip(), strict=False)
    return value


class SessionSettings(ServiceSettings):
    """Settings of `session-svc run` and of the commands."""

    http_port: int = Field(default=8081, ge=0, le=65535, description="port to listen on; 0 takes a free one")
    keyring_file: Path | None = Field(
        default=None, description="the key-encryption keys that seal the signing keys (JSON or TOML, mode 0600)"
    )
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
        return _check_networks(value)

    @model_validator(mode="after")
    def _rotation_fits(self) -> Self:
        if timedelta(seconds=self.key_signs_for_s) <= self.schedule().publish_ahead:
            raise ValueError(
                "WEVION_KEY_SIGNS_FOR_S must be more than WEVION_JWKS_MAX_AGE_S + 2 x WEVION_KEYS_RELOAD_S: "
                "a key is published that long before it signs"
            )
        return self

    def schedule(self) -> Schedule:
        """The times of key rotation."""
        return Schedule(
            signs_for=timedelta(seconds=self.key_signs_for_s),
            jwks_max_age=timedelta(seconds=self.jwks_max_age_s),
            reload_every=timedelta(seconds=self.keys_reload_s),
        )

    @property
    def secure_cookie(self) -> bool:
        """Whether the cookie is for TLS only: always, but on this machine itself."""
        parts = urlsplit(self.public_url)
        return not (parts.scheme == "http" and parts.hostname in _LOOPBACK_HOSTS)


class GatewaySettings(ServiceSettings):
    """Settings of `session-svc gateway`. It has no database and no keys."""

    http_port: int = Field(default=8080, ge=0, le=65535, description="port to listen on; 0 takes a free one")
    database_url: SecretStr = Field(default=SecretStr(""), description="not used: the gateway has no database")
    session_url: str = Field(default="http://127.0.0.1:8081", description="session-svc: URLs, separated by commas")
    oauth_url: str = Field(default="http://127.0.0.1:8082", description="oauth-svc: URLs, separated by commas")
    watcher_url: str = Field(default="http://127.0.0.1:8083", description="expiry-watcher: URLs, separated by commas")
    pauser_url: str = Field(default="http://127.0.0.1:8084", description="rule-pauser: URLs, separated by commas")
    notifier_url: str = Field(default="http://127.0.0.1:8085", description="notifier: URLs, separated by commas")
    allowed_origins: str = Field(
        default="", description="further origins, separated by commas, whose pages may make unsafe calls"
    )
    trusted_proxies: str = Field(
        default="", description="addresses or CIDR ranges, separated by commas, of proxies in front of this one"
    )
    operator_networks: str = Field(
        default="127.0.0.0/8,::1,10.0.0.0/8,172.16.0.0/12,192.168.0.0/16,fc00::/7",
        description="addresses or CIDR ranges, separated by commas, that may read /metrics, /readyz and /openapi.json",
    )
    upstream_timeout_s: float = Field(
        default=30, ge=0.1, le=300, description="seconds until a service's answer must begin"
    )
    max_body_bytes: int = Field(
        default=1024 * 1024, ge=1024, le=1024**3, description="the largest request body that is let in"
    )
    heartbeat_s: float = Field(
        default=15, ge=0.1, le=60, description="seconds between signs of life on the live updates"
    )

    @field_validator("trusted_proxies", "operator_networks")
    @classmethod
    def _networks(cls, value: str) -> str:
        return _check_networks(value)

    @field_validator("session_url", "oauth_url", "watcher_url", "pauser_url", "notifier_url", "allowed_origins")
    @classmethod
    def _urls(cls, value: str) -> str:
        for url in _split(value):
            parts = urlsplit(url)
            if parts.scheme not in {"http", "https"} or not parts.hostname or parts.path not in {"", "/"}:
                raise ValueError(f"{url!r} is not a URL of scheme, host and port")
        return value

    def upstreams(self) -> dict[str, list[str]]:
        """The replicas of each service."""
        return {
            "session-svc": _split(self.session_url),
            "oauth-svc": _split(self.oauth_url),
            "expiry-watcher": _split(self.watcher_url),
            "rule-pauser": _split(self.pauser_url),
            "notifier": _split(self.notifier_url),
        }

    def origins(self) -> frozenset[str]:
        """Whose pages may make unsafe calls."""
        return frozenset(edge.origin_of(url) for url in (self.public_url, *_split(self.allowed_origins)))

    @property
    def https(self) -> bool:
        """Whether browsers reach us over TLS."""
        return urlsplit(self.public_url).scheme == "https"


def _split(value: str) -> list[str]:
    return [part.strip() for part in value.split(",") if part.strip()]
