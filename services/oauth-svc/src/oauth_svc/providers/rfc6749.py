"""A provider that follows the RFCs: code with PKCE (7636), refresh (6749), revocation (7009), introspection (7662).

It is complete by settings alone. Built-in providers that are mostly RFC-shaped reuse it and override what differs.
"""

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from urllib.parse import quote_plus

from authlib.oauth2.rfc6749.parameters import prepare_grant_uri

from common.platforms.errors import Call, Failure, retry_later, unknown_outcome
from common.platforms.rfc6749 import expired_access
from oauth_svc.core.connection import Listing, PlatformAccount
from oauth_svc.core.flow import OnUnknown, Profile
from oauth_svc.core.grant import MalformedAnswerError, Secrets, TokenAnswer, read_token_answer, scope_set
from oauth_svc.providers.base import Callback, Consent, Inspection, PlatformError, Seen, json_object, unseen
from oauth_svc.providers.calling import Calling, objects, text
from oauth_svc.providers.wire import Answer, Request, Wire


@dataclass(frozen=True, slots=True)
class Client:
    """Our client at the provider, and where to reach it. Empty optional URLs mean that it has no such endpoint."""

    client_id: str
    client_secret: str = field(repr=False)
    authorize_url: str
    token_url: str
    revocation_url: str = ""
    introspection_url: str = ""
    userinfo_url: str = ""
    accounts_url: str = ""
    auth: str = "basic"
    extra_authorize: Mapping[str, str] = field(default_factory=dict)


