"""The settings that every service has. A service's own class adds to them."""

from typing import Literal

from pydantic import Field, SecretStr, model_validator

from common.kafka import KafkaSettings
from common.postgres import STATEMENT_CACHE_SIZE, Pool, open_pool
from common.runtime.settings import Settings


class ServiceSettings(Settings):
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
    kafka_bootstrap_servers: str = Field(description="host:port of the brokers, separated by commas")
    kafka_topic_prefix: str = Field(default="", description="put before every topic and group name")
    kafka_security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = Field(
        default="PLAINTEXT", description="how to talk to the brokers"
    )
    kafka_sasl_mechanism: str = Field(default="SCRAM-SHA-512", description="with SASL: the mechanism")
    kafka_sasl_username: str | None = Field(default=None, description="with SASL: the user")
    kafka_sasl_password: SecretStr | None = Field(default=None, description="with SASL: the password")
    kafka_ca_file: str | None = Field(default=None, description="PEM file of the brokers' certificate authority")
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

    @model_validator(mode="after")
    def _check_sasl(self) -> "ServiceSettings":
        if self.kafka_security_protocol.startswith("SASL") and not (
            self.kafka_sasl_username and self.kafka_sasl_password
        ):
            raise ValueError("WEVION_KAFKA_SASL_USERNAME and _PASSWORD must be set with a SASL protocol")
        return self

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

    def kafka(self, client_id: str) -> KafkaSettings:
        """Return the connection settings for Kafka clients."""
        return KafkaSettings(
            bootstrap_servers=self.kafka_bootstrap_servers,
            client_id=client_id,
            topic_prefix=self.kafka_topic_prefix,
            security_protocol=self.kafka_security_protocol,
            sasl_mechanism=self.kafka_sasl_mechanism,
            sasl_username=self.kafka_sasl_username,
            sasl_password=self.kafka_sasl_password.get_secret_value() if self.kafka_sasl_password else None,
            ca_file=self.kafka_ca_file,
        )
