"""How the mail channel is put together."""

from notifier.channels.email import http
from notifier.channels.email.channel import MailChannel, MailServer
from notifier.channels.email.letters import Letters
from notifier.channels.email.settings import EmailSettings
from notifier.channels.setup import Opened, Setting
from notifier.channels.throttle import Throttle


def open_channel(settings: EmailSettings, setting: Setting) -> Opened:
    """Return the channel where a mail server is set up. The links of mails that went out earlier work in any case."""
    routes = [http.routes(setting.deps, setting.clock)]
    if settings.smtp_host is None:
        return Opened(None, routes=routes)
    rate = settings.smtp_rate_per_s
    channel = MailChannel(
        MailServer(
            host=settings.smtp_host,
            port=settings.smtp_port,
            sender=settings.mail_from,
            username=settings.smtp_username,
            password=settings.smtp_password,
            tls=settings.smtp_tls,
            connections=settings.smtp_connections,
            settings_url=f"{settings.public_url}/settings/notifications",
        ),
        letters=Letters(setting.deps.texts, setting.deps.vault),
        throttle=Throttle(rate=rate, burst=max(int(rate), 1), clock=setting.clock),
        clock=setting.clock,
    )
    return Opened(channel, routes=routes)
