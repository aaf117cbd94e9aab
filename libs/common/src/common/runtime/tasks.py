"""Long-lived tasks that are watched, which the client package has as well."""

from wevion_tokens.runtime.tasks import cancel, describe, supervise

__all__ = ["cancel", "describe", "supervise"]
