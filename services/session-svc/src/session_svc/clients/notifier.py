"""The notifier's service API."""

from collections.abc import Mapping
from dataclasses import dataclass
from uuid import UUID

import aiohttp

from common.runtime.errors import PermanentError, RetryableError

TIMEOUT_S = 5.0
_OK = range(200, 300)
_GIVE_UP = frozenset({400, 404, 422})


@dataclass(frozen=True, slots=True, repr=False)
class InvitationMail:
    """What the mail of an invitation says, and to whom."""

    address: str
    workspace_name: str
    inviter_name: str
    role: str
    link: str


class MessagesClient:
    """Has messages sent to people. It knows their addresses; we name the person."""

    def __init__(self, http: aiohttp.ClientSession, base_url: str) -> None:
        self._http = http
        self._url = base_url.rstrip("/") + "/api/v1/messages"

    async def send_password_reset(self, *, token: str, user_id: UUID, link: str, message_id: UUID) -> None:
        """Hand over a reset link. The notifier answers when it has the message, not when it was delivered.

        Args:
            token: a service JWT with the scope `messages:send`.
            user_id: who gets it.
            link: the one-time link.
            message_id: the same for each try, so that a repeated call sends one mail.

        Raises:
            RetryableError: the notifier is away or busy.
            PermanentError: it refuses the message.

        """
        await self._send(token, {"template": "password_reset", "user_id": str(user_id), "link": link}, message_id)

    async def send_invitation(self, *, token: str, invitation: InvitationMail, message_id: UUID) -> None:
        """Hand over the mail of an invitation. The person may have no account, so the address is named.

        Args:
            token: a service JWT with the scope `messages:send`.
            invitation: what the mail says.
            message_id: the same for each try, so that a repeated call sends one mail.

        Raises:
            RetryableError: the notifier is away or busy.
            PermanentError: it refuses the message.

        """
        body = {
            "template": "invitation",
            "to": invitation.address,
            "link": invitation.link,
            "facts": {
                "workspace": invitation.workspace_name,
                "inviter": invitation.inviter_name,
                "role": invitation.role,
            },
        }
        await self._send(token, body, message_id)

    async def _send(self, token: str, body: Mapping[str, object], message_id: UUID) -> None:
        headers = {"Authorization": f"Bearer {token}", "Idempotency-Key": str(message_id)}
        try:
            async with self._http.post(
                self._url,
                json=body,
                headers=headers,
                timeout=aiohttp.ClientTimeout(total=TIMEOUT_S),
                allow_redirects=False,
            ) as answer:
                status = answer.status
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise RetryableError(f"the notifier does not answer ({type(error).__name__})") from error
        if status in _GIVE_UP:
            raise PermanentError(f"the notifier refuses the message ({status})")
        if status not in _OK:
            raise RetryableError(f"the notifier answers {status}")
