"""The simulated platforms, as the stack sets them up and as the demo gives orders to them."""

import json
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import aiohttp
from yarl import URL

#: oauth-svc's own providers. Taboola and Outbrain have no app: the customers' credentials are entered.
PROVIDERS = ("meta", "google-ads", "tiktok", "taboola", "snapchat", "outbrain", "stripe", "google-drive")
#: A provider that oauth-svc knows by settings alone.
GENERIC = "acme"
GENERIC_HOST = "rfc6749.example"


def simulated(provider: str) -> str:
    """What the simulator calls a provider of oauth-svc."""
    return "rfc6749" if provider == GENERIC else provider


class Platforms:
    """The simulator's control API."""

    def __init__(self, http: aiohttp.ClientSession, control_url: str) -> None:
        self._http = http
        self._control = URL(control_url)

    async def order(self, method: str, path: str, body: Any = None) -> Any:
        """One order. Raises `RuntimeError` with the simulator's words if it refuses."""
        async with self._http.request(method, self._control.join(URL(path)), json=body) as response:
            text = await response.text()
            if not response.ok:
                raise RuntimeError(f"simulator: {method} {path}: {response.status} {text[:300]}")
            return json.loads(text) if text else None

    async def set_up_apps(self, public_url: str) -> dict[str, dict[str, Any]]:
        """Points every app's redirect and webhook addresses at this start's gateway; returns the apps by provider."""
        known = (await self.order("GET", "/livez"))["providers"]
        listed = (await self.order("GET", "/_sim/apps"))["apps"]
        apps = {app["provider"]: app for app in listed if app["provider"] in known}
        for provider, app in apps.items():
            name = GENERIC if provider == "rfc6749" else provider
            change: dict[str, Any] = {"redirect_uris": [f"{public_url}/connect/{name}/callback"]}
            if app["webhook_url"]:
                change["webhook_url"] = f"{public_url}/webhooks/{name}"
            await self.order("PUT", f"/_sim/apps/{provider}/{app['client_id']}", change)
        return apps

    async def lifetimes(self, provider: str, **seconds: float | None) -> None:
        await self.order("PUT", f"/_sim/lifetimes/{provider}", seconds)

    async def revoke(self, provider: str, grant: str, **order: Any) -> Any:
        """As the platform's user, or the platform itself; `grant` is a grant's id or a person's key."""
        return await self.order("POST", f"/_sim/grants/{provider}/{grant}/revoke", order)

    async def outage(self, provider: str) -> None:
        """Every request to the platform fails until `restore`. Forgotten when the simulator restarts."""
        await self.order("POST", f"/_sim/events/{provider}", {"kind": "outage"})

    async def restore(self, provider: str) -> None:
        await self.order("POST", f"/_sim/events/{provider}", {"kind": "restored"})

    async def mail(self, **query: str) -> list[dict[str, Any]]:
        """Messages in the mailbox, newest first; `to`, `subject`, `text`, `after`, `wait_s` narrow them."""
        async with self._http.get(self._control.join(URL("/mailbox")), params=query) as response:
            response.raise_for_status()
            messages: list[dict[str, Any]] = (await response.json())["messages"]
            return messages


def overridden(file: Path | None) -> frozenset[str]:
    """Providers that a file of somebody's own speaks of: the simulator's people cannot connect those.

    Raises `ValueError` with the reason if it cannot be read.
    """
    if file is None:
        return frozenset()
    try:
        return frozenset(tomllib.loads(file.read_text(encoding="utf-8")).get("providers", {}))
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise ValueError(f"{file}: {error}") from error


def providers_toml(
    called_url: str,
    browser_url: str,
    apps: dict[str, dict[str, Any]],
    further: Mapping[str, Mapping[str, float]] | None = None,
) -> str:
    """The `WEVION_PROVIDERS_FILE` that points oauth-svc at the simulator, with the `further` keys of some providers.

    It holds the simulator's client secrets, which are as secret as the simulator is real, and is 0600 all the same.
    """
    host = URL(called_url).authority

    def more(provider: str) -> list[str]:
        return [f"{name} = {value}" for name, value in (further or {}).get(provider, {}).items()]

    lines = [
        "# written by devstack at every start",
        f"via = {_quoted(called_url)}",
        f"browser_via = {_quoted(browser_url)}",
        f"allow_private_hosts = [{_quoted(host)}]",
    ]
    for provider in PROVIDERS:
        lines += ["", f"[providers.{provider}]", *more(provider)]
        if app := apps.get(provider):
            lines.append(f"client_id = {_quoted(app['client_id'])}")
            lines.append(f"client_secret = {_quoted(app['client_secret'])}")
            if app["webhook_secret"]:
                lines.append(f"webhook_secret = {_quoted(app['webhook_secret'])}")
            if token := app["options"].get("developer_token"):
                lines.append(f"developer_token = {_quoted(token)}")
    if generic := apps.get("rfc6749"):
        base = f"{called_url}/{GENERIC_HOST}"
        lines += [
            "",
            f"[providers.{GENERIC}]",
            *more(GENERIC),
            'title = "Acme Ads"',
            'kind = "platform_oauth"',
            f"client_id = {_quoted(generic['client_id'])}",
            f"client_secret = {_quoted(generic['client_secret'])}",
            f"authorize_url = {_quoted(f'{browser_url}/{GENERIC_HOST}/authorize')}",
            f"token_url = {_quoted(base + '/token')}",
            f"revocation_url = {_quoted(base + '/revoke')}",
            f"introspection_url = {_quoted(base + '/introspect')}",
            f"accounts_url = {_quoted(base + '/api/accounts')}",
            "pkce = true",
            'rotation = "single_use"',
        ]
    return "\n".join(lines) + "\n"


def _quoted(text: str) -> str:
    # a JSON string without control characters is a TOML basic string
    return json.dumps(text)
