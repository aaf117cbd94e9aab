"""P2: verifying a JWT with `common.auth`, revocation check included, against bare `jwt.decode` with a key object."""

import random
import tracemalloc
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from uuid import UUID

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from jwt.types import Options

from bench.results import Result, paired_ratio
from bench.stack import Stack
from common.auth import FixedKeys, RevocationSet, Verifier, ending_for
from common.contracts import RevocationCause
from common.runtime.clock import monotonic

MUST_COLD = 0.9
MUST_MB = 100.0
TOKENS = 500
REVOKED = 1_000_000
ISSUER, AUDIENCE, KID = "http://bench.wevion.example", "wevion", "k1"
_SEED = 7


async def run(stack: Stack, *, quick: bool) -> list[Result]:  # noqa: ARG001  needs no server
    """Measure tokens that are seen for the first time, tokens that are seen again, and the memory of the set."""
    numbers = random.Random(_SEED)
    now = datetime.now(UTC)
    revoked = RevocationSet(complete=True)
    count = REVOKED // 10 if quick else REVOKED
    ended, megabytes = _fill(revoked, numbers, now, count)
    key = Ed25519PrivateKey.generate()
    tokens = [_token(key, numbers, now) for _ in range(TOKENS)]
    rounds = 5 if quick else 15
    cold, warm, bare = [], [], []
    warm_verifier = _verifier(key, revoked)
    for token in tokens:
        await warm_verifier.verify(token, now)
    for _ in range(rounds):
        cold.append(await _rate_async(_verifier(key, revoked).verify, tokens, now, 1))
        bare.append(_rate_bare(tokens, key))
        warm.append(await _rate_async(warm_verifier.verify, tokens, now, 20))
    cold_ratio, warm_ratio = paired_ratio(cold, bare), paired_ratio(warm, bare)
    return [
        Result(
            id="P2",
            measure=f"JWT verified, {len(ended):,} sessions revoked",
            ours=sorted(cold)[rounds // 2],
            ceiling=sorted(bare)[rounds // 2],
            ratio=cold_ratio,
            unit="verifications/s",
            must=f">= {MUST_COLD} first time (aim >= 10 again); 1 M revoked <= {MUST_MB:.0f} MB",
            met=cold_ratio >= MUST_COLD and megabytes * (REVOKED / count) <= MUST_MB,
            details={
                "again/s": sorted(warm)[rounds // 2],
                "again ratio": warm_ratio,
                "revocation set MB": megabytes,
                "revoked sessions": float(len(ended)),
            },
        )
    ]


def _fill(revoked: RevocationSet, numbers: random.Random, now: datetime, count: int) -> tuple[list[UUID], float]:
    ids = [UUID(int=numbers.getrandbits(128)) for _ in range(count)]
    ending = ending_for(RevocationCause.ADMIN_FORCED)
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    for session_id in ids:
        revoked.end_session(session_id, now, now, ending)
    megabytes = (tracemalloc.get_traced_memory()[0] - before) / 1e6
    tracemalloc.stop()
    return ids, megabytes


def _verifier(key: Ed25519PrivateKey, revoked: RevocationSet) -> Verifier:
    return Verifier(FixedKeys({KID: key.public_key()}), revoked, issuer=ISSUER, audience=AUDIENCE)


def _token(key: Ed25519PrivateKey, numbers: random.Random, now: datetime) -> str:
    claims = {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": str(UUID(int=numbers.getrandbits(128))),
        "sid": str(UUID(int=numbers.getrandbits(128))),
        "wid": str(UUID(int=numbers.getrandbits(128))),
        "role": "member",
        "epoch": 1,
        "jti": str(UUID(int=numbers.getrandbits(128))),
        "iat": int(now.timestamp()),
        "exp": int((now + timedelta(hours=1)).timestamp()),
    }
    return jwt.encode(claims, key, algorithm="EdDSA", headers={"kid": KID})


async def _rate_async(
    verify: Callable[[str, datetime], Awaitable[object]], tokens: list[str], now: datetime, times: int
) -> float:
    started = monotonic()
    for _ in range(times):
        for token in tokens:
            await verify(token, now)
    return times * len(tokens) / (monotonic() - started)


def _rate_bare(tokens: list[str], key: Ed25519PrivateKey) -> float:
    public = key.public_key()
    options: Options = {"require": ["exp", "iat", "jti"]}
    started = monotonic()
    for token in tokens:
        jwt.decode(token, public, algorithms=["EdDSA"], audience=AUDIENCE, issuer=ISSUER, options=options)
    return len(tokens) / (monotonic() - started)