class Rfc6749Provider(Calling):
    """Any provider that follows the RFCs."""

    def __init__(self, profile: Profile, client: Client, wire: Wire) -> None:
        super().__init__(profile, wire)
        self._client = client
        self._client_headers = _basic(client) if client.auth == "basic" else {}
        self._client_form = (
            {} if client.auth == "basic" else {"client_id": client.client_id, "client_secret": client.client_secret}
        )

    def consent_url(self, consent: Consent) -> str:
        challenge = consent.challenge
        pkce = {} if challenge is None else {"code_challenge": challenge, "code_challenge_method": "S256"}
        url: str = prepare_grant_uri(
            self._client.authorize_url,
            self._client.client_id,
            "code",
            redirect_uri=consent.redirect_uri,
            scope=consent.scopes,
            state=consent.state,
            **self._client.extra_authorize,
            **pkce,
        )
        return url

    async def exchange(self, callback: Callback, now: datetime) -> TokenAnswer:
        form = {
            "grant_type": "authorization_code",
            "code": callback.query.get("code", ""),
            "redirect_uri": callback.redirect_uri,
        }
        if callback.verifier is not None:
            form["code_verifier"] = callback.verifier
        return self.read_tokens(await self._ask_tokens(form, repeatable=False), now, Call.EXCHANGE)

    async def refresh(self, secrets: Secrets, now: datetime) -> TokenAnswer:
        form = {"grant_type": "refresh_token", "refresh_token": secrets.refresh_secret()}
        repeatable = self._profile.on_unknown is OnUnknown.REPEAT
        return self.read_tokens(await self._ask_tokens(form, repeatable=repeatable), now)

    async def inspect(self, secrets: Secrets, now: datetime) -> Inspection:  # noqa: ARG002
        if self._client.introspection_url:
            return await self._introspected(secrets)
        if self._client.userinfo_url:
            body = await self.read_api(self._client.userinfo_url, secrets.access_token)
            return Inspection(subject=text(body.get("sub")), subject_name=text(body.get("name")) or "")
        return Inspection(asked=False)

    async def accounts(self, secrets: Secrets, seen: Seen = unseen) -> Listing:
        if not self._client.accounts_url:
            return Listing(())
        body = await self.read_api(self._client.accounts_url, secrets.access_token)
        found = tuple(
            PlatformAccount(str(item["id"]), text(item.get("name")) or str(item["id"]))
            for item in objects(body.get("accounts", body.get("data")), "accounts_malformed")
            if item.get("id") is not None
        )
        seen(len(found))
        return Listing(found)

    async def revoke(self, secrets: Secrets) -> None:
        """RFC 7009: an unknown token is answered 200, so already gone is done."""
        if not self._client.revocation_url:
            return
        token = secrets.refresh_token or secrets.access_token
        hint = "refresh_token" if secrets.refresh_token else "access_token"
        answer = await self.ask(
            Request(
                "POST",
                self._client.revocation_url,
                form={"token": token, "token_type_hint": hint, **self._client_form},
                headers=self._client_headers,
            ),
            repeatable=True,
        )
        if answer.status >= 400:  # noqa: PLR2004
            raise PlatformError(self.token_failure(answer, Call.REVOKE))

    async def unspent(self, secrets: Secrets) -> bool | None:
        if not self._client.introspection_url or secrets.refresh_token is None:
            return None
        body = await self._introspect(secrets.refresh_token, "refresh_token")
        return body.get("active") is True

    def read_tokens(self, answer: Answer, now: datetime, call: Call = Call.REFRESH) -> TokenAnswer:
        """Return the tokens of a token endpoint's answer. Raises PlatformError with the failure that it stands for."""
        body = json_object(answer)
        if answer.status >= 400 or (body is not None and "error" in body):  # noqa: PLR2004
            raise PlatformError(self.token_failure(answer, call))
        if body is None:
            raise PlatformError(self._unreadable())
        try:
            return read_token_answer(body, now)
        except MalformedAnswerError as error:
            raise PlatformError(self._unreadable()) from error

    def token_failure(self, answer: Answer, call: Call = Call.REFRESH) -> Failure:
        """Return what a refusal means: the body decides before the status, and an unknown status is retried."""
        return self.judge(answer, call) or self._unreadable()

    async def read_api(
        self, url: str, access_token: str, *, headers: Mapping[str, str] | None = None
    ) -> dict[str, Any]:
        """`read`, with the access token as RFC 6750 wants it."""
        return await self.read(
            Request("GET", url, headers={"Authorization": f"Bearer {access_token}", **(headers or {})})
        )

    async def _ask_tokens(self, form: Mapping[str, str], *, repeatable: bool) -> Answer:
        return await self.ask(
            Request("POST", self._client.token_url, form={**form, **self._client_form}, headers=self._client_headers),
            repeatable=repeatable,
        )

    async def _introspected(self, secrets: Secrets) -> Inspection:
        body = await self._introspect(secrets.access_token, "access_token")
        if body.get("active") is not True:
            raise PlatformError(expired_access("inactive"))
        return Inspection(
            subject=text(body.get("sub")),
            subject_name=text(body.get("username")) or "",
            scopes=scope_set(body.get("scope")),
        )

    async def _introspect(self, token: str, hint: str) -> dict[str, Any]:
        answer = await self.ask(
            Request(
                "POST",
                self._client.introspection_url,
                form={"token": token, "token_type_hint": hint, **self._client_form},
                headers=self._client_headers,
            ),
            repeatable=True,
        )
        body = json_object(answer)
        if answer.status != 200 or body is None:  # noqa: PLR2004
            raise PlatformError(self.token_failure(answer) if answer.status >= 400 else retry_later("not_json"))  # noqa: PLR2004
        if not isinstance(body.get("active"), bool):  # required by RFC 7662 section 2.2; its absence proves nothing
            raise PlatformError(retry_later("introspection_malformed", unrecognised=True))
        return body

    def _unreadable(self) -> Failure:
        """A success that cannot be read: the provider may have acted. Where it may be asked again, only a delay."""
        if self._profile.on_unknown is OnUnknown.REPEAT:
            return retry_later("unreadable_answer", unrecognised=True)
        return unknown_outcome("unreadable_answer")


def _basic(client: Client) -> dict[str, str]:
    """RFC 6749 section 2.3.1: both parts are form-url-encoded before they are joined."""
    pair = f"{quote_plus(client.client_id)}:{quote_plus(client.client_secret)}"
    return {"Authorization": f"Basic {base64.b64encode(pair.encode()).decode()}"}
