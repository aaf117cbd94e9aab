"""How session-svc is put together: the identity API, the gateway, and what the commands need."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import aiohttp
from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from common.auth import RevocationFeed, RevocationSet, Verifier
from common.contracts import TokenRevokedV1, TokenStateV1
from common.crypto import KeyringError, KeyringFile, Sealer
from common.postgres import Pool
from common.runtime.clock import Clock
from common.runtime.errors import Permanent, Retryable
from common.service import Service
from common.web import Problem, create_app
from session_svc import console, gateway, http, sweep
from session_svc.clients.notifier import MessagesClient
from session_svc.core import edge
from session_svc.gateway.headers import security_headers
from session_svc.operations.deps import Deps
from session_svc.operations.hashing import PasswordHasher
from session_svc.operations.keys import SigningKeys
from session_svc.settings import GatewaySettings, SessionSettings

IDENTITY = "session-svc"
GATEWAY = "session-gateway"


async def run(settings: SessionSettings, clock: Clock | None = None) -> None:
    """The identity API, until SIGTERM."""
    async with Service(settings, name=IDENTITY) as svc:
        svc.clock = clock or svc.clock
        pool = await svc.postgres()
        relay = await svc.outbox(pool, await svc.producer())
        express = await svc.express(TokenRevokedV1.TOPIC, TokenStateV1.TOPIC)
        key_encryption = keyring(settings)
        keys = SigningKeys(pool, key_encryption, settings.schedule())
        key_work = sweep.keys(keys, svc.clock)
        await _first_keys(keys, svc.clock)
        channel = MessagesClient(svc.http(), settings.notifier_url)
        mails = sweep.mails(lambda: deps, channel, svc.clock)
        hasher = password_hasher(settings)
        deps = Deps(
            pool=pool,
            keys=keys,
            keyring=key_encryption,
            hasher=hasher,
            issuer=settings.issuer,
            audience=settings.audience,
            public_url=settings.public_url,
            poke_relay=relay.poke,
            express=express.send,
            poke_mail=mails.poke,
        )
        for work in (key_work, sweep.expiry(deps, svc.clock), sweep.forgetting(deps, svc.clock), mails):
            svc.periodic(work)
        revocations = RevocationSet()
        feed = RevocationFeed(svc.kafka, revocations, clock=svc.clock)
        svc.task("revocation-feed", feed.run)

        async def revocations_known() -> bool:
            return feed.caught_up.is_set()

        async def can_sign() -> bool:
            return keys.ready(svc.clock.now())

        svc.ready_checks |= {"revocations": revocations_known, "signing key": can_sign}
        verifier = Verifier(
            keys,
            revocations,
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


async def run_gateway(settings: GatewaySettings, clock: Clock | None = None) -> None:
    """The public origin, until SIGTERM."""
    async with Service(settings, name=GATEWAY) as svc, upstream_client() as client:
        svc.clock = clock or svc.clock
        verifier = await svc.verifier()
        upstreams = gateway.Upstreams(client, settings.upstreams(), first_byte_s=settings.upstream_timeout_s)
        exchange = gateway.Exchange(upstreams, verifier, svc.clock)
        hub = gateway.LiveHub(svc.kafka, exchange, svc.clock, heartbeat_s=settings.heartbeat_s)
        door = gateway.Gateway(
            upstreams=upstreams,
            exchange=exchange,
            allowed_origins=settings.origins(),
            trusted=edge.networks(settings.trusted_proxies.split(",")),
            security=security_headers(https=settings.https),
            max_body_bytes=settings.max_body_bytes,
        )
        svc.task("live-updates", hub.run)

        async def follows() -> bool:
            return await hub.ready() is None

        svc.ready_checks["live updates"] = follows
        app = create_app(
            [hub.routes(door.client_address), door.routes(), console.console_routes()],
            authenticate=verifier.authenticate,
            title=GATEWAY,
            version=svc.version,
            ready_checks=svc.ready_checks,
            max_body_bytes=settings.max_body_bytes,
        )

        async def end_streams(_: web.Application) -> None:
            hub.stop()

        async def harden(_: web.Request, response: web.StreamResponse) -> None:
            for name, value in door.security.items():
                response.headers.setdefault(name, value)
            response.headers["Server"] = "wevion"

        app.middlewares.append(operators_only(door, edge.networks(settings.operator_networks.split(","))))
        app.middlewares.insert(0, console.problem_pages())
        app.on_shutdown.append(end_streams)
        app.on_response_prepare.append(harden)
        await svc.serve_app(app)
        await svc.run()


def operators_only(door: gateway.Gateway, allowed: Sequence[edge.Network]) -> Middleware:
    """What the gateway says of itself is for operators; a stranger finds nothing there."""
    paths = frozenset({"/metrics", "/readyz", "/openapi.json"})

    @web.middleware
    async def check(request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.path in paths and not edge.within(door.client_address(request), allowed):
            return Problem(404, "not_found", "There is nothing here").response()
        return await handler(request)

    return check


def keyring(settings: SessionSettings) -> Sealer:
    """The key-encryption keys.

    Raises:
        Permanent: the setting is missing, or the file cannot be used.

    """
    if settings.keyring_file is None:
        raise Permanent("set WEVION_KEYRING_FILE: signing keys are stored sealed")
    try:
        return KeyringFile(settings.keyring_file)
    except KeyringError as error:
        raise Permanent(f"WEVION_KEYRING_FILE: {error}") from None


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
    """The database, for a command."""
    pool = await settings.database(IDENTITY, max_size=2)
    try:
        yield pool
    finally:
        await pool.close()


@asynccontextmanager
async def upstream_client() -> AsyncIterator[aiohttp.ClientSession]:
    """The client of the proxy: it passes on what it gets, keeps no cookies, and limits no number of connections.

    Keep-alive is shorter than the services' own (75 s), so that no request meets a door that is just closing.
    """
    connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=30)
    async with aiohttp.ClientSession(
        connector=connector,
        auto_decompress=False,
        cookie_jar=aiohttp.DummyCookieJar(),
        skip_auto_headers=("User-Agent", "Accept", "Accept-Encoding", "Content-Type"),
    ) as client:
        yield client


async def _first_keys(keys: SigningKeys, clock: Clock) -> None:
    """There is a key to sign with before the first request is taken."""
    for _ in range(30):
        try:
            await keys.ensure(clock.now())
        except Retryable:
            await asyncio.sleep(1)
        else:
            return
    await keys.ensure(clock.now())
