"""List a grant's accounts, and write down how far a long list is."""

import asyncio
from uuid import UUID

from common.postgres import connection
from common.runtime.errors import RetryableError
from common.runtime.tasks import cancel
from common.telemetry.logs import get_logger
from oauth_svc import metrics, store
from oauth_svc.core.connection import Listing
from oauth_svc.core.grant import Secrets
from oauth_svc.operations.deps import Deps
from oauth_svc.providers.base import PlatformError, Provider

_log = get_logger(__name__)

SAY_EVERY_S = 1.0
"""How often a listing that goes on for long is written down, so that the connection shows its progress."""


async def list_accounts(deps: Deps, provider: Provider, connection_id: UUID, secrets: Secrets) -> Listing:
    """List the accounts of a grant.

    Args:
        deps: What every operation is given.
        provider: The platform.
        connection_id: The connection, on which the progress is shown.
        secrets: The grant's secrets.

    Returns:
        What the platform lists.

    Raises:
        PlatformError: The platform refused, or could not be heard. The connection shows that, too.

    """
    progress = _Progress(deps, connection_id)
    writing = asyncio.create_task(progress.write())
    failure: str | None = None
    try:
        return counted(provider, await provider.accounts(secrets, progress.seen))
    except PlatformError as error:
        if not error.failure.refresh_first:
            failure = f"{error.failure.verdict.value}:{error.failure.code}"
        raise
    finally:
        await cancel(writing)
        await progress.end(failure)


def counted(provider: Provider, listing: Listing) -> Listing:
    """Return a list whose cost was added to what the platform's quota of the day is used for."""
    metrics.OPERATIONS.labels(provider.profile.provider).inc(listing.operations)
    return listing


class _Progress:
    """Writes down once a second how many accounts were found, beside the calls to the platform."""

    def __init__(self, deps: Deps, connection_id: UUID) -> None:
        self._deps = deps
        self._connection_id = connection_id
        self._count = 0

    def seen(self, count: int) -> None:
        self._count = count

    async def write(self) -> None:
        while True:
            await asyncio.sleep(SAY_EVERY_S)
            try:
                async with connection(self._deps.pool) as db:
                    await store.listings.progress(db, self._connection_id, self._count, self._deps.clock.now())
            except RetryableError:
                _log.info("listing_progress_not_written")

    async def end(self, failure: str | None) -> None:
        async with connection(self._deps.pool) as db:
            await store.listings.end(db, self._connection_id, failure)
