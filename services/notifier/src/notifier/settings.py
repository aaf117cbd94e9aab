"""The notifier's settings, and what must hold between them."""

from urllib.parse import urlsplit

from pydantic import Field

from common.crypto import KeyOptions
from notifier.channels.registry import ChannelSettings


class NotifierSettings(ChannelSettings, KeyOptions):
    """Everything that can be configured."""

    http_port: int = Field(default=8085, ge=0, le=65535, description="port to listen on; 0 takes a free one")
    session_url: str | None = Field(
        default=None,
        pattern=r"^https?://",
        description="session-svc: who the people are; without it, the origin of WEVION_TOKEN_URL",
    )
    settle_s: float = Field(
        default=3,
        ge=0,
        le=600,
        description="seconds to gather what belongs together before a message leaves; longer groups more, warns later",
    )
    cooldown_s: float = Field(
        default=1800, ge=0, le=86_400, description="seconds between messages about the same token that keeps dying"
    )
    digest_after: int = Field(
        default=5, ge=1, le=1000, description="messages to a person per digest window before the rest is gathered"
    )
    digest_window_s: float = Field(default=3600, ge=1, le=86_400, description="length of the digest window, seconds")
    people_fresh_s: float = Field(
        default=300, ge=5, le=3_600, description="seconds before a workspace's people are asked for again"
    )
    people_stale_s: float = Field(
        default=900,
        ge=60,
        le=3_600,
        description="seconds that messages leave on the last list of people while session-svc does not answer; then "
        "they wait, because a reader may have left the workspace",
    )
    lease_s: float = Field(
        default=90,
        ge=45,
        le=900,
        description="seconds a claimed message is its claimer's; shorter recovers sooner from a crash, and must stay "
        "above the slowest send",
    )

    @property
    def people_url(self) -> str:
        """Return where session-svc answers."""
        if self.session_url is not None:
            return self.session_url
        token_url = urlsplit(self.token_url)
        return f"{token_url.scheme}://{token_url.netloc}"
