"""Whom this service calls: the notifier, for the notice that somebody asks about. Errors are mapped; no retries."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

import aiohttp

from common.runtime.tasks import describe
from common.telemetry.logs import get_logger

_log = get_logger(__name__)

TIMEOUT_S = 2.0
"""A diagnosis without the notice is worth more than one that waits for it."""
OK = 200


@dataclass(frozen=True, slots=True)
class NoticesClient:
    """Reads one notice as the person who asks: what they may not see there, they do not learn here."""

    http: aiohttp.ClientSession
    base_url: str

    async def read(self, notice_id: UUID, authorization: str) -> dict[str, Any] | None:
        """Return the notice as the notifier shows it to this person; None if it shows none, or does not answer."""
        try:
            async with self.http.get(
                f"{self.base_url}/api/v1/notices/{notice_id}",
                headers={"Authorization": authorization},
                timeout=aiohttp.ClientTimeout(total=TIMEOUT_S),
                allow_redirects=False,
            ) as answer:
                if answer.status != OK:
                    return None
                found = await answer.json()
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            _log.warning("notifier_away", error=describe(error))
            return None
        return found if isinstance(found, dict) else None
