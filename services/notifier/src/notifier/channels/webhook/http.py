"""`PUT /api/v1/notification-channels/webhook` and its secret's rotation."""

from datetime import datetime
from typing import Any

from pydantic import BaseModel, Field, field_validator
from yarl import URL

from common.runtime.clock import Clock
from common.runtime.ids import random_bytes
from common.web import FieldError, Principal, Routes, invalid
from common.web.outbound import blocked
from notifier.channels.endpoints import managing
from notifier.channels.endpoints.http import ADMINS, PATH, ChannelView, Managed, changed_meanwhile, channel_off
from notifier.channels.endpoints.model import Endpoint
from notifier.channels.webhook import rules
from notifier.channels.webhook.channel import WebhookChannel
from notifier.http.reader import reader_of
from notifier.operations.deps import Deps
from notifier.operations.notices import Reader

LONGEST_URL = 2_000
_REFUSED = {"insecure_url": "must be an https:// URL with a host", "blocked_address": "leads to a private address"}


class WebhookSetup(BaseModel):
    """Where notices are posted to."""

    url: str = Field(max_length=LONGEST_URL, description="an https:// URL of the public internet")

    @field_validator("url")
    @classmethod
    def _plain(cls, text: str) -> str:
        text = text.strip()
        try:
            url = URL(text)
        except ValueError:
            raise ValueError("is not a URL") from None
        if url.user is not None or url.password is not None:
            raise ValueError("must not hold a name or password; the signature proves who sends")
        if url.fragment:
            raise ValueError("must not hold a fragment (#…)")
        return text


class WebhookView(ChannelView):
    """The webhook, with its secret if this call made one: it is shown this once."""

    secret: str | None = Field(description="`whsec_…`; only in the answer that made it")


class SecretView(BaseModel):
    """A new secret. It is shown this once; the one before it signs as well until `previous_valid_until`."""

    secret: str
    previous_valid_until: datetime


def routes(deps: Deps, clock: Clock, managed: Managed, channel: WebhookChannel) -> Routes:
    """Return the endpoints.

    Args:
        deps: what the operations of the service work with.
        clock: where handlers read the present time.
        managed: what managing an endpoint needs.
        channel: the channel.

    """
    r = Routes("notification-channels")

    @r.put(
        f"{PATH}/webhook",
        access=ADMINS,
        summary="Set up the workspace's webhook, or change its address",
        problems=[(409, "changed_meanwhile")],
    )
    async def put(body: WebhookSetup, principal: Principal) -> WebhookView:
        """The first call makes the secret. Another address keeps it; to change it, rotate it."""
        reader, now = reader_of(principal), clock.now()
        _refuse_private(body.url, channel.allowed)
        before = await managing.find(deps, channel.name, reader.workspace_id)
        secrets = await managing.open_secrets(channel.vault, before) if before is not None else None
        made = None if secrets is not None else rules.secret_of(random_bytes(rules.SECRET_BYTES))
        endpoint = await _save(reader, {"url": body.url}, secrets or {"secret": made}, now)
        return WebhookView(**managed.view(endpoint, principal).model_dump(), secret=made)

    @r.post(
        f"{PATH}/webhook/secret",
        access=ADMINS,
        summary="Rotate the webhook's secret",
        status=201,
        problems=[(404, "channel_off"), (409, "changed_meanwhile")],
    )
    async def rotate(principal: Principal) -> SecretView:
        """Messages are signed by the new secret and the one before it, until that one's time is over."""
        reader, now = reader_of(principal), clock.now()
        before = await managing.find(deps, channel.name, reader.workspace_id)
        stored = await managing.open_secrets(channel.vault, before) if before is not None else None
        if before is None or stored is None:
            raise channel_off(channel.name)
        secret = rules.secret_of(random_bytes(rules.SECRET_BYTES))
        await _save(reader, before.config, rules.rotated(stored, secret, now), now)
        return SecretView(secret=secret, previous_valid_until=now + rules.PREVIOUS_SECRET_LIFE)

    async def _save(reader: Reader, config: dict[str, Any], secrets: dict[str, Any], now: datetime) -> Endpoint:
        try:
            return await managing.put(
                deps, channel.vault, channel.name, reader, config=config, secrets=secrets, now=now
            )
        except managing.ChangedMeanwhileError:
            raise changed_meanwhile() from None

    return r


def _refuse_private(url: str, allowed: frozenset[str]) -> None:
    reason = blocked(URL(url), allowed)
    if reason is not None:
        raise invalid([FieldError(field="body.url", rule=reason, message=_REFUSED[reason])])
