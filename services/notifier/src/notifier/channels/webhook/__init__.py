"""Signed webhooks: each notice as JSON to a system of the workspace's own, by the Standard Webhooks convention."""

from notifier.channels.webhook.setup import open_channel

__all__ = ["open_channel"]
