"""Consent: begun, finished once, and what it gives is stored.

The code of a consent is sent once. The state row is marked used, and that is committed, before the code goes out;
whoever comes second with the same state waits for the first one's result and gets it.
"""

import asyncio
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from common.contracts import AccountAccess, IssuedHow
from common.crypto import data_key_id
from common.postgres import Connection as Db
from common.postgres import transaction
from common.runtime import ids
from oauth_svc import metrics, store
from oauth_svc.core import errors
from oauth_svc.core.accounts import Comparison, compare
from oauth_svc.core.connection import Connection, PlatformAccount
from oauth_svc.core.flow import Flow, Profile
from oauth_svc.core.grant import Secrets, TokenAnswer, earliest, local_return, missing_scopes, s256
from oauth_svc.core.lifecycle import Authorized
from oauth_svc.core.refresh import can_renew
from oauth_svc.core.roles import Caller, must_manage
from oauth_svc.core.schedule import refresh_at, unit_hash
from oauth_svc.providers.base import Callback, Consent, Inspection, PlatformError, Provider
from oauth_svc.store.states import ConsentState

from . import tokens
from .deps import Deps
from .shield import Shield

WAIT_FOR_FIRST_S = 15.0
"""How long a doubled callback waits for the first one's result; longer than both of its provider calls."""

_POLL_S = 0.1


@dataclass(frozen=True, slots=True)
class Connected:
    """How a consent ended well."""

    connection_id: UUID
    return_to: str
    how: IssuedHow
    lost: tuple[str, ...] = ()
    missing_scopes: tuple[str, ...] = ()


async def begin(
    deps: Deps, caller: Caller, provider_id: str, *, connection_id: UUID | None, return_to: str | None
) -> str:
    """The platform's consent URL. Raises a `Refusal`."""
    provider = deps.providers[provider_id]
    profile = provider.profile
    must_manage(profile.kind, caller.role)
    path = local_return(return_to)
    now = deps.clock.now()
    state, verifier = ids.random_token(), ids.random_token(48) if profile.pkce else None
    digest = state_digest(state)
    scopes = profile.scopes
    async with transaction(deps.pool) as db:
        if connection_id is not None:
            known = await _must_exist(db, caller, provider_id, connection_id)
            if known.status.alive:
                scopes = profile.scopes_to_ask(known.scopes_missing)
        await deps.vault.ready(db, now, workspaces=[caller.workspace_id])
        sealed = None
        if verifier is not None:
            _, sealed = deps.vault.seal(caller.workspace_id, verifier.encode(), b"verifier|" + digest)
        await store.states.add(
            db,
            ConsentState(
                digest=digest,
                provider=provider_id,
                workspace_id=caller.workspace_id,
                user_id=caller.user_id,
                session_id=caller.session_id,
                connection_id=connection_id,
                return_to=path,
                scopes=scopes,
                sealed_verifier=sealed,
                created_at=now,
                expires_at=now + deps.limits.state_life,
            ),
        )
    return provider.consent_url(
        Consent(
            state=state,
            redirect_uri=deps.redirect_uri(provider_id),
            scopes=scopes,
            challenge=s256(verifier) if verifier else None,
            adding=scopes != profile.scopes,
        )
    )


async def finish(deps: Deps, shield: Shield, caller: Caller, provider_id: str, query: Mapping[str, str]) -> Connected:
    """The callback of a consent. Raises a `Refusal`; a repeat of the same callback gets the same result."""
    provider = deps.providers[provider_id]
    state = await _own_state(deps, caller, provider_id, query.get("state", ""))
    now = deps.clock.now()
    if state.outcome is None and state.used_at is None and now > state.expires_at:
        raise errors.StateExpiredError
    if not await store.states.use(deps.pool, state.digest, now):
        return await _first_result(deps, state)
    return await shield.run(_exchange_once(deps, provider, state, query))


