"""Google OAuth, shared by Ads and Drive: refresh tokens that do not rotate, project-wide revocation, security events.

platforms/google.md. The identity token is read without checking its signature, because it comes straight from
Google over TLS (OpenID Connect Core 3.1.3.7); the security events are checked, because anybody can post one.
"""

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import jwt

from common.contracts import RevocationCause
from common.platforms import google
from common.platforms.errors import Call, read_reply, retry_later
from oauth_svc.core.flow import Profile
from oauth_svc.core.grant import Secrets, TokenAnswer, after, of_testing, scope_set, seconds
from oauth_svc.providers.base import Inspection, PlatformError, Signal, WebhookRefusedError, json_object, match_digest
from oauth_svc.providers.calling import text
from oauth_svc.providers.rfc6749 import Client, Rfc6749Provider
from oauth_svc.providers.wire import Answer, Request, Wire

ISSUERS = ("https://accounts.google.com/", "https://accounts.google.com")
KEYS_KEPT = timedelta(hours=1)
REFETCH_AFTER = timedelta(seconds=10)
"""A key that is not known makes one fetch, at most this often."""

CLOCKS_DIFFER = timedelta(minutes=5)
# `include_granted_scopes` adds a consent to the earlier ones, so that a missing scope can be asked for alone.
EXTRA = {"access_type": "offline", "prompt": "consent", "include_granted_scopes": "true"}

_C = RevocationCause
_LONG = {
    "https://www.googleapis.com/auth/userinfo.email": "email",
    "https://www.googleapis.com/auth/userinfo.profile": "profile",
}
_EVENTS: dict[str, RevocationCause | None] = {
    "tokens-revoked": _C.USER_REVOKED,
    "token-revoked": _C.USER_REVOKED,
    "account-purged": _C.PLATFORM_ENFORCED,
    "sessions-revoked": None,
    "account-credential-change-required": None,
}


class GoogleProvider(Rfc6749Provider):
    """What Ads and Drive share."""

    def __init__(
        self,
        profile: Profile,
        client: Client,
        wire: Wire,
        *,
        tokeninfo_url: str,
        certs_url: str,
        audiences: Sequence[str] = (),
    ) -> None:
        super().__init__(profile, client, wire)
        self._audiences = [client.client_id, *audiences]
        self._tokeninfo_url = tokeninfo_url
        self._certs_url = certs_url
        self._certs: tuple[datetime, dict[str, Any]] | None = None

    async def inspect(self, secrets: Secrets, now: datetime) -> Inspection:
        """`tokeninfo`: the `sub`, and what the token may do. It refuses an expired token, so refresh first."""
        answer = await self.ask(
            Request("GET", self._tokeninfo_url, query={"access_token": secrets.access_token}), repeatable=True
        )
        body = json_object(answer)
        if answer.status != 200 or body is None:  # noqa: PLR2004
            failure = google.token_meaning(read_reply(answer.status, answer.body, answer.headers))
            raise PlatformError(failure or retry_later("not_json", unrecognised=True))
        return Inspection(
            subject=text(body.get("sub")),
            subject_name=text(body.get("email")) or "",
            access_expires_at=after(now, seconds(body.get("expires_in"))),
            scopes=_short(scope_set(body.get("scope"))),
        )

    async def revoke(self, secrets: Secrets) -> None:
        """Ends all that this person granted to the Cloud project; a token that is gone already counts as done."""
        token = secrets.refresh_token or secrets.access_token
        answer = await self.ask(Request("POST", self._client.revocation_url, form={"token": token}), repeatable=True)
        body = json_object(answer) or {}
        gone = answer.status == 400 and body.get("error") in ("invalid_token", "invalid_grant")  # noqa: PLR2004
        if answer.status >= 400 and not gone:  # noqa: PLR2004
            raise PlatformError(self.token_failure(answer, Call.REVOKE))

    def read_tokens(self, answer: Answer, now: datetime, call: Call = Call.REFRESH) -> TokenAnswer:
        found = super().read_tokens(answer, now, call)
        subject = _subject(found.id_token) if found.id_token else None
        return of_testing(replace(found, subject=subject, scopes=_short(found.scopes)), google.TESTING_LIFE)

    async def read_webhook(self, raw: bytes, headers: Mapping[str, str], now: datetime) -> tuple[Signal, ...]:  # noqa: ARG002
        """Return a security event token (RFC 8417). `exp` is not looked at; a repeat is known by its `jti`."""
        token = raw.decode("ascii", "replace").strip()
        try:
            key = await self._key(str(jwt.get_unverified_header(token).get("kid")), now)
            claims = jwt.decode(
                token,
                key=jwt.PyJWK(key),
                algorithms=["RS256"],
                audience=self._audiences,
                options={"require": ["iss", "iat", "jti", "aud"], "verify_exp": False, "verify_iat": False},
            )
            at = datetime.fromtimestamp(int(claims["iat"]), UTC)
        except jwt.InvalidAudienceError as error:
            raise WebhookRefusedError("wrong audience", err="invalid_audience") from error
        except jwt.PyJWTError as error:
            raise WebhookRefusedError("not a token that Google signed", err="authentication_failed") from error
        except (ValueError, OverflowError, OSError, TypeError) as error:
            raise WebhookRefusedError("no usable iat", err="invalid_request") from error
        if claims.get("iss") not in ISSUERS:
            raise WebhookRefusedError("wrong issuer", err="invalid_issuer")
        if at > now + CLOCKS_DIFFER:
            raise WebhookRefusedError("issued in the future", err="invalid_request")
        events = claims.get("events")
        if not isinstance(events, dict):
            raise WebhookRefusedError("no events", err="invalid_request")
        audience = claims["aud"]
        own = self._client.client_id in ([audience] if isinstance(audience, str) else audience)
        found = (_signal(str(claims["jti"]), kind, event, at, own=own) for kind, event in events.items())
        return tuple(signal for signal in found if signal is not None)

    async def _key(self, kid: str, now: datetime) -> dict[str, Any]:
        """Google's signing key. One that we do not know may be new, so the set is fetched again, but not at will."""
        keys = await self._keys(now, KEYS_KEPT)
        key: dict[str, Any] | None = keys.get(kid) or (await self._keys(now, REFETCH_AFTER)).get(kid)
        if key is None:
            raise WebhookRefusedError("unknown key", err="invalid_key")
        return key

    async def _keys(self, now: datetime, oldest: timedelta) -> dict[str, Any]:
        if self._certs is None or now - self._certs[0] > oldest:
            answer = await self.ask(Request("GET", self._certs_url), repeatable=True)
            body = json_object(answer) or {}
            keys = {str(k.get("kid")): k for k in body.get("keys", ()) if isinstance(k, dict)}
            if not keys:
                raise PlatformError(retry_later("no_keys"))
            self._certs = (now, keys)
        return self._certs[1]


