"""Work that outlives whoever waits for it, which the client package has as well."""

from wevion_tokens.runtime.shield import Shield

__all__ = ["Shield"]
