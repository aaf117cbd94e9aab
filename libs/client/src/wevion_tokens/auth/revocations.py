"""The sessions whose JWTs are refused although their signature is good.

A JWT lives an hour at most, so an entry is needed only until the session's end + one hour + the tolerated skew: the
set is a rolling window, not a history. It is made for a million entries: 21 bytes per slot in flat arrays (a Python
set of UUIDs would need 150 MB), in 256 shards so that growing and evicting touch a few thousand entries at a time
and never stop the event loop for long.
"""

from array import array
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from wevion_tokens.auth.refusals import Reason
from wevion_tokens.contracts import RevocationCause

JWT_LIFETIME_S = 3600
LEEWAY_S = 60
KEEP_S = JWT_LIFETIME_S + LEEWAY_S
"""How long after its end a session can still be named by a JWT that has not expired."""

_SHARDS = 256
_SMALLEST = 8
_LOW = (1 << 64) - 1


class Ending(NamedTuple):
    """How a session ended."""

    reason: Reason
    cause: RevocationCause | None = None


# An ending is stored as one byte: its place here. New ones go to the end of the process's list, not of a file's.
_ENDINGS: tuple[Ending, ...] = (
    Ending(Reason.SESSION_EXPIRED),
    Ending(Reason.SESSION_REVOKED),
    Ending(Reason.USER_DISABLED),
    Ending(Reason.IMPERSONATION_ENDED, RevocationCause.IMPERSONATION_ENDED),
    *(
        Ending(Reason.SESSION_REVOKED, cause)
        for cause in RevocationCause
        if cause is not RevocationCause.IMPERSONATION_ENDED
    ),
)
_CODES = {ending: code for code, ending in enumerate(_ENDINGS)}


def ending_for(cause: RevocationCause | None) -> Ending:
    """Return the refusal that a revocation with this cause leads to."""
    if cause is RevocationCause.IMPERSONATION_ENDED:
        return Ending(Reason.IMPERSONATION_ENDED, cause)
    return Ending(Reason.SESSION_REVOKED, cause)


class _Shard:
    """An open-addressing table: id (two words), second until which it is kept (0: free slot), ending."""

    __slots__ = ("count", "ids", "mask", "until", "why")

    def __init__(self, slots: int = _SMALLEST) -> None:
        self.ids = array("Q", bytes(16 * slots))
        self.until = array("I", bytes(4 * slots))
        self.why = bytearray(slots)
        self.mask = slots - 1
        self.count = 0

    def find(self, digest: int, high: int, low: int) -> int:
        """Return the slot that holds the id, or the free one where it would go."""
        ids, until, mask = self.ids, self.until, self.mask
        slot = (digest >> 8) & mask
        while until[slot]:
            if ids[2 * slot + 1] == low and ids[2 * slot] == high:
                return slot
            slot = (slot + 1) & mask
        return slot

    def put(self, high: int, low: int, until: int, why: int) -> bool:
        """Add or prolong; True if it was not there. An ending, once known, is not replaced by a later one."""
        slot = self.find(hash((high, low)), high, low)
        if self.until[slot]:
            self.until[slot] = max(self.until[slot], until)
            return False
        self.ids[2 * slot] = high
        self.ids[2 * slot + 1] = low
        self.until[slot] = until
        self.why[slot] = why
        self.count += 1
        return True

    def rebuilt(self, now: int, *, room: int) -> "_Shard":
        """A copy without what is past, with room for `room` more."""
        live = [slot for slot, until in enumerate(self.until) if until > now]
        slots = _SMALLEST
        while slots * 2 < (len(live) + room) * 3:  # at most two thirds full
            slots *= 2
        made = _Shard(slots)
        ids = self.ids
        for slot in live:
            made.put(ids[2 * slot], ids[2 * slot + 1], self.until[slot], self.why[slot])
        return made


def is_past(ended_at: datetime, now: datetime) -> bool:
    """Return whether an ending is too old to matter: every JWT that it could concern has expired."""
    return _kept_until(ended_at, now) <= now.timestamp()


def _kept_until(ended_at: datetime, now: datetime) -> int:
    """Return the second until which an ending matters: no JWT of today outlives it, whatever time the ending claims."""
    return min(int(ended_at.timestamp()), int(now.timestamp()) + LEEWAY_S) + KEEP_S


