"""Rows about signals of platforms: signed here as the platform signs, read by the provider as in production."""

import base64
import hashlib
import hmac
import json
import re
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from typing import Any
from urllib.parse import urlencode

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa
from jwt.algorithms import RSAAlgorithm

from oauth_svc.providers.base import Signal, WebhookRefusedError
from oauth_svc.providers.wire import Answer, Request

from .replaying import CLIENT_ID, NOW, SECRET, SIBLING, WEBHOOK_SECRET, Row, provider_of

Said = tuple[Signal, ...] | WebhookRefusedError
Delivery = tuple[bytes, dict[str, str]]


async def signalled(row: Row) -> Said:
    """What the provider makes of the delivery."""
    provider = provider_of(row.provider)
    raw, headers = SIGNED[row.provider](row)
    if row.provider.startswith("google"):
        provider._wire = Keys()  # type: ignore[attr-defined]  # the one thing that is not production
    try:
        return await provider.read_webhook(raw, headers, NOW)
    except WebhookRefusedError as refused:
        return refused


def signal_fits(said: Said, wanted: str) -> bool:
    """Whether the signals are what one expectation says: `no signal`, `refused`, or facts such as `subject=1`."""
    if isinstance(said, WebhookRefusedError):
        return wanted == "refused"
    grants = [signal for signal in said if signal.verifies is None]
    if wanted == "no signal":
        return not grants
    if wanted == "refused" or len(grants) != 1:
        return False
    (signal,) = grants
    facts = {
        "subject": str(signal.subject),
        "cause": signal.cause.value if signal.cause else "None",
        "digest": str(signal.digest is not None),
        "at": f"{signal.at:%Y-%m-%d}",
        "own": str(signal.own),
    }
    return all(facts[name] == value for name, value in re.findall(r"(\w+)=(\S+)", wanted))


def _meta(row: Row) -> Delivery:
    payload = base64.urlsafe_b64encode(json.dumps(row.body).encode()).rstrip(b"=")
    signature = base64.urlsafe_b64encode(hmac.new(SECRET.encode(), payload, hashlib.sha256).digest()).rstrip(b"=")
    return urlencode({"signed_request": f"{signature.decode()}.{payload.decode()}"}).encode(), {}


def _stripe(row: Row) -> Delivery:
    """Signed now: Stripe signs each attempt anew, however old the event is."""
    raw, stamp = json.dumps(row.body).encode(), int(NOW.timestamp())
    signature = hmac.new(WEBHOOK_SECRET.encode(), f"{stamp}.".encode() + raw, hashlib.sha256).hexdigest()
    return raw, {"stripe-signature": f"t={stamp},v1={signature}"}


def _google(row: Row) -> Delivery:
    """The `claims` of the row, or those of Google's sample for the event that the context names, signed by our key."""
    claims = row.body.get("claims") or _sample(row.context)
    token = jwt.encode(claims, _key(), algorithm="RS256", headers={"kid": "k1", "typ": "secevent+jwt"})
    return token.encode(), {"content-type": "application/secevent+jwt"}


def _sample(context: str) -> dict[str, Any]:
    """The sample of developers.google.com/identity/protocols/risc, as far as the context says otherwise."""
    kind = next((kind for kind in EVENTS if kind in context), "tokens-revoked")
    about: dict[str, Any] = {"subject": {"subject_type": "iss-sub", "iss": ISSUER, "sub": "7375626A656374"}}
    if kind == "token-revoked":
        about["subject"] = {
            "subject_type": "oauth_token",
            "token_type": "refresh_token",
            "token_identifier_alg": "hash_base64_sha512_sha512" if "hash" in context else "prefix",
            "token": base64.b64encode(bytes(64)).decode() if "hash" in context else "1//0abcdefghijkl",
        }
    event = {"state": "ABC123"} if kind == "verification" else about
    if kind == "account-disabled":
        event["reason"] = "hijacking"
    at = NOW - (timedelta(days=2) if "late" in context else timedelta(0))
    return {
        "iss": ISSUER,
        "aud": SIBLING if "sibling" in context else CLIENT_ID,
        "iat": int(at.timestamp()),
        "jti": "756E69717565206964656E746966696572",
        "events": {EVENTS[kind]: event},
    }


ISSUER = "https://accounts.google.com/"
_RISC = "https://schemas.openid.net/secevent/risc/event-type/"
_OAUTH = "https://schemas.openid.net/secevent/oauth/event-type/"
EVENTS = {
    "account-disabled": _RISC + "account-disabled",
    "account-purged": _RISC + "account-purged",
    "account-credential-change-required": _RISC + "account-credential-change-required",
    "sessions-revoked": _RISC + "sessions-revoked",
    "verification": _RISC + "verification",
    "tokens-revoked": _OAUTH + "tokens-revoked",
    "token-revoked": _OAUTH + "token-revoked",
}
SIGNED = {"meta": _meta, "stripe": _stripe, "google-ads": _google, "google-drive": _google}


@cache
def _key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


@dataclass(slots=True)
class Keys:
    """Stands where Google's JWKS is."""

    async def send(self, request: Request) -> Answer:
        assert request.url.endswith("/certs")
        jwk = json.loads(RSAAlgorithm.to_jwk(_key().public_key())) | {"kid": "k1", "alg": "RS256", "use": "sig"}
        return Answer(200, {}, json.dumps({"keys": [jwk]}).encode())
