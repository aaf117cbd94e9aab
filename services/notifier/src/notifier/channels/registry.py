"""Every channel there is. A new one is one more folder, and one more line in each list here."""

from notifier.channels import email, slack, telegram, webhook
from notifier.channels.email.settings import EmailSettings
from notifier.channels.endpoints import http as managing
from notifier.channels.setup import Opened, Setting
from notifier.channels.slack.settings import SlackSettings
from notifier.channels.telegram.settings import TelegramSettings
from notifier.channels.webhook.settings import WebhookSettings


class ChannelSettings(EmailSettings, TelegramSettings, SlackSettings, WebhookSettings):
    """The settings of every channel."""


FOLDERS = (email, telegram, slack, webhook)


def open_channels(settings: ChannelSettings, setting: Setting) -> list[Opened]:
    """Put every channel together, and the endpoints by which a workspace manages its own ones."""
    opened = [folder.open_channel(settings, setting) for folder in FOLDERS]
    managed = [each.managed for each in opened if each.managed is not None]
    return [*opened, Opened(None, routes=[managing.routes(setting.deps, setting.clock, managed)])]
