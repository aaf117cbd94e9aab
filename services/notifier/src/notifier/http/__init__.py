"""Inbound API: parse, one operation, answer. Refusals of the domain become problems here."""

from notifier.http import messages, notices, preferences

__all__ = ["messages", "notices", "preferences"]
