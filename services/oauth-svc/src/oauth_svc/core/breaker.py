"""Evidence over unrelated grants tells a dead grant from a platform in trouble and from our own client.

A window of recent outcomes, one vote per voice. Calls have a voice per grant; consents have one per platform user, so
that one person who removes Wevion is one voice in however many workspaces. Pure: the shell feeds it times and acts on
what it says.
"""

from collections import Counter, deque
from collections.abc import Hashable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from common.contracts import IncidentVerdict, Verdict

_TROUBLE: dict[Verdict, IncidentVerdict] = {
    Verdict.RETRY_LATER: Verdict.RETRY_LATER,
    Verdict.UNKNOWN_OUTCOME: Verdict.RETRY_LATER,
    Verdict.RATE_LIMITED: Verdict.RATE_LIMITED,
    Verdict.OUR_BUG: Verdict.OUR_BUG,
    Verdict.REAUTHORIZE: Verdict.REAUTHORIZE,
}
"""What single outcomes amount to together: the verdicts that an incident can have (`INCIDENT_REASONS`)."""


@dataclass(slots=True)
class FleetEvidence:
    """Recent outcomes of one provider. `grants` voices failing alike, and nearly nothing else, convict it."""

    window: timedelta
    grants: int
    share: float = 0.8
    _seen: deque[tuple[datetime, Hashable, IncidentVerdict | None]] = field(default_factory=deque)

    def note(self, voice: Hashable, verdict: Verdict | None, now: datetime) -> None:
        """One outcome; None is a success."""
        self._seen.append((now, voice, None if verdict is None else _TROUBLE.get(verdict)))
        while self._seen and now - self._seen[0][0] > self.window:
            self._seen.popleft()
        while len(self._seen) > 4 * self.grants + 256:  # bounded: the newest tell best
            self._seen.popleft()

    def verdict(self, now: datetime, *, voices: int | None = None) -> IncidentVerdict | None:
        """Return the trouble that the window proves, if any. A voice counts once, with its latest outcome.

        With `voices` below `grants` it is a suspicion.
        """
        latest = {voice: trouble for at, voice, trouble in self._seen if now - at <= self.window}
        failing = [trouble for trouble in latest.values() if trouble is not None]
        if len(failing) < min(voices or self.grants, self.grants) or len(failing) < self.share * len(latest):
            return None
        counts = Counter(failing)
        return max(_TROUBLE.values(), key=lambda trouble: counts[trouble])

    def affected(self) -> int:
        return len({voice for _, voice, trouble in self._seen if trouble is not None})

    def clear(self) -> None:
        self._seen.clear()
