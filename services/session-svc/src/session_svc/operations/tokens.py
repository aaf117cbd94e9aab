"""A cookie becomes a JWT; and the same for service clients."""

import hashlib
import hmac
from dataclasses import dataclass
from datetime import datetime

from common.postgres import translate_errors
from common.runtime.ids import new_id
from session_svc import metrics
from session_svc.core import clients, jwt
from session_svc.core import session as life
from session_svc.core.errors import InvalidClientError, InvalidScopeError, NoSessionError
from session_svc.core.refusals import words_for
from session_svc.core.session import EndCause, Session
from session_svc.operations import state
from session_svc.operations.deps import Deps
from session_svc.store import clients as stored_clients
from session_svc.store import sessions

COOKIE_LENGTH = 43  # 32 bytes as base64url without padding

_minted_for_user = metrics.MINTS.labels("user")
_minted_for_service = metrics.MINTS.labels("service")


@dataclass(frozen=True, slots=True, repr=False)
class Minted:
    """A JWT and what it stands for."""

    token: str
    issued_at: int
    expires_at: int
    session: Session
    extension_due: bool


def hash_secret(value: str) -> bytes:
    """Return what is stored of a random secret (a cookie, a link, a client's secret)."""
    return hashlib.sha256(value.encode()).digest()


async def live_session(deps: Deps, cookie: str | None, now: datetime) -> Session:
    """Return the live session behind a cookie: one indexed read, no write.

    Raises:
        NoSessionError: with the reason why there is none.

    """
    if cookie is None or len(cookie) != COOKIE_LENGTH or not cookie.isascii():
        raise _refused(None)
    with translate_errors():
        session = await sessions.by_secret(deps.pool, hashlib.sha256(cookie.encode()).digest())
    if session is None:
        raise _refused(None)
    if not session.live(now):
        raise _refused(session.why_ended(), session)
    return session


async def mint(deps: Deps, cookie: str | None, now: datetime, *, extend: bool) -> Minted:
    """Return a JWT for the session behind a cookie. With `extend`, the session lives on for having been used.

    Args:
        deps: what the operations of the service work with.
        cookie: the value of the session cookie; None for none.
        now: the present time, in UTC.
        extend: the session lives on for having been used.

    Raises:
        NoSessionError: with the reason why there is none.
        NoSigningKeyError: no key may sign now.

    """
    session = await live_session(deps, cookie, now)
    extension_due = session.extension_due(now, deps.lifetimes)
    if extend and extension_due:
        session = await _extended(deps, session, now)
        extension_due = False
    return await mint_for(deps, session, now, extension_due=extension_due)


async def mint_for(deps: Deps, session: Session, now: datetime, *, extension_due: bool = False) -> Minted:
    """Return a JWT for a session that is known to be live.

    Args:
        deps: what the operations of the service work with.
        session: the session.
        now: the present time, in UTC.
        extension_due: the session's end has to be moved.

    Raises:
        NoSigningKeyError: no key may sign now.

    """
    claims = jwt.session_claims(
        session, issuer=deps.issuer, audience=deps.audience, jti=new_id(), now=now, life=deps.lifetimes.jwt
    )
    token = await deps.keys.sign_fresh(claims, now)
    _minted_for_user.inc()
    return Minted(token, claims["iat"], claims["exp"], session, extension_due)


async def mint_for_service(
    deps: Deps, client_id: str | None, secret: str | None, scope: str | None, now: datetime
) -> tuple[str, tuple[str, ...], int]:
    """Return a JWT for a service client (RFC 6749, section 4.4), its scopes, and its life in seconds.

    Args:
        deps: what the operations of the service work with.
        client_id: the service client; None for none.
        secret: the client's secret.
        scope: the scopes that are asked for, with spaces between; None for all of the client's.
        now: the present time, in UTC.

    Raises:
        InvalidClientError: unknown, disabled, or a wrong secret. Which of these is not said.
        InvalidScopeError: it asked for a scope that it does not have.

    """
    client = await authenticated_client(deps, client_id, secret)
    scopes = clients.granted(client, scope)
    if scopes is None:
        raise InvalidScopeError
    token = await service_jwt(deps, client.client_id, scopes, now)
    return token, scopes, int(deps.limits.service_jwt_life.total_seconds())


async def service_jwt(deps: Deps, client_id: str, scopes: tuple[str, ...], now: datetime) -> str:
    """Return a JWT for a service, without further questions.

    Args:
        deps: what the operations of the service work with.
        client_id: the service client.
        scopes: the scopes.
        now: the present time, in UTC.

    """
    claims = jwt.service_claims(
        client_id,
        scopes,
        issuer=deps.issuer,
        audience=deps.audience,
        jti=new_id(),
        now=now,
        life=deps.limits.service_jwt_life,
    )
    _minted_for_service.inc()
    return await deps.keys.sign_fresh(claims, now)


async def authenticated_client(deps: Deps, client_id: str | None, secret: str | None) -> clients.ServiceClient:
    """Return the service client that knows this secret.

    Raises:
        InvalidClientError: there is none.

    """
    if not client_id or not secret:
        raise InvalidClientError
    with translate_errors():
        found = await stored_clients.with_secrets(deps.pool, client_id)
    presented = hash_secret(secret)
    # All are compared, found or not, so that time tells nothing.
    matches = [hmac.compare_digest(presented, known) for known in (found[1] if found else (b"\0" * 32,))]
    if found is None or not any(matches) or found[0].disabled_at is not None:
        raise InvalidClientError
    return found[0]


async def _extended(deps: Deps, session: Session, now: datetime) -> Session:
    async with state.transition(deps) as tx:
        locked = await sessions.lock(tx.db, session.session_id)
        if locked is None or not locked.live(now):
            raise _refused(locked.why_ended() if locked else EndCause.SIGNED_OUT, session)
        if not locked.extension_due(now, deps.lifetimes):
            return locked  # another tab was first
        change = life.extended(locked, now, deps.lifetimes)
        await state.record(tx, [change], now)
    metrics.EXTENDED.inc()
    return change.session


def _refused(cause: EndCause | None, session: Session | None = None) -> NoSessionError:
    metrics.MINT_REFUSALS.labels(words_for(cause).reason.value).inc()
    return NoSessionError(cause, session.session_id if session else None)
