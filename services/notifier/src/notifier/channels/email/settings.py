"""What can be configured of mail."""

from email.utils import parseaddr
from typing import Literal, Self

from pydantic import Field, SecretStr, model_validator

from common.service import ServiceSettings


class EmailSettings(ServiceSettings):
    """The mail server, and as whom we send."""

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

    @model_validator(mode="after")
    def _check_mail(self) -> Self:
        if "@" not in parseaddr(self.mail_from)[1]:
            raise ValueError("WEVION_MAIL_FROM must be an address, such as `Wevion <notices@example.com>`")
        if (self.smtp_username is None) != (self.smtp_password is None):
            raise ValueError("WEVION_SMTP_USERNAME and WEVION_SMTP_PASSWORD go together")
        return self
