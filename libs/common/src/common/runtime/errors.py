"""Errors classed by what the caller must do."""


class Retryable(Exception):
    """Nothing is wrong with the work; something it needs is away. Wait, then do the same again."""


class Permanent(Exception):
    """Doing it again will fail again. Put it aside with the reason and go on."""


class InvalidMessage(Permanent):
    """A message that cannot be read or breaks a rule of its contract."""
