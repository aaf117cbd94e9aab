"""One person with a browser: a cookie jar, a session, and clicks on the platforms' consent screens.

It uses only what a browser has: the gateway's public paths and the pages that it is sent to.
"""

from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any, Self

import aiohttp
from yarl import URL

HTTP_OK_BELOW = 400
TIMEOUT_S = 20.0
MAX_REDIRECTS = 10
#: Many browsers may be open at once in one test; those of them that rest hold no connection of the gateway's.
KEEP_ALIVE_S = 2.0


class RefusedError(Exception):
    """The product said no; the text has the status, the problem's code and its words."""

    def __init__(self, what: str, status: int, problem: Any) -> None:
        known = problem if isinstance(problem, dict) else {}
        self.status = status
        self.code = str(known.get("code", ""))
        self.problem: dict[str, Any] = known
        said = known.get("detail") or known.get("title") or str(problem)[:300]
        super().__init__(f"{what}: {status} {self.code} {said}")


class Browser:
    """`async with Browser(gateway_url) as person:`, then `sign_in`."""

    def __init__(self, gateway_url: str, *, timeout_s: float = TIMEOUT_S, address: str | None = None) -> None:
        """`address` is where a proxy before the gateway says that the person is (a gateway that trusts it)."""
        self._gateway = URL(gateway_url)
        # unsafe: cookies are for 127.0.0.1, which is not a domain name
        self._jar = aiohttp.CookieJar(unsafe=True)
        self._http = aiohttp.ClientSession(
            cookie_jar=self._jar,
            connector=aiohttp.TCPConnector(keepalive_timeout=KEEP_ALIVE_S),
            timeout=aiohttp.ClientTimeout(total=timeout_s),
            headers={"User-Agent": "devstack", "Origin": str(self._gateway.origin())}
            | ({"X-Forwarded-For": address} if address else {}),
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        await self._http.close()

    async def call(self, method: str, path: str, **arguments: Any) -> Any:
        """One API call; the JSON of the answer, or None if it has no body. Raises `RefusedError`."""
        async with self._http.request(method, self._gateway.join(URL(path)), **arguments) as response:
            body = await response.json(content_type=None) if "json" in response.content_type else await response.text()
            if response.status >= HTTP_OK_BELOW:
                raise RefusedError(f"{method} {path}", response.status, body)
            return body or None

    async def get(self, path: str, **query: str) -> Any:
        return await self.call("GET", path, params=query)

    async def post(self, path: str, body: Any = None) -> Any:
        return await self.call("POST", path, json=body)

    async def sign_in(self, email: str, password: str) -> Any:
        """Gets the cookie; returns what the product says about the session."""
        return await self.post("/api/v1/auth/sign-in", {"email": email, "password": password})

    async def jwt(self) -> str:
        """A fresh JWT for the session."""
        answer = await self.post("/api/v1/auth/token")
        token: str = answer["token"] if "token" in answer else answer["access_token"]
        return token

    async def consent(
        self,
        provider: str,
        person: str,
        *,
        connection_id: str | None = None,
        allow: bool = True,
        accounts: Sequence[str] = (),
        scopes: Sequence[str] = (),
    ) -> URL:
        """Opens `/connect/{provider}`, says yes (or no) on the platform's screen, and follows back.

        Returns where the product sent the browser at the end. `accounts` and `scopes` empty: all of them.
        Raises `RefusalError` if any page on the way says so.
        """
        start = self._gateway.join(URL(f"/connect/{provider}"))
        if connection_id is not None:
            start = start.update_query(connection_id=connection_id)
        screen = await self._follow(start, until_away=True)
        form = [("user", person), ("decision", "allow" if allow else "deny")]
        form += [("accounts", account) for account in accounts] + [("scopes", scope) for scope in scopes]
        async with self._http.post(screen, data=form, allow_redirects=False) as response:
            if "Location" not in response.headers:
                raise RefusedError(f"the consent screen of {provider}", response.status, await response.text())
            back = screen.join(URL(response.headers["Location"]))
        return await self._follow(back, until_away=False)

    async def enter(self, provider: str, credentials: Mapping[str, str]) -> URL:
        """Fills in the form of `/connect/{provider}` where a platform has no consent screen; where it led to.

        Raises `RefusalError` if the form comes back with an error.
        """
        form = self._gateway.join(URL(f"/connect/{provider}"))
        async with self._http.post(form, data=dict(credentials), allow_redirects=False) as response:
            if "Location" not in response.headers:
                raise RefusedError(f"POST {form.path}", response.status, await response.text())
            back = form.join(URL(response.headers["Location"]))
        return await self._follow(back, until_away=False)

    async def _follow(self, url: URL, *, until_away: bool) -> URL:
        """Follows redirects; stops at the first page, or, `until_away`, at the first address of another origin."""
        for _ in range(MAX_REDIRECTS):
            if until_away and url.origin() != self._gateway.origin():
                return url
            async with self._http.get(url, allow_redirects=False) as response:
                if "Location" in response.headers:
                    url = url.join(URL(response.headers["Location"]))
                    continue
                if response.status >= HTTP_OK_BELOW:
                    body = (
                        await response.json(content_type=None)
                        if "json" in response.content_type
                        else await response.text()
                    )
                    raise RefusedError(f"GET {url.path}", response.status, body)
                return url
        raise RefusedError(f"GET {url.path}", 310, "too many redirects")
