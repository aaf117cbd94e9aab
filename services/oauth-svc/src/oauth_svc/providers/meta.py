"""Meta: no refresh token; the living token is swapped for a fresh one, and two clocks run (platforms/meta.md)."""

import base64
import binascii
import hashlib
import hmac
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from common.contracts import RevocationCause
from common.platforms.errors import Call, number, our_bug, reauthorize, retry_later, unknown_outcome
from common.platforms.meta import META, of_error
from oauth_svc.core.connection import Listing, PlatformAccount
from oauth_svc.core.flow import Flow, OnUnknown, Profile, RevokeScope
from oauth_svc.core.grant import MalformedAnswerError, Secrets, TokenAnswer, earliest, read_token_answer, scope_set
from oauth_svc.providers.base import (
    Callback,
    Consent,
    Inspection,
    PlatformError,
    Seen,
    Signal,
    WebhookRefusedError,
    json_object,
    unseen,
)
from oauth_svc.providers.calling import Calling, objects, text
from oauth_svc.providers.wire import Answer, Request, Wire

MAX_PAGES = 1000
CLOCKS_DIFFER = timedelta(minutes=5)
"""A deauthorisation from further ahead is refused. How old it may be is the grant's to say: see `proves`."""

PROFILE = Profile(
    provider=META.provider,
    title=META.title,
    kind=META.kind,
    flow=Flow.SWAP,
    on_unknown=OnUnknown.PROBE_THEN_REPEAT,
    revoke_scope=RevokeScope.SUBJECT,
    scopes=("ads_management", "ads_read", "business_management"),
    features={
        "ads_management": "Publishing and automation rules",
        "ads_read": "Reports and syncs",
        "business_management": "Business assets",
    },
    adds_scopes=True,
    requests_per_s=20,
    burst=40,
    probe_every=timedelta(hours=1),
    remove_hint="Facebook: Settings, Business integrations",
)


@dataclass(frozen=True, slots=True)
class MetaApp:
    """Our app at Meta."""

    client_id: str
    client_secret: str = field(repr=False)
    config_id: str = ""
    """Facebook Login for Business: the configuration that says what is asked for, and for whom the token is."""
    authorize_url: str = f"https://www.facebook.com/{META.api_version}/dialog/oauth"
    api_url: str = f"https://graph.facebook.com/{META.api_version}"


_C = RevocationCause