async def enter_credentials(
    deps: Deps,
    shield: Shield,
    caller: Caller,
    provider_id: str,
    credentials: Mapping[str, str],
    *,
    connection_id: UUID | None,
    return_to: str | None,
) -> Connected:
    """The credential form of a platform without a consent screen: checked there before anything is stored."""
    provider = deps.providers[provider_id]
    must_manage(provider.profile.kind, caller.role)
    path = local_return(return_to)
    if connection_id is not None:
        async with transaction(deps.pool) as db:
            await _must_exist(db, caller, provider_id, connection_id)
    now = deps.clock.now()
    state = ConsentState(
        digest=b"",
        provider=provider_id,
        workspace_id=caller.workspace_id,
        user_id=caller.user_id,
        session_id=caller.session_id,
        connection_id=connection_id,
        return_to=path,
        scopes=provider.profile.scopes,
        sealed_verifier=None,
        created_at=now,
        expires_at=now,
    )

    async def work() -> Connected:
        await _take_login(deps, provider.profile, credentials)
        try:
            answer = await provider.login(credentials, deps.clock.now())
        except PlatformError as error:
            refusal = _refusal(error, errors.CredentialsRefusedError())
            metrics.CONNECTS.labels(provider_id, refusal.code).inc()
            raise refusal from error
        return await _store_grant(deps, provider, state, answer, credentials)

    return await shield.run(work())


async def _take_login(deps: Deps, profile: Profile, credentials: Mapping[str, str]) -> None:
    """A login by hand costs one of the platform's budget too, right or wrong."""
    if profile.budget is None:
        return
    subject = credentials.get(profile.form[0].name, "").strip().lower()
    async with transaction(deps.pool) as db:
        free_at = await store.logins.take(
            db, profile.provider, subject, calls=profile.budget.calls, per=profile.budget.per
        )
    if free_at is not None:
        raise errors.LoginBudgetError(f"{profile.title} allows {profile.budget.calls} logins an hour.", free_at)


def state_digest(state: str) -> bytes:
    return hashlib.sha256(state.encode("utf-8", "surrogatepass")).digest()


async def _must_exist(db: Db, caller: Caller, provider_id: str, connection_id: UUID) -> Connection:
    found = await store.connections.get(db, caller.workspace_id, connection_id)
    if found is None or found.provider != provider_id:
        raise errors.UnknownConnectionError
    return found


async def _own_state(deps: Deps, caller: Caller, provider_id: str, state: str) -> ConsentState:
    found = await store.states.get(deps.pool, state_digest(state)) if state else None
    mine = found is not None and (found.provider, found.workspace_id, found.user_id, found.session_id) == (
        provider_id,
        caller.workspace_id,
        caller.user_id,
        caller.session_id,
    )
    if found is None or not mine:
        raise errors.StateUnknownError
    return found


async def _first_result(deps: Deps, state: ConsentState) -> Connected:
    deadline = asyncio.get_running_loop().time() + WAIT_FOR_FIRST_S
    while asyncio.get_running_loop().time() < deadline:
        found = await store.states.get(deps.pool, state.digest)
        if found is None:
            break
        if found.outcome is not None:
            return _replay(found.outcome)
        await asyncio.sleep(_POLL_S)
    raise errors.StateUsedError


def _replay(outcome: dict[str, Any]) -> Connected:
    refused = outcome.get("refused")
    if refused is not None:
        raise _REFUSALS.get(refused, errors.ExchangeFailedError)(outcome.get("message", ""))
    return Connected(
        connection_id=UUID(outcome["connection_id"]),
        return_to=outcome["return_to"],
        how=IssuedHow(outcome["how"]),
        lost=tuple(outcome["lost"]),
        missing_scopes=tuple(outcome["missing_scopes"]),
    )


_REFUSALS: dict[str, type[errors.Refusal]] = {
    kind.code: kind
    for kind in (
        errors.ConsentDeniedError,
        errors.ExchangeFailedError,
        errors.OurFaultError,
        errors.DifferentPlatformUserError,
        errors.NoAccountsError,
    )
}


async def _exchange_once(deps: Deps, provider: Provider, state: ConsentState, query: Mapping[str, str]) -> Connected:
    try:
        connected = await _exchange(deps, provider, state, query)
    except errors.Refusal as refusal:
        metrics.CONNECTS.labels(state.provider, refusal.code).inc()
        await store.states.finish(deps.pool, state.digest, {"refused": refusal.code, "message": str(refusal)})
        raise
    await store.states.finish(
        deps.pool,
        state.digest,
        {
            "connection_id": str(connected.connection_id),
            "return_to": connected.return_to,
            "how": connected.how.value,
            "lost": list(connected.lost),
            "missing_scopes": list(connected.missing_scopes),
        },
    )
    return connected


