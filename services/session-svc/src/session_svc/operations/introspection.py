"""What a JWT is worth at this very moment, by the database; and ending the session behind one."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

import jwt

from common.contracts import DetectedBy
from common.postgres import translate_errors
from common.runtime.ids import new_id
from session_svc.core.audit import Action, AuditedAct
from session_svc.core.jwt import ALGORITHM
from session_svc.core.session import EndCause
from session_svc.operations import state
from session_svc.operations.deps import Deps
from session_svc.store import audit, sessions
from session_svc.store import clients as stored_clients
from session_svc.store import people as stored_people


async def introspect(deps: Deps, token: str, now: datetime) -> Mapping[str, Any] | None:
    """Return the claims of a JWT that is good now; None for one that is forged, expired, ended or disabled."""
    claims = _verified(deps, token, now)
    if claims is None:
        return None
    with translate_errors():
        if "client_id" in claims:
            found = await stored_clients.with_secrets(deps.pool, claims["client_id"])
            return claims if found is not None and found[0].disabled_at is None else None
        session = await sessions.by_id(deps.pool, UUID(claims["sid"]))
    if session is None or not session.live(now) or session.epoch != claims["epoch"]:
        return None
    return claims


def client_of(deps: Deps, token: str, now: datetime) -> str | None:
    """Return the service client that a JWT of ours was issued to; None for any other token."""
    claims = _verified(deps, token, now)
    return None if claims is None else claims.get("client_id")


async def revoke(deps: Deps, token: str, client_id: str, now: datetime) -> bool:
    """End the session of a JWT. False: the token is a service's, which has none.

    A token that is not ours, or whose session is over, is fine: what the caller wants is already so (RFC 7009,
    section 2.2).

    Args:
        deps: what the operations of the service work with.
        token: the JWT.
        client_id: the client that asks; None for the person whose token it is.
        now: the present time, in UTC.

    """
    claims = _verified(deps, token, now)
    if claims is None:
        return True
    if "client_id" in claims:
        return False
    async with state.transition(deps) as tx:
        await stored_people.lock_user(tx.db, UUID(claims["sub"]))
        session = await sessions.lock(tx.db, UUID(claims["sid"]))
        if session is not None and session.live(now):
            cause = EndCause.IMPERSONATION_ENDED if session.impersonated else EndCause.ADMIN_FORCED
            await state.end(tx, [session], cause, DetectedBy.REPORT, now)
            entry = AuditedAct(
                audit_id=new_id(),
                at=now,
                action=Action.SESSION_FORCED_OUT,
                workspace_id=session.workspace_id,
                client_id=client_id,
                session_id=session.session_id,
                target_kind="user",
                target_id=str(session.user_id),
            )
            await audit.add(tx.db, [entry])
    return True


def _verified(deps: Deps, token: str, now: datetime) -> dict[str, Any] | None:
    """Return the claims, if we signed them and their time is not over."""
    try:
        key = deps.keys.current.get(jwt.get_unverified_header(token).get("kid", ""))
        if key is None:
            return None
        claims: dict[str, Any] = jwt.decode(
            token,
            key,
            algorithms=[ALGORITHM],
            audience=deps.audience,
            issuer=deps.issuer,
            # Times are checked below, against the clock that everything here uses.
            options={"require": ["exp", "iat", "jti", "sub"], "verify_exp": False, "verify_iat": False},
        )
    except (jwt.InvalidTokenError, TypeError):
        return None
    return claims if now.timestamp() < claims["exp"] else None
