"""A clock that stands still until a test moves it, which the client package has for its users' tests as well."""

from wevion_tokens.testing.clock import DEFAULT_START, ManualClock

__all__ = ["DEFAULT_START", "ManualClock"]
