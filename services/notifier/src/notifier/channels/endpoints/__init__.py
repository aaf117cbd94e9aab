"""Endpoints: where the channels of a whole workspace lead. Slack and webhooks share what is here."""
