"""The clock, which the client package has as well."""

from wevion_tokens.runtime.clock import Clock, SystemClock, monotonic

__all__ = ["Clock", "SystemClock", "monotonic"]
