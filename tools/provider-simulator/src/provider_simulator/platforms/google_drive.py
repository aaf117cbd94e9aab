"""The Drive API as far as a connection needs it (platforms/google-drive.md): a 403 is a rate limit or a permission."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aiohttp import web

from provider_simulator.faults import Fault
from provider_simulator.grants import Token
from provider_simulator.wire import Call, Handler, Reply, Route, Routes, answer

if TYPE_CHECKING:
    from provider_simulator.platforms.google_tokens import GoogleTokens

HOST = "www.googleapis.com"
PROVIDER = "google-drive"
PREFIX = "https://www.googleapis.com/auth/drive"
CHANNEL_DEFAULT_S, CHANNEL_MOST_S = 3600.0, 7 * 86_400.0
FILES = {"sim-report": "Weekly report", "sim-budget": "Budget 2026"}
REASONS = {
    "insufficientFilePermissions": "The user does not have sufficient permissions for this file.",
    "appNotAuthorizedToFile": "The user has not granted the app access to the file.",
    "domainPolicy": "The domain administrators have disabled Drive apps.",
    "userRateLimitExceeded": "User Rate Limit Exceeded",
    "rateLimitExceeded": "Rate Limit Exceeded",
    "authError": "Invalid Credentials",
    "notFound": "File not found.",
}


class GoogleDrive:
    """Channels are remembered only to be stopped; they die without a notice."""

    def __init__(self, google: GoogleTokens) -> None:
        self._google = google
        self._world = google.world
        self._channels: dict[str, float] = {}

    def routes(self, routes: Routes) -> None:
        def add(method: str, path: str, endpoint: str, handler: Handler) -> None:
            routes.add(method, HOST, "/drive/v3" + path, Route(PROVIDER, endpoint, handler))

        add("GET", "/about", "identity", self.about)
        add("GET", "/files", "api", self.files)
        add("GET", "/files/{file}", "api", self.file)
        add("GET", "/changes/startPageToken", "api", self.start_page_token)
        add("POST", "/changes/watch", "api", self.watch)
        add("POST", "/channels/stop", "api", self.stop)

    def caller(self, call: Call) -> Token:
        token = self._google.checked(call)
        if isinstance(token, str):
            raise Reply(refused(401, "authError", "Invalid Credentials", location="Authorization"))
        if not any(s.startswith(PREFIX) for s in token.extra["scopes"]):
            raise Reply(refused(403, "insufficientPermissions", "Insufficient Permission"))
        return token

    async def about(self, call: Call) -> web.StreamResponse:
        token = self.caller(call)
        if "fields" not in call.query:
            return refused(400, "required", "The 'fields' parameter is required for this method.")
        person = self._world.person_of(token.grant)
        user = {
            "kind": "drive#user",
            "displayName": person.name,
            "emailAddress": person.email,
            "permissionId": person.subject("google-drive"),
            "me": True,
        }
        return answer({"user": user})

    async def files(self, call: Call) -> web.StreamResponse:
        """With `drive.file` alone the list is empty: the person has picked no file for this app yet."""
        token = self.caller(call)
        whole = any(s in {PREFIX, PREFIX + ".readonly"} for s in token.extra["scopes"])
        listed = [{"kind": "drive#file", "id": i, "name": n} for i, n in FILES.items()] if whole else []
        return answer({"kind": "drive#fileList", "incompleteSearch": False, "files": listed})

    async def file(self, call: Call) -> web.StreamResponse:
        """`sim-report` and `sim-budget` exist; a file named like a reason (`domainPolicy`) answers 403 with it."""
        token = self.caller(call)
        name = call.path["file"]
        if name in REASONS and name not in {"notFound", "authError"}:
            return refused(403, name, REASONS[name])
        if name not in FILES:
            return refused(404, "notFound", f"File not found: {name}.", location="fileId")
        if all(s == PREFIX + ".file" for s in token.extra["scopes"] if s.startswith(PREFIX)):
            return refused(403, "appNotAuthorizedToFile", REASONS["appNotAuthorizedToFile"])
        return answer({"kind": "drive#file", "id": name, "name": FILES[name], "mimeType": "text/csv"})

    async def start_page_token(self, call: Call) -> web.StreamResponse:
        self.caller(call)
        return answer({"kind": "drive#startPageToken", "startPageToken": "1"})

    async def watch(self, call: Call) -> web.StreamResponse:
        """A channel for at most 7 days, one hour by default; its first message is `sync`."""
        token = self.caller(call)
        order = await call.json() or {}
        channel, address = order.get("id"), order.get("address")
        if not isinstance(channel, str) or not isinstance(address, str) or order.get("type") != "web_hook":
            return refused(400, "required", "Required: id, type, address")
        if channel in self._channels:
            return refused(400, "channelIdNotUnique", "Channel id not unique")
        asked = float(order.get("expiration", 0)) / 1000
        expires_at = min(asked or call.now + CHANNEL_DEFAULT_S, call.now + CHANNEL_MOST_S)
        self._channels[channel] = expires_at
        headers = {
            "X-Goog-Channel-ID": channel,
            "X-Goog-Resource-ID": "sim-changes",
            "X-Goog-Resource-State": "sync",
            "X-Goog-Message-Number": "1",
        }
        if isinstance(order.get("token"), str):
            headers["X-Goog-Channel-Token"] = order["token"]
        self._world.webhooks.send(PROVIDER, "sync", address, b"", headers, now=call.now, grant=token.grant.id)
        return answer(
            {
                "kind": "api#channel",
                "id": channel,
                "resourceId": "sim-changes",
                "expiration": str(int(expires_at * 1000)),
            }
        )

    async def stop(self, call: Call) -> web.StreamResponse:
        self.caller(call)
        channel = (await call.json() or {}).get("id")
        if self._channels.pop(str(channel), 0.0) <= call.now:
            return refused(404, "notFound", f"Channel '{channel}' not found for project")
        return web.Response(status=204)


def refused(status: int, reason: str, message: str, **more: Any) -> web.Response:
    inner = {"domain": "usageLimits" if "Limit" in reason else "global", "reason": reason, "message": message, **more}
    return answer({"error": {"code": status, "message": message, "errors": [inner]}}, status)


def rate_limited(status: int, fault: Fault | None) -> web.Response:
    reason = str((fault.code if fault is not None else None) or "userRateLimitExceeded")
    status = (fault.status if fault is not None else None) or status
    return refused(status, reason, REASONS.get(reason, reason))
