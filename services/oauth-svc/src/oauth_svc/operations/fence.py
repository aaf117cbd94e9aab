"""The fence: nothing is claimed from a database that was not compared with the log.

Nothing at all, and not only credentials that may be spent: whatever moves a version before the comparison would hide
from it that the database is behind.
"""

from collections.abc import Callable

from oauth_svc import metrics, store
from oauth_svc.store.witness import Identity


def _nothing() -> None:
    """Nobody to wake."""


class Fence:
    """One per process. A fence that is not `up` lets everything pass: commands, which claim nothing by themselves."""

    def __init__(self, *, up: bool = False) -> None:
        self._up = up
        self._compared: Identity | None = None
        self.wake: Callable[[], None] = _nothing
        """Called when a database is met that has to be compared."""
        self._show()

    @property
    def closed(self) -> bool:
        """Return whether nothing is claimed now, because the database is not compared yet."""
        return self._up and self._compared is None

    def is_compared(self, identity: Identity) -> bool:
        """Return whether this very database was compared."""
        return identity == self._compared

    def compared(self, identity: Identity) -> None:
        """The database was compared, and what the log proves was written."""
        self._compared = identity
        self._show()

    async def passes(self, db: store.Db) -> bool:
        """Return whether grants may be claimed in this transaction.

        Asked within the claim's own transaction, so that what is claimed comes from the database that was compared: a
        pool can reach another server from one statement to the next.
        """
        if not self._up:
            return True
        if self._compared is not None and await store.witness.identity(db) == self._compared:
            return True
        if self._compared is not None:
            self._compared = None
            self._show()
        self.wake()
        return False

    def _show(self) -> None:
        metrics.COMPARED.set(0 if self.closed else 1)
