"""The same client for code that does not know asyncio: Celery tasks, Django views, scripts."""

import asyncio
import os
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, Self, TypeVar
from uuid import UUID

from wevion_tokens.errors import NotYetError, PlatformRefusedError, UnavailableError
from wevion_tokens.profile import TokensProfile
from wevion_tokens.tokens.cache import AccountToken
from wevion_tokens.tokens.client import MIN_TTL, TokensClient

T = TypeVar("T")

WAIT_S = 60.0
"""Longer than the client itself ever waits for the services."""


class _Running:
    """One client on an event loop in a thread of its own, in one process."""

    def __init__(self, profile: TokensProfile, *, follow: bool | None) -> None:
        self.pid = os.getpid()
        self.client = TokensClient(profile, follow=follow)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="wevion-tokens", daemon=True)
        self._thread.start()
        self.run(self.client.__aenter__())

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return future.result(WAIT_S)
        except TimeoutError as error:
            future.cancel()
            raise UnavailableError(f"no answer within {WAIT_S:.0f} s") from error

    def close(self) -> None:
        self.run(self.client.__aexit__(None, None, None))
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


class BlockingTokensClient:
    """`TokensClient` whose calls block. One per process, shared by its threads; a fork begins anew.

        with BlockingTokensClient(profile) as client:
            with client.access_token(account_id) as token:
                requests.get(url, headers=token.headers)

    Args:
        profile: as for `TokensClient`.
        follow: as for `TokensClient`.

    Raises:
        ProfileError: something that is needed is not in the profile.

    """

    def __init__(self, profile: TokensProfile, *, follow: bool | None = None) -> None:
        profile.needs("oauth_url", "token_url", "service_client_id", "service_client_secret")
        self._profile = profile
        self._follow = follow
        self._lock = threading.Lock()
        self._running: _Running | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the thread; the next call would begin anew."""
        with self._lock:
            running, self._running = self._running, None
        if running is not None and running.pid == os.getpid():
            running.close()

    @contextmanager
    def access_token(self, account_id: UUID | str, *, min_ttl: timedelta = MIN_TTL) -> Iterator[AccountToken]:
        """Yield a token that stays valid for `min_ttl`; a `PlatformRefusedError` in the block is reported.

        Raises:
            TokensError: as `TokensClient.access_token`.

        """
        token = self.token(account_id, min_ttl=min_ttl)
        try:
            yield token
        except PlatformRefusedError as refused:
            self._after_refusal(token, refused)
            raise NotYetError("A fresh token is there.", 0.0) from refused

    def call(self, account_id: UUID | str, send: Callable[[AccountToken], T], *, min_ttl: timedelta = MIN_TTL) -> T:
        """Send with a working token, in this thread; a refusal is handled as by `TokensClient.call`.

        Args:
            account_id: Wevion's id of the account.
            send: makes the call; raises `PlatformRefusedError` when the platform refuses.
            min_ttl: how long the token must stay valid.

        Returns:
            What `send` returned.

        Raises:
            TokensError: as `TokensClient.call`.

        """
        token = self.token(account_id, min_ttl=min_ttl)
        try:
            return send(token)
        except PlatformRefusedError as refused:
            fresh = self._after_refusal(token, refused)
        try:
            return send(fresh)
        except PlatformRefusedError as refused:
            self._after_refusal(fresh, refused)
            raise

    def token(self, account_id: UUID | str, *, min_ttl: timedelta = MIN_TTL) -> AccountToken:
        """Return a token that stays valid for `min_ttl`. Raises TokensError."""
        running = self._started()
        found = running.client.cached(account_id, min_ttl.total_seconds())
        return found if found is not None else running.run(running.client.token(account_id, min_ttl=min_ttl))

    def _after_refusal(self, token: AccountToken, refused: PlatformRefusedError) -> AccountToken:
        running = self._started()
        return running.run(running.client.after_refusal(token, refused))

    def _started(self) -> _Running:
        running = self._running
        if running is None or running.pid != os.getpid():
            with self._lock:
                running = self._running
                if running is None or running.pid != os.getpid():  # a thread does not survive a fork
                    running = self._running = _Running(self._profile, follow=self._follow)
        return running
