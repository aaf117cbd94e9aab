"""Whom the notifier sends to: one file per channel. They present a message once and say what came of it."""
