"""What every provider's module shares: one call sent once, a JSON object read, and the parts that most do not have."""

import asyncio
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from common.platforms import PLATFORMS, rfc6749
from common.platforms.errors import Call, Failure, read_reply, retry_later, unknown_outcome
from oauth_svc.core.flow import Profile
from oauth_svc.core.grant import Secrets, TokenAnswer, leaves_open
from oauth_svc.providers.base import (
    Callback,
    Consent,
    PlatformError,
    Signal,
    WebhookRefusedError,
    json_object,
    settle_no_answer,
)
from oauth_svc.providers.wire import Answer, NoAnswerError, Request, Wire

PARSED_ASIDE = 256 * 1024
"""Longer answers are parsed beside the event loop, which they would hold for milliseconds."""


class Calling:
    """The base of all providers."""

    def __init__(self, profile: Profile, wire: Wire) -> None:
        self._profile = profile
        self._wire = wire

    @property
    def profile(self) -> Profile:
        return self._profile

    def consent_url(self, consent: Consent) -> str:  # noqa: ARG002 - for the platforms that have one
        raise TypeError(f"{self._profile.provider} has a credential form, no consent screen")

    async def exchange(self, callback: Callback, now: datetime) -> TokenAnswer:  # noqa: ARG002 - as above
        raise TypeError(f"{self._profile.provider} has a credential form, no consent screen")

    async def login(self, credentials: Mapping[str, str], now: datetime) -> TokenAnswer:  # noqa: ARG002 - as above
        raise TypeError(f"{self._profile.provider} has a consent screen, no credential form")

    async def revoke(self, secrets: Secrets) -> None:  # noqa: ARG002 - most platforms have no such call
        return

    async def unspent(self, secrets: Secrets) -> bool | None:  # noqa: ARG002 - nor this one
        return None

    async def read_webhook(
        self,
        raw: bytes,  # noqa: ARG002
        headers: Mapping[str, str],  # noqa: ARG002
        now: datetime,  # noqa: ARG002
    ) -> tuple[Signal, ...]:
        raise WebhookRefusedError("this provider sends none")

    def judge(self, answer: Answer, call: Call = Call.API) -> Failure | None:
        """Return what an answer means by the platform's table; one that was added by settings follows the RFCs."""
        platform = PLATFORMS.get(self._profile.provider)
        table = platform.meaning if platform else rfc6749.meaning
        return table(read_reply(answer.status, answer.body, answer.headers, call))

    async def ask(self, request: Request, *, repeatable: bool) -> Answer:
        """Return one answer to one call. `repeatable`: the same call may be made again, whatever became of this one.

        Raises:
            PlatformError: There is no answer, or none that tells whether a call that must not be repeated was acted on.

        """
        try:
            answer = await self._wire.send(request)
        except NoAnswerError as error:
            raise settle_no_answer(error, repeatable=repeatable) from error
        if not repeatable and leaves_open(answer.status, json_object(answer), answer.body):
            raise PlatformError(unknown_outcome(f"http_{answer.status}"))
        return answer

    async def read(self, request: Request) -> dict[str, Any]:
        """Return a JSON object from the provider's API. Reading changes nothing, so no answer is only a delay."""
        answer = await self.ask(request, repeatable=True)
        failure = self.judge(answer)
        if failure is not None:
            raise PlatformError(failure)
        long = len(answer.body) > PARSED_ASIDE
        body = await asyncio.to_thread(json_object, answer) if long else json_object(answer)
        if body is None:
            raise PlatformError(retry_later("not_json", unrecognised=True))
        return body


def text(value: object, longest: int = 256) -> str | None:
    """Return a short text (or a number as text) from an answer, or None."""
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    return value[:longest] if isinstance(value, str) and value else None


def objects(value: object, code: str) -> list[dict[str, Any]]:
    """Return a list of JSON objects. Raises `PlatformError` for anything else, since it proves nothing."""
    if not isinstance(value, list):
        raise PlatformError(retry_later(code, unrecognised=True))
    return [item for item in value if isinstance(item, dict)]
