"""The settings that every service has. A service's own class adds to them."""

from typing import Literal

from pydantic import Field, SecretStr

from common.kafka import KafkaOptions
from common.postgres import STATEMENT_CACHE_SIZE, Pool, open_pool


class ServiceSettings(KafkaOptions):
    """Where the service listens, what it talks to, and whom it believes."""

    http_host: str = Field(default="127.0.0.1", description="address to listen on")
    http_port: int = Field(ge=0, le=65535, description="port to listen on; 0 takes a free one")
    database_url: SecretStr = Field(description="postgresql://user:password@host:port/database")
    database_pool_size: int = Field(
        default=10, ge=2, le=200, description="connections at most; more costs memory on the server, fewer queue"
    )
    database_statement_cache_size: int = Field(
        default=STATEMENT_CACHE_SIZE,
        ge=0,
        le=10_000,
        description="prepared statements a connection keeps; 0 behind pgbouncer in transaction mode (docs/sre.md)",
    )
    kafka_session_timeout_s: float = Field(
        default=10,
        ge=2,
        le=60,
        description="seconds until a killed member's partitions go to another; shorter reacts faster, and flaps sooner",
    )
    public_url: str = Field(
        default="http://127.0.0.1:8080", pattern=r"^https?://[^/]+$", description="the gateway's origin, for links"
    )
    issuer: str = Field(default="http://127.0.0.1:8080", description="`iss` of the JWTs that are believed")
    audience: str = Field(default="wevion", description="`aud` of the JWTs that are believed")
    jwks_url: str = Field(
        default="http://127.0.0.1:8081/.well-known/jwks.json", description="where the verification keys are"
    )
    revocations_max_stale_s: float = Field(
        default=900,
        ge=10,
        le=3600,
        description="seconds for which revocations may be unreadable before older JWTs of sessions must be renewed",
    )
    accept_unsigned_states: bool = Field(
        default=True,
        description="whether session states without signature are believed; false once every session-svc signs them",
    )
    token_url: str = Field(
        default="http://127.0.0.1:8081/oauth2/token", description="where this service gets its own JWT"
    )
    service_client_id: str | None = Field(default=None, description="this service's OAuth client id")
    service_client_secret: SecretStr | None = Field(default=None, description="this service's OAuth client secret")
    log_format: Literal["auto", "json", "console"] = Field(default="auto", description="console is for people")
    log_level: Literal["debug", "info", "warning", "error"] = Field(default="info", description="least level to log")
    lame_duck_s: float = Field(
        default=5,
        ge=0,
        le=60,
        description="seconds to go on serving after SIGTERM while /readyz says no, until callers have been told to go",
    )
    drain_s: float = Field(
        default=10, ge=1, le=120, description="seconds to finish what is under way; keep it below the orchestrator's"
    )

    async def database(self, application_name: str, *, max_size: int | None = None) -> Pool:
        """Return open the service's database; `max_size` replaces the setting, for a command that needs less.

        Raises:
            RetryableError: the server does not answer, or is starting.

        """
        return await open_pool(
            self.database_url.get_secret_value(),
            application_name=application_name,
            max_size=max_size or self.database_pool_size,
            statement_cache_size=self.database_statement_cache_size,
        )
