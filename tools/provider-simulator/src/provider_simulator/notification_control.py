"""Orders to Slack and to customers' webhook receivers, and what they were sent."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Literal, TypeVar

from aiohttp import web
from pydantic import Field

from provider_simulator.http_orders import checked_body, problem
from provider_simulator.orders import Order
from provider_simulator.platforms import receiver, slack
from provider_simulator.platforms.base import Platform
from provider_simulator.platforms.receiver import Box, Receiver
from provider_simulator.platforms.slack import Slack

P = TypeVar("P", bound=Platform)


class ChannelOrder(Order):
    """What happens to a Slack channel. What is left out stays."""

    name: str | None = None
    member: bool | None = None
    archived: bool | None = None
    exists: bool | None = None


class TokenOrder(Order):
    """What happens to a bot's token."""

    token: str = slack.BOT_TOKEN
    state: Literal["active", "token_revoked", "account_inactive", "token_expired", "missing_scope"]


class HookOrder(Order):
    """What happens to an incoming webhook."""

    path: str = slack.HOOK_PATH
    state: Literal["on", "no_service", "action_prohibited", "team_disabled"]


class BoxOrder(Order):
    """How a receiver answers. What came stays; `hang_s` passes before the answer."""

    secrets: list[str] = Field(default_factory=list)
    status: int = Field(default=204, ge=200, le=599)
    retry_after: int | None = Field(default=None, ge=0)
    hang_s: float = Field(default=0.0, ge=0)
    location: str | None = None
    body_bytes: int = Field(default=0, ge=0, le=64 << 20)


class NotificationControl:
    """Part of the control API."""

    def __init__(self, platforms: Mapping[str, Platform]) -> None:
        self._platforms = platforms

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/_sim/slack/channels/{id}", self.channel),
            web.post("/_sim/slack/channels/{id}", self.change_channel),
            web.post("/_sim/slack/tokens", self.change_token),
            web.post("/_sim/slack/hooks", self.change_hook),
            web.put("/_sim/receivers/{name}", self.put_box),
            web.get("/_sim/receivers/{name}", self.box),
        ]

    def _platform(self, name: str, kind: type[P]) -> P:
        platform = self._platforms[name]
        if not isinstance(platform, kind):
            raise TypeError(platform)
        return platform

    @property
    def _slack(self) -> Slack:
        return self._platform(slack.PROVIDER, Slack)

    async def channel(self, request: web.Request) -> web.Response:
        found = self._slack.channels.get(request.match_info["id"])
        if found is None:
            raise problem(404, "unknown_channel", f"there are {', '.join(self._slack.channels)}")
        return web.json_response(asdict(found))

    async def change_channel(self, request: web.Request) -> web.Response:
        order = await checked_body(request, ChannelOrder)
        channel_id = request.match_info["id"]
        channel = self._slack.channels.setdefault(channel_id, slack.Channel(channel_id, channel_id.lower()))
        for name, value in order.model_dump(exclude_none=True).items():
            setattr(channel, name, value)
        return web.json_response(asdict(channel))

    async def change_token(self, request: web.Request) -> web.Response:
        order = await checked_body(request, TokenOrder)
        self._slack.tokens[order.token] = order.state
        return web.json_response({"state": order.state})

    async def change_hook(self, request: web.Request) -> web.Response:
        order = await checked_body(request, HookOrder)
        self._slack.hooks[order.path] = order.state
        return web.json_response({"state": order.state})

    async def put_box(self, request: web.Request) -> web.Response:
        order = await checked_body(request, BoxOrder)
        boxes = self._platform(receiver.PROVIDER, Receiver).boxes
        name = request.match_info["name"]
        before = boxes.get(name)
        boxes[name] = Box(**order.model_dump(), came=before.came if before is not None else [])
        return web.json_response({"path": f"/{receiver.HOST}/hooks/{name}"})

    async def box(self, request: web.Request) -> web.Response:
        found = self._platform(receiver.PROVIDER, Receiver).boxes.get(request.match_info["name"])
        if found is None:
            raise problem(404, "unknown_receiver", "make it with PUT")
        return web.json_response({"came": found.came})
