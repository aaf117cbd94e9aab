"""Waiting and trying again, which the client package does in the same way."""

from wevion_tokens.runtime.retry import Backoff, fraction, retry_until

__all__ = ["Backoff", "fraction", "retry_until"]
