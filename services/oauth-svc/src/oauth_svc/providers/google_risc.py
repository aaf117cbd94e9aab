"""The stream of Google's security events, as the project's service account manages it.

developers.google.com/identity/protocols/risc (read 2026-12-01): one stream a Cloud project, which says where the events
go and which are wanted. Each call is authorised by a JWT that the service account signs itself (RFC 7523 without the
exchange). `stream:verify` makes Google send a `verification` event, which shows that events arrive.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import jwt

from common.platforms import google
from common.platforms.errors import Failure, our_bug, read_reply, retry_later
from oauth_svc.providers.base import PlatformError, json_object, settle_no_answer
from oauth_svc.providers.calling import text
from oauth_svc.providers.wire import Answer, NoAnswerError, Request, Wire

API_URL = "https://risc.googleapis.com/v1beta"
AUDIENCE = "https://risc.googleapis.com/google.identity.risc.v1beta.RiscManagementService"
PUSH = "https://schemas.openid.net/secevent/risc/delivery-method/push"
TOKEN_LIFE = timedelta(hours=1)
_RISC = "https://schemas.openid.net/secevent/risc/event-type/"
_OAUTH = "https://schemas.openid.net/secevent/oauth/event-type/"
EVENTS = (
    _RISC + "sessions-revoked",
    _OAUTH + "tokens-revoked",
    _OAUTH + "token-revoked",
    _RISC + "account-disabled",
    _RISC + "account-credential-change-required",
    _RISC + "account-purged",
    _RISC + "verification",
)
"""What is asked for: the events that `google.py` acts on, and the self-test."""


@dataclass(frozen=True, slots=True)
class ServiceAccount:
    """Who manages the stream: a service account with the role `roles/riscconfigs.admin` in the clients' project."""

    email: str
    key_id: str
    private_key: str = field(repr=False)

    @classmethod
    def read(cls, path: Path) -> "ServiceAccount":
        """Return the account of a key file as Google Cloud hands it out. Raises `ValueError` if it is none."""
        try:
            found = json.loads(path.read_text(encoding="utf-8"))
            account = cls(found["client_email"], found["private_key_id"], found["private_key"])
            jwt.encode({}, account.private_key, algorithm="RS256")
        except OSError as error:
            raise ValueError(f"{path}: {error.strerror}") from None
        except (ValueError, KeyError, TypeError, jwt.PyJWTError):
            raise ValueError(f"{path}: is no key file of a service account") from None  # says nothing of its content
        return account

    def token(self, now: datetime) -> str:
        """Return the JWT that authorises one call."""
        claims = {
            "iss": self.email,
            "sub": self.email,
            "aud": AUDIENCE,
            "iat": int(now.timestamp()),
            "exp": int((now + TOKEN_LIFE).timestamp()),
        }
        return jwt.encode(claims, self.private_key, algorithm="RS256", headers={"kid": self.key_id})


@dataclass(frozen=True, slots=True)
class Configuration:
    """What Google says of the stream."""

    url: str
    events: frozenset[str]
    enabled: bool

    @property
    def missing(self) -> frozenset[str]:
        """Return the events that we act on and that the stream does not bring."""
        return frozenset(EVENTS) - self.events


class RiscStream:
    """The stream of one Cloud project."""

    def __init__(self, account: ServiceAccount, wire: Wire, api_url: str) -> None:
        self._account = account
        self._wire = wire
        self._api_url = api_url

    async def register(self, receiver_url: str, now: datetime) -> None:
        """Have the events sent to this address, in place of any other. Raises `PlatformError`."""
        wanted = {"delivery": {"delivery_method": PUSH, "url": receiver_url}, "events_requested": list(EVENTS)}
        await self._ask("POST", "stream:update", now, wanted)
        await self._ask("POST", "stream/status:update", now, {"status": "enabled"})

    async def configuration(self, now: datetime) -> Configuration | None:
        """Return what is registered, or None where nothing is. Raises `PlatformError`."""
        body = await self._ask("GET", "stream", now)
        if body is None:
            return None
        status = await self._ask("GET", "stream/status", now) or {}
        delivery = body.get("delivery")
        url = text(delivery.get("url")) if isinstance(delivery, dict) else None
        events = body.get("events_requested")
        named = [str(event) for event in events] if isinstance(events, list) else []
        return Configuration(url or "", frozenset(named), status.get("status") == "enabled")

    async def verify(self, state: str, now: datetime) -> bool:
        """Ask for a `verification` event with this state; false where no stream is. Raises `PlatformError`."""
        return await self._ask("POST", "stream:verify", now, {"state": state}) is not None

    async def _ask(
        self, method: str, path: str, now: datetime, body: Mapping[str, Any] | None = None
    ) -> dict[str, Any] | None:
        """Return the body of a success, None for 404. Raises `PlatformError`."""
        request = Request(
            method,
            f"{self._api_url}/{path}",
            headers={"Authorization": f"Bearer {self._account.token(now)}"},
            json=body,
        )
        try:
            answer = await self._wire.send(request)
        except NoAnswerError as error:
            raise settle_no_answer(error, repeatable=True) from error
        if answer.status == 404:  # noqa: PLR2004
            return None
        if answer.status != 200:  # noqa: PLR2004
            raise PlatformError(_refused(answer, self._account.email))
        return json_object(answer) or {}


def _refused(answer: Answer, email: str) -> Failure:
    """Return what a refusal means: it never speaks of a customer's grant, only of our own service account."""
    if answer.status in (401, 403):
        return our_bug(
            f"http_{answer.status}",
            f"Google does not let {email} manage the stream: it needs the role RISC Configuration Admin "
            "(roles/riscconfigs.admin) in the project of the OAuth clients, and the RISC API has to be switched on",
        )
    found = google.api_meaning(read_reply(answer.status, answer.body, answer.headers))
    return found or retry_later(f"http_{answer.status}", unrecognised=True)
