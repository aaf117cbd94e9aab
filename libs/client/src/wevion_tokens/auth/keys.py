"""The issuer's public keys, fetched from its JWKS (RFC 7517) and kept as the issuer allows."""

import asyncio
import base64
import binascii
import json
import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Protocol

import aiohttp
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from wevion_tokens.auth.metrics import JWKS_FETCHES, UNKNOWN_KEYS
from wevion_tokens.runtime.clock import monotonic
from wevion_tokens.telemetry.logs import get_logger

_log = get_logger(__name__)

FETCH_TIMEOUT_S = 3.0
DEFAULT_TTL_S = 300.0
LONGEST_TTL_S = 3600.0  # an issuer that says "for ever" must still be able to withdraw a key
SHORTEST_TTL_S = 1.0
MAX_STALE_S = 2 * 3600.0  # longer than any JWT lives: an issuer that is away never makes a good token fail
REFETCH_INTERVAL_S = 1.0  # strangers can invent key ids; they must not be able to make us call faster than this
UNKNOWN_FOR_S = 30.0
_MOST_UNKNOWN = 1024
_MOST_WAITING = 64
_LARGEST_BYTES = 64 * 1024
_MAX_AGE = re.compile(r"(?:^|[,\s])max-age\s*=\s*\"?(\d{1,9})")
_RETRY_CAP_S = 30.0


class KeysUnavailableError(Exception):
    """There are no keys: none were fetched yet, or they are too old to trust."""


class Keys(Protocol):
    """Where a verifier gets its keys."""

    current: Mapping[str, Ed25519PublicKey]
    """By key id. A change replaces the whole mapping, so its identity tells whether anything changed."""

    @property
    def answers(self) -> bool:
        """Return whether the issuer answered when it was asked last."""
        ...

    async def fresh(self) -> None:
        """Make `current` as fresh as it has to be. Raises KeysUnavailableError."""
        ...

    async def find(self, kid: str) -> Ed25519PublicKey | None:
        """Return the key of this id, asking the issuer again if it is not known."""
        ...


class FixedKeys:
    """Keys that are simply there: for the issuer itself, and for tests."""

    def __init__(self, keys: Mapping[str, Ed25519PublicKey]) -> None:
        self.current: Mapping[str, Ed25519PublicKey] = MappingProxyType(dict(keys))

    def replace(self, keys: Mapping[str, Ed25519PublicKey]) -> None:
        """Use these from now on."""
        self.current = MappingProxyType(dict(keys))

    @property
    def answers(self) -> bool:
        """Return True: nobody has to be asked."""
        return True

    async def fresh(self) -> None:
        """They always are."""

    async def find(self, kid: str) -> Ed25519PublicKey | None:
        """Return the key, if there."""
        return self.current.get(kid)


