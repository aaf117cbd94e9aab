"""Live updates, from Kafka to browsers."""

from gateway.live.hub import LiveHub

__all__ = ["LiveHub"]
