"""Where the token services of one environment are, and who this service is there."""

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, model_validator

from wevion_tokens.contracts import explain

if TYPE_CHECKING:
    from wevion_tokens.kafka.connection import KafkaSettings

PREFIX = "WEVION_"
_SECRET_FILE = "service_client_secret_file"  # noqa: S105  a name


class ProfileError(ValueError):
    """A profile is missing, or something in it is wrong; the text names it."""


class TokensProfile(BaseModel):
    """One environment. What a program does not use may be left out.

    Built from variables (`WEVION_OAUTH_URL`, …, named like the services' own settings) or from a table of a TOML file.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    oauth_url: str = Field(default="", description="oauth-svc: access tokens for accounts")
    watcher_url: str = Field(default="", description="expiry-watcher: the inventory, for `wevion-tokens why`")
    token_url: str = Field(default="", description="session-svc's /oauth2/token: this service's own JWT")
    service_client_id: str = ""
    service_client_secret: SecretStr = SecretStr("")
    service_scope: str | None = Field(default=None, description="scopes to ask for; by default all of the client's")
    issuer: str = Field(default="", description="whose JWTs are accepted: the product's public origin")
    jwks_url: str = Field(default="", description="its keys")
    audience: str = "wevion"
    public_url: str = Field(default="", description="begins the links in refusals; by default the issuer")
    kafka_bootstrap_servers: str = Field(default="", description="host:port of the brokers, separated by commas")
    kafka_topic_prefix: str = ""
    kafka_security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = "PLAINTEXT"
    kafka_sasl_mechanism: str = "SCRAM-SHA-512"
    kafka_sasl_username: str | None = None
    kafka_sasl_password: SecretStr | None = None
    kafka_ca_file: str | None = None
    kafka_certificate_file: str | None = None
    kafka_key_file: str | None = None

    @model_validator(mode="before")
    @classmethod
    def _read_secret_file(cls, given: Any) -> Any:
        if not isinstance(given, dict) or _SECRET_FILE not in given:
            return given
        kept = dict(given)
        try:
            secret = Path(kept.pop(_SECRET_FILE)).expanduser().read_text().strip()
        except OSError as error:
            raise ValueError(f"{_SECRET_FILE} cannot be read: {error.strerror}") from error
        return {"service_client_secret": secret} | kept

    @classmethod
    def from_environment(cls, variables: Mapping[str, str]) -> "TokensProfile":
        """Return the profile in these variables, usually `os.environ`; others are left alone. Raises ProfileError."""
        names = (*cls.model_fields, _SECRET_FILE)
        given = {name: variables[PREFIX + name.upper()] for name in names if PREFIX + name.upper() in variables}
        return _made(given, "the environment")

    @classmethod
    def from_file(cls, path: Path, name: str) -> "TokensProfile":
        """Return the table `[name]` of a TOML file. Raises ProfileError."""
        try:
            tables = tomllib.loads(path.read_text())
        except (OSError, ValueError) as error:
            raise ProfileError(f"{path} cannot be read: {error}") from error
        if not isinstance(tables.get(name), dict):
            known = ", ".join(sorted(each for each, table in tables.items() if isinstance(table, dict))) or "none"
            raise ProfileError(f"{path} has no profile {name}; there are {known}")
        return _made(tables[name], f"profile {name}")

    def needs(self, *names: str) -> None:
        """Raise ProfileError with the first of these fields that is not set."""
        for name in names:
            value = getattr(self, name)
            if not (value.get_secret_value() if isinstance(value, SecretStr) else value):
                raise ProfileError(f"{name} is not set ({PREFIX}{name.upper()})")

    def kafka(self, client_id: str = "") -> "KafkaSettings":
        """Return how to reach Kafka. Needs the extra `events`. Raises ProfileError."""
        from wevion_tokens.kafka.connection import KafkaSettings  # noqa: PLC0415  only who follows events installs it

        self.needs("kafka_bootstrap_servers")
        return KafkaSettings(
            bootstrap_servers=self.kafka_bootstrap_servers,
            client_id=client_id or self.service_client_id or "wevion-tokens",
            topic_prefix=self.kafka_topic_prefix,
            security_protocol=self.kafka_security_protocol,
            sasl_mechanism=self.kafka_sasl_mechanism,
            sasl_username=self.kafka_sasl_username,
            sasl_password=self.kafka_sasl_password.get_secret_value() if self.kafka_sasl_password else None,
            ca_file=self.kafka_ca_file,
            certificate_file=self.kafka_certificate_file,
            key_file=self.kafka_key_file,
        )


def _made(given: Mapping[str, Any], where: str) -> TokensProfile:
    try:
        return TokensProfile(**given)
    except ValidationError as error:
        raise ProfileError(f"{where}: {explain(error)}") from None
