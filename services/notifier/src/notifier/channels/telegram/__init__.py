"""Telegram: messages to chats that people linked, and the bot that links them."""

from notifier.channels.telegram.setup import open_channel

__all__ = ["open_channel"]