class RevocationSet:
    """Ended sessions, and the lowest epoch that a user's JWT must have. Exact: there are no false refusals.

    Args:
        complete: whether the set is complete as it is. A set that a feed fills becomes complete by `note_in_step`.

    Attributes:
        complete: whether every ending that can matter is in the set. Until then no session's JWT can be judged.
        renew_before: a session's JWT that was issued earlier than this (Unix time) has to be renewed, because an
            ending of its session could be among those that were not read yet; 0 while the set is in step.

    """

    def __init__(self, *, complete: bool = False) -> None:
        self.complete = complete
        self.renew_before = 0.0
        self._in_step_at = 0.0
        self._shards = [_Shard() for _ in range(_SHARDS)]
        self._epochs: dict[int, tuple[int, int, Ending]] = {}  # user -> epoch, kept until, why it was raised
        self._next_shard = 0
        self._count = 0

    def __len__(self) -> int:
        """Return how many sessions are held."""
        return self._count

    @property
    def nbytes(self) -> int:
        """Return what the sessions' tables take."""
        return sum(len(s.ids) * 8 + len(s.until) * 4 + len(s.why) for s in self._shards)

    def note_in_step(self, now: datetime) -> None:
        """Note that every ending up to now is in the set."""
        self.complete = True
        self.renew_before = 0.0
        self._in_step_at = now.timestamp()

    def note_behind(self, now: datetime, tolerated_s: float) -> None:
        """Note that endings may be missing; after `tolerated_s` of it, JWTs older than that have to be renewed.

        A JWT is minted only after a look at the session in the database. One that is younger than the tolerated time
        is therefore as good as in the set's best days, and the older ones are replaced without anybody noticing.
        """
        if self.complete and self.behind_s(now) > tolerated_s:
            self.renew_before = now.timestamp() - tolerated_s

    def behind_s(self, now: datetime) -> float:
        """Return for how many seconds endings may have been missed; 0 before the set was ever complete."""
        return max(0.0, now.timestamp() - self._in_step_at) if self._in_step_at else 0.0

    def end_session(self, session_id: UUID, ended_at: datetime, now: datetime, ending: Ending) -> bool:
        """Refuse the session's JWTs.

        Args:
            session_id: the session that ended.
            ended_at: when it ended; its JWTs matter for `KEEP_S` seconds more.
            now: the present time.
            ending: what its JWTs are refused with.

        Returns:
            False when they are past anyway.

        """
        until, present = _kept_until(ended_at, now), int(now.timestamp())
        if until <= present:
            return False
        high, low = session_id.int >> 64, session_id.int & _LOW
        at = hash((high, low)) & (_SHARDS - 1)
        shard = self._shards[at]
        if (shard.count + 1) * 3 > (shard.mask + 1) * 2:
            grown = shard.rebuilt(present, room=max(shard.count // 2, 1))
            self._count -= shard.count - grown.count
            shard = self._shards[at] = grown
        self._count += shard.put(high, low, until, _CODES[ending])
        return True

    def raise_epoch(self, user_id: UUID, epoch: int, raised_at: datetime, now: datetime, ending: Ending) -> bool:
        """Refuse the user's JWTs of an earlier epoch.

        Args:
            user_id: whose sessions ended, all at once.
            epoch: the lowest that a JWT must have now.
            raised_at: when it was raised.
            now: the present time.
            ending: what the earlier ones are refused with.

        Returns:
            False when those are past, or a higher epoch is known.

        """
        until = _kept_until(raised_at, now)
        known = self._epochs.get(user_id.int)
        if until <= now.timestamp() or (known is not None and known[0] > epoch):
            return False
        if known is not None and known[0] == epoch:
            until, ending = max(until, known[1]), known[2]
        self._epochs[user_id.int] = (epoch, until, ending)
        return True

    def find(self, session: int, user: int, epoch: int) -> Ending | None:
        """Return how a JWT's session ended; None while it lives. Ids are `UUID.int`: this runs for every request."""
        high, low = session >> 64, session & _LOW
        digest = hash((high, low))
        shard = self._shards[digest & (_SHARDS - 1)]
        if shard.count:
            slot = shard.find(digest, high, low)
            if shard.until[slot]:
                return _ENDINGS[shard.why[slot]]
        if self._epochs:
            known = self._epochs.get(user)
            if known is not None and epoch < known[0]:
                return known[2]
        return None

    def evict_some(self, now: datetime, shards: int = 1) -> int:
        """Drop what is past from the next few shards; 256 of them are one whole round. Returns how many went."""
        present, gone = int(now.timestamp()), 0
        for _ in range(shards):
            at, self._next_shard = self._next_shard, (self._next_shard + 1) % _SHARDS
            shard = self._shards[at]
            if shard.count:
                self._shards[at] = shard.rebuilt(present, room=0)
                gone += shard.count - self._shards[at].count
            if self._next_shard == 0:
                self._epochs = {user: known for user, known in self._epochs.items() if known[1] > present}
        self._count -= gone
        return gone