class MetaProvider(Calling):
    """Meta's Marketing API."""

    def __init__(self, profile: Profile, app: MetaApp, wire: Wire) -> None:
        super().__init__(profile, wire)
        self._app = app
        self._app_token = f"{app.client_id}|{app.client_secret}"

    def consent_url(self, consent: Consent) -> str:
        query = {
            "client_id": self._app.client_id,
            "redirect_uri": consent.redirect_uri,
            "state": consent.state,
            "response_type": "code",
        }
        query |= {"config_id": self._app.config_id} if self._app.config_id else {"scope": ",".join(consent.scopes)}
        if consent.adding:
            query["auth_type"] = "rerequest"  # without it the dialog does not show what was declined before
        elif consent.renewing:
            query["auth_type"] = "reauthorize"  # access to data has ended, or ends soon: a mere login does not renew it
        return f"{self._app.authorize_url}?{urlencode(query)}"

    async def exchange(self, callback: Callback, now: datetime) -> TokenAnswer:
        """Code for the short-lived token, and that for the long-lived one at once.

        When the second step fails, the short-lived token is kept: the refresher swaps it within its hours. A system
        user's token of Login for Business that has no end is not swapped.
        """
        short = self._tokens(
            await self._ask(
                "/oauth/access_token",
                {
                    "client_id": self._app.client_id,
                    "client_secret": self._app.client_secret,
                    "redirect_uri": callback.redirect_uri,
                    "code": callback.query.get("code", ""),
                },
                repeatable=False,
            ),
            now,
            Call.EXCHANGE,
        )
        if self._app.config_id and short.expires_at is None:
            return short
        try:
            return await self._swap(short.access_token, now)
        except PlatformError:
            return short

    async def refresh(self, secrets: Secrets, now: datetime) -> TokenAnswer:
        return await self._swap(secrets.access_token, now)

    async def inspect(self, secrets: Secrets, now: datetime) -> Inspection:  # noqa: ARG002
        """`debug_token`, asked with the app's own token. Both clocks; `0` means never, not 1970.

        A system user is no person who could be away: only the token's own clock counts.
        """
        answer = await self._ask(
            "/debug_token",
            {"input_token": secrets.access_token, "access_token": self._app_token},
            repeatable=True,
        )
        body = self._object(answer)
        data = body.get("data")
        if not isinstance(data, dict):
            raise PlatformError(retry_later("debug_token_malformed", unrecognised=True))
        if data.get("is_valid") is not True:
            error = data.get("error")
            failure = of_error({**error, "code": error.get("code", 190)}) if isinstance(error, dict) else None
            raise PlatformError(failure or reauthorize("190", None, "the token is not valid"))
        if str(data.get("app_id")) != self._app.client_id:
            raise PlatformError(our_bug("foreign_app_id"))
        token_end = _epoch(data.get("expires_at"))
        person_end = None if data.get("type") == "SYSTEM_USER" else _epoch(data.get("data_access_expires_at"))
        return Inspection(
            subject=text(data.get("user_id")),
            subject_name="",
            expires_at=earliest(token_end, person_end),
            access_expires_at=token_end,
            scopes=scope_set(data.get("scopes")),
        )

    async def accounts(self, secrets: Secrets, seen: Seen = unseen) -> Listing:
        """List the ad accounts of the person, 200 a page."""
        found: dict[str, PlatformAccount] = {}
        after = ""
        for _ in range(MAX_PAGES):
            query = {"fields": "id,account_id,name,account_status", "limit": "200", **self._signed(secrets)}
            body = self._object(
                await self._ask("/me/adaccounts", query | ({"after": after} if after else {}), repeatable=True)
            )
            for item in objects(body.get("data"), "adaccounts_malformed"):
                if text(item.get("id")):
                    found[str(item["id"])] = PlatformAccount(str(item["id"]), text(item.get("name")) or str(item["id"]))
            seen(len(found))
            paging = body.get("paging")
            cursors = paging.get("cursors") if isinstance(paging, dict) else None
            following = text(cursors.get("after")) if isinstance(cursors, dict) else None
            if not isinstance(paging, dict) or not paging.get("next") or not following or following == after:
                return Listing(tuple(found.values()))
            after = following
        return Listing(tuple(found.values()), complete=False)

    async def revoke(self, secrets: Secrets) -> None:
        """Ends every account of this user in our app; a token that is already dead counts as done."""
        answer = await self.ask(
            Request("DELETE", f"{self._app.api_url}/me/permissions", query=self._signed(secrets)), repeatable=True
        )
        failure = self.judge(answer)
        if failure is not None and not failure.verdict.only_a_person_helps:
            raise PlatformError(failure)

    async def read_webhook(self, raw: bytes, headers: Mapping[str, str], now: datetime) -> tuple[Signal, ...]:  # noqa: ARG002
        """Return the deauthorisation callback's `signed_request`: HMAC-SHA256 over the encoded payload.

        The data deletion callback sends the same; a repeat has the same code, which nobody else can tell.
        """
        payload, signature = _signed_request(raw)
        expected = hmac.new(self._app.client_secret.encode(), payload, hashlib.sha256).digest()
        if not hmac.compare_digest(expected, signature):
            raise WebhookRefusedError("wrong signature")
        data = _loads_bytes(_unb64(payload))
        if str(data.get("algorithm", "")).upper() != "HMAC-SHA256":
            raise WebhookRefusedError("wrong algorithm")
        issued = _epoch(data.get("issued_at"))
        if issued is None or issued > now + CLOCKS_DIFFER:
            raise WebhookRefusedError("no usable issued_at")
        subject = text(data.get("user_id"))
        if not subject or subject == "0":
            subject = text(data.get("profile_id"))
        if not subject:
            raise WebhookRefusedError("no user")
        digest = hashlib.sha256(payload).hexdigest()
        code = base64.b32encode(hmac.digest(self._app.client_secret.encode(), payload, "sha256")[:15]).decode().lower()
        return (Signal(message_id=digest, subject=subject, cause=_C.USER_REVOKED, at=issued, deletion=code),)

    async def _swap(self, token: str, now: datetime) -> TokenAnswer:
        answer = await self._ask(
            "/oauth/access_token",
            {
                "grant_type": "fb_exchange_token",
                "client_id": self._app.client_id,
                "client_secret": self._app.client_secret,
                "fb_exchange_token": token,
            },
            repeatable=True,  # the token that is swapped goes on living
        )
        return self._tokens(answer, now)

    def _tokens(self, answer: Answer, now: datetime, call: Call = Call.REFRESH) -> TokenAnswer:
        failure = self.judge(answer, call)
        if failure is not None:
            raise PlatformError(failure)
        body = json_object(answer)
        try:
            return read_token_answer(body or {}, now, scope_separator=",")
        except MalformedAnswerError as error:
            raise PlatformError(unknown_outcome("unreadable_answer")) from error

    def _object(self, answer: Answer) -> dict[str, Any]:
        failure = self.judge(answer)
        if failure is not None:
            raise PlatformError(failure)
        body = json_object(answer)
        if body is None:
            raise PlatformError(retry_later("not_json", unrecognised=True))
        return body

    async def _ask(self, path: str, query: Mapping[str, str], *, repeatable: bool) -> Answer:
        return await self.ask(Request("GET", f"{self._app.api_url}{path}", query=query), repeatable=repeatable)

    def _signed(self, secrets: Secrets) -> dict[str, str]:
        """Return the token and its `appsecret_proof`, which belongs to that one token."""
        token = secrets.access_token
        proof = hmac.new(self._app.client_secret.encode(), token.encode(), hashlib.sha256).hexdigest()
        return {"access_token": token, "appsecret_proof": proof}


def _signed_request(raw: bytes) -> tuple[bytes, bytes]:
    """Return the encoded payload and the decoded signature out of the form body, without decoding anything else."""
    for pair in raw.split(b"&"):
        name, _, value = pair.partition(b"=")
        if name == b"signed_request":
            signature, dot, payload = value.partition(b".")
            if not dot or not payload:
                break
            return payload.replace(b"%3D", b"="), _unb64(signature)
    raise WebhookRefusedError("no signed_request")


def _unb64(value: bytes) -> bytes:
    bare = value.replace(b"%3D", b"").rstrip(b"=")
    try:
        return base64.b64decode(bare + b"=" * (-len(bare) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError) as error:
        raise WebhookRefusedError("not base64url") from error


def _loads_bytes(raw: bytes) -> dict[str, Any]:
    try:
        data = json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise WebhookRefusedError("not JSON") from error
    if not isinstance(data, dict):
        raise WebhookRefusedError("not an object")
    return data


def _epoch(value: object) -> datetime | None:
    seconds = number(value)
    return datetime.fromtimestamp(seconds, UTC) if seconds and seconds < 10**11 else None
