"""Access tokens for calls to platforms: one line that is right, with everything around it."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from datetime import timedelta
from types import TracebackType
from typing import Self, TypeVar
from uuid import UUID

import aiohttp

from wevion_tokens.auth.service_tokens import ServiceTokens
from wevion_tokens.errors import (
    EndedError,
    NotYetError,
    PlatformRefusedError,
    TokensError,
    UnavailableError,
)
from wevion_tokens.profile import TokensProfile
from wevion_tokens.runtime.clock import monotonic
from wevion_tokens.runtime.retry import Backoff, retry_until
from wevion_tokens.runtime.shield import Shield
from wevion_tokens.runtime.single_flight import SingleFlight
from wevion_tokens.runtime.tasks import cancel, supervise
from wevion_tokens.tokens.api import TokensApi
from wevion_tokens.tokens.cache import AccountToken, TokenCache
from wevion_tokens.tokens.metrics import FETCHES, REFUSALS

T = TypeVar("T")

MIN_TTL_S = 60.0
MIN_TTL = timedelta(seconds=MIN_TTL_S)
MARGIN_S = 30.0
UNFOLLOWED_S = 10.0
"""How long a token is used again while nobody tells of revocations: without Kafka, or while it is away."""
DRAIN_S = 5.0
_TRIES = Backoff(base_s=0.1, cap_s=1)
_TRY_FOR_S = 3.0
_PROBED_AFTER_S = 5.0
_LONGEST_TTL_S = 3600
_OUTCOMES: tuple[tuple[type[TokensError], str], ...] = (
    (EndedError, "ended"),
    (NotYetError, "not_yet"),
    (UnavailableError, "unavailable"),
)


class TokensClient:
    """Gives out working access tokens, from its cache where that is safe. One per process and event loop.

        async with TokensClient(profile) as client:
            async with client.access_token(account_id) as token:
                await http.get(url, headers=token.headers)

    Args:
        profile: where oauth-svc and session-svc are, and who this service is; with Kafka, revocations are followed.
        http: an own session for the calls; by default the client makes one.
        follow: whether to follow changes of connections on Kafka; by default if the profile names brokers.
        margin_s: a cached token is not given out in its last seconds.

    Raises:
        ProfileError: something that is needed is not in the profile.

    """

    def __init__(
        self,
        profile: TokensProfile,
        *,
        http: aiohttp.ClientSession | None = None,
        follow: bool | None = None,
        margin_s: float = MARGIN_S,
    ) -> None:
        profile.needs("oauth_url", "token_url", "service_client_id", "service_client_secret")
        self._profile = profile
        self._given = http
        self._follow = bool(profile.kafka_bootstrap_servers) if follow is None else follow
        self._cache = TokenCache(margin_s, UNFOLLOWED_S)
        self._shield = Shield()
        self._flights: SingleFlight[str, tuple[AccountToken, int]] = SingleFlight(self._shield)
        self._exits = AsyncExitStack()
        self._api: TokensApi | None = None

    async def __aenter__(self) -> Self:
        profile, http = self._profile, self._given
        if http is None:
            http = await self._exits.enter_async_context(aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()))
        own = ServiceTokens(
            http,
            profile.token_url,
            profile.service_client_id,
            profile.service_client_secret,
            scope=profile.service_scope,
        )
        self._api = TokensApi(http, profile.oauth_url, own)
        if self._follow:
            from wevion_tokens.tokens.changes import Changes  # noqa: PLC0415  only who follows needs the extra

            changes = Changes(profile.kafka(), self._cache)
            self._cache.in_step = changes.in_step
            task = asyncio.create_task(supervise("token-changes", changes.run), name="token-changes")
            self._exits.push_async_callback(cancel, task)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._shield.drain(DRAIN_S)
        self._cache.clear()
        self._api = None
        await self._exits.aclose()

    def access_token(self, account_id: UUID | str, *, min_ttl: timedelta = MIN_TTL) -> "Lease":
        """Return a block with a token that stays valid for `min_ttl`.

        A `PlatformRefusedError` that leaves the block is reported: what leaves it then says what the refusal means.
        """
        return Lease(self, account_id, MIN_TTL_S if min_ttl is MIN_TTL else min_ttl.total_seconds())

    async def call(
        self, account_id: UUID | str, send: Callable[[AccountToken], Awaitable[T]], *, min_ttl: timedelta = MIN_TTL
    ) -> T:
        """Send with a working token; a refusal is reported, and sent once more with a fresh token if that is right.

        Args:
            account_id: Wevion's id of the account.
            send: makes the call; raises `PlatformRefusedError` when the platform refuses (`checked` does it).
            min_ttl: how long the token must stay valid.

        Returns:
            What `send` returned.

        Raises:
            EndedError: only a person can help; its two kinds say what ended.
            NotYetError: try again after `retry_after` seconds.
            PlatformRefusedError: the refusal is not about the token; it carries the judgement.
            TokensError: the others of `wevion_tokens.errors`.

        """
        token = await self.token(account_id, min_ttl=min_ttl)
        try:
            return await send(token)
        except PlatformRefusedError as refused:
            fresh = await self.after_refusal(token, refused)
        try:
            return await send(fresh)
        except PlatformRefusedError as refused:
            await self.after_refusal(fresh, refused)
            raise

    async def token(self, account_id: UUID | str, *, min_ttl: timedelta = MIN_TTL) -> AccountToken:
        """Return a token that stays valid for `min_ttl`. Raises TokensError."""
        found = self.cached(account_id, min_ttl.total_seconds())
        if found is not None:
            return found
        key = str(account_id)
        wanted = min(int(max(min_ttl.total_seconds(), self._cache.margin_s + 1)) + 1, _LONGEST_TTL_S)
        while True:
            found, asked = await self._flights.run(key, lambda: self._fetch(key, wanted))
            if asked >= wanted:  # else it was the flight of somebody who needs it for less
                return found

    def follows_changes(self) -> bool:
        """Return whether every change of a connection is told at once; until then tokens are kept for seconds only."""
        return self._cache.in_step()

    def cached(self, account_id: UUID | str, min_ttl_s: float) -> AccountToken | None:
        """Return a token from the cache alone. May be called from any thread."""
        return self._cache.find(account_id, min_ttl_s, monotonic())

    async def after_refusal(self, token: AccountToken, refused: PlatformRefusedError) -> AccountToken:
        """Report a platform's refusal and return a fresh token, if another try with it is right.

        Args:
            token: the one that was refused.
            refused: what the platform answered.

        Returns:
            Another token than the refused one.

        Raises:
            TokensError: another try is not right now; the type says why. `refused` itself if the token is not at fault.

        """
        judgement = await self._api_now().report(str(token.account_id), refused)
        refused.classification, refused.advice = judgement.classification, judgement.advice
        REFUSALS.labels(judgement.classification).inc()
        if judgement.classification in {"retry_later", "rate_limited"}:
            raise NotYetError(judgement.advice, _wait(refused)) from refused
        if judgement.classification not in {"reauthorize", "account_lost_access"} and not judgement.probing:
            raise refused
        self._cache.drop(str(token.connection_id))
        fresh = await self.token(token.account_id)
        if fresh.access_token == token.access_token:
            raise NotYetError(judgement.advice, _PROBED_AFTER_S) from refused
        return fresh

    async def _fetch(self, account_id: str, wanted: int) -> tuple[AccountToken, int]:
        """Return a fresh token, and for how many seconds it was asked for."""
        api = self._api_now()
        begun = self._cache.begin()
        try:
            for last in (False, True):
                came_at = monotonic()
                token, left_s = await retry_until(
                    lambda: api.token(account_id, wanted),
                    _TRIES,
                    seed=account_id,
                    on=(UnavailableError,),
                    within_s=_TRY_FOR_S,
                )
                if not self._cache.is_outdated(token, begun):
                    if not token.stale_refresh:
                        self._cache.put(token, came_at, left_s)
                    break
                if last:
                    break  # it changes faster than we can ask: give it out, but do not keep it
                begun = self._cache.begin()
                self._cache.end()
        except TokensError as error:
            FETCHES.labels(next((name for kind, name in _OUTCOMES if isinstance(error, kind)), "refused")).inc()
            raise
        finally:
            self._cache.end()
        FETCHES.labels("served").inc()
        return token, wanted

    def _api_now(self) -> TokensApi:
        if self._api is None:
            raise RuntimeError("the client is used outside of its `async with`")
        return self._api


class Lease:
    """A token for the time of a block; made by `TokensClient.access_token`."""

    __slots__ = ("_account_id", "_client", "_min_ttl_s", "_token")

    def __init__(self, client: TokensClient, account_id: UUID | str, min_ttl_s: float) -> None:
        self._client = client
        self._account_id = account_id
        self._min_ttl_s = min_ttl_s
        self._token: AccountToken | None = None

    async def __aenter__(self) -> AccountToken:
        token = self._client._cache.find(self._account_id, self._min_ttl_s, monotonic())  # noqa: SLF001  the hot path
        if token is None:
            token = await self._client.token(self._account_id, min_ttl=timedelta(seconds=self._min_ttl_s))
        self._token = token
        return token

    async def __aexit__(
        self, _kind: type[BaseException] | None, error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        if isinstance(error, PlatformRefusedError) and self._token is not None:
            await self._client.after_refusal(self._token, error)
            raise NotYetError("A fresh token is there.", 0.0) from error


async def checked(response: aiohttp.ClientResponse) -> aiohttp.ClientResponse:
    """Return the platform's answer if it is none of 4xx and 5xx. Raises PlatformRefusedError."""
    if response.status >= 400:  # noqa: PLR2004
        raise PlatformRefusedError(response.status, await response.read(), response.headers)
    return response


def _wait(refused: PlatformRefusedError) -> float:
    stated = next((value for name, value in refused.headers.items() if name.lower() == "retry-after"), "")
    return float(stated) if stated.isdigit() else _PROBED_AFTER_S
