"""Inbound Faust streams: bytes to events to one operation. They only feed the inventory; nothing here decides.

`feed` batches and never raises; `safe` keeps Faust from committing past work in flight; `streams` builds, runs and
rebuilds the Faust application.
"""

from expiry_watcher.agents.feed import Feed
from expiry_watcher.agents.streams import Streams

__all__ = ["Feed", "Streams"]
