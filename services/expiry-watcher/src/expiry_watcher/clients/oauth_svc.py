"""oauth-svc, which asks a platform about one connection now. Errors are mapped; no retries."""

from dataclasses import dataclass
from uuid import UUID

import aiohttp
from pydantic import BaseModel, ConfigDict, ValidationError

from common.contracts import RevocationCause, TokenStatus
from common.runtime.tasks import describe
from common.telemetry.logs import get_logger
from expiry_watcher.core.diagnosis.answer import Checked

_log = get_logger(__name__)

TIMEOUT_S = 15.0
"""Longer than oauth-svc lets a platform take for one call; a person waits for it."""
OK = 200


class _Connection(BaseModel):
    model_config = ConfigDict(extra="ignore")

    status: TokenStatus
    cause: RevocationCause | None = None


class _Check(BaseModel):
    model_config = ConfigDict(extra="ignore")

    connection: _Connection
    verified: bool
    explanation: str


@dataclass(frozen=True, slots=True)
class ChecksClient:
    """Has one connection checked as the person who asks: what is not theirs, they cannot have checked here."""

    http: aiohttp.ClientSession
    base_url: str

    async def check(self, connection_id: UUID, authorization: str) -> Checked | None:
        """Return what the platform says now; None if it could not be asked."""
        try:
            async with self.http.post(
                f"{self.base_url}/api/v1/connections/{connection_id}/check",
                headers={"Authorization": authorization},
                timeout=aiohttp.ClientTimeout(total=TIMEOUT_S),
                allow_redirects=False,
            ) as answer:
                if answer.status != OK:
                    _log.warning("check_refused", status=answer.status)
                    return None
                found = _Check.model_validate_json(await answer.read())
        except (aiohttp.ClientError, TimeoutError, ValidationError) as error:
            _log.warning("oauth_svc_away", error=describe(error))
            return None
        return Checked(found.verified, found.connection.status, found.connection.cause, found.explanation)
