"""oauth-svc as its callers see it: two calls, and its refusals as types."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import lru_cache
from typing import Any

import aiohttp
from pydantic import BaseModel, ConfigDict, ValidationError

from wevion_tokens.auth.service_tokens import ServiceTokens
from wevion_tokens.errors import (
    AccountAccessLostError,
    ClientNotAllowedError,
    ConnectionEndedError,
    NoSuchAccountError,
    NotYetError,
    PlatformRefusedError,
    ProblemWords,
    TokensError,
    UnavailableError,
)
from wevion_tokens.runtime.clock import SystemClock
from wevion_tokens.runtime.errors import PermanentError, RetryableError
from wevion_tokens.telemetry import tracing
from wevion_tokens.tokens.cache import AccountToken

TIMEOUT = aiohttp.ClientTimeout(total=30, connect=5)
"""A refresh may run inside of the call, and a platform may take its time for it."""
LONGEST_BODY = 65_536
MOST_HEADERS = 50
_OK, _UNAUTHORIZED, _FORBIDDEN, _NOT_FOUND, _CONFLICT, _TOO_MANY = 200, 401, 403, 404, 409, 429
_SERVER_FAULT = 500
_UNSAID = frozenset({"set-cookie", "authorization", "www-authenticate"})

_clock = SystemClock()


class Judgement(BaseModel):
    """How oauth-svc judged a platform's answer, and what it does about it."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    classification: str
    code: str | None = None
    probing: bool = False
    advice: str = ""


class TokensApi:
    """Calls oauth-svc with this service's JWT; one that is refused is replaced once."""

    def __init__(self, http: aiohttp.ClientSession, url: str, own: ServiceTokens) -> None:
        self._http = http
        self._url = url.rstrip("/")
        self._own = own

    async def token(self, account_id: str, min_ttl_s: int) -> tuple[AccountToken, float | None]:
        """Return a token and the seconds that it has, by the server's clock; None where the platform states no end.

        Raises:
            TokensError: one of those in `wevion_tokens.errors`.

        """
        path = f"/api/v1/accounts/{account_id}/access-token"
        status, headers, body = await self._call("GET", f"{path}?min_ttl={min_ttl_s}")
        if status != _OK:
            raise _refusal(status, headers, _document(body), account_id)
        try:
            found = AccountToken.model_validate_json(body)
        except ValidationError as error:
            raise UnavailableError(f"oauth-svc's answer is not understood ({error.error_count()} faults)") from None
        return found, _left_s(found, headers)

    async def report(self, account_id: str, refused: PlatformRefusedError) -> Judgement:
        """Report what a platform answered. Raises TokensError."""
        headers = {name: value for name, value in refused.headers.items() if name.lower() not in _UNSAID}
        report = {
            "status": refused.status,
            "body": refused.body[:LONGEST_BODY],
            "headers": dict(list(headers.items())[:MOST_HEADERS]),
        }
        status, answered, body = await self._call("POST", f"/api/v1/accounts/{account_id}/failures", json=report)
        if status >= _CONFLICT or status in {_UNAUTHORIZED, _FORBIDDEN, _NOT_FOUND}:
            raise _refusal(status, answered, _document(body), account_id)
        try:
            return Judgement.model_validate_json(body)
        except ValidationError:
            raise UnavailableError("oauth-svc's judgement is not understood") from None

    async def get(self, url: str, **arguments: Any) -> Any:
        """Return the body of another service's answer, such as the inventory's. Raises TokensError."""
        status, headers, body = await self._call("GET", url, **arguments)
        if status != _OK:
            raise _refusal(status, headers, _document(body), "")
        return _document(body)

    async def _call(self, method: str, path: str, **arguments: Any) -> tuple[int, Mapping[str, str], bytes]:
        url = path if "://" in path else self._url + path
        for last in (False, True):
            try:
                sent = await self._own.headers()
                tracing.inject(sent)
                async with self._http.request(
                    method, url, headers=sent, timeout=TIMEOUT, allow_redirects=False, **arguments
                ) as answer:
                    body = await answer.read()
                    if answer.status == _UNAUTHORIZED and not last:
                        self._own.drop()
                        continue
                    return answer.status, answer.headers, body
            except (aiohttp.ClientError, TimeoutError, OSError) as error:
                raise UnavailableError(f"{url} does not answer ({type(error).__name__})") from error
            except RetryableError as error:
                raise UnavailableError(str(error)) from error
            except PermanentError as error:
                raise ClientNotAllowedError(str(error)) from error
        raise AssertionError("unreachable")


def _document(body: bytes) -> Any:
    """Return the JSON of an answer; None if it is none."""
    try:
        return json.loads(body)
    except ValueError:
        return None


def _left_s(token: AccountToken, headers: Mapping[str, str]) -> float | None:
    """Return the token's life by the clock of who wrote its end: ours may be wrong by more than its last minute."""
    if token.expires_at is None:
        return None
    return (token.expires_at - (_date(headers.get("Date", "")) or _clock.now())).total_seconds()


@lru_cache(maxsize=4)
def _date(text: str) -> datetime | None:
    """Return the moment of a Date header (RFC 9110, section 6.6.1); one text stands for a whole second of answers."""
    try:
        found = parsedate_to_datetime(text)
    except (TypeError, ValueError):
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _refusal(status: int, headers: Mapping[str, str], body: Any, account_id: str) -> TokensError:
    problem = body if isinstance(body, dict) else {}
    said = ProblemWords(
        **{name: str(problem.get(name) or "") for name in ("code", "detail", "fix", "fix_url", "trace_id")}
    )
    words = said.detail or said.code or f"status {status}"
    if status == _CONFLICT:
        kind = AccountAccessLostError if said.code == "account_access_lost" else ConnectionEndedError
        return kind(
            account_id,
            said,
            token_id=problem.get("token_id"),
            cause=problem.get("cause"),
            since=_moment(problem.get("since")),
        )
    if status in {_UNAUTHORIZED, _FORBIDDEN}:
        return ClientNotAllowedError(words, said)
    if status == _NOT_FOUND:
        return NoSuchAccountError(words, said)
    if status == _TOO_MANY or (status >= _SERVER_FAULT and "Retry-After" in headers):
        return NotYetError(words, _seconds(headers.get("Retry-After")), said)
    return UnavailableError(f"the token service answers {status}: {words}", said)


def _seconds(text: str | None) -> float:
    return float(text) if text and text.isdigit() else 1.0


def _moment(text: Any) -> datetime | None:
    try:
        return datetime.fromisoformat(text)
    except (TypeError, ValueError):
        return None
