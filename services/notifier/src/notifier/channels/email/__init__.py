"""Email: mails to each person, one-off mails, and the link in each that stops such mails."""

from notifier.channels.email.setup import open_channel

__all__ = ["open_channel"]
