"""Who calls: from a bearer token to a Principal, or to a refusal that says why.

A verified token is remembered under its digest, so that the signature is checked once; expiry, key set and revocation
are checked every time. No call leaves the process, except for keys that are not known yet.
"""

import json
import re
from binascii import a2b_base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any
from uuid import UUID

from aiohttp import web
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from wevion_tokens.auth.access import Access, Actor, Audience, Principal
from wevion_tokens.auth.keys import Keys, KeysUnavailableError
from wevion_tokens.auth.metrics import VERIFICATIONS
from wevion_tokens.auth.refusals import Reason, deny_impersonation, deny_kind, deny_role, deny_scope, refuse
from wevion_tokens.auth.revocations import JWT_LIFETIME_S, LEEWAY_S, RevocationSet
from wevion_tokens.problems import Problem
from wevion_tokens.runtime.clock import Clock, SystemClock

ALGORITHM = "EdDSA"
LONGEST_TOKEN = 4_096  # characters; ours have about 600
CACHED_TOKENS = 10_000  # per generation, of which there are two; about 1 KiB each

_KEY_ID = re.compile(r"[A-Za-z0-9._~-]{1,128}")
_KNOWN_HEADERS = 64
_TYPES = frozenset({"jwt", "at+jwt"})


@dataclass(slots=True)
class _Verified:
    """A token whose signature and claims were good."""

    principal: Principal
    keys: Mapping[str, Ed25519PublicKey]
    issued: float
    expires: float
    session: int
    user: int
    epoch: int


