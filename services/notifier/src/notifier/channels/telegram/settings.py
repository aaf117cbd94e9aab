"""What can be configured of Telegram."""

import re
from typing import Literal, Self

from pydantic import Field, SecretStr, model_validator

from common.service import ServiceSettings

_BOT_TOKEN = re.compile(r"[0-9]+:[A-Za-z0-9_-]+")
_WEBHOOK_SECRET = re.compile(r"[A-Za-z0-9_-]{16,256}")


class TelegramSettings(ServiceSettings):
    """The bot, and how its updates come."""

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

    @model_validator(mode="after")
    def _check_telegram(self) -> Self:
        if self.telegram_bot_token and not _BOT_TOKEN.fullmatch(self.telegram_bot_token.get_secret_value()):
            raise ValueError("WEVION_TELEGRAM_BOT_TOKEN is not a bot token (digits, a colon, the secret part)")
        if self.telegram_updates == "webhook" and self.telegram_bot_token:
            secret = self.telegram_webhook_secret
            if secret is None or not _WEBHOOK_SECRET.fullmatch(secret.get_secret_value()):
                raise ValueError("WEVION_TELEGRAM_WEBHOOK_SECRET must be set for webhooks: 16-256 of A-Z a-z 0-9 _ -")
        return self
