"""Whom session-svc calls: the notifier, to have a mail sent."""
