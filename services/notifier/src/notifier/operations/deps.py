"""What the operations work with."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta

from common.contracts import NoticeChannel
from common.crypto import KeyEncryption
from common.postgres import Pool
from notifier.clients.session_svc import PeopleDirectory
from notifier.core.rendering import Texts
from notifier.core.routing import Pace
from notifier.operations.channel import AnyChannel

SOURCE = "notifier"
CONSUMER = "notifier"


def _nothing() -> None:
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Deps:
    """Built once, in app.py.

    Attributes:
        channels: the push channels that are set up.
        people: session-svc's directory; None in tools that never fetch.
        vault: seals the secret links of one-off mails; None: those are not offered.
        pace: how often one person is disturbed.
        lease: how long a claimed message is its claimer's; longer than the slowest send.
        batch: messages claimed at once.
        parallel: messages presented side by side.
        directory_fresh: how long a workspace's people are used before they are asked for again.
        people_stale: how long messages are sent on the last list while session-svc does not answer.
        incident_lookback: deaths found this long before an incident opened may be part of it.
        committed: called after each commit that may have made events or work: pokes relay and senders.

    """

    pool: Pool
    texts: Texts
    channels: dict[NoticeChannel, AnyChannel] = field(default_factory=dict)
    people: PeopleDirectory | None = None
    vault: KeyEncryption | None = None
    pace: Pace = field(default_factory=Pace)
    lease: timedelta = timedelta(seconds=90)
    batch: int = 200
    parallel: int = 16
    directory_fresh: timedelta = timedelta(minutes=5)
    people_stale: timedelta = timedelta(minutes=15)
    incident_lookback: timedelta = timedelta(minutes=10)
    committed: Callable[[], None] = _nothing
