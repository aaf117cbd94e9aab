"""Webhooks, as a channel of the workspace: one signed POST for each notice."""

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, ClassVar

import aiohttp
from yarl import URL

from common.contracts import NoticeChannel
from common.crypto import KeyEncryption
from common.platforms.errors import retry_after_s
from common.runtime.clock import Clock
from common.runtime.ids import new_id
from common.runtime.retry import Backoff
from common.web.outbound import BlockedAddressError, blocked, guarded_connector
from notifier.channels.endpoints.channel import EndpointChannel
from notifier.channels.endpoints.model import Endpoint, EndpointParcel
from notifier.channels.webhook import rules
from notifier.core.channels import ChannelLimits
from notifier.core.delivery import Outcome, SendOutcome
from notifier.operations.channel import Message
from notifier.operations.deps import Deps

TIMEOUT_S = 15.0
CONNECT_S = 5.0
MOST_ANSWER_BYTES = 64 * 1024
"""An answer is read no further: its status is all that counts."""
USER_AGENT = "Wevion-Webhooks/1.0"
_KINDS: dict[type[BaseException], str] = {
    BlockedAddressError: "private_address",
    TimeoutError: "timeout",
    aiohttp.ServerTimeoutError: "timeout",
    aiohttp.ConnectionTimeoutError: "timeout",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookParcel(EndpointParcel):
    """One notice as JSON."""

    body: bytes = field(repr=False)


class WebhookChannel(EndpointChannel):
    """Posts to the address that each workspace chose."""

    name: ClassVar = NoticeChannel.WEBHOOK
    disable_after: ClassVar = rules.GIVE_UP_AFTER
    limits: ClassVar = ChannelLimits(
        gathers=False, paced=False, repeat_is_recognised=True, waits_alone=True, give_up_after=rules.GIVE_UP_AFTER
    )

    def __init__(
        self,
        deps: Deps,
        vault: KeyEncryption,
        *,
        clock: Clock,
        allowed: Collection[str] = (),
        retry: Backoff | None = None,
    ) -> None:
        super().__init__(deps, vault)
        self.retry = retry or Backoff(base_s=5, cap_s=43_200, factor=4)
        self.allowed = frozenset(allowed)
        self._clock = clock
        self._session: aiohttp.ClientSession | None = None

    async def compose(self, messages: Sequence[Message], now: datetime) -> Sequence[WebhookParcel]:  # noqa: ARG002
        """Return one document for each: a message of this channel has one notice."""
        return [
            WebhookParcel(
                delivery_id=message.claimed.delivery_id,
                address=str(message.claimed.workspace_id),
                endpoint=message.address,
                body=_json(rules.document(said.notice, said.view, said.words, follow_up=message.follow_up)),
            )
            for message in messages
            for said in message.said[:1]
        ]

    async def send(self, parcel: WebhookParcel) -> Outcome:
        """Post it. A repeat has the same `webhook-id`, so that the receiver can tell."""
        return await self._post(parcel.endpoint, f"msg_{parcel.delivery_id}", parcel.body)

    async def edit(self, parcel: WebhookParcel) -> Outcome:  # noqa: ARG002  see `Channel.edit`
        """Return what was posted cannot be changed."""
        return Outcome(SendOutcome.NOT_EDITABLE)

    async def test(self, endpoint: Endpoint, now: datetime) -> Outcome:
        """Post a document of the type `webhook.test`."""
        data = {"workspace_id": str(endpoint.workspace_id)}
        document = {
            "type": "webhook.test",
            "timestamp": now.isoformat().replace("+00:00", "Z"),
            "schema_version": rules.SCHEMA_VERSION,
            "data": data,
        }
        return await self._post(endpoint, f"msg_{new_id()}", _json(document))

    async def close(self) -> None:
        """Let connections go."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def _post(self, endpoint: Endpoint, message_id: str, body: bytes) -> Outcome:
        secrets = await self._secrets(endpoint)
        if secrets is None:
            return Outcome(SendOutcome.TRY_LATER, detail="unsealable")
        now = self._clock.now()
        headers = rules.headers(rules.living_secrets(secrets, now), message_id, now, body)
        try:
            return await self._answer(str(endpoint.config["url"]), body, headers)
        except aiohttp.ClientConnectorError as error:
            private = isinstance(error.os_error, BlockedAddressError)
            return Outcome(SendOutcome.TRY_LATER, detail="private_address" if private else "not_connected")
        except (aiohttp.ClientError, OSError, ValueError) as error:
            return Outcome(SendOutcome.TRY_LATER, detail=_KINDS.get(type(error), type(error).__name__))

    async def _answer(self, url: str, body: bytes, headers: dict[str, str]) -> Outcome:
        if blocked(URL(url), self.allowed) is not None:
            raise BlockedAddressError
        async with self._open().post(url, data=body, headers=headers, allow_redirects=False) as answer:
            await answer.content.read(MOST_ANSWER_BYTES)
            answer.close()  # whatever else it says is not waited for
            return rules.read(answer.status, retry_after_s(answer.headers))

    def _open(self) -> aiohttp.ClientSession:
        """Return its own connections: no cookies, no proxy of the environment, no compressed answer unpacked."""
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=guarded_connector(self.allowed, ttl_dns_cache=10, force_close=True, limit=100),
                cookie_jar=aiohttp.DummyCookieJar(),
                timeout=aiohttp.ClientTimeout(total=TIMEOUT_S, connect=CONNECT_S),
                headers={"User-Agent": USER_AGENT, "Accept-Encoding": "identity"},
                auto_decompress=False,
                trust_env=False,
            )
        return self._session


def _json(document: dict[str, Any]) -> bytes:
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()
