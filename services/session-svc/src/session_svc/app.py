"""How session-svc is put together: the identity API, and what the commands need."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from common import edge
from common.auth import Verifier
from common.contracts import TokenRevokedV1, TokenStateV1
from common.postgres import Pool
from common.runtime.clock import Clock
from common.runtime.errors import RetryableError
from common.service import Service
from session_svc import http, metrics, sweep
from session_svc.clients.notifier import MessagesClient
from session_svc.operations.deps import Deps
from session_svc.operations.hashing import PasswordHasher
from session_svc.operations.keys import SigningKeys
from session_svc.settings import SessionSettings

NAME = "session-svc"


async def run(settings: SessionSettings, clock: Clock | None = None) -> None:
    """The identity API, until SIGTERM."""
    async with Service(settings, name=NAME) as svc:
        svc.clock = clock or svc.clock
        pool = await svc.postgres()
        relay = await svc.outbox(pool, await svc.producer())
        express = await svc.express(TokenRevokedV1.TOPIC, TokenStateV1.TOPIC)
        key_encryption = settings.keys(svc.http)
        keys = SigningKeys(pool, key_encryption, settings.schedule())
        key_work = sweep.keys(keys, svc.clock)
        await _first_keys(keys, svc.clock)
        metrics.SIGNING_KEY_AGE.set_function(lambda: keys.age_s(svc.clock.now()))  # grows, whatever else stands still
        channel = MessagesClient(svc.http(), settings.notifier_url)
        mails = sweep.mails(lambda: deps, channel, svc.clock)
        hasher = password_hasher(settings)
        deps = Deps(
            pool=pool,
            keys=keys,
            key_encryption=key_encryption,
            hasher=hasher,
            issuer=settings.issuer,
            audience=settings.audience,
            public_url=settings.public_url,
            committed=relay.poke,
            express=express.send,
            wake_mail=mails.poke,
        )
        for work in (key_work, sweep.expiry(deps, svc.clock), sweep.forgetting(deps, svc.clock), mails):
            svc.periodic(work)

        async def can_sign() -> bool:
            return keys.ready(svc.clock.now())

        svc.ready_checks["signing key"] = can_sign
        verifier = Verifier(
            keys,
            svc.revocations(keys),
            issuer=settings.issuer,
            audience=settings.audience,
            public_url=settings.public_url,
            clock=svc.clock,
        )
        trusted = edge.networks(settings.trusted_proxies.split(","))
        api = http.routes(deps, http.Edge(secure=settings.secure_cookie, trusted=trusted), svc.clock)
        try:
            await svc.serve(api, verifier)
            await svc.run()
        finally:
            hasher.close()


def password_hasher(settings: SessionSettings) -> PasswordHasher:
    """argon2id as configured."""
    return PasswordHasher(
        threads=settings.password_threads,
        waiting=settings.password_queue,
        memory_kib=settings.password_memory_kib,
        passes=settings.password_passes,
    )


@asynccontextmanager
async def database(settings: SessionSettings) -> AsyncIterator[Pool]:
    """Yield the database, for a command."""
    pool = await settings.database(NAME, max_size=2)
    try:
        yield pool
    finally:
        await pool.close()


async def _first_keys(keys: SigningKeys, clock: Clock) -> None:
    """There is a key to sign with before the first request is taken."""
    for _ in range(30):
        try:
            await keys.ensure(clock.now())
        except RetryableError:
            await asyncio.sleep(1)
        else:
            return
    await keys.ensure(clock.now())