class JwksCache:
    """Keys from a URL: kept for `max-age`, one fetch at a time, the old ones while the issuer is away.

    An unknown key id leads to one fetch, is then remembered as unknown, and can never make more than one fetch a
    second, whoever invents ids.
    """

    def __init__(self, http: aiohttp.ClientSession, url: str) -> None:
        self.current: Mapping[str, Ed25519PublicKey] = MappingProxyType({})
        self._http = http
        self._url = url
        self._fresh_until = 0.0
        self._usable_until = 0.0
        self._fetched_at = -REFETCH_INTERVAL_S
        self._failures = 0
        self._not_before = 0.0
        self._fetching: asyncio.Task[bool] | None = None
        self._unknown: dict[str, float] = {}
        self._waiting = 0

    @property
    def answers(self) -> bool:
        """Return whether the last fetch brought a key set."""
        return self._failures == 0 and self._usable_until > 0

    async def fresh(self) -> None:
        """Fetch when due; go on with the old keys when the issuer does not answer. Raises KeysUnavailableError."""
        now = monotonic()
        if now < self._fresh_until:
            return
        if now >= self._not_before:
            await self._fetch()
        if monotonic() >= self._usable_until:
            raise KeysUnavailableError("no usable key set")

    async def find(self, kid: str) -> Ed25519PublicKey | None:
        """Return the key; an unknown id makes one fetch, and waits for it."""
        key = self.current.get(kid)
        if key is not None or self._unknown.get(kid, 0.0) > monotonic() or self._waiting >= _MOST_WAITING:
            return key
        self._waiting += 1
        try:
            wait = self._fetched_at + REFETCH_INTERVAL_S - monotonic()
            if wait > 0 and self._fetching is None:
                await asyncio.sleep(wait)
            key = self.current.get(kid)  # somebody else's fetch may have brought it
            if key is None and (await self._fetch() or self._fetched_at + REFETCH_INTERVAL_S > monotonic()):
                key = self.current.get(kid)
        finally:
            self._waiting -= 1
        if key is None:
            self._remember_unknown(kid, monotonic())
        return key

    def ready(self) -> str | None:
        """For /readyz: why not, if not."""
        usable = self._usable_until > monotonic()
        return None if usable else "the issuer's keys were not fetched yet, or are too old"

    async def _fetch(self) -> bool:
        """Fetch now, or join the fetch that runs. The caller's cancellation does not stop it for others."""
        if self._fetching is None:
            self._fetching = asyncio.create_task(self._fetch_once())
            self._fetching.add_done_callback(self._fetch_ended)
        return await asyncio.shield(self._fetching)

    def _fetch_ended(self, _: "asyncio.Task[bool]") -> None:
        self._fetching = None

    async def _fetch_once(self) -> bool:
        self._fetched_at = monotonic()
        try:
            keys, ttl = await self._get()
        except (aiohttp.ClientError, TimeoutError, ValueError, OSError) as error:
            self._failures += 1
            self._not_before = monotonic() + min(_RETRY_CAP_S, 0.5 * 2 ** min(self._failures, 10))
            JWKS_FETCHES.labels("failed").inc()
            _log.warning(
                "jwks_fetch_failed", error_type=type(error).__name__, error=str(error), failures=self._failures
            )
            return False
        now = monotonic()
        self._failures = 0
        self._not_before = 0.0
        self._fresh_until = now + ttl
        self._usable_until = now + ttl + MAX_STALE_S
        if _raw(keys) != _raw(self.current):
            _log.info("jwks_changed", kids=sorted(keys), ttl_s=ttl)
            self.current = MappingProxyType(keys)
            for kid in keys:
                self._unknown.pop(kid, None)
        JWKS_FETCHES.labels("ok").inc()
        return True

    async def _get(self) -> tuple[dict[str, Ed25519PublicKey], float]:
        timeout = aiohttp.ClientTimeout(total=FETCH_TIMEOUT_S)
        async with self._http.get(self._url, timeout=timeout, allow_redirects=False) as answer:
            if answer.status != 200:  # noqa: PLR2004
                raise ValueError(f"status {answer.status}")
            body = await answer.content.read(_LARGEST_BYTES + 1)
            while len(body) <= _LARGEST_BYTES and (more := await answer.content.read(_LARGEST_BYTES + 1)):
                body += more
            if len(body) > _LARGEST_BYTES:
                raise ValueError("the key set is too large")
            return parse_jwks(json.loads(body)), _ttl(answer.headers.get("Cache-Control", ""))

    def _remember_unknown(self, kid: str, now: float) -> None:
        UNKNOWN_KEYS.inc()
        if len(self._unknown) >= _MOST_UNKNOWN:
            self._unknown = {name: until for name, until in self._unknown.items() if until > now}
            if len(self._unknown) >= _MOST_UNKNOWN:
                self._unknown.pop(next(iter(self._unknown)))
        self._unknown[kid] = now + UNKNOWN_FOR_S


def parse_jwks(document: Any) -> dict[str, Ed25519PublicKey]:
    """Return the Ed25519 signature keys (RFC 8037) of a JWKS, no others. Raises ValueError if it is no JWKS."""
    if not isinstance(document, dict) or not isinstance(document.get("keys"), list):
        raise ValueError("not a JSON Web Key Set")  # noqa: TRY004  what arrived is wrong, not who called
    found: dict[str, Ed25519PublicKey] = {}
    for jwk in document["keys"]:
        if not isinstance(jwk, dict) or jwk.get("kty") != "OKP" or jwk.get("crv") != "Ed25519":
            continue
        if jwk.get("use", "sig") != "sig" or jwk.get("alg", "EdDSA") not in {"EdDSA", "Ed25519"}:
            continue
        kid, x = jwk.get("kid"), jwk.get("x")
        if not isinstance(kid, str) or not isinstance(x, str):
            continue
        if kid in found:
            raise ValueError("two keys have the same id")
        try:
            found[kid] = Ed25519PublicKey.from_public_bytes(base64.urlsafe_b64decode(x + "=" * (-len(x) % 4)))
        except (binascii.Error, ValueError):
            raise ValueError("a key's `x` is not an Ed25519 public key") from None
    return found


def _raw(keys: Mapping[str, Ed25519PublicKey]) -> dict[str, bytes]:
    return {kid: key.public_bytes_raw() for kid, key in keys.items()}


def _ttl(cache_control: str) -> float:
    value = cache_control.lower()
    if "no-store" in value or "no-cache" in value:
        return SHORTEST_TTL_S
    match = _MAX_AGE.search(value)
    return min(max(float(match[1]), SHORTEST_TTL_S), LONGEST_TTL_S) if match else DEFAULT_TTL_S
