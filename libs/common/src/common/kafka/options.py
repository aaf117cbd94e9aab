"""The settings that say how to reach Kafka: the same for services and for operators' commands."""

from typing import Literal

from pydantic import Field, SecretStr, model_validator

from common.runtime.settings import Settings
from wevion_tokens.kafka.connection import KafkaSettings


class KafkaOptions(Settings):
    """Where the brokers are, and how they are talked to."""

    kafka_bootstrap_servers: str = Field(description="host:port of the brokers, separated by commas")
    kafka_topic_prefix: str = Field(default="", description="put before every topic and group name")
    kafka_security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = Field(
        default="PLAINTEXT", description="how to talk to the brokers"
    )
    kafka_sasl_mechanism: str = Field(default="SCRAM-SHA-512", description="with SASL: the mechanism")
    kafka_sasl_username: str | None = Field(default=None, description="with SASL: the user")
    kafka_sasl_password: SecretStr | None = Field(default=None, description="with SASL: the password")
    kafka_ca_file: str | None = Field(default=None, description="PEM file of the brokers' certificate authority")
    kafka_certificate_file: str | None = Field(
        default=None, description="PEM file of our own certificate, where brokers ask for one"
    )
    kafka_key_file: str | None = Field(default=None, description="PEM file of that certificate's private key")

    @model_validator(mode="after")
    def _check_kafka(self) -> "KafkaOptions":
        if self.kafka_security_protocol.startswith("SASL") and not (
            self.kafka_sasl_username and self.kafka_sasl_password
        ):
            raise ValueError("WEVION_KAFKA_SASL_USERNAME and _PASSWORD must be set with a SASL protocol")
        if bool(self.kafka_certificate_file) != bool(self.kafka_key_file):
            raise ValueError("WEVION_KAFKA_CERTIFICATE_FILE and WEVION_KAFKA_KEY_FILE go together")
        return self

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
            certificate_file=self.kafka_certificate_file,
            key_file=self.kafka_key_file,
        )
