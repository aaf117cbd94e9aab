"""The browser comes back from the platform: the code of a consent is sent once.

The state row is marked used, and that is committed, before the code goes out; whoever comes second with the same state
waits for the first one's result and gets it.
"""

import asyncio
from collections.abc import Mapping
from datetime import timedelta
from typing import Any
from uuid import UUID

from common.contracts import IssuedHow, Verdict
from common.crypto import data_key_id
from common.platforms.rfc6749 import callback_verdict
from common.postgres import connection
from common.runtime.clock import monotonic
from common.runtime.shield import Shield
from common.telemetry.logs import get_logger
from common.text import clean
from oauth_svc import metrics, store
from oauth_svc.core import errors
from oauth_svc.core.roles import WorkspaceCaller
from oauth_svc.operations.consent.begin import state_digest, verifier_aad
from oauth_svc.operations.consent.completing import Consented, ConsentResult, complete, refusal_of
from oauth_svc.operations.deps import Deps
from oauth_svc.providers.base import Callback, PlatformError, Provider
from oauth_svc.store.states import ConsentState

_log = get_logger(__name__)

WAIT_FOR_FIRST_S = 15.0
"""How long a doubled callback waits for the first one's result; longer than both of its provider calls."""

_POLL_S = 0.1


async def finish(
    deps: Deps, shield: Shield, caller: WorkspaceCaller, provider_id: str, query: Mapping[str, str]
) -> ConsentResult:
    """Finish a consent. A repeat of the same callback gets the same result.

    Args:
        deps: What every operation is given.
        shield: Runs the exchange to its end, also when the browser goes away.
        caller: The person.
        provider_id: The platform.
        query: What the browser brought back.

    Returns:
        How it ended.

    Raises:
        RefusalError: Nothing was stored.

    """
    provider = deps.providers[provider_id]
    state = await _own_state(deps, caller, provider_id, query.get("state", ""))
    now = deps.clock.now()
    if state.outcome is None and state.used_at is None and now > state.expires_at:
        raise errors.StateExpiredError
    if not await store.states.use(deps.pool, state.digest, now):
        return await _first_result(deps, state)
    return await shield.run(_exchange_once(deps, provider, state, query))


async def forget_old_states(deps: Deps) -> None:
    """Delete consents and webhook marks that can no longer matter."""
    await store.states.forget_old(deps.pool, deps.clock.now() - timedelta(days=2))


async def _own_state(deps: Deps, caller: WorkspaceCaller, provider_id: str, state: str) -> ConsentState:
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


async def _first_result(deps: Deps, state: ConsentState) -> ConsentResult:
    deadline = monotonic() + WAIT_FOR_FIRST_S
    while monotonic() < deadline:
        found = await store.states.get(deps.pool, state.digest)
        if found is None:
            break
        if found.outcome is not None:
            return _replay(found.outcome)
        await asyncio.sleep(_POLL_S)
    raise errors.StateUsedError


def _replay(outcome: dict[str, Any]) -> ConsentResult:
    refused = outcome.get("refused")
    if refused is not None:
        raise _REFUSALS.get(refused, errors.ExchangeFailedError)(outcome.get("message", ""))
    return ConsentResult(
        connection_id=UUID(outcome["connection_id"]),
        return_to=outcome["return_to"],
        how=IssuedHow(outcome["how"]),
        lost=tuple(outcome["lost"]),
        missing_scopes=tuple(outcome["missing_scopes"]),
    )


_REFUSALS: dict[str, type[errors.RefusalError]] = {
    kind.code: kind
    for kind in (
        errors.ConsentDeniedError,
        errors.ExchangeFailedError,
        errors.OurFaultError,
        errors.PlatformUnavailableError,
        errors.StartAgainError,
        errors.DifferentPlatformUserError,
        errors.NoAccountsError,
    )
}


async def _exchange_once(
    deps: Deps, provider: Provider, state: ConsentState, query: Mapping[str, str]
) -> ConsentResult:
    try:
        connected = await _exchange(deps, provider, state, query)
    except errors.RefusalError as refusal:
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


def _refused(provider: str, query: Mapping[str, str]) -> errors.RefusalError:
    """Return whose no it is: only `access_denied` is the person's (RFC 6749 section 4.1.2.1)."""
    verdict = callback_verdict(query["error"], query.get("error_reason", ""))
    if verdict is None:
        return errors.ConsentDeniedError()
    code = clean(query["error"], longest=40)
    _log.warning("consent_refused", provider=provider, failure_code=code, verdict=verdict.value)
    if verdict is Verdict.RETRY_LATER:
        return errors.PlatformUnavailableError()
    return errors.OurFaultError(f"The platform refuses Wevion's request for consent ({code}).")


async def _exchange(deps: Deps, provider: Provider, state: ConsentState, query: Mapping[str, str]) -> ConsentResult:
    if query.get("error"):
        raise _refused(state.provider, query)
    if not (query.get("code") or query.get("auth_code")):
        raise errors.ExchangeFailedError("the platform sent no code")
    verifier = None
    if state.sealed_verifier is not None:
        async with connection(deps.pool) as db:
            await deps.vault.ready(db, deps.clock.now(), key_ids=[data_key_id(state.sealed_verifier)])
        verifier = deps.vault.open(state.sealed_verifier, verifier_aad(state.digest)).decode()
    callback = Callback(query=query, redirect_uri=deps.redirect_uri(state.provider), verifier=verifier)
    try:
        answer = await provider.exchange(callback, deps.clock.now())
    except PlatformError as error:
        raise refusal_of(error, errors.StartAgainError()) from error
    consented = Consented(
        provider=state.provider,
        workspace_id=state.workspace_id,
        user_id=state.user_id,
        connection_id=state.connection_id,
        return_to=state.return_to,
        scopes=state.scopes,
    )
    return await complete(deps, provider, consented, answer, {})
