"""`PUT /api/v1/notification-channels/slack`: set Slack up, by a bot's token or an incoming webhook."""

from typing import Self

from pydantic import BaseModel, Field, SecretStr, model_validator

from common.runtime.clock import Clock
from common.web import FieldError, Principal, Problem, Routes, invalid
from notifier.channels.endpoints import managing
from notifier.channels.endpoints.http import ADMINS, PATH, ChannelView, Managed, changed_meanwhile
from notifier.channels.slack import rules
from notifier.channels.slack.api import SlackNoAnswerError, SlackRefusedError
from notifier.channels.slack.channel import SlackChannel
from notifier.core.delivery import SendOutcome
from notifier.core.rendering import Texts
from notifier.http.reader import reader_of
from notifier.operations.deps import Deps


class SlackSetup(BaseModel):
    """Either `bot_token` and `channel_id` (messages are edited when a fact is over), or `webhook_url`."""

    bot_token: SecretStr | None = Field(default=None, description="`xoxb-…`, with the scope chat:write")
    channel_id: str | None = Field(default=None, max_length=40, description="such as C0123456789; not the name")
    webhook_url: SecretStr | None = Field(default=None, description="of an incoming webhook; it is a secret")

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        by_bot = self.bot_token is not None and self.channel_id is not None and self.webhook_url is None
        by_hook = self.webhook_url is not None and self.bot_token is None and self.channel_id is None
        if not (by_bot or by_hook):
            raise ValueError("give bot_token and channel_id, or webhook_url alone")
        return self


def routes(deps: Deps, clock: Clock, managed: Managed, channel: SlackChannel, *, hooks_url: str) -> Routes:
    """Return the endpoint.

    Args:
        deps: what the operations of the service work with.
        clock: where handlers read the present time.
        managed: what managing an endpoint needs.
        channel: the channel.
        hooks_url: the only origin that an incoming webhook may have.

    """
    r = Routes("notification-channels")

    @r.put(
        f"{PATH}/slack",
        access=ADMINS,
        summary="Set up, or replace, the workspace's Slack channel",
        problems=[(409, "changed_meanwhile"), (503, "slack_away")],
    )
    async def put(body: SlackSetup, principal: Principal) -> ChannelView:
        """A bot's token is shown to Slack (`auth.test`) before it is stored. Send a test afterwards."""
        reader = reader_of(principal)
        config: dict[str, object]
        if body.bot_token is not None:
            config, secrets = await _by_bot(channel, deps.texts, body), {"bot_token": body.bot_token.get_secret_value()}
        else:
            url = body.webhook_url.get_secret_value().strip() if body.webhook_url is not None else ""
            if not rules.is_hook_of(url, hooks_url):
                raise _wrong("webhook_url", f"is not an incoming webhook of Slack: {hooks_url}/services/T…/B…/…")
            config, secrets = {"kind": "webhook"}, {"webhook_url": url}
        try:
            endpoint = await managing.put(
                deps, channel.vault, channel.name, reader, config=config, secrets=secrets, now=clock.now()
            )
        except managing.ChangedMeanwhileError:
            raise changed_meanwhile() from None
        return managed.view(endpoint, principal)

    return r


async def _by_bot(channel: SlackChannel, texts: Texts, body: SlackSetup) -> dict[str, object]:
    token = body.bot_token.get_secret_value() if body.bot_token is not None else ""
    if not rules.is_bot_token(token):
        raise _wrong("bot_token", "is not a bot token; it begins with xoxb-")
    if body.channel_id is None or not rules.is_channel_id(body.channel_id):
        raise _wrong("channel_id", "is not a channel's id, such as C0123456789: see the channel's details in Slack")
    try:
        team_id, team = await channel.identify(token)
    except SlackRefusedError as error:
        if rules.read(error.status, error.error, error.retry_after_s, editing=False).answer is SendOutcome.ADDRESS_DEAD:
            raise _wrong("bot_token", f"is refused by Slack ({error.error}): {explain(texts, error.error)}") from None
        raise _away() from None
    except SlackNoAnswerError:
        raise _away() from None
    return {"kind": "bot", "channel_id": body.channel_id, "team_id": team_id, "team": team}


def explain(texts: Texts, code: str) -> str:
    """Slack's code in words, with what to do."""
    return texts.phrase("slack", "reason", code=code)


def _wrong(field: str, message: str) -> Problem:
    return invalid([FieldError(field=f"body.{field}", rule="slack", message=message)])


def _away() -> Problem:
    return Problem(503, "slack_away", "Slack does not answer", fix="Try again.", headers={"Retry-After": "10"})