class Verifier:
    """Verifies JWTs of one issuer for one audience. One per process."""

    def __init__(
        self,
        jwks: Keys,
        revocations: RevocationSet,
        issuer: str,
        audience: str,
        *,
        clock: Clock | None = None,
        public_url: str = "",
        cached_tokens: int = CACHED_TOKENS,
    ) -> None:
        self._keys = jwks
        self._revocations = revocations
        self._issuer = issuer
        self._audience = audience
        self._clock = clock or SystemClock()
        self._public_url = public_url.rstrip("/")
        self._cached_tokens = cached_tokens
        # Two generations: when the young one is full it becomes the old one, and what is still used moves over. This
        # bounds the memory at the price of two look-ups, where an LRU list would be touched at every hit.
        self._young: dict[bytes, _Verified] = {}
        self._old: dict[bytes, _Verified] = {}
        self._headers: dict[str, str] = {}
        self._hits = VERIFICATIONS.labels("cached")
        self._verified = VERIFICATIONS.labels("verified")

    async def authenticate(self, request: web.Request, access: Access) -> Principal:
        """Return the caller of a request if `access` admits them. Raises a Problem: 401, or 403 for the wrong one."""
        return await self.admit(request.headers.getall("Authorization", ()), access)

    async def admit(self, values: Sequence[str], access: Access) -> Principal:
        """Return the caller, from the values of the Authorization header, if `access` admits them.

        Raises:
            Problem: 401, 403 for the wrong one, 503 while it cannot be told.

        """
        if not values:
            raise self._count(refuse(Reason.TOKEN_MISSING, public_url=self._public_url))
        scheme, _, token = values[0].partition(" ")
        if len(values) > 1 or scheme.lower() != "bearer" or not token:
            raise self._count(self._invalid("The Authorization header is not one bearer token."))
        principal = await self.verify(token, self._clock.now())
        check(principal, access)
        return principal

    async def verify(self, token: str, now: datetime) -> Principal:
        """Return the principal of a token.

        Raises:
            Problem: 401 with one of the eight reasons; 503 while there are no keys, and for a session's token while
                the revocations are not known yet: who cannot tell a live session from an ended one lets nobody in.

        """
        try:
            await self._keys.fresh()
        except KeysUnavailableError:
            raise Problem(
                503, "keys_unavailable", detail="Tokens cannot be checked right now.", headers={"Retry-After": "2"}
            ) from None
        digest = sha256(token.encode("utf-8", "surrogatepass")).digest()
        known = self._young.get(digest) or self._from_old(digest)
        present = now.timestamp()
        if known is not None and known.keys is self._keys.current:
            self._hits.inc()
        else:
            try:
                known = await self._verify(token, present)
            except Problem as problem:
                raise self._count(problem) from None
            self._remember(digest, known)
            self._verified.inc()
        if known.session:
            self._check_session(known)
        if present >= known.expires + LEEWAY_S:
            raise self._count(self._expired(present, known.expires))
        return known.principal

    def _check_session(self, known: _Verified) -> None:
        if not self._revocations.complete:
            raise self._count(
                Problem(
                    503,
                    "revocations_unknown",
                    "Sessions cannot be checked yet",
                    "This process has not read yet which sessions have ended.",
                    fix="Try again in a moment.",
                    headers={"Retry-After": "1"},
                )
            )
        ending = self._revocations.find(known.session, known.user, known.epoch)
        if ending is not None:
            reason, cause = ending
            session_id = UUID(int=known.session)
            raise self._count(refuse(reason, cause=cause, session_id=session_id, public_url=self._public_url))
        if known.issued < self._revocations.renew_before:
            detail = "Revocations cannot be read for now, so only newly issued tokens of sessions are accepted."
            raise self._count(refuse(Reason.TOKEN_EXPIRED, detail, public_url=self._public_url))

    def _from_old(self, digest: bytes) -> _Verified | None:
        known = self._old.pop(digest, None)
        if known is not None:
            self._remember(digest, known)
        return known

    def _remember(self, digest: bytes, known: _Verified) -> None:
        if len(self._young) >= self._cached_tokens:
            self._old, self._young = self._young, {}
        self._young[digest] = known

    async def _verify(self, token: str, present: float) -> _Verified:
        """Check everything but the session. What comes out may be remembered."""
        if len(token) > LONGEST_TOKEN:
            raise self._invalid("It is longer than any token of ours.")
        signed, _, signature = token.rpartition(".")
        head, _, payload = signed.partition(".")
        kid = self._key_id(token, head)
        key = self._keys.current.get(kid) or await self._keys.find(kid)
        if key is None:
            raise self._invalid("It names a key that the issuer does not have.")
        keys = self._keys.current
        try:
            # The key object is used directly: jwt.decode would parse the header a second time, and every check that
            # it makes of the claims is made below, with the caller's `now` and with words.
            key.verify(_decode(signature), signed.encode("ascii"))
            claims = json.loads(_decode(payload))
        except (InvalidSignature, ValueError, RecursionError):
            raise self._invalid("Its signature does not fit.") from None
        if not isinstance(claims, dict):
            raise self._invalid("Its payload is not a set of claims.")
        self._check_claims(claims, present)
        try:
            return _read(claims, keys)
        except _BadClaimError as error:
            raise self._invalid(f"The claim {error.args[0]} is missing or not usable.") from None

    def _key_id(self, token: str, head: str) -> str:
        """Return the key id from the header, whose form is checked once: one issuer has one header per key."""
        if token.count(".") != 2 or not token.isascii():  # noqa: PLR2004  a compact JWS has three parts
            raise self._invalid("It is not a signed JWT.")
        known = self._headers.get(head)
        if known is not None:
            return known
        try:
            header = json.loads(_decode(head))
        except (ValueError, RecursionError):
            raise self._invalid("Its header is not readable.") from None
        if not isinstance(header, dict) or header.get("alg") != ALGORITHM:
            raise self._invalid(f"It is not signed with {ALGORITHM}.")
        if "crit" in header or "b64" in header or str(header.get("typ", "JWT")).lower() not in _TYPES:
            raise self._invalid("Its header asks for something that is not supported.")
        kid = header.get("kid")
        if not isinstance(kid, str) or not _KEY_ID.fullmatch(kid):
            raise self._invalid("Its header names no key.")
        if kid in self._keys.current and len(self._headers) < _KNOWN_HEADERS:
            self._headers[head] = kid
        return kid

    def _check_claims(self, claims: dict[str, Any], present: float) -> None:
        if claims.get("iss") != self._issuer:
            raise self._invalid("It is from another issuer.")
        if claims.get("aud") != self._audience:
            raise self._invalid("It is for another audience.")
        issued, expires = _time(claims, "iat"), _time(claims, "exp")
        if issued is None or expires is None:
            raise self._invalid("It has no usable times of issue and expiry.")
        not_before = _time(claims, "nbf") if "nbf" in claims else issued
        ahead = max(issued, not_before if not_before is not None else issued) - present
        if ahead > LEEWAY_S:
            raise refuse(
                Reason.CLOCK_SKEW,
                f"It was issued {ahead:.0f} s in the future; {LEEWAY_S} s are tolerated.",
                public_url=self._public_url,
            )
        if "sid" in claims and expires - issued > JWT_LIFETIME_S:
            raise self._invalid("It lives longer than a token of ours may.")

    def _expired(self, present: float, expires: float) -> Problem:
        return refuse(Reason.TOKEN_EXPIRED, f"It expired {present - expires:.0f} s ago.", public_url=self._public_url)

    def _invalid(self, detail: str) -> Problem:
        return refuse(Reason.TOKEN_INVALID, detail, public_url=self._public_url)

    def _count(self, problem: Problem) -> Problem:
        VERIFICATIONS.labels(problem.code).inc()
        return problem


