"""What the service can do: one transaction per verb. Decisions are core's, statements are the store's."""

from expiry_watcher.operations.announce import AnnounceStatus, announce_due, measure_backlog, next_due
from expiry_watcher.operations.deps import Deps
from expiry_watcher.operations.diagnose import Diagnosis, Question, diagnose
from expiry_watcher.operations.housekeeping import tidy
from expiry_watcher.operations.ladders import choose_ladder, read_ladder
from expiry_watcher.operations.reading import TokenStory, count_tokens, list_tokens, read_story
from expiry_watcher.operations.rebuild import RebuildProgress, rebuild
from expiry_watcher.operations.track import TrackResult, forget, track

__all__ = [
    "AnnounceStatus",
    "Deps",
    "Diagnosis",
    "Question",
    "RebuildProgress",
    "TokenStory",
    "TrackResult",
    "announce_due",
    "choose_ladder",
    "count_tokens",
    "diagnose",
    "forget",
    "list_tokens",
    "measure_backlog",
    "next_due",
    "read_ladder",
    "read_story",
    "rebuild",
    "tidy",
    "track",
]
