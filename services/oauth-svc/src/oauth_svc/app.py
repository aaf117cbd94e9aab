"""How oauth-svc is put together: the only file that knows every other file."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress

import aiohttp

from common.runtime.clock import SystemClock
from common.runtime.errors import PermanentError, RetryableError
from common.runtime.shield import Shield
from common.service import Service
from oauth_svc import http, metrics
from oauth_svc.operations.deps import Deps
from oauth_svc.operations.engine.breaker import Breakers
from oauth_svc.operations.engine.refreshing import Engine
from oauth_svc.operations.fence import Fence
from oauth_svc.operations.serving.access import AccessTokens
from oauth_svc.operations.vault import Vault
from oauth_svc.providers.registry import Providers, ProvidersFileError, build_providers, read_providers_file
from oauth_svc.settings import OauthSettings
from oauth_svc.sweep import Waking, comparing, periodic_work

DRAIN_S = 12.0
"""Longer than any provider's deadline, so that a plain stop leaves no refresh with an unknown outcome."""


async def run(settings: OauthSettings) -> None:
    """Run until SIGTERM."""
    providers = open_providers(settings)
    metrics.begin(provider.profile.provider for provider in providers)
    metrics.tell_sunsets(providers.versions)
    budgets = ((each.profile.provider, each.profile.operations_per_day) for each in providers)
    metrics.tell_budgets({provider: budget for provider, budget in budgets if budget is not None})
    async with Service(settings, name="oauth-svc") as service:
        pool = await service.postgres()
        producer = await service.producer()
        relay = await service.outbox(pool, producer)
        verifier = await service.verifier()
        deps = Deps(
            pool=pool,
            providers=providers,
            vault=Vault(settings.keys(service.http)),
            clock=service.clock,
            public_url=settings.public_url.rstrip("/"),
            limits=settings.limits,
            fence=Fence(up=True),
        )
        engine, shield = Engine(deps, Breakers(deps)), Shield()
        sweeps, upkeep = periodic_work(deps, engine, poll_s=settings.poll_s)
        waking = Waking(sweeps, settings.poll_s)

        def committed() -> None:
            relay.poke()
            waking.changed()

        deps.committed = committed
        for work in (comparing(deps, settings.kafka("oauth-svc-witness")), *sweeps, *upkeep):
            service.periodic(work)
        routes = http.routes(deps, engine, AccessTokens(deps, engine), shield, verifier.authenticate)
        await service.serve(routes, verifier)
        try:
            await service.run()
        finally:
            engine.stop()
            await engine.drain(DRAIN_S)
            await shield.drain(DRAIN_S)
            with suppress(RetryableError):
                await deps.uses.flush(pool)
            await providers.close()


@asynccontextmanager
async def offline(settings: OauthSettings) -> AsyncIterator[Deps]:
    """Yield what a verb of the command line needs: database, providers and keys, without serving anything."""
    providers = open_providers(settings)
    async with AsyncExitStack() as stack:
        stack.push_async_callback(providers.close)
        session = await stack.enter_async_context(aiohttp.ClientSession())
        pool = await settings.database("oauth-svc-command", max_size=4)
        stack.push_async_callback(pool.close)
        yield Deps(
            pool=pool,
            providers=providers,
            vault=Vault(settings.keys(lambda: session)),
            clock=SystemClock(),
            public_url=settings.public_url.rstrip("/"),
            limits=settings.limits,
        )


def open_providers(settings: OauthSettings) -> Providers:
    """Return the providers of the file. Raises `PermanentError` with the place and the rule."""
    try:
        return build_providers(
            read_providers_file(settings.providers_file, settings.providers_override_file),
            in_flight=settings.in_flight * 2,
        )
    except (ProvidersFileError, OSError) as error:
        raise PermanentError(f"WEVION_PROVIDERS_FILE: {error}") from error
