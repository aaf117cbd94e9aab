"""A verifier with everything that keeps it current: the issuer's keys, and the sessions that have ended."""

import asyncio
from collections.abc import Sequence
from contextlib import AsyncExitStack
from typing import Self

import aiohttp

from wevion_tokens.auth.access import Access, Principal
from wevion_tokens.auth.keys import JwksCache
from wevion_tokens.auth.revocations import RevocationSet
from wevion_tokens.auth.verifier import Verifier
from wevion_tokens.profile import TokensProfile
from wevion_tokens.runtime.clock import SystemClock
from wevion_tokens.runtime.retry import Backoff
from wevion_tokens.runtime.tasks import cancel, supervise

_KEYS = Backoff(base_s=0.2, cap_s=5)


class LiveVerifier:
    """Verifies JWTs of people and of services, without a call per request. One per process and event loop.

    People's JWTs need the profile's Kafka (extra `events`): until everything that is on record about ended sessions is
    in force, they are answered 503, and `ready` says why. Without Kafka only services can be verified.

    Args:
        profile: the issuer, its keys, the audience, and Kafka.
        http: an own session for fetching the keys; by default one is made.

    Raises:
        ProfileError: something that is needed is not in the profile.

    """

    def __init__(self, profile: TokensProfile, *, http: aiohttp.ClientSession | None = None) -> None:
        profile.needs("issuer", "jwks_url")
        self._profile = profile
        self._http = http
        self._clock = SystemClock()
        self._exits = AsyncExitStack()
        self._revocations = RevocationSet()
        self._keys: JwksCache | None = None
        self._verifier: Verifier | None = None

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def start(self) -> None:
        """Begin to fetch and to follow. Does nothing when it has begun."""
        if self._verifier is not None:
            return
        profile, http = self._profile, self._http
        if http is None:
            http = aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar())
            self._exits.push_async_callback(http.close)
        keys = self._keys = JwksCache(http, profile.jwks_url)
        self._verifier = Verifier(
            keys,
            self._revocations,
            profile.issuer,
            profile.audience,
            clock=self._clock,
            public_url=profile.public_url or profile.issuer,
        )
        self._watch(asyncio.create_task(supervise("keys", keys.fresh, _KEYS), name="keys"))
        if profile.kafka_bootstrap_servers:
            from wevion_tokens.auth.feed import RevocationFeed  # noqa: PLC0415  only who follows needs the extra

            feed = RevocationFeed(profile.kafka(), self._revocations, keys, accept_unsigned=False)
            self._watch(asyncio.create_task(supervise("revocations", feed.run), name="revocations"))

    async def stop(self) -> None:
        """End what `start` began."""
        self._verifier = None
        await self._exits.aclose()

    def ready(self) -> str | None:
        """Return why no caller can be verified yet, for your /readyz; None when all can."""
        if self._verifier is None or self._keys is None:
            return "the verifier was not started"
        if (why := self._keys.ready()) is not None:
            return why
        if self._profile.kafka_bootstrap_servers and not self._revocations.complete:
            return "has not caught up with the revocation stream"
        return None

    async def verify(self, token: str) -> Principal:
        """Return whose JWT this is. Raises Problem: 401 with the reason, or 503 while it cannot be told."""
        return await self._now().verify(token, self._clock.now())

    async def admit(self, authorizations: Sequence[str], access: Access) -> Principal:
        """Return the caller, from the values of the Authorization header, if `access` admits them. Raises Problem."""
        return await self._now().admit(authorizations, access)

    def _now(self) -> Verifier:
        if self._verifier is None:
            raise RuntimeError("the verifier was not started")
        return self._verifier

    def _watch(self, task: "asyncio.Task[None]") -> None:
        self._exits.push_async_callback(cancel, task)
