"""A service's own token, by client credentials (RFC 6749, section 4.4)."""

import asyncio
from typing import Any
from urllib.parse import quote_plus

import aiohttp
from pydantic import SecretStr

from wevion_tokens.runtime.clock import monotonic
from wevion_tokens.runtime.errors import PermanentError, RetryableError
from wevion_tokens.telemetry.logs import get_logger

FETCH_TIMEOUT_S = 5.0
RENEW_AT = 0.75  # of the token's life: a quarter of it is left to get over an outage of the issuer
_RETRY_AFTER_S = 1.0
_SAFETY_S = 30.0  # a token this close to its end is not handed out any more

_log = get_logger(__name__)


class ServiceTokens:
    """Gets and keeps a token; renews it early, in the background, one request at a time."""

    def __init__(
        self,
        http: aiohttp.ClientSession,
        token_url: str,
        client_id: str,
        secret: SecretStr | str,
        *,
        scope: str | None = None,
    ) -> None:
        self._http = http
        self._url = token_url
        self._client_id = client_id
        self._secret = secret if isinstance(secret, SecretStr) else SecretStr(secret)
        self._scope = scope
        self._token: SecretStr | None = None
        self._renew_at = 0.0
        self._dead_at = 0.0
        self._fetching: asyncio.Task[None] | None = None

    async def token(self) -> str:
        """Return a token with at least half a minute of life.

        Raises:
            RetryableError: the issuer is away, and the last token is used up.
            PermanentError: the issuer refuses this client.

        """
        token = self._token
        if token is not None and monotonic() < self._dead_at:
            if monotonic() >= self._renew_at and self._fetching is None:
                self._renew_at = monotonic() + _RETRY_AFTER_S
                self._start()
            return token.get_secret_value()
        await asyncio.shield(self._start())
        assert self._token is not None  # noqa: S101  the fetch returned
        return self._token.get_secret_value()

    async def headers(self) -> dict[str, str]:
        """Return the Authorization header for a call."""
        return {"Authorization": f"Bearer {await self.token()}"}

    def drop(self) -> None:
        """Forget the token, because somebody refused it; the next call gets a new one."""
        self._dead_at = 0.0

    def _start(self) -> "asyncio.Task[None]":
        if self._fetching is None:
            self._fetching = asyncio.create_task(self._fetch(), name="service-token")
            self._fetching.add_done_callback(self._ended)
        return self._fetching

    def _ended(self, task: "asyncio.Task[None]") -> None:
        self._fetching = None
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.warning("service_token_failed", client=self._client_id, error=str(error))

    async def _fetch(self) -> None:
        form = {"grant_type": "client_credentials"} | ({"scope": self._scope} if self._scope else {})
        try:
            async with self._http.post(
                self._url,
                data=form,
                headers={"Authorization": self._basic()},
                timeout=aiohttp.ClientTimeout(total=FETCH_TIMEOUT_S),
                allow_redirects=False,
            ) as answer:
                document = await self._read(answer)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise RetryableError(f"the token endpoint does not answer ({type(error).__name__})") from error
        token, lifetime = document.get("access_token"), document.get("expires_in", 3600)
        if not isinstance(token, str) or not token or not isinstance(lifetime, int | float):
            raise RetryableError("the token endpoint's answer has no token")
        now = monotonic()
        self._token = SecretStr(token)
        self._renew_at = now + lifetime * RENEW_AT
        self._dead_at = now + max(lifetime - _SAFETY_S, lifetime / 2)

    def _basic(self) -> str:
        # RFC 6749, section 2.3.1: form-encoded first, so that any character may be in a secret.
        return aiohttp.encode_basic_auth(quote_plus(self._client_id), quote_plus(self._secret.get_secret_value()))

    async def _read(self, answer: aiohttp.ClientResponse) -> dict[str, Any]:
        if answer.status in {400, 401, 403}:
            raise PermanentError(f"the token endpoint refuses the client {self._client_id} ({answer.status})")
        if answer.status != 200:  # noqa: PLR2004
            raise RetryableError(f"the token endpoint answers {answer.status}")
        try:
            document = await answer.json(content_type=None)
        except ValueError as error:
            raise RetryableError("the token endpoint's answer is not JSON") from error
        if not isinstance(document, dict):
            raise RetryableError("the token endpoint's answer is not an object")
        return document
