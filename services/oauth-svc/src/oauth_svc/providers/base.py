"""The one protocol that every provider follows, and the values that cross it.

A provider builds requests and reads answers. It never retries, never stores, never reads the clock (it is given
`now`), and turns every refusal into a `Failure` by its own table. Refusals are raised as `PlatformError`.
"""

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from common.contracts import RevocationCause
from common.platforms.errors import Call, Failure, retry_later, unknown_outcome
from oauth_svc.core.connection import Listing
from oauth_svc.core.flow import Profile
from oauth_svc.core.grant import Secrets, TokenAnswer
from oauth_svc.providers.wire import Answer, NoAnswerError

Seen = Callable[[int], None]
"""Hears how many accounts a listing has found so far."""


def unseen(count: int) -> None:
    """Do nothing: nobody follows this listing."""


class PlatformError(Exception):
    """The platform refused, or could not be heard. `failure` says what that means.

    `sent` is false when the request certainly never left.
    """

    def __init__(self, failure: Failure, *, sent: bool = True) -> None:
        super().__init__(f"{failure.verdict.value}:{failure.code}")
        self.failure = failure
        self.sent = sent


class WebhookRefusedError(Exception):
    """A webhook whose signature, shape or age does not hold. Nothing was changed.

    `err` is the code of RFC 8935 section 2.4 for one that is a security event token.
    """

    def __init__(self, message: str, *, err: str | None = None) -> None:
        super().__init__(message)
        self.err = err


@dataclass(frozen=True, slots=True)
class Consent:
    """What a consent screen is opened with. `challenge` is the PKCE one, where the platform has it.

    `adding`: the grant lives, and only what it lacks is asked for; the person said no to it before. `renewing`: its
    time is over, or nearly.
    """

    state: str
    redirect_uri: str
    scopes: tuple[str, ...]
    challenge: str | None = None
    adding: bool = False
    renewing: bool = False


@dataclass(frozen=True, slots=True)
class Callback:
    """What the browser brought back from the consent screen."""

    query: Mapping[str, str]
    redirect_uri: str
    verifier: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Inspection:
    """Who granted, for how long, and what: asked of the platform itself. None means that it did not say.

    `asked` is false where there is nothing to ask with: then it proves nothing about the grant.
    """

    subject: str | None = None
    subject_name: str = ""
    expires_at: datetime | None = None
    access_expires_at: datetime | None = None
    scopes: frozenset[str] | None = None
    asked: bool = True


@dataclass(frozen=True, slots=True)
class Signal:
    """One thing that a verified webhook says.

    `message_id` makes a replay harmless; `at` is the platform's own time of the fact, so that one which was on its
    way while the person consented again does not end the new grant. Without a `cause` it only asks for a look: the
    connections that it covers are probed. It names a user (`subject`) or one token (`digest`, see `match_digest` and
    `token_hash`). `own` is false when it was sent about another client of ours at the same platform. `verifies` is the
    state of a self-test that we asked for: such a signal is about no grant at all. `deletion` is the code under which a
    person may look up what became of their data, where the platform lets them ask for its deletion.
    """

    message_id: str
    subject: str | None
    cause: RevocationCause | None
    at: datetime
    digest: bytes | None = None
    own: bool = True
    verifies: str | None = None
    deletion: str | None = None


class Provider(Protocol):
    """One platform or integration."""

    @property
    def profile(self) -> Profile:
        """Return what the rules need to know."""
        ...

    def consent_url(self, consent: Consent) -> str:
        """Return where to send the browser. Providers with a credential form have none."""
        ...

    async def exchange(self, callback: Callback, now: datetime) -> TokenAnswer:
        """Return the callback's code for the longest-lived token on offer. Sent once: a code is never repeated."""
        ...

    async def login(self, credentials: Mapping[str, str], now: datetime) -> TokenAnswer:
        """Entered credentials for a token, for providers with a form."""
        ...

    async def refresh(self, secrets: Secrets, now: datetime) -> TokenAnswer:
        """Return one token request, sent once. An answer that cannot be read is `unknown_outcome`."""
        ...

    async def inspect(self, secrets: Secrets, now: datetime) -> Inspection:
        """Ask the platform about the grant: the probe, and the identity at connect time."""
        ...

    async def accounts(self, secrets: Secrets, seen: Seen = unseen) -> Listing:
        """List every account that the grant reaches now; `seen` hears how many were found so far."""
        ...

    async def revoke(self, secrets: Secrets) -> None:
        """End the grant at the platform. A grant that is already gone counts as done."""
        ...

    async def unspent(self, secrets: Secrets) -> bool | None:
        """Return whether the refresh token was never used (RFC 7662), or None where that cannot be asked."""
        ...

    def judge(self, answer: Answer, call: Call = Call.API) -> Failure | None:
        """Return what an answer, such as one that a service reports, means. None when it proves nothing."""
        ...

    async def read_webhook(self, raw: bytes, headers: Mapping[str, str], now: datetime) -> tuple[Signal, ...]:
        """Verify on the raw bytes and read. Raises `WebhookRefusedError`."""
        ...


def settle_no_answer(error: NoAnswerError, *, repeatable: bool) -> PlatformError:
    """Return what a call that was never answered means: a delay if it never left or may be repeated, else unknown."""
    if repeatable or not error.sent:
        return PlatformError(retry_later(error.code), sent=error.sent)
    return PlatformError(unknown_outcome(error.code))


def json_object(answer: Answer) -> dict[str, Any] | None:
    """Return the body as a JSON object, or None for anything else (HTML, XML, text, a list, nothing)."""
    try:
        body = json.loads(answer.body.decode("utf-8", "replace"))
    except (ValueError, RecursionError):
        return None
    return body if isinstance(body, dict) else None


TOKEN_PREFIX = 16


def token_hash(refresh_token: str) -> bytes:
    """Return what a security event names a token by when it names the whole of it (`hash_base64_sha512_sha512`)."""
    return hashlib.sha512(hashlib.sha512(refresh_token.encode()).digest()).digest()


def match_digest(refresh_token: str) -> bytes:
    """Return what one refresh token is found by when a security event names it by its first characters (section 2)."""
    return hashlib.sha256(refresh_token[:TOKEN_PREFIX].encode()).digest()
