"""The settings of the gateway."""

from urllib.parse import urlsplit

from pydantic import Field, SecretStr, field_validator

from common import edge
from common.service import ServiceSettings


class GatewaySettings(ServiceSettings):
    """The settings of the gateway. It has no database and no keys."""

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
    trusted_hops: int = Field(
        default=0,
        ge=0,
        le=10,
        description="how many proxies in front of this one are yours: so many entries of X-Forwarded-For are believed",
    )
    operators_host: str = Field(
        default="127.0.0.1", description="address to listen on for /metrics, /readyz and /openapi.json of the gateway"
    )
    operators_port: int = Field(
        default=8086, ge=0, le=65535, description="port of these; keep it away from the internet. 0 takes a free one"
    )
    most_per_address: int = Field(
        default=500, ge=1, le=100_000, description="connections and requests of one address at a time"
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

    @field_validator("session_url", "oauth_url", "watcher_url", "pauser_url", "notifier_url", "allowed_origins")
    @classmethod
    def _urls(cls, value: str) -> str:
        for url in _split(value):
            parts = urlsplit(url)
            if parts.scheme not in {"http", "https"} or not parts.hostname or parts.path not in {"", "/"}:
                raise ValueError(f"{url!r} is not a URL of scheme, host and port")
        return value

    def upstreams(self) -> dict[str, list[str]]:
        """Return the replicas of each service."""
        return {
            "session-svc": _split(self.session_url),
            "oauth-svc": _split(self.oauth_url),
            "expiry-watcher": _split(self.watcher_url),
            "rule-pauser": _split(self.pauser_url),
            "notifier": _split(self.notifier_url),
        }

    @property
    def origin(self) -> str:
        """Return the origin that browsers know."""
        return edge.origin_of(self.public_url)

    def further_origins(self) -> frozenset[str]:
        """Return other origins whose pages may make unsafe calls."""
        return frozenset(map(edge.origin_of, _split(self.allowed_origins))) - {self.origin}

    @property
    def https(self) -> bool:
        """Return whether browsers reach us over TLS."""
        return urlsplit(self.public_url).scheme == "https"


def _split(value: str) -> list[str]:
    return [part.strip() for part in value.split(",") if part.strip()]