async def _exchange(deps: Deps, provider: Provider, state: ConsentState, query: Mapping[str, str]) -> Connected:
    if query.get("error"):
        raise errors.ConsentDeniedError
    if not (query.get("code") or query.get("auth_code")):
        raise errors.ExchangeFailedError("the platform sent no code")
    verifier = None
    if state.sealed_verifier is not None:
        async with deps.pool.acquire() as db:
            await deps.vault.ready(db, deps.clock.now(), key_ids=[data_key_id(state.sealed_verifier)])
        verifier = deps.vault.open(state.sealed_verifier, b"verifier|" + state.digest).decode()
    callback = Callback(query=query, redirect_uri=deps.redirect_uri(state.provider), verifier=verifier)
    try:
        answer = await provider.exchange(callback, deps.clock.now())
    except PlatformError as error:
        raise _refusal(error) from error
    return await _store_grant(deps, provider, state, answer, {})


def _refusal(error: PlatformError, only_a_person_helps: errors.Refusal | None = None) -> errors.Refusal:
    """What a person is told when the platform gave no working token: what helps depends on whose fault it is."""
    verdict, code = error.failure.verdict, error.failure.code
    if verdict.pages_operators:
        return errors.OurFaultError(f"The platform refuses Wevion itself ({code}).")
    if verdict.only_a_person_helps and only_a_person_helps is not None:
        return only_a_person_helps
    return errors.ExchangeFailedError(f"The platform gave no working token ({code}).")


async def _store_grant(
    deps: Deps,
    provider: Provider,
    state: ConsentState,
    answer: TokenAnswer,
    credentials: Mapping[str, str],
) -> Connected:
    secrets = Secrets(answer.access_token, answer.refresh_token, credentials)
    inspection = await _inspect(provider, secrets, answer, deps.clock.now())
    accounts = await _list(provider, secrets)
    now = deps.clock.now()
    async with transaction(deps.pool) as db:
        await deps.vault.ready(db, now, workspaces=[state.workspace_id])
        existing = await _target(db, provider.profile, state, answer, inspection, now)
        comparison = compare(
            existing.accounts,
            accounts or (),
            now,
            ids.new_id,
            last_good_at=existing.last_good_at,
            first=existing.version == 0,
        )
        if accounts is None:
            comparison = Comparison(existing.accounts, (), ())
        elif provider.profile.needs_accounts and existing.version == 0 and not comparison.accounts:
            raise errors.NoAccountsError
        connected = await _write(db, deps, provider.profile, state, existing, comparison, secrets, answer, inspection)
        if accounts is None:
            await store.schedule.probe_now(db, [existing.connection_id], now)
    deps.poke_relay()
    metrics.CONNECTS.labels(state.provider, connected.how.value).inc()
    return connected


async def _inspect(provider: Provider, secrets: Secrets, answer: TokenAnswer, now: datetime) -> Inspection:
    """Who granted. Where the platform cannot be asked for now, the token answer has to say it: nobody is guessed."""
    try:
        return await provider.inspect(secrets, now)
    except PlatformError as error:
        if error.failure.verdict.only_a_person_helps or error.failure.verdict.pages_operators:
            raise _refusal(error) from error
        if answer.subject is None:
            raise errors.ExchangeFailedError(
                f"The platform does not say who gave the consent ({error.failure.code})."
            ) from error
        return Inspection()


async def _list(provider: Provider, secrets: Secrets) -> tuple[PlatformAccount, ...] | None:
    """The accounts, or None when the platform cannot be asked for now: a probe does it later."""
    try:
        return await provider.accounts(secrets)
    except PlatformError as error:
        if error.failure.verdict.only_a_person_helps:
            raise _refusal(error) from error
        return None


async def _target(  # noqa: PLR0917
    db: Db, profile: Profile, state: ConsentState, answer: TokenAnswer, inspection: Inspection, now: datetime
) -> Connection:
    """The connection that this consent is for, locked: the named one, this platform user's, or a new row."""
    subject = answer.subject or inspection.subject
    connection_id = state.connection_id
    if connection_id is None and subject is not None:
        connection_id = await store.connections.find_id(db, state.workspace_id, state.provider, subject)
    if connection_id is None:
        connection_id = ids.new_id()
        fresh = _new_connection(profile, state, connection_id, subject or f"grant:{connection_id}", inspection, now)
        if not await store.connections.insert(db, fresh, now) and subject is not None:
            connection_id = await store.connections.find_id(db, state.workspace_id, state.provider, subject)
    locked = await store.connections.lock(db, [connection_id] if connection_id else [])
    found = locked.get(connection_id) if connection_id else None
    if found is None or found.workspace_id != state.workspace_id:
        raise errors.UnknownConnectionError
    if found.subject != subject and not found.subject.startswith("grant:"):
        raise errors.DifferentPlatformUserError
    return found


