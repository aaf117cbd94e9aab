"""Inbound API: parse, one operation, answer. Refusals of the domain become problems here."""

from notifier.http import messages, notices, preferences, telegram, unsubscribing

__all__ = ["messages", "notices", "preferences", "telegram", "unsubscribing"]
