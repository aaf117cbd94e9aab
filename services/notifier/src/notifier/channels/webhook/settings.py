"""What can be configured of webhooks."""

from pydantic import Field

from common.service import ServiceSettings


class WebhookSettings(ServiceSettings):
    """Where webhooks may lead. Their addresses and secrets are each workspace's own, given through the API."""

    webhook_allow_private_hosts: tuple[str, ...] = Field(
        default=(),
        description="`host:port` of receivers in our own network that webhooks may call, also by http; for development",
    )
