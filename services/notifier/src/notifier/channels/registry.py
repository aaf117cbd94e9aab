"""Every channel there is. A new one is one more folder, and one more line in each list here."""

from notifier.channels import email, telegram
from notifier.channels.email.settings import EmailSettings
from notifier.channels.setup import Opened, Setting
from notifier.channels.telegram.settings import TelegramSettings


class ChannelSettings(EmailSettings, TelegramSettings):
    """The settings of every channel."""


FOLDERS = (email, telegram)


def open_channels(settings: ChannelSettings, setting: Setting) -> list[Opened]:
    """Put every channel together."""
    return [folder.open_channel(settings, setting) for folder in FOLDERS]
