"""Google's stream of security events: registered once, asked twice a day whether it still reaches us.

Without a stream no event comes, and nothing else would say so: only the next probe would notice a removed access.
"""

import asyncio
import math
from dataclasses import dataclass
from datetime import datetime, timedelta

from common.telemetry.logs import get_logger
from oauth_svc import store
from oauth_svc.core.errors import UnknownProviderError
from oauth_svc.operations.deps import Deps
from oauth_svc.operations.status import SweepStatus
from oauth_svc.providers.base import PlatformError
from oauth_svc.providers.google_risc import Configuration, RiscStream

_log = get_logger(__name__)

VERIFY_EVERY = timedelta(hours=12)
ARRIVES_WITHIN_S = 60.0
LOOK_EVERY_S = 0.25


@dataclass(frozen=True, slots=True)
class StreamStatus:
    """A stream as Google and as we see it. `configuration` is None where nothing is registered."""

    provider: str
    receiver_url: str
    configuration: Configuration | None
    verified_at: datetime | None

    @property
    def wrong(self) -> str | None:
        """Return what is wrong with the registration, or None."""
        found = self.configuration
        if found is None:
            return "nothing is registered"
        if found.url != self.receiver_url:
            return f"the events go to {found.url}"
        if not found.enabled:
            return "the stream is disabled"
        if found.missing:
            return "not asked for: " + ", ".join(sorted(event.rpartition("/")[2] for event in found.missing))
        return None


def receiver_url(deps: Deps, provider: str) -> str:
    """Return where the events have to go."""
    return f"{deps.public_url}/webhooks/{provider}"


async def register(deps: Deps, provider: str) -> str:
    """Register our address; returns it. Raises `UnknownProviderError` and `PlatformError`."""
    url = receiver_url(deps, provider)
    await _stream(deps, provider).register(url, deps.clock.now())
    return url


async def status(deps: Deps, provider: str) -> StreamStatus:
    """Ask Google what is registered. Raises `UnknownProviderError` and `PlatformError`."""
    configuration = await _stream(deps, provider).configuration(deps.clock.now())
    verified = await store.risc.last_verified(deps.pool)
    return StreamStatus(provider, receiver_url(deps, provider), configuration, verified.get(provider))


async def verify(deps: Deps, provider: str, *, within_s: float = ARRIVES_WITHIN_S) -> bool:
    """Have an event sent and wait for it; whether it arrived. Raises `UnknownProviderError` and `PlatformError`.

    A running service has to receive it: this only looks into the database.
    """
    state = deps.new_id().hex
    if not await _stream(deps, provider).verify(state, deps.clock.now()):
        return False
    for _ in range(math.ceil(within_s / LOOK_EVERY_S)):
        if await store.risc.arrived(deps.pool, provider, state):
            return True
        await asyncio.sleep(LOOK_EVERY_S)
    return False


async def sweep(deps: Deps) -> SweepStatus:
    """Ask each stream for an event, if nobody did for `VERIFY_EVERY`. The webhook takes it; a gauge shows when."""
    asked = 0
    for provider, stream in deps.providers.streams.items():
        now = deps.clock.now()
        if not await store.risc.ask(deps.pool, provider, now, not_since=now - VERIFY_EVERY):
            continue
        asked += 1
        try:
            registered = await stream.verify(deps.new_id().hex, now)
        except PlatformError as error:
            _log.warning("risc_not_verified", provider=provider, answer=str(error), meaning=error.failure.words)
        else:
            if not registered:
                _log.warning("risc_not_registered", provider=provider)
    return SweepStatus(asked)


def _stream(deps: Deps, provider: str) -> RiscStream:
    stream = deps.providers.streams.get(provider)
    if stream is None:
        raise UnknownProviderError(f"no service_account_file is set for {provider[:40]!r} in the providers file")
    return stream
