"""How to reach the cluster."""

import ssl
from dataclasses import dataclass, field
from typing import Any

from aiokafka.helpers import create_ssl_context


@dataclass(frozen=True, slots=True, kw_only=True)
class KafkaSettings:
    """The connection settings that producers, consumers and the admin client share.

    Attributes:
        bootstrap_servers: `host:port`, several separated by commas.
        client_id: shown in the broker's logs and quotas.
        topic_prefix: put before every topic and group name, so that several systems can share a cluster.
        security_protocol: PLAINTEXT, SSL, SASL_PLAINTEXT or SASL_SSL.
        sasl_mechanism: such as SCRAM-SHA-512.
        sasl_username: for SASL.
        sasl_password: for SASL; never shown.
        ca_file: PEM file of the certificate authority, for SSL.
        certificate_file: PEM file of our own certificate, where brokers ask for one.
        key_file: PEM file of its private key.

    """

    bootstrap_servers: str
    client_id: str
    topic_prefix: str = ""
    security_protocol: str = "PLAINTEXT"
    sasl_mechanism: str = "SCRAM-SHA-512"
    sasl_username: str | None = None
    sasl_password: str | None = field(default=None, repr=False)
    ca_file: str | None = None
    certificate_file: str | None = None
    key_file: str | None = None

    def wire_name(self, topic: str) -> str:
        """Return the topic's (or group's) name on this cluster."""
        return self.topic_prefix + topic

    def contract_name(self, wire_name: str) -> str:
        """Return the topic's name in the contract."""
        return wire_name.removeprefix(self.topic_prefix)

    def client_arguments(self) -> dict[str, Any]:
        """Keyword arguments that every aiokafka client takes."""
        arguments: dict[str, Any] = {
            "bootstrap_servers": self.bootstrap_servers,
            "client_id": self.client_id,
            "security_protocol": self.security_protocol,
        }
        if "SSL" in self.security_protocol:
            arguments["ssl_context"] = self._ssl_context()
        if self.security_protocol.startswith("SASL"):
            arguments |= {
                "sasl_mechanism": self.sasl_mechanism,
                "sasl_plain_username": self.sasl_username,
                "sasl_plain_password": self.sasl_password,
            }
        return arguments

    def _ssl_context(self) -> ssl.SSLContext:
        context: ssl.SSLContext = create_ssl_context(
            cafile=self.ca_file, certfile=self.certificate_file, keyfile=self.key_file
        )
        return context
