"""A consent begins: its state is stored, and the browser is sent to the platform."""

import hashlib
from uuid import UUID

from authlib.oauth2.rfc7636 import create_s256_code_challenge

from common.contracts import TokenStatus
from common.postgres import transaction
from common.runtime import ids
from oauth_svc import store
from oauth_svc.core.grant import local_return
from oauth_svc.core.roles import WorkspaceCaller, must_manage
from oauth_svc.operations.consent.completing import must_exist
from oauth_svc.operations.deps import Deps
from oauth_svc.providers.base import Consent
from oauth_svc.store.states import ConsentState


async def begin(
    deps: Deps, caller: WorkspaceCaller, provider_id: str, *, connection_id: UUID | None, return_to: str | None
) -> str:
    """Store a consent's state, and return the platform's consent URL.

    Args:
        deps: What every operation is given.
        caller: The person.
        provider_id: The platform.
        connection_id: The connection to authorise again, None for a new one.
        return_to: The path of Wevion to return to, None for the usual one.

    Returns:
        Where to send the browser.

    Raises:
        RefusalError: The provider or the connection is unknown, the person may not, or the path is unsafe.

    """
    provider = deps.providers[provider_id]
    profile = provider.profile
    must_manage(profile.kind, caller.role)
    path = local_return(return_to)
    now = deps.clock.now()
    state, verifier = ids.random_token(), ids.random_token(48) if profile.pkce else None
    digest = state_digest(state)
    scopes, renewing = profile.scopes, False
    async with transaction(deps.pool) as db:
        if connection_id is not None:
            known = await must_exist(db, caller.workspace_id, provider_id, connection_id)
            renewing = known.status in (TokenStatus.EXPIRING, TokenStatus.EXPIRED)
            if known.status.alive:
                scopes = profile.scopes_to_ask(known.scopes_missing)
        await deps.vault.ready(db, now, workspaces=[caller.workspace_id])
        sealed = None
        if verifier is not None:
            _, sealed = deps.vault.seal(caller.workspace_id, verifier.encode(), verifier_aad(digest))
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
            challenge=create_s256_code_challenge(verifier) if verifier else None,
            adding=scopes != profile.scopes,
            renewing=renewing,
        )
    )


def state_digest(state: str) -> bytes:
    """Return what a state is stored under; the state itself is in the browser alone."""
    return hashlib.sha256(state.encode("utf-8", "surrogatepass")).digest()


def verifier_aad(digest: bytes) -> bytes:
    """Return the associated data that binds a sealed PKCE verifier to its state."""
    return b"verifier|" + digest
