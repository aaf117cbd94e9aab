"""What the service can do: one transaction per verb. Decisions are core's, statements are the store's."""

from expiry_watcher.operations.announce import AnnounceStatus, announce_due, measure_backlog
from expiry_watcher.operations.deps import Deps
from expiry_watcher.operations.diagnose import Diagnosis, Question, diagnose
from expiry_watcher.operations.ladders import choose_ladder, read_ladder
from expiry_watcher.operations.rebuild import Progress, rebuild
from expiry_watcher.operations.track import TrackResult, forget, track

__all__ = [
    "AnnounceStatus",
    "Deps",
    "Diagnosis",
    "Progress",
    "Question",
    "TrackResult",
    "announce_due",
    "choose_ladder",
    "diagnose",
    "forget",
    "measure_backlog",
    "read_ladder",
    "rebuild",
    "track",
]
