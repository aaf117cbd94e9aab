"""Access tokens for services: served while the grant lives, refused at once and clearly while it is dead."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from common.contracts import AccountAccess, TokenStatus
from common.crypto import UnsealableError
from common.postgres import connection
from common.runtime.batching import Batcher
from oauth_svc import metrics, store
from oauth_svc.core.connection import ended_as, ended_words
from oauth_svc.core.errors import RefusalError, UnknownAccountError
from oauth_svc.core.flow import Flow
from oauth_svc.core.grant import Secrets
from oauth_svc.operations.deps import Deps
from oauth_svc.operations.engine.refreshing import Engine
from oauth_svc.store.access import AccessRow


class TokenDeadError(RefusalError):
    """The grant or the account is dead: only a person can help. Carries what that person needs to know."""

    def __init__(self, row: AccessRow, *, code: str, cause: str | None, since: datetime, words: str, fix: str) -> None:
        super().__init__(words, fix=fix)
        self.code = code
        self.row = row
        self.cause = cause
        self.since = since


class TokenUnavailableError(RefusalError):
    """The grant is believed alive, but there is no valid access token now. Try again later."""

    code = "token_unavailable"
    fix = "Nothing to do; it is retried by itself."

    def __init__(self, retry_after_s: float) -> None:
        super().__init__("The platform does not give a fresh token at the moment.")
        self.retry_after_s = retry_after_s


@dataclass(frozen=True, slots=True)
class AccessToken:
    """A working token. `stale_refresh` says that refreshing fails for now and an older token is served."""

    row: AccessRow
    secrets: Secrets
    stale_refresh: bool


class AccessTokens:
    """Reads in batches: concurrent requests share one statement."""

    def __init__(self, deps: Deps, engine: Engine) -> None:
        self._deps = deps
        self._engine = engine
        self._reads = Batcher(self._read, limit=256)

    async def token(self, account_id: UUID, min_ttl: timedelta) -> AccessToken:
        """Return a token for this account that stays valid for `min_ttl`, refreshed in flight if it must be.

        Raises:
            UnknownAccountError, TokenDeadError, TokenUnavailableError

        """
        row = await self._row(account_id)
        now = self._deps.clock.now()
        left = self._must_live(row, now)
        if left is None or left >= min_ttl:
            metrics.TOKENS_SERVED.labels("served").inc()
            return self._serve(row, now, stale=False)
        profile = self._deps.providers[row.provider].profile
        if profile.flow is not Flow.LASTING:
            await self._engine.refresh_now(row.connection_id)
            row = await self._row(account_id)
            now = self._deps.clock.now()
            left = self._must_live(row, now)
        if left is None or left >= min_ttl:
            metrics.TOKENS_SERVED.labels("refreshed").inc()
            return self._serve(row, now, stale=False)
        if left > timedelta(0):
            metrics.TOKENS_SERVED.labels("stale").inc()
            return self._serve(row, now, stale=True)
        metrics.TOKENS_SERVED.labels("unavailable").inc()
        raise TokenUnavailableError(retry_after_s=5)

    async def _row(self, account_id: UUID) -> AccessRow:
        row = await self._reads.submit(account_id)
        if row is None:
            raise UnknownAccountError
        return row

    def _must_live(self, row: AccessRow, now: datetime) -> timedelta | None:
        """Return the time that is left of the access token; None where no end is stated. Raises when it is dead."""
        if row.status is TokenStatus.REVOKED or row.status is TokenStatus.EXPIRED or row.sealed is None:
            metrics.TOKENS_SERVED.labels("dead").inc()
            revoked = row.status is TokenStatus.REVOKED
            raise TokenDeadError(
                row,
                code="connection_revoked" if revoked else "connection_expired",
                cause=ended_as(row.status, row.cause),
                since=row.since,
                words=ended_words(row.status, row.cause, self._title(row)),
                fix=f"Re-authorise {self._title(row)} in Wevion.",
            )
        if row.access is AccountAccess.LOST:
            metrics.TOKENS_SERVED.labels("dead").inc()
            raise TokenDeadError(
                row,
                code="account_access_lost",
                cause=row.account_cause or "permission_changed",
                since=row.account_since,
                words=f"Access to the account {row.account_name} was removed at the platform.",
                fix=f"Give the account back to Wevion's user at {self._title(row)}, then re-authorise.",
            )
        return None if row.access_expires_at is None else row.access_expires_at - now

    def _serve(self, row: AccessRow, now: datetime, *, stale: bool) -> AccessToken:
        if row.sealed is None:
            raise UnknownAccountError
        try:
            token = AccessToken(row, self._deps.vault.open_credential(row.sealed), stale)
        except UnsealableError as error:
            raise TokenUnavailableError(retry_after_s=60) from error
        self._deps.uses.note(row.account_id, now)
        return token

    def _title(self, row: AccessRow) -> str:
        return self._deps.providers[row.provider].profile.title

    async def _read(self, account_ids: Sequence[UUID]) -> list[AccessRow | None]:
        async with connection(self._deps.pool) as db:
            found = await store.access.rows(db, account_ids)
            await self._deps.vault.ready(
                db, self._deps.clock.now(), key_ids={r.sealed.key_id for r in found.values() if r.sealed}
            )
        return [found.get(account_id) for account_id in account_ids]
