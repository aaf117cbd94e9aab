"""Errors classed by what the caller must do."""


class RetryableError(Exception):
    """Nothing is wrong with the work; something it needs is away. Wait, then do the same again."""


class PermanentError(Exception):
    """Doing it again will fail again. Put it aside with the reason and go on."""


class InvalidMessageError(PermanentError):
    """A message that cannot be read or breaks a rule of its contract."""
