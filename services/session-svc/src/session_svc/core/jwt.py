"""What is in a JWT, and its bytes before the signature (RFC 7519, RFC 7515 section 5.1, RFC 9068 for services)."""

import base64
import json
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from session_svc.core.session import Session

ALGORITHM = "EdDSA"
ACCESS_TOKEN_TYPE = "at+jwt"  # noqa: S105  RFC 9068, section 2.1: the type of a service's JWT


def _b64(raw: bytes) -> bytes:
    return base64.urlsafe_b64encode(raw).rstrip(b"=")


def encoded_header(kid: str, typ: str = "JWT") -> bytes:
    """Return the encoded protected header. It is the same for every JWT of a key, so it is made once per key."""
    return _b64(json.dumps({"alg": ALGORITHM, "kid": kid, "typ": typ}, separators=(",", ":")).encode())


def signing_input(header: bytes, claims: Mapping[str, Any]) -> bytes:
    """Return what is signed."""
    return header + b"." + _b64(json.dumps(claims, separators=(",", ":")).encode())


def compact(signed: bytes, signature: bytes) -> str:
    """Return the JWT as text."""
    return (signed + b"." + _b64(signature)).decode()


def session_claims(
    session: Session, *, issuer: str, audience: str, jti: UUID, now: datetime, life: timedelta
) -> dict[str, Any]:
    """Return the claims of a session's JWT, which lives exactly `life`, but never longer than an impersonation.

    `act` (RFC 8693, section 4.1) is put in last, so that nothing can take it out again.

    Args:
        session: the session.
        issuer: the `iss` claim.
        audience: the `aud` claim.
        jti: the id of the JWT.
        now: the present time, in UTC.
        life: how long the JWT lives.

    """
    issued_at = int(now.timestamp())
    expires_at = issued_at + int(life.total_seconds())
    if session.actor_user_id is not None:
        expires_at = min(expires_at, int(session.expires_at.timestamp()))
    claims: dict[str, Any] = {
        "iss": issuer,
        "sub": str(session.user_id),
        "aud": audience,
        "exp": expires_at,
        "iat": issued_at,
        "jti": str(jti),
        "sid": str(session.session_id),
        "wid": str(session.workspace_id),
        "role": session.role.value,
        "epoch": session.epoch,
    }
    if session.actor_user_id is not None:
        claims["act"] = {"sub": str(session.actor_user_id)}
    return claims


def service_claims(
    client_id: str, scopes: tuple[str, ...], *, issuer: str, audience: str, jti: UUID, now: datetime, life: timedelta
) -> dict[str, Any]:
    """Return the claims of a service's JWT.

    Args:
        client_id: the service client.
        scopes: the scopes.
        issuer: the `iss` claim.
        audience: the `aud` claim.
        jti: the id of the JWT.
        now: the present time, in UTC.
        life: how long the JWT lives.

    """
    issued_at = int(now.timestamp())
    return {
        "iss": issuer,
        "sub": client_id,
        "aud": audience,
        "exp": issued_at + int(life.total_seconds()),
        "iat": issued_at,
        "jti": str(jti),
        "client_id": client_id,
        "scope": " ".join(scopes),
    }
