"""One task for each key, which the client package has as well."""

from wevion_tokens.runtime.single_flight import SingleFlight

__all__ = ["SingleFlight"]
