"""The link in a mail that stops such mails: mail clients post to it (RFC 8058), people see a page with a button.

Neither needs a session: the token in the link is the only proof, and stopping these mails all that it can do.
"""

import base64
import hashlib
import re
from datetime import datetime
from enum import StrEnum
from typing import Self

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field

from common.runtime.clock import Clock
from common.web import Access, Principal, Routes
from notifier.channels.email import reaching
from notifier.channels.email import unsubscribing as operations
from notifier.channels.email.reaching import Reach
from notifier.core.errors import NoSuchUnsubscribeLink
from notifier.http.reader import reader_of
from notifier.operations.deps import Deps

_STYLE = re.compile(r"<style>(.*?)</style>", re.DOTALL)
_MOST_BODY_BYTES = 4_096
_BAD_REQUEST = 400
EMAIL = "/api/v1/notification-preferences/email"


class EmailState(StrEnum):
    """Whether mails reach a person."""

    OFF = "off"
    UNKNOWN = "unknown"
    UNMAILABLE = "unmailable"
    REFUSED = "refused"
    WORKS = "works"


class EmailStatus(BaseModel):
    """Whether mails reach the caller.

    `refused`: a mail server said that the address does not exist. Nothing is mailed to it until `tried_again_at`, until
    it changes, or until the refusal is deleted here. `unmailable`: no mail server would take the address.
    """

    state: EmailState
    address: str | None
    refused_at: datetime | None = None
    tried_again_at: datetime | None = None
    reply: str | None = Field(default=None, description="the server's codes, such as smtp_550_5.1.1")

    @classmethod
    def of(cls, reach: Reach) -> Self:
        """As the API shows it."""
        refusal = reach.refusal
        if not reach.set_up:
            state = EmailState.OFF
        elif not reach.address:
            state = EmailState.UNKNOWN
        elif not reach.mailable:
            state = EmailState.UNMAILABLE
        else:
            state = EmailState.WORKS if refusal is None else EmailState.REFUSED
        return cls(
            state=state,
            address=reach.address or None,
            refused_at=refusal.since if refusal else None,
            tried_again_at=refusal.until if refusal else None,
            reply=refusal.reply if refusal else None,
        )


class UnsubscribeQuery(BaseModel):
    """The link's query. What trackers add to links is left alone."""

    model_config = ConfigDict(extra="ignore")

    token: str = Field(default="", description="from the mail's link")


def routes(deps: Deps, clock: Clock) -> Routes:
    """Return the endpoints."""
    r = Routes("preferences")

    @r.get(operations.PATH, access=Access.public(), summary="A page that asks whether to stop such mails")
    async def ask(query: UnsubscribeQuery) -> web.Response:
        """Changes nothing: links are also opened by scanners, and by the curious."""
        try:
            asked = await operations.read(deps, query.token, clock.now())
        except NoSuchUnsubscribeLink:
            return _page(deps, "refused", _BAD_REQUEST)
        return await _about(deps, "ask", asked)

    @r.post(
        operations.PATH,
        access=Access.public(),
        summary="Stop such mails for their reader",
        max_body_bytes=_MOST_BODY_BYTES,
    )
    async def stop(query: UnsubscribeQuery, body: bytes) -> web.Response:  # noqa: ARG001  read, so that it is bounded
        """By a mail client (`List-Unsubscribe=One-Click`) or the page's button. Doing it again changes nothing."""
        try:
            asked = await operations.read(deps, query.token, clock.now())
        except NoSuchUnsubscribeLink:
            return _page(deps, "refused", _BAD_REQUEST)
        await operations.stop(deps, asked, clock.now())
        return await _about(deps, "done", asked)

    @r.get(EMAIL, access=Access.user(), summary="Whether mails reach the caller")
    async def status(principal: Principal) -> EmailStatus:
        """Their address as it is known here, and what the mail server said of it."""
        return EmailStatus.of(await reaching.reach(deps, reader_of(principal), clock.now()))

    @r.delete(
        f"{EMAIL}/refusal",
        access=Access.user(refuse_act=True),
        summary="Have the caller's address tried again",
        status=204,
    )
    async def forgive(principal: Principal) -> None:
        """Doing it again changes nothing. The next notice is mailed; if the server refuses it again, that is noted."""
        await reaching.try_again(deps, reader_of(principal).user_id)

    return r


async def _about(deps: Deps, step: str, asked: operations.Asked) -> web.Response:
    kinds = [deps.texts.kind(code) for code in asked.codes]
    return _page(deps, step, kinds=kinds, reader=await operations.reader(deps, asked))


def _page(deps: Deps, step: str, status: int = 200, **facts: object) -> web.Response:
    text = deps.texts.unsubscribe_page(step, **facts)
    style = _STYLE.search(text)
    digest = base64.b64encode(hashlib.sha256((style[1] if style else "").encode()).digest()).decode()
    policy = (
        f"default-src 'none'; style-src 'sha256-{digest}'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
    )
    headers = {"Content-Security-Policy": policy}
    return web.Response(status=status, text=text, content_type="text/html", charset="utf-8", headers=headers)
