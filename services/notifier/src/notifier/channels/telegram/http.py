"""`/api/v1/telegram/link` for people, `/webhooks/telegram` for Telegram."""

import contextlib
import hmac
import math
from datetime import datetime

from aiohttp import web
from pydantic import BaseModel, Field, SecretStr

from common.runtime.clock import Clock
from common.runtime.errors import PermanentError, RetryableError
from common.web import Access, Principal, Problem, Routes
from notifier.channels.telegram import chatting
from notifier.channels.telegram import linking as operations
from notifier.channels.telegram.channel import TelegramChannel
from notifier.channels.telegram.linking import LinkStanding
from notifier.core.errors import NoTelegramLink, TooManyTelegramLinks
from notifier.http.reader import reader_of
from notifier.operations.deps import Deps

SECRET_HEADER = "X-Telegram-Bot-Api-Secret-Token"  # noqa: S105  a header's name
SETTINGS_PATH = "/settings/notifications"


class LinkOffer(BaseModel):
    """A deep link with a one-time code. A new one ends it."""

    url: str
    expires_at: datetime


class LinkStatus(BaseModel):
    """Whether and where Telegram messages reach the caller."""

    state: LinkStanding
    chat_name: str | None
    linked_at: datetime | None
    expires_at: datetime | None
    url: str | None = Field(description="while it waits: the link, for its own person alone")


def routes(deps: Deps, clock: Clock, bot: TelegramChannel | None, *, public_url: str) -> Routes:
    """Return the endpoints for people. Without a bot they say that Telegram is not set up.

    Args:
        deps: what the operations of the service work with.
        clock: where handlers read the present time.
        bot: the Telegram channel; None where no bot is set up.
        public_url: the origin that people's browsers use.

    """
    r = Routes("telegram")
    path = "/api/v1/telegram/link"

    @r.post(
        path,
        access=Access.user(refuse_act=True),
        summary="Make a link that connects a Telegram chat",
        status=201,
        problems=[(429, "too_many_links"), (503, "telegram_off"), (503, "telegram_away")],
    )
    async def offer(principal: Principal) -> LinkOffer:
        """Valid for 24 hours and one use. An earlier link of the caller ends."""
        reader = reader_of(principal)
        if bot is None:
            raise Problem(503, "telegram_off", "Telegram is not set up", fix="Set WEVION_TELEGRAM_BOT_TOKEN.")
        try:
            username = await bot.username()
        except (RetryableError, PermanentError):
            raise Problem(
                503, "telegram_away", "Telegram does not answer", fix="Try again.", headers={"Retry-After": "10"}
            ) from None
        try:
            code, expires_at = await operations.create_link(deps, reader, clock.now())
        except TooManyTelegramLinks as error:
            wait = {"Retry-After": str(math.ceil(error.wait.total_seconds()))}
            raise Problem(
                429, "too_many_links", "Too many links were made", fix="Use the last one, or wait.", headers=wait
            ) from None
        return LinkOffer(url=_deep_link(username, code), expires_at=expires_at)

    @r.get(path, access=Access.user(), summary="Whether a chat is connected")
    async def status(principal: Principal) -> LinkStatus:
        """`waiting`: a link was made and not used; `broken`: the bot was blocked or the chat is gone."""
        found = await operations.status(deps, reader_of(principal), clock.now())
        url = None
        if bot is not None and found.code is not None and principal.act is None:
            with contextlib.suppress(RetryableError, PermanentError):  # without its name there is no link to show
                url = _deep_link(await bot.username(), found.code)
        return LinkStatus(
            state=found.state,
            chat_name=found.chat_name,
            linked_at=found.linked_at,
            expires_at=found.expires_at,
            url=url,
        )

    @r.delete(
        path,
        access=Access.user(refuse_act=True),
        summary="Disconnect the chat",
        status=204,
        problems=[(404, "no_telegram_link")],
    )
    async def unlink(principal: Principal) -> None:
        """Also ends a link that was made and not used."""
        try:
            await operations.unlink(deps, reader_of(principal), clock.now())
        except NoTelegramLink:
            raise Problem(
                404,
                "no_telegram_link",
                "No Telegram chat is connected",
                fix="Connect one under Settings, Notifications.",
                fix_url=public_url + SETTINGS_PATH,
            ) from None

    return r


def _deep_link(username: str, code: str) -> str:
    return f"https://t.me/{username}?start={code}"


def webhook_routes(deps: Deps, clock: Clock, bot: TelegramChannel | None, *, secret: SecretStr | None) -> Routes:
    """Return the endpoint for Telegram. `secret`: what was given to `setWebhook`; None when updates are polled.

    Args:
        deps: what the operations of the service work with.
        clock: where handlers read the present time.
        bot: the Telegram channel; None where no bot is set up.
        secret: what was given to `setWebhook`; None when updates are polled.

    """
    r = Routes("webhooks")

    @r.post(
        "/webhooks/telegram",
        access=Access.public(),
        summary="Updates from Telegram",
        status=204,
        problems=[(403, "wrong_secret"), (404, "no_webhook"), (400, "not_an_update")],
    )
    async def webhook(request: web.Request, body: bytes) -> None:
        """Only with the secret that was given to `setWebhook`; each update is taken once."""
        if bot is None or secret is None:
            raise Problem(404, "no_webhook", "Updates are not received this way here")
        given = request.headers.get(SECRET_HEADER, "")
        if not hmac.compare_digest(given.encode("utf-8", "surrogateescape"), secret.get_secret_value().encode()):
            raise Problem(403, "wrong_secret", "The secret token is missing or wrong")
        try:
            update = bot.parse(body)
        except ValueError:
            raise Problem(400, "not_an_update", "The body is not an update of the Bot API") from None
        try:
            await chatting.take_update(deps, bot, update, clock.now())
        except RetryableError:
            raise Problem(503, "busy", "Try again", headers={"Retry-After": "5"}) from None

    return r
