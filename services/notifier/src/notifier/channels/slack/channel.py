"""Slack, as a channel of the workspace: by a bot's token, or by an incoming webhook."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, ClassVar

from common.contracts import NoticeChannel
from common.crypto import KeyEncryption
from common.runtime.clock import Clock
from common.runtime.retry import Backoff
from notifier.channels.endpoints.channel import EndpointChannel
from notifier.channels.endpoints.model import Endpoint, EndpointParcel
from notifier.channels.slack import rules
from notifier.channels.slack.api import SlackApi, SlackNoAnswerError, SlackRefusedError
from notifier.channels.throttle import Turns
from notifier.core.channels import ChannelLimits
from notifier.core.delivery import Outcome, SendOutcome
from notifier.core.rendering import Texts
from notifier.operations.channel import Message
from notifier.operations.deps import Deps

PER_S = 1.0
"""Slack allows about one message a second for each channel, with short bursts (docs.slack.dev, rate limits)."""
BURST = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class SlackParcel(EndpointParcel):
    """One message to a Slack channel."""

    content: dict[str, Any] = field(repr=False)


class SlackChannel(EndpointChannel):
    """Messages to the Slack channel that each workspace chose."""

    name: ClassVar = NoticeChannel.SLACK
    limits: ClassVar = ChannelLimits(edits=True, waits_alone=True)

    def __init__(
        self, deps: Deps, vault: KeyEncryption, api: SlackApi, *, clock: Clock, retry: Backoff | None = None
    ) -> None:
        super().__init__(deps, vault)
        self.retry = retry or Backoff(base_s=5, cap_s=900)
        self._api = api
        self._turns = Turns(rate=PER_S, burst=BURST, clock=clock)

    async def compose(self, messages: Sequence[Message], now: datetime) -> Sequence[SlackParcel]:  # noqa: ARG002
        """Return one Block Kit message for each."""
        phrases = _phrases(self._deps.texts)
        return [
            SlackParcel(
                delivery_id=message.claimed.delivery_id,
                address=str(message.claimed.workspace_id),
                edits=message.edits,
                endpoint=message.address,
                content=rules.message(
                    [said.words for said in message.said], follow_up=message.follow_up, phrases=phrases
                ),
            )
            for message in messages
        ]

    async def send(self, parcel: SlackParcel) -> Outcome:
        """Send a message. See `Channel.send`."""
        return await self._present(parcel.endpoint, parcel.content)

    async def edit(self, parcel: SlackParcel) -> Outcome:
        """Edit an earlier message by `chat.update`. What an incoming webhook sent cannot be edited."""
        channel, _, ts = parcel.edits.partition(":")
        return await self._present(parcel.endpoint, parcel.content | {"channel": channel, "ts": ts})

    async def test(self, endpoint: Endpoint, now: datetime) -> Outcome:  # noqa: ARG002  see `EndpointChannel.test`
        """Say that this is a test."""
        return await self._present(endpoint, {"text": rules.escape(self._deps.texts.phrase("slack", "test"))})

    async def identify(self, bot_token: str) -> tuple[str, str]:
        """Return the id and the name of the team that a token belongs to. Raises as `SlackApi.call` does."""
        found = await self._api.call("auth.test", bot_token, {})
        return str(found.get("team_id", "")), str(found.get("team", ""))

    async def close(self) -> None:
        """Nothing is held: the connections are the session's."""

    async def _present(self, endpoint: Endpoint, content: dict[str, Any]) -> Outcome:
        secrets = await self._secrets(endpoint)
        if secrets is None:
            return Outcome(SendOutcome.TRY_LATER, detail="unsealable")
        editing = "ts" in content
        if editing and "bot_token" not in secrets:
            return Outcome(SendOutcome.NOT_EDITABLE, detail="incoming_webhook")
        wait_s = self._turns.wait_s(str(endpoint.endpoint_id))
        if wait_s:
            return Outcome(SendOutcome.HELD_BACK, retry_after_s=wait_s)
        try:
            return Outcome(SendOutcome.ACCEPTED, reference=await self._call(endpoint, secrets, content))
        except SlackRefusedError as error:
            return rules.read(error.status, error.error, error.retry_after_s, editing=editing)
        except SlackNoAnswerError as error:
            return Outcome(SendOutcome.UNKNOWN if error.may_be_done else SendOutcome.TRY_LATER, detail=error.kind)

    async def _call(self, endpoint: Endpoint, secrets: dict[str, Any], content: dict[str, Any]) -> str:
        """Present the content; the reference by which it can be edited, which a webhook's messages have not."""
        if "bot_token" not in secrets:
            await self._api.post_to_hook(secrets["webhook_url"], content)
            return ""
        if "ts" in content:
            sent = await self._api.call("chat.update", secrets["bot_token"], content)
        else:
            given = {"channel": endpoint.config["channel_id"], "unfurl_links": False, "unfurl_media": False} | content
            sent = await self._api.call("chat.postMessage", secrets["bot_token"], given)
        return f"{sent.get('channel', '')}:{sent.get('ts', '')}"


def _phrases(texts: Texts) -> rules.Phrases:
    return rules.Phrases(
        more=texts.phrase("slack", "more"),
        see_all=texts.phrase("slack", "see_all"),
        notices_url=f"{texts.public_url}/notices",
    )
