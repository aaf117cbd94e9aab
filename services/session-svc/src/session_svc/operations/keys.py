"""The signing keys of this process: loaded from the database, made on schedule, used without asking anybody."""

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from common.crypto import KeyEncryption
from common.postgres import Pool, transaction, translate_errors
from common.runtime.ids import new_id
from common.telemetry.logs import get_logger
from session_svc import metrics
from session_svc.core import jwt, keys
from session_svc.core.audit import Action, AuditedAct
from session_svc.core.errors import NoSigningKeyError
from session_svc.core.keys import KeyState, KeyTimes, Schedule
from session_svc.store import audit
from session_svc.store import keys as stored
from wevion_tokens.auth import signatures

_log = get_logger(__name__)

FORGET_AFTER = timedelta(days=90)
"""Keys that stopped signing this long ago are deleted; nothing could be verified with them since long before."""


@dataclass(frozen=True, slots=True, repr=False)
class _Key:
    """A key that this process can sign with."""

    times: KeyTimes
    private: Ed25519PrivateKey
    header: bytes
    service_header: bytes
    public_jwk: Mapping[str, str]


class SigningKeys:
    """Every key that is not gone, in memory.

    `load()` and `ensure()` are called by a periodic task; `sign()` and `jwks()` only look at what was loaded. A
    process that has not compared its keys with the database for longer than a key is published ahead of its use
    refuses to sign, because it could have missed a rotation.
    """

    def __init__(self, pool: Pool, key_encryption: KeyEncryption, schedule: Schedule) -> None:
        self.schedule = schedule
        self._pool = pool
        self._key_encryption = key_encryption
        self._keys: tuple[_Key, ...] = ()
        self._loaded_at: datetime | None = None
        self._active: _Key | None = None
        self._active_until: datetime | None = None
        self.current: Mapping[str, Ed25519PublicKey] = {}
        """The public keys by id: this makes it a `common.auth.Keys`, so that this process verifies without a fetch."""

    @property
    def answers(self) -> bool:
        """Return True: this process is the issuer."""
        return True

    async def fresh(self) -> None:
        """The periodic task keeps them so."""

    async def find(self, kid: str) -> Ed25519PublicKey | None:
        """Return the key of this id. A key that another replica made a moment ago does not sign yet."""
        return self.current.get(kid)

    async def load(self, now: datetime) -> None:
        """Take over what the database has.

        Raises:
            RetryableError: the database is away; the keys in memory stay.

        """
        with translate_errors():
            rows = await stored.not_gone(self._pool, now - self.schedule.jwt_life - self.schedule.skew)
        await self._take(rows, now)

    async def ensure(self, now: datetime, *, rotate: bool = False) -> str | None:
        """Make the key that is due, if one is; returns its id. With `rotate`, make one ahead of the schedule.

        However many replicas ask at once, one key is made: the table is locked from looking to writing.
        """
        async with transaction(self._pool) as db:
            await stored.lock(db)
            rows = await stored.not_gone(db, now - self.schedule.jwt_life - self.schedule.skew)
            plan = keys.plan([row.times for row in rows], now, self.schedule, rotate=rotate)
            if plan is not None:
                new = await self._make(now, plan.signs_from)
                await stored.add(db, new, replaces=plan.replaces)
                entry = AuditedAct(
                    audit_id=new_id(),
                    at=now,
                    action=Action.KEY_CREATED,
                    target_kind="signing_key",
                    target_id=new.times.kid,
                    details={"signs_from": plan.signs_from.isoformat()},
                )
                await audit.add(db, [entry])
            await stored.delete_gone(db, now - FORGET_AFTER)
        if plan is not None:
            _log.info("signing_key_made", kid=new.times.kid, signs_from=plan.signs_from.isoformat())
        await self.load(now)
        return new.times.kid if plan is not None else None

    async def reseal(self, now: datetime) -> int:
        """Seal every private key anew with the present key-encryption key; returns how many there are."""
        count = 0
        async with transaction(self._pool) as db:
            await stored.lock(db)
            for row in await stored.not_gone(db, now - FORGET_AFTER):
                aad = _aad(row.times.kid)
                private = await self._key_encryption.unwrap(row.sealed_key, aad)
                await stored.reseal(db, row.times.kid, await self._key_encryption.wrap(private, aad))
                count += 1
        return count

    def sign(self, claims: Mapping[str, Any], now: datetime) -> str:
        """Return a JWT of these claims.

        Raises:
            NoSigningKeyError: no key may sign now.

        """
        key = self._active
        if key is None or self._active_until is None or now >= self._active_until:
            key = self._choose(now)
        signed = jwt.signing_input(key.service_header if "client_id" in claims else key.header, claims)
        return jwt.compact(signed, key.private.sign(signed))

    def sign_content(self, content: bytes, now: datetime) -> str | None:
        """Return the signature of an event; None while no key may sign: the end of a session waits for nothing."""
        try:
            key = self._choose(now)
        except NoSigningKeyError:
            _log.error("state_unsigned")
            return None
        return signatures.sign_content(content, key.times.kid, key.private)

    async def sign_fresh(self, claims: Mapping[str, Any], now: datetime) -> str:
        """As `sign`; a process that slept (a suspended machine) looks at the database once before it gives up.

        Raises:
            NoSigningKeyError: no key may sign now.
            RetryableError: the database is away.

        """
        try:
            return self.sign(claims, now)
        except NoSigningKeyError:
            await self.load(now)
            return self.sign(claims, now)

    def jwks(self, now: datetime) -> dict[str, Any]:
        """Return the public keys (RFC 7517) with which a JWT that is good now, or will be soon, can be verified."""
        return {
            "keys": [
                dict(key.public_jwk) for key in self._keys if key.times.state(now, self.schedule) is not KeyState.GONE
            ]
        }

    def ready(self, now: datetime) -> bool:
        """Return whether this process can sign."""
        try:
            self._choose(now)
        except NoSigningKeyError:
            return False
        return True

    def age_s(self, now: datetime) -> float:
        """Return how long the active key has been signing; 0 when there is none."""
        active = keys.signing([key.times for key in self._keys], now, self.schedule)
        return (now - active.signs_from).total_seconds() if active else 0.0

    def states(self, now: datetime) -> Mapping[str, KeyState]:
        """Return every key in memory and its state."""
        return {key.times.kid: key.times.state(now, self.schedule) for key in self._keys}

    def _choose(self, now: datetime) -> _Key:
        if self._loaded_at is None or now - self._loaded_at > self.schedule.publish_ahead:
            raise NoSigningKeyError("the signing keys were not read from the database for too long")
        times = keys.signing([key.times for key in self._keys], now, self.schedule)
        if times is None:
            raise NoSigningKeyError("no signing key is active")
        key = next(key for key in self._keys if key.times.kid == times.kid)
        self._active = key
        stale_at = self._loaded_at + self.schedule.publish_ahead
        self._active_until = min(times.signs_until or stale_at, stale_at)
        return key

    async def _take(self, rows: Sequence[stored.StoredKey], now: datetime) -> None:
        known = {key.times.kid: key for key in self._keys}
        loaded = []
        for row in rows:
            old = known.get(row.times.kid)
            loaded.append(replace(old, times=row.times) if old is not None else await self._open(row))
        self._keys = tuple(loaded)
        public = {key.times.kid: key.private.public_key() for key in loaded}
        if public.keys() != self.current.keys():
            self.current = MappingProxyType(public)  # a new identity is how a verifier sees that keys changed
        self._loaded_at = now
        self._active = None
        for state in KeyState:
            metrics.SIGNING_KEYS.labels(state.value).set(
                sum(key.times.state(now, self.schedule) is state for key in self._keys)
            )

    async def _open(self, row: stored.StoredKey) -> _Key:
        raw = await self._key_encryption.unwrap(row.sealed_key, _aad(row.times.kid))
        private = Ed25519PrivateKey.from_private_bytes(raw)
        return _Key(
            times=row.times,
            private=private,
            header=jwt.encoded_header(row.times.kid),
            service_header=jwt.encoded_header(row.times.kid, jwt.ACCESS_TOKEN_TYPE),
            public_jwk=_published(private, row),
        )

    async def _make(self, now: datetime, signs_from: datetime) -> stored.StoredKey:
        private = Ed25519PrivateKey.generate()
        public = private.public_key().public_bytes_raw()
        kid = _public_jwk(public)["kid"]
        sealed = await self._key_encryption.wrap(private.private_bytes_raw(), _aad(kid))
        return stored.StoredKey(KeyTimes(kid, now, signs_from, None), public, sealed)


def _published(private: Ed25519PrivateKey, row: stored.StoredKey) -> dict[str, str]:
    """Return the public key as it is published: derived from the private one, never read from the database.

    Whoever can write to the table but has no keyring could otherwise have a key of their own published.
    """
    public = private.public_key().public_bytes_raw()
    if public != row.public_key:
        _log.error("public_key_differs_from_its_private_key", kid=row.times.kid)
    return _public_jwk(public)


def _aad(kid: str) -> bytes:
    # A sealed key that somebody moves to another row does not open there.
    return f"signing_keys|{kid}".encode()


def _b64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _public_jwk(public: bytes) -> dict[str, str]:
    """Return the key as a JWK (RFC 8037), named by its thumbprint (RFC 7638)."""
    members = {"crv": "Ed25519", "kty": "OKP", "x": _b64(public)}
    thumbprint = hashlib.sha256(json.dumps(members, separators=(",", ":"), sort_keys=True).encode()).digest()
    return {**members, "kid": _b64(thumbprint), "alg": jwt.ALGORITHM, "use": "sig"}