def check(principal: Principal, access: Access) -> None:
    """Whether this verified caller may. Raises a Problem 403 that says what is missing."""
    if access.audience is Audience.PUBLIC:
        return
    if principal.kind == "user":
        if access.audience is Audience.SERVICE:
            raise deny_kind(users=False)
        if access.refuse_act and principal.act is not None:
            raise deny_impersonation()
        if access.roles is not None and principal.role not in access.roles:
            raise deny_role(access.roles)
        return
    if access.audience is Audience.USER:
        raise deny_kind(users=True)
    if access.scope is not None and access.scope not in principal.scopes:
        raise deny_scope(access.scope)


class _BadClaimError(Exception):
    """A claim is missing or has the wrong form; its name is the argument."""


def _read(claims: dict[str, Any], keys: Mapping[str, Ed25519PublicKey]) -> _Verified:
    """Return the principal in verified claims: a user (with `sid`) or a service client (with `client_id`)."""
    if ("sid" in claims) == ("client_id" in claims):
        raise _BadClaimError("sid")
    issued, expires = claims["iat"], claims["exp"]
    if "client_id" in claims:
        subject = _text(claims, "sub")
        if subject != _text(claims, "client_id"):
            raise _BadClaimError("client_id")
        service = Principal(
            kind="service",
            subject=subject,
            token_id=_text(claims, "jti"),
            expires_at=datetime.fromtimestamp(expires, UTC),
            scopes=frozenset(_text(claims, "scope", empty=True).split()),
        )
        return _Verified(service, keys, issued, expires, 0, 0, 0)
    session, user = _uuid(claims, "sid"), _uuid(claims, "sub")
    epoch = claims.get("epoch")
    if type(epoch) is not int or epoch < 0:
        raise _BadClaimError("epoch")
    principal = Principal(
        kind="user",
        subject=str(user),
        token_id=_text(claims, "jti"),
        expires_at=datetime.fromtimestamp(expires, UTC),
        session_id=session,
        workspace_id=_uuid(claims, "wid") if claims.get("wid") is not None else None,
        role=_text(claims, "role") if claims.get("role") is not None else None,
        act=_actor(claims["act"]) if claims.get("act") is not None else None,
        epoch=epoch,
    )
    return _Verified(principal, keys, issued, expires, session.int, user.int, epoch)


def _actor(act: Any) -> Actor:
    if not isinstance(act, dict):
        raise _BadClaimError("act")
    return Actor(_text(act, "sub"), _uuid(act, "sid") if act.get("sid") is not None else None)


def _text(claims: dict[str, Any], name: str, *, empty: bool = False) -> str:
    value = claims.get(name)
    if not isinstance(value, str) or not (value or empty):
        raise _BadClaimError(name)
    return value


def _uuid(claims: dict[str, Any], name: str) -> UUID:
    try:
        return UUID(_text(claims, name))
    except ValueError:
        raise _BadClaimError(name) from None


def _time(claims: dict[str, Any], name: str) -> float | None:
    """Return a NumericDate (RFC 7519, section 2), or None if it is not a usable one."""
    value = claims.get(name)
    if type(value) is int or type(value) is float:
        return value if 0 <= value < _END_OF_TIME else None
    return None


def _decode(part: str) -> bytes:
    """Strict base64url without padding (RFC 7515, section 2). Raises ValueError."""
    if "+" in part or "/" in part or "=" in part:
        raise ValueError("not base64url")
    return a2b_base64(part.translate(_FROM_URL) + "=" * (-len(part) % 4), strict_mode=True)


_FROM_URL = str.maketrans("-_", "+/")
_END_OF_TIME = 253_402_300_800  # the year 10000: the last second that datetime can say is before it