def _new_connection(  # noqa: PLR0917
    profile: Profile,
    state: ConsentState,
    connection_id: UUID,
    subject: str,
    inspection: Inspection,
    now: datetime,
) -> Connection:
    return Connection.begun(
        connection_id=connection_id,
        workspace_id=state.workspace_id,
        provider=state.provider,
        kind=profile.kind,
        subject=subject,
        subject_name=inspection.subject_name,
        owner_user_id=state.user_id,
        now=now,
    )


async def _write(  # noqa: PLR0917
    db: Db,
    deps: Deps,
    profile: Profile,
    state: ConsentState,
    existing: Connection,
    comparison: Comparison,
    secrets: Secrets,
    answer: TokenAnswer,
    inspection: Inspection,
) -> Connected:
    now = answer.issued_at
    how = IssuedHow.CONNECT if existing.version == 0 else IssuedHow.REAUTHORIZE
    granted = answer.scopes if answer.scopes is not None else inspection.scopes
    missing = missing_scopes(profile.needed_scopes, granted)
    access_end = answer.expires_at or inspection.access_expires_at
    full_end = earliest(answer.grant_expires_at, inspection.expires_at)
    renews = can_renew(profile, secrets)
    if profile.flow is Flow.SWAP or not renews:
        full_end = earliest(full_end, access_end)
    before = replace(existing, accounts=comparison.accounts)
    # The accounts' rows come first: closing a gap reads the account's name.
    await store.connections.save_accounts(db, existing, comparison.to_write)
    after = await tokens.change(
        db,
        {existing.connection_id: before},
        {
            existing.connection_id: Authorized(
                how=how,
                owner_user_id=state.user_id,
                subject_name=inspection.subject_name,
                access_expires_at=access_end,
                expires_at=full_end,
                scopes_missing=missing,
            )
        },
        now,
    )
    connection = after[existing.connection_id]
    await tokens.tell_accounts(db, connection, comparison, now)
    await _keep_secrets(db, deps, connection, secrets, now)
    asked = profile.scopes if set(state.scopes) < set(profile.scopes) else state.scopes  # the rest was asked before
    await store.connections.set_scopes(db, connection.connection_id, asked, sorted(granted) if granted else None)
    await store.connections.set_remote_revoke(db, connection.connection_id, None)
    await store.connections.mark_purged(db, [connection.connection_id], None)
    await store.attempts.supersede(db, connection.connection_id)
    await store.schedule.put(
        db,
        connection.connection_id,
        connection.workspace_id,
        connection.provider,
        refresh_at=refresh_at(connection.connection_id, now, access_end) if renews else None,
        probe_at=first_probe(profile, connection.connection_id, now),
        deadline=access_end,
    )
    return Connected(
        connection_id=connection.connection_id,
        return_to=state.return_to,
        how=how,
        lost=tuple(a.name for a in comparison.accounts if a.access is AccountAccess.LOST),
        missing_scopes=missing,
    )


async def _keep_secrets(db: Db, deps: Deps, connection: Connection, secrets: Secrets, now: datetime) -> None:
    old = await store.credentials.get(db, connection.connection_id)
    await store.credentials.put(
        db,
        [
            deps.vault.seal_credential(
                connection.connection_id,
                connection.workspace_id,
                secrets,
                version=old.version + 1 if old else 1,
                generation=old.generation + 1 if old else 1,
                issued_at=now,
            )
        ],
    )


def first_probe(profile: Profile, connection_id: UUID, now: datetime) -> datetime:
    """One interval from now, less up to a tenth, so that an imported cohort is spread."""
    return now + profile.probe_every * (1 - 0.1 * unit_hash(connection_id, "probe"))


async def forget_old_states(deps: Deps) -> None:
    """Consents and webhook marks that can no longer matter."""
    await store.states.forget_old(deps.pool, deps.clock.now() - timedelta(days=2))
