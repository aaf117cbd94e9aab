"""Passwords: argon2id in threads of its own, behind a queue with an end (RFC 9106; OWASP's lower setting).

A sign-in storm fills this queue and is turned away; the event loop, and with it the minting of JWTs, goes on.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from argon2 import PasswordHasher as Argon2
from argon2.exceptions import InvalidHashError, VerificationError

from common.runtime.ids import random_token
from session_svc.core.errors import BusyError
from session_svc.metrics import PASSWORD_QUEUE

T = TypeVar("T")


class PasswordHasher:
    """Hash and check passwords.

    Args:
        threads: how many at once; each uses one core for tens of milliseconds.
        waiting: how many may queue. Longer queues answer late instead of never; shorter ones turn away sooner.
        memory_kib: of each hash; more costs an attacker more, and us as much.
        passes: over that memory.

    """

    def __init__(self, *, threads: int = 2, waiting: int = 64, memory_kib: int = 19_456, passes: int = 2) -> None:
        self._argon2 = Argon2(time_cost=passes, memory_cost=memory_kib, parallelism=1)
        self._threads = ThreadPoolExecutor(max_workers=threads, thread_name_prefix="argon2")
        self._limit = threads + waiting
        self._pending = 0
        # Checked when there is no such user, so that the answer takes as long as for a wrong password.
        self._nobody = self._argon2.hash(random_token())

    async def hash(self, password: str) -> str:
        """Return the password's hash, with its parameters.

        Raises:
            BusyError: the queue is full.

        """
        return await self._run(lambda: self._argon2.hash(password))

    async def check(self, known_hash: str | None, password: str) -> bool:
        """Return whether the password belongs to the hash. No hash takes as long as a wrong password.

        Raises:
            BusyError: the queue is full.

        """
        matches = await self._run(lambda: self._check(known_hash or self._nobody, password))
        return matches and known_hash is not None

    def outdated(self, known_hash: str) -> bool:
        """Return whether the hash was made with other parameters than today's."""
        return self._argon2.check_needs_rehash(known_hash)

    def close(self) -> None:
        """Let the threads end."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _check(self, known_hash: str, password: str) -> bool:
        try:
            return self._argon2.verify(known_hash, password)
        except (VerificationError, InvalidHashError):
            return False

    async def _run(self, work: Callable[[], T]) -> T:
        if self._pending >= self._limit:
            raise BusyError("too many passwords are waiting")
        self._pending += 1
        PASSWORD_QUEUE.set(self._pending)
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, work)
        finally:
            self._pending -= 1
            PASSWORD_QUEUE.set(self._pending)
