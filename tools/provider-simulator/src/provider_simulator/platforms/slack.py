"""Slack: the Web API's methods for messages, and incoming webhooks. One team, whose channels tests may change.

Facts: docs.slack.dev, methods `auth.test`, `chat.postMessage`, `chat.update`, "Rate limits", "Sending messages using
incoming webhooks", read 2026-12.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field
from typing import Any, ClassVar

from aiohttp import web

from provider_simulator.faults import Fault
from provider_simulator.grants import Grant
from provider_simulator.platforms import slack_blocks
from provider_simulator.platforms.base import Platform, Revocation
from provider_simulator.wire import Call, Reply, Routes, answer
from provider_simulator.world import World

PROVIDER = "slack"
API = "slack.com"
HOOKS = "hooks.slack.com"
TEAM = {"team": "Agency", "team_id": "T0WEVION1", "url": "https://agency.slack.com/"}
BOT_TOKEN = "xoxb-100000000001-100000000002-SimWevionBot"  # noqa: S105  the simulator's own
BOT_USER = "U0WEVIONBOT"
HOOK_PATH = "/services/T0WEVION1/B0WEVION1/SimWevionHook"
TOKEN_STATES = ("active", "token_revoked", "account_inactive", "token_expired", "missing_scope")
HOOK_STATES = ("on", "no_service", "action_prohibited", "team_disabled")
_HOOK_STATUS = {"no_service": 404, "channel_not_found": 404, "channel_is_archived": 410, "rollup_error": 500}


@dataclass(slots=True)
class Channel:
    """One channel, and whether our bot may write there. `messages`: the oldest first."""

    id: str
    name: str
    member: bool = True
    archived: bool = False
    exists: bool = True
    messages: list[dict[str, Any]] = field(default_factory=list)

    def refusal(self) -> str | None:
        if not self.exists:
            return "channel_not_found"
        if self.archived:
            return "is_archived"
        return None if self.member else "not_in_channel"


class Slack(Platform):
    """Modes: the rate of messages for each channel (0 switches it off), with its burst."""

    providers = (PROVIDER,)
    modes: ClassVar[dict[str, Any]] = {"per_channel_per_s": 1.0, "per_channel_burst": 5}

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self.channels: dict[str, Channel] = {}
        self.tokens: dict[str, str] = {}
        self.hooks: dict[str, str] = {}
        self.reset()

    def reset(self) -> None:
        """One team as it was in the beginning."""
        known = (Channel("C0WEVIONADS", "ads-alerts"), Channel("C0WEVIONGEN", "general", member=False))
        self.channels = {channel.id: channel for channel in known}
        self.tokens = {BOT_TOKEN: "active"}
        self.hooks = {HOOK_PATH: "on"}

    def routes(self, routes: Routes) -> None:
        for name, handler in (
            ("auth.test", self.auth_test),
            ("chat.postMessage", self.post_message),
            ("chat.update", self.update),
        ):
            routes.add("POST", API, f"/api/{name}", self.route(name, handler))
        routes.add("POST", API, "/api/{method}", self.route("api", self.unknown_method))
        routes.add("POST", HOOKS, "/services/{team}/{service}/{secret}", self.route("hook", self.hook))

    # -- the Web API

    async def unknown_method(self, call: Call) -> web.Response:
        return refused("unknown_method", method=call.path["method"])

    async def auth_test(self, call: Call) -> web.Response:
        """Say whose token it is."""
        await self._given(call)
        return answer({"ok": True, **TEAM, "user": "wevion", "user_id": BOT_USER, "bot_id": "B0WEVIONBOT"})

    async def post_message(self, call: Call) -> web.Response:
        """Write a message into a channel."""
        given = await self._given(call)
        channel = self._channel(given)
        self._check_content(given)
        self._check_rate(call, channel.id)
        message = self._write(channel, given, call.now, by=BOT_USER)
        return answer({"ok": True, "channel": channel.id, "ts": message["ts"], "message": message})

    async def update(self, call: Call) -> web.Response:
        """Put something else in the place of a message of the bot's own."""
        given = await self._given(call)
        channel = self._channel(given)
        self._check_content(given)
        found = next((each for each in channel.messages if each["ts"] == given.get("ts")), None)
        if found is None:
            raise Reply(refused("message_not_found"))
        if found["user"] != BOT_USER:
            raise Reply(refused("cant_update_message"))
        self._check_rate(call, channel.id)
        found |= {"text": given.get("text", ""), "blocks": given.get("blocks", [])}
        found["edited"] = {"user": BOT_USER, "ts": _ts(call.now, 0)}
        return answer({"ok": True, "channel": channel.id, "ts": found["ts"], "text": found["text"]})

    async def _given(self, call: Call) -> dict[str, Any]:
        """Return the arguments of a call whose token is good."""
        token = call.bearer or (await call.form()).get("token")
        if not token:
            raise Reply(refused("not_authed"))
        state = self.tokens.get(token)
        if state is None:
            raise Reply(refused("invalid_auth"))
        if state != "active":
            raise Reply(refused(state))
        if call.request.content_type == "application/x-www-form-urlencoded":
            form: dict[str, Any] = dict(await call.form())
            return form | ({"blocks": json.loads(form["blocks"])} if "blocks" in form else {})
        document = await call.json()
        if document is None:
            raise Reply(refused("invalid_json"))
        return document

    def _channel(self, given: dict[str, Any]) -> Channel:
        channel = self.channels.get(str(given.get("channel", "")))
        refusal = "channel_not_found" if channel is None else channel.refusal()
        if channel is None or refusal is not None:
            raise Reply(refused(refusal or "channel_not_found"))
        return channel

    def _check_content(self, given: dict[str, Any]) -> None:
        text = given.get("text", "")
        if not text and not given.get("blocks"):
            raise Reply(refused("no_text"))
        if not isinstance(text, str) or len(text) > slack_blocks.LONGEST_TEXT:
            raise Reply(refused("msg_too_long"))
        fault = slack_blocks.wrong(given["blocks"]) if "blocks" in given else None
        if fault is not None:
            raise Reply(refused("invalid_blocks", errors=[fault]))

    def _check_rate(self, call: Call, name: str) -> None:
        rate = float(self.mode("per_channel_per_s"))
        if rate <= 0:
            return
        wait_s = self.world.limits.average(
            f"slack {name}", rate, float(self.mode("per_channel_burst")), self.world.clock.now()
        )
        if wait_s:
            raise Reply(self.rate_limited(call, wait_s, None))

    def _write(self, channel: Channel, given: dict[str, Any], now: float, *, by: str) -> dict[str, Any]:
        message = {
            "type": "message",
            "ts": _ts(now, len(channel.messages) + 1),
            "user": by,
            "text": given.get("text", ""),
            "blocks": given.get("blocks", []),
        }
        channel.messages.append(message)
        return message

    # -- incoming webhooks

    async def hook(self, call: Call) -> web.Response:
        """Write a message into the webhook's channel. Its answers are plain text."""
        path = "/services/{team}/{service}/{secret}".format(**call.path)
        state = self.hooks.get(path, "no_service")
        if state != "on":
            return _said(state, _HOOK_STATUS.get(state, 403))
        document = await call.json()
        if document is None:
            return _said("invalid_payload", 400)
        channel = self.channels["C0WEVIONADS"]
        refusal = channel.refusal()
        if refusal in ("is_archived", "channel_not_found"):
            error = "channel_is_archived" if refusal == "is_archived" else refusal
            return _said(error, _HOOK_STATUS[error])
        if not document.get("text") and not document.get("blocks"):
            return _said("no_text", 400)
        if "blocks" in document and slack_blocks.wrong(document["blocks"]) is not None:
            return _said("invalid_blocks", 400)
        self._check_rate(call, f"hook {path}")
        self._write(channel, document, call.now, by="B0WEVION1")
        return _said("ok", 200)

    # -- orders and trouble

    def revoke(self, _grant: Grant, _order: Revocation, /) -> list[str]:
        raise LookupError("a Slack token is ended with POST /_sim/slack/tokens")

    def rate_limited(self, _call: Call, retry_after_s: float, _fault: Fault | None, /) -> web.Response:
        return answer(
            {"ok": False, "error": "ratelimited"}, 429, {"Retry-After": str(max(math.ceil(retry_after_s), 1))}
        )

    def failing(self, _call: Call, fault: Fault, /) -> web.Response:
        return answer({"ok": False, "error": str(fault.code or "service_unavailable")}, fault.status or 503)


def refused(error: str, **more: Any) -> web.Response:
    """The Web API says no with status 200."""
    return answer({"ok": False, "error": error, **more})


def _said(text: str, status: int) -> web.Response:
    return web.Response(status=status, text=text, content_type="text/html")


def _ts(now: float, number: int) -> str:
    return f"{int(now)}.{number:06d}"
