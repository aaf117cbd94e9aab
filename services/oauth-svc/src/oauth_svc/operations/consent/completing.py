"""What follows a token answer, however it was obtained: who granted, which accounts, and the grant is stored."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from common.contracts import AccountAccess, IssuedHow
from common.platforms.errors import Failure
from common.postgres import transaction
from common.runtime import ids
from common.telemetry.logs import get_logger
from oauth_svc import metrics, store
from oauth_svc.core import errors
from oauth_svc.core.accounts import LOOK_AGAIN_AFTER, Comparison, compare
from oauth_svc.core.changes import AskingFailed
from oauth_svc.core.connection import Connection, Listing
from oauth_svc.core.flow import Profile
from oauth_svc.core.grant import Secrets, TokenAnswer, earliest, missing_scopes
from oauth_svc.core.refresh import lacks_permission
from oauth_svc.operations import tokens
from oauth_svc.operations.deps import Deps
from oauth_svc.operations.granting import NewGrant, store_grants
from oauth_svc.operations.reporting import report_call
from oauth_svc.operations.serving.listing import counted
from oauth_svc.providers.base import Inspection, PlatformError, Provider

LIST_WITHIN_S = 1.0
"""How long a person waits for the list of their accounts, after the tokens are there."""


@dataclass(frozen=True, slots=True)
class ConsentResult:
    """How a consent ended well."""

    connection_id: UUID
    return_to: str
    how: IssuedHow
    lost: tuple[str, ...] = ()
    missing_scopes: tuple[str, ...] = ()


_log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Consented:
    """Who gave a consent, in which workspace, and for which connection (None: not for a certain one)."""

    provider: str
    workspace_id: UUID
    user_id: UUID
    connection_id: UUID | None
    return_to: str
    scopes: tuple[str, ...]


async def must_exist(db: store.Db, workspace_id: UUID, provider_id: str, connection_id: UUID) -> Connection:
    """Return the workspace's connection of this provider. Raises `UnknownConnectionError`.

    Args:
        db: the connection or the transaction to use.
        workspace_id: the workspace.
        provider_id: the provider's id, such as `google-ads`.
        connection_id: the connection.

    """
    found = await store.connections.get(db, workspace_id, connection_id)
    if found is None or found.provider != provider_id:
        raise errors.UnknownConnectionError
    return found


def refusal_of(error: PlatformError, only_a_person_helps: errors.RefusalError | None = None) -> errors.RefusalError:
    """Return what a person is told when the platform gave no working token: what helps depends on whose fault it is."""
    verdict, code = error.failure.verdict, error.failure.code
    if verdict.pages_operators:
        return errors.OurFaultError(f"The platform refuses Wevion itself ({code}).")
    if verdict.only_a_person_helps and only_a_person_helps is not None:
        return only_a_person_helps
    return errors.ExchangeFailedError(f"The platform gave no working token ({code}).")


async def complete(
    deps: Deps, provider: Provider, consented: Consented, answer: TokenAnswer, credentials: Mapping[str, str]
) -> ConsentResult:
    """Store what a platform granted.

    Args:
        deps: What every operation is given.
        provider: The platform.
        consented: Who gave the consent, and for what.
        answer: The platform's token answer.
        credentials: What the person entered, for a platform without a consent screen; else empty.

    Returns:
        How it ended.

    Raises:
        RefusalError: Nothing was stored.

    """
    profile = provider.profile
    if answer.in_testing:
        metrics.IN_TESTING.labels(profile.provider, "stated").inc()
        _log.error("app_in_testing", provider=profile.provider)
    secrets = Secrets(answer.access_token, answer.refresh_token, credentials)
    inspection = await _inspect(provider, secrets, answer, deps.clock.now())
    granted = answer.scopes if answer.scopes is not None else inspection.scopes
    accounts, failure = await _list(provider, secrets, granted)
    now = deps.clock.now()
    async with transaction(deps.pool) as db:
        await deps.vault.ready(db, now, workspaces=[consented.workspace_id])
        existing = await _target(db, profile, consented, answer.subject or inspection.subject, inspection, now)
        comparison = Comparison(existing.accounts, (), ())
        look_again_at: datetime | None = None
        if accounts is not None:
            comparison = compare(
                existing.accounts,
                accounts,
                now,
                ids.new_id,
                last_good_at=existing.last_good_at,
                first=existing.version == 0,
            )
            if profile.needs_accounts and accounts.complete and existing.version == 0 and not comparison.accounts:
                raise errors.NoAccountsError
            if profile.needs_accounts and not accounts.accounts and comparison.loses_most:
                # The person has just consented: an empty list is asked for again before anybody is told of a loss.
                await store.listings.doubt(db, existing.connection_id, now)
                comparison = comparison.without_losses(existing.accounts)
                look_again_at = now + LOOK_AGAIN_AFTER
        grant = NewGrant(
            connection=existing,
            accounts=comparison,
            secrets=secrets,
            owner_user_id=consented.user_id,
            subject_name=inspection.subject_name,
            issued_at=answer.issued_at,
            access_expires_at=answer.expires_at or inspection.access_expires_at,
            expires_at=earliest(answer.grant_expires_at, inspection.expires_at),
            # A consent that asks for a missing part only adds to what was asked for before.
            asked=profile.scopes if set(consented.scopes) < set(profile.scopes) else consented.scopes,
            granted=granted,
            probe_at=now if accounts is None else look_again_at,
        )
        stored = await store_grants(db, deps, [grant], answer.issued_at)
        if accounts is None:
            await store.listings.begin(db, existing.connection_id, now)
        if failure is not None:
            await store.listings.end(db, existing.connection_id, f"{failure.verdict.value}:{failure.code}")
            trouble = AskingFailed("list", failure.verdict, failure.code)
            await tokens.change(db, stored, {existing.connection_id: trouble}, now)
            report_call("list", consented.provider, existing.connection_id, failure)
    deps.committed()
    metrics.CONNECTS.labels(consented.provider, grant.how.value).inc()
    return ConsentResult(
        connection_id=existing.connection_id,
        return_to=consented.return_to,
        how=grant.how,
        lost=tuple(a.name for a in comparison.accounts if a.access is AccountAccess.LOST),
        missing_scopes=missing_scopes(profile.needed_scopes, granted),
    )


async def _inspect(provider: Provider, secrets: Secrets, answer: TokenAnswer, now: datetime) -> Inspection:
    """Who granted. Where the platform cannot be asked for now, the token answer has to say it: nobody is guessed."""
    try:
        return await provider.inspect(secrets, now)
    except PlatformError as error:
        if error.failure.verdict.only_a_person_helps or error.failure.verdict.pages_operators:
            raise refusal_of(error) from error
        if answer.subject is None:
            raise errors.ExchangeFailedError(
                f"The platform does not say who gave the consent ({error.failure.code})."
            ) from error
        return Inspection()


async def _list(
    provider: Provider, secrets: Secrets, granted: frozenset[str] | None
) -> tuple[Listing | None, Failure | None]:
    """Return the accounts, or None when that takes long or the platform cannot be asked for now: a probe lists them.

    With it goes why the platform could not be asked.

    The person's browser waits for this, so a list of thousands goes on after the answer.
    """
    try:
        async with asyncio.timeout(LIST_WITHIN_S):
            return counted(provider, await provider.accounts(secrets)), None
    except TimeoutError:
        return None, None
    except PlatformError as error:
        if lacks_permission(provider.profile, error.failure, granted):
            return Listing((), complete=False), None
        if error.failure.verdict.only_a_person_helps:
            raise refusal_of(error) from error
        return None, error.failure


async def _target(  # noqa: PLR0917
    db: store.Db, profile: Profile, consented: Consented, subject: str | None, inspection: Inspection, now: datetime
) -> Connection:
    """Return the connection that this consent is for, locked: the named one, this platform user's, or a new row."""
    connection_id = consented.connection_id
    if connection_id is None and subject is not None:
        connection_id = await store.connections.find_id(db, consented.workspace_id, consented.provider, subject)
    if connection_id is None:
        connection_id = ids.new_id()
        fresh = Connection.begun(
            connection_id=connection_id,
            workspace_id=consented.workspace_id,
            provider=consented.provider,
            kind=profile.kind,
            subject=subject or f"grant:{connection_id}",
            subject_name=inspection.subject_name,
            owner_user_id=consented.user_id,
            now=now,
        )
        if not await store.connections.insert(db, [fresh], now) and subject is not None:
            connection_id = await store.connections.find_id(db, consented.workspace_id, consented.provider, subject)
    locked = await store.connections.lock(db, [connection_id] if connection_id else [])
    found = locked.get(connection_id) if connection_id else None
    if found is None or found.workspace_id != consented.workspace_id:
        raise errors.UnknownConnectionError
    if found.subject != subject and not found.subject.startswith("grant:"):
        raise errors.DifferentPlatformUserError
    return found