def _signal(jti: str, kind: str, event: object, at: datetime, *, own: bool) -> Signal | None:
    name = kind.rpartition("/")[2]
    body = event if isinstance(event, dict) else {}
    named = body.get("subject")
    subject: dict[str, Any] = named if isinstance(named, dict) else {}
    if name == "verification":
        return Signal(jti, None, None, at, own=own, verifies=text(body.get("state")) or "")
    if name == "account-disabled":
        cause = _C.COMPROMISE if body.get("reason") == "hijacking" else _C.PLATFORM_ENFORCED
    elif name in _EVENTS:
        found = _EVENTS[name]
        if found is None:
            return Signal(jti, text(subject.get("sub")), None, at, own=own)
        cause = found
    else:
        return None  # an event that ends nothing
    if subject.get("subject_type") == "oauth_token":
        digest = _token_digest(subject)
        return Signal(jti, None, cause, at, digest, own) if digest else None
    return Signal(jti, text(subject.get("sub")), cause, at, own=own)


def _token_digest(subject: Mapping[str, Any]) -> bytes | None:
    """Return the token that an event names: by its first 16 characters, or by a hash of the whole."""
    token = text(subject.get("token"))
    match subject.get("token_identifier_alg"):
        case "prefix":
            return match_digest(token) if token else None
        case "hash_base64_sha512_sha512":
            plain = (token or "").replace("-", "+").replace("_", "/").rstrip("=")
            try:
                return base64.b64decode(plain + "=" * (-len(plain) % 4), validate=True) or None
            except ValueError:
                return None
        case _:
            return None


def _short(scopes: frozenset[str] | None) -> frozenset[str] | None:
    """Google answers with long names for two scopes that were asked by short ones."""
    return None if scopes is None else frozenset(_LONG.get(scope, scope) for scope in scopes)


def _subject(id_token: str) -> str | None:
    parts = id_token.split(".")
    if len(parts) != 3:  # noqa: PLR2004 - a compact JWS
        return None
    try:
        claims = json.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
    except ValueError:
        return None
    return text(claims.get("sub")) if isinstance(claims, dict) else None
