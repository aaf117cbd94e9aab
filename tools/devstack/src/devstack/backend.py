"""A backend service of Wevion's, such as sync or publishing: it asks for working access tokens and heeds refusals."""

from typing import Any

import aiohttp
from yarl import URL

from devstack.browser import HTTP_OK_BELOW, RefusedError


class Backend:
    """Signs in with client credentials (RFC 6749, section 4.4) and calls services directly, not by the gateway."""

    def __init__(self, http: aiohttp.ClientSession, client: dict[str, str], services: dict[str, str]) -> None:
        self._http = http
        self._client = client
        self._services = services
        self._jwt: str | None = None

    async def call(self, method: str, service: str, path: str, *, jwt: str | None = None, **arguments: Any) -> Any:
        """One call with this backend's JWT (or the given one). Raises `RefusedError`."""
        headers = {"Authorization": f"Bearer {jwt or await self.token()}"}
        url = URL(self._services[service]).join(URL(path))
        async with self._http.request(method, url, headers=headers, **arguments) as response:
            body = await response.json(content_type=None) if "json" in response.content_type else await response.text()
            if response.status >= HTTP_OK_BELOW:
                raise RefusedError(f"{method} {service}{path}", response.status, body)
            return body or None

    async def token(self) -> str:
        """The JWT of this service itself; kept for the story's two minutes."""
        if self._jwt is None:
            headers = {"Authorization": aiohttp.encode_basic_auth(self._client["id"], self._client["secret"])}
            form = {"grant_type": "client_credentials"}
            async with self._http.post(self._client["token_url"], data=form, headers=headers) as response:
                body = await response.json(content_type=None)
                if response.status >= HTTP_OK_BELOW:
                    raise RefusedError("POST /oauth2/token", response.status, body)
                jwt: str = body["access_token"]
                self._jwt = jwt
        return self._jwt

    async def access_token(self, account_id: str) -> dict[str, Any]:
        """What `GET /api/v1/accounts/{id}/access-token` answers. Raises `RefusedError` while the grant is dead."""
        answer: dict[str, Any] = await self.call("GET", "oauth-svc", f"/api/v1/accounts/{account_id}/access-token")
        return answer
