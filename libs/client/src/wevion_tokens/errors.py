"""What can be in the way of a call to a platform, as types: each says what the caller must do.

Errors that another try may overcome derive from `RetryableError`, the others from `PermanentError`: a handler of events
that lets them out is handled again, or put aside.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from wevion_tokens.runtime.errors import PermanentError, RetryableError


@dataclass(frozen=True, slots=True)
class ProblemWords:
    """What the service's problem document (RFC 9457) said, for people; empty where it did not say."""

    code: str = ""
    detail: str = ""
    fix: str = ""
    fix_url: str = ""
    trace_id: str = ""


class TokensError(Exception):
    """The base of everything that this package raises about tokens.

    Attributes:
        said: the service's own words, with its code and the fix.

    """

    def __init__(self, message: str, said: ProblemWords | None = None) -> None:
        super().__init__(message)
        self.said = said or ProblemWords()

    @property
    def fix(self) -> str:
        """Return what a person has to do, in words."""
        return self.said.fix

    @property
    def fix_url(self) -> str:
        """Return where they do it."""
        return self.said.fix_url


class EndedError(TokensError, PermanentError):
    """There is no token for this account until a person acts. Stop; `token.issued` tells when to begin again.

    Attributes:
        account_id: the account that was asked for.
        token_id: the connection, as events name it.
        cause: a `RevocationCause`'s value, `expired`, or None where the platform did not say why.
        since: when it ended.

    """

    def __init__(
        self,
        account_id: str,
        said: ProblemWords,
        *,
        token_id: str | None = None,
        cause: str | None = None,
        since: datetime | None = None,
    ) -> None:
        super().__init__(said.detail or f"no token for account {account_id}: {said.code}", said)
        self.account_id = account_id
        self.token_id = token_id
        self.cause = cause
        self.since = since


class ConnectionEndedError(EndedError):
    """The whole connection was revoked or has expired: none of its accounts can be called."""


class AccountAccessLostError(EndedError):
    """The connection lives, but the platform took this one account away from it."""


class NotYetError(TokensError, RetryableError):
    """The connection is believed alive, but there is nothing to call the platform with right now.

    Attributes:
        retry_after: seconds to wait before the next try.

    """

    def __init__(self, message: str, retry_after: float, said: ProblemWords | None = None) -> None:
        super().__init__(message, said)
        self.retry_after = retry_after


class UnavailableError(TokensError, RetryableError):
    """The token services cannot be reached, or fail. The service client and the account may be in order."""


class ClientNotAllowedError(TokensError, PermanentError):
    """The service client is unknown, has a wrong secret, or lacks the scope."""


class NoSuchAccountError(TokensError, PermanentError):
    """No connection has this account."""


class PlatformRefusedError(TokensError, PermanentError):
    """A platform answered a call with a refusal. What sends raises it; what it means is judged, never believed.

    Args:
        status: the platform's HTTP status.
        body: its body, as it came; no token is in it.
        headers: its headers.

    Attributes:
        classification: how the refusal was judged (`rate_limited`, `our_bug`, … or `none`); empty before.
        advice: what to do about it, in words; empty before.

    """

    def __init__(self, status: int, body: str | bytes = "", headers: Mapping[str, str] | None = None) -> None:
        super().__init__(f"the platform answered {status}")
        self.status = status
        self.body = body.decode(errors="replace") if isinstance(body, bytes) else body
        self.headers = dict(headers or {})
        self.classification = ""
        self.advice = ""
