"""What can be configured of Slack."""

from pydantic import Field

from common.service import ServiceSettings


class SlackSettings(ServiceSettings):
    """Where Slack answers. The credentials are each workspace's own, given through the API."""

    slack_api_url: str = Field(
        default="https://slack.com/api", pattern=r"^https?://[^\s]+$", description="base URL of Slack's Web API"
    )
    slack_hooks_url: str = Field(
        default="https://hooks.slack.com",
        pattern=r"^https?://[^\s]+$",
        description="base URL of Slack's incoming webhooks; GovSlack has one of its own",
    )
