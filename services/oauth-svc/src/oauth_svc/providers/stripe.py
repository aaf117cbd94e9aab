"""Stripe Connect (Standard): a token without end, and a code that must never be sent twice (platforms/stripe.md)."""

import hashlib
import hmac
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from authlib.oauth2.rfc6749.parameters import prepare_grant_uri

from common.contracts import RevocationCause
from common.platforms.errors import Call, read_reply, retry_later, unknown_outcome
from common.platforms.stripe import STRIPE, already_disconnected
from oauth_svc.core.connection import Listing, PlatformAccount
from oauth_svc.core.flow import Flow, OnUnknown, Profile, RevokeScope
from oauth_svc.core.grant import MalformedAnswerError, Secrets, TokenAnswer, read_token_answer
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
from oauth_svc.providers.calling import Calling, text
from oauth_svc.providers.wire import Request, Wire

TOLERANCE = timedelta(seconds=300)
SCOPE = "read_write"
DEAUTHORIZED = "account.application.deauthorized"

PROFILE = Profile(
    provider=STRIPE.provider,
    title=STRIPE.title,
    kind=STRIPE.kind,
    flow=Flow.LASTING,
    on_unknown=OnUnknown.WAIT,
    revoke_scope=RevokeScope.SUBJECT,
    scopes=(SCOPE,),
    features={SCOPE: "Billing data and payouts"},
    requests_per_s=20,
    burst=40,
    remove_hint="Stripe dashboard: Settings, Installed apps",
)

_C = RevocationCause


@dataclass(frozen=True, slots=True)
class StripePlatform:
    """Our platform at Stripe; the client secret is the platform's secret key."""

    client_id: str
    client_secret: str = field(repr=False)
    webhook_secret: str = field(repr=False)
    authorize_url: str
    token_url: str
    revocation_url: str
    api_url: str


class StripeProvider(Calling):
    """Stripe Connect."""

    def __init__(self, profile: Profile, platform: StripePlatform, wire: Wire) -> None:
        super().__init__(profile, wire)
        self._platform = platform
        self._in_test = platform.client_secret.startswith(("sk_test_", "rk_test_"))
        self._key = {"Authorization": f"Bearer {platform.client_secret}"}

    def consent_url(self, consent: Consent) -> str:
        url: str = prepare_grant_uri(
            self._platform.authorize_url,
            self._platform.client_id,
            "code",
            redirect_uri=consent.redirect_uri,
            scope=SCOPE,
            state=consent.state,
        )
        return url

    async def exchange(self, callback: Callback, now: datetime) -> TokenAnswer:
        return await self._tokens(
            {"grant_type": "authorization_code", "code": callback.query.get("code", "")}, now, Call.EXCHANGE
        )

    async def refresh(self, secrets: Secrets, now: datetime) -> TokenAnswer:
        """Not needed by the schedule: the token has no end."""
        form = {"grant_type": "refresh_token", "refresh_token": secrets.refresh_secret()}
        return await self._tokens(form, now, Call.REFRESH)

    async def inspect(self, secrets: Secrets, now: datetime) -> Inspection:  # noqa: ARG002 - no figure to compute
        account = await self._account(secrets)
        return Inspection(subject=text(account.get("id")), subject_name=_name(account))

    async def accounts(self, secrets: Secrets, seen: Seen = unseen) -> Listing:
        account = await self._account(secrets)
        external_id = str(account["id"])
        seen(1)
        return Listing((PlatformAccount(external_id, _name(account) or external_id),))

    async def revoke(self, secrets: Secrets) -> None:
        """Acts on the account. One that Stripe says is not connected counts as done."""
        try:
            account = await self._account(secrets)
        except PlatformError as error:
            if error.failure.verdict.only_a_person_helps:
                return
            raise
        answer = await self.ask(
            Request(
                "POST",
                self._platform.revocation_url,
                form={"client_id": self._platform.client_id, "stripe_user_id": text(account.get("id")) or ""},
                headers=self._key,
            ),
            repeatable=True,
        )
        failure = self.judge(answer, Call.REVOKE)
        if failure is not None and not already_disconnected(read_reply(answer.status, answer.body)):
            raise PlatformError(failure)

    async def read_webhook(self, raw: bytes, headers: Mapping[str, str], now: datetime) -> tuple[Signal, ...]:
        """`Stripe-Signature` over `<t>.<raw body>`; any of several `v1` may match. The account is at top level.

        Events of test mode reach a live endpoint, too, about the same account id: they are not about our grants
        (docs.stripe.com/connect/webhooks, read on 2026-12-01).
        """
        stamp, candidates = _signature(headers.get("stripe-signature", ""))
        secret = self._platform.webhook_secret.encode()
        expected = hmac.new(secret, stamp.encode() + b"." + raw, hashlib.sha256).hexdigest()
        matches = [
            hmac.compare_digest(expected.encode(), candidate.encode("utf-8", "surrogateescape"))
            for candidate in candidates
        ]
        if not secret or not any(matches):
            raise WebhookRefusedError("wrong signature")
        if abs(now - datetime.fromtimestamp(int(stamp), UTC)) > TOLERANCE:
            raise WebhookRefusedError("too old")
        try:
            event = json.loads(raw)
        except ValueError as error:
            raise WebhookRefusedError("not JSON") from error
        if not isinstance(event, dict) or event.get("type") != DEAUTHORIZED:
            return ()
        account, message_id = text(event.get("account")), text(event.get("id"))
        created = event.get("created")
        if account is None or message_id is None:
            raise WebhookRefusedError("no account")
        if not isinstance(created, int) or isinstance(created, bool) or not 0 < created < 10**11:
            raise WebhookRefusedError("no time of the event")
        if bool(event.get("livemode")) is self._in_test:
            return ()
        # The signature is as old as this delivery (each attempt is signed anew); the event tells when it happened.
        at = datetime.fromtimestamp(created, UTC)
        return (Signal(message_id, account, _C.USER_REVOKED, at),)

    async def _tokens(self, form: Mapping[str, str], now: datetime, call: Call) -> TokenAnswer:
        answer = await self.ask(
            Request("POST", self._platform.token_url, form=form, headers=self._key), repeatable=False
        )
        failure = self.judge(answer, call)
        if failure is not None:
            raise PlatformError(failure)
        body = json_object(answer) or {}
        try:
            found = read_token_answer(body, now)
        except MalformedAnswerError as error:
            raise PlatformError(unknown_outcome("unreadable_answer")) from error
        return replace(found, subject=text(body.get("stripe_user_id")))

    async def _account(self, secrets: Secrets) -> dict[str, Any]:
        account = await self.read(
            Request(
                "GET",
                f"{self._platform.api_url}/account",
                headers={"Authorization": f"Bearer {secrets.access_token}"},
            )
        )
        if text(account.get("id")) is None:
            raise PlatformError(retry_later("account_malformed", unrecognised=True))
        return account


def _signature(header: str) -> tuple[str, list[str]]:
    stamp, candidates = "", []
    for part in header.split(","):
        name, _, value = part.strip().partition("=")
        if name == "t":
            stamp = value
        elif name == "v1":
            candidates.append(value)
    if not (stamp.isascii() and stamp.isdigit()) or len(stamp) > 12:  # noqa: PLR2004 - seconds until far beyond any calendar
        raise WebhookRefusedError("no timestamp")
    return stamp, candidates


def _name(account: Mapping[str, Any]) -> str:
    profile = account.get("business_profile")
    return (text(profile.get("name")) if isinstance(profile, dict) else None) or text(account.get("id")) or ""
