"""Slack: one message for each fact to a channel of the workspace's choice, edited when the fact is over."""

from notifier.channels.slack.setup import open_channel

__all__ = ["open_channel"]
