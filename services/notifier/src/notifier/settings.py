"""The notifier's settings, and what must hold between them."""

import re
from email.utils import parseaddr
from pathlib import Path
from typing import Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, model_validator

from common.service import ServiceSettings

_BOT_TOKEN = re.compile(r"^[0-9]+:[A-Za-z0-9_-]+$")
_WEBHOOK_SECRET = re.compile(r"^[A-Za-z0-9_-]{16,256}$")


class NotifierSettings(ServiceSettings):
    """Everything that can be configured."""

    http_port: int = Field(default=8085, ge=0, le=65535, description="port to listen on; 0 takes a free one")
    session_url: str | None = Field(
        default=None,
        pattern=r"^https?://",
        description="session-svc: who the people are; without it, the origin of WEVION_TOKEN_URL",
    )
    keyring_file: Path | None = Field(
        default=None,
        description="key-encryption keys; without it no one-off mails (password reset), no one-click links in mails",
    )
    smtp_host: str | None = Field(default=None, description="mail server; without it nothing is mailed")
    smtp_port: int = Field(default=587, ge=1, le=65535, description="the mail server's port")
    smtp_username: str | None = Field(default=None, description="sign-in name at the mail server, if it wants one")
    smtp_password: SecretStr | None = Field(default=None, description="its password")
    smtp_tls: Literal["auto", "none", "starttls", "implicit"] = Field(
        default="auto", description="auto takes STARTTLS when the server offers it; starttls insists on it"
    )
    smtp_connections: int = Field(
        default=8, ge=1, le=64, description="mails handed in side by side; more is faster, and a server may refuse it"
    )
    smtp_rate_per_s: float = Field(
        default=200, gt=0, le=10_000, description="mails per second of this process; keep it below the server's limit"
    )
    mail_from: str = Field(default="Wevion <notices@wevion.example>", description="sender, as `Name <address>`")
    telegram_bot_token: SecretStr | None = Field(default=None, description="the bot's token; without it no Telegram")
    telegram_api_url: str = Field(
        default="https://api.telegram.org", pattern=r"^https?://", description="base URL of the Bot API"
    )
    telegram_updates: Literal["polling", "webhook"] = Field(
        default="polling", description="webhook needs a public HTTPS origin in WEVION_PUBLIC_URL"
    )
    telegram_webhook_secret: SecretStr | None = Field(
        default=None, description="with webhook: what Telegram sends in X-Telegram-Bot-Api-Secret-Token"
    )
    telegram_rate_per_s: float = Field(
        default=25, gt=0, le=1000, description="messages per second of this process; Telegram allows a bot about 30"
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
        default=300, ge=5, le=86_400, description="seconds before a workspace's people are asked for again"
    )
    lease_s: float = Field(
        default=90,
        ge=45,
        le=900,
        description="seconds a claimed message is its claimer's; shorter recovers sooner from a crash, and must stay "
        "above the slowest send",
    )

    @model_validator(mode="after")
    def _check_mail(self) -> Self:
        if "@" not in parseaddr(self.mail_from)[1]:
            raise ValueError("WEVION_MAIL_FROM must be an address, such as `Wevion <notices@example.com>`")
        if (self.smtp_username is None) != (self.smtp_password is None):
            raise ValueError("WEVION_SMTP_USERNAME and WEVION_SMTP_PASSWORD go together")
        return self

    @model_validator(mode="after")
    def _check_telegram(self) -> Self:
        if self.telegram_bot_token and not _BOT_TOKEN.match(self.telegram_bot_token.get_secret_value()):
            raise ValueError("WEVION_TELEGRAM_BOT_TOKEN is not a bot token (digits, a colon, the secret part)")
        if self.telegram_updates == "webhook" and self.telegram_bot_token:
            secret = self.telegram_webhook_secret
            if secret is None or not _WEBHOOK_SECRET.match(secret.get_secret_value()):
                raise ValueError("WEVION_TELEGRAM_WEBHOOK_SECRET must be set for webhooks: 16-256 of A-Z a-z 0-9 _ -")
        return self

    @property
    def people_url(self) -> str:
        """Where session-svc answers."""
        if self.session_url is not None:
            return self.session_url
        token_url = urlsplit(self.token_url)
        return f"{token_url.scheme}://{token_url.netloc}"
