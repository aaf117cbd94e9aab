"""Errors classed by what the caller must do; the client package declares them."""

from wevion_tokens.runtime.errors import InvalidMessageError, PermanentError, RetryableError

__all__ = ["InvalidMessageError", "PermanentError", "RetryableError"]
