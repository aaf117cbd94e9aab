"""The apps that Wevion registered at each platform: the client of an OAuth dance and where its callbacks go."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field


class App(BaseModel):
    """What the platform's developer console holds about one app.

    `webhook_url` gets the platform's own signals (Meta's deauthorise callback, Google's RISC events, Stripe's Connect
    endpoint); `webhook_secret` signs them where the platform has a secret of its own for that. `options` are the
    platform's special switches, described with each platform.
    """

    model_config = ConfigDict(extra="forbid")

    provider: str
    client_id: str
    client_secret: str
    name: str = "Wevion"
    redirect_uris: list[str] = Field(default_factory=list)
    webhook_url: str | None = None
    webhook_secret: str | None = None
    data_deletion_url: str | None = None
    options: dict[str, Any] = Field(default_factory=dict)


def default_apps(public_url: str) -> list[App]:
    """The apps a development stack finds ready; `public_url` is where browsers reach the product."""

    def uris(provider: str) -> list[str]:
        return [f"{public_url}/connect/{provider}/callback"]

    def hook(provider: str) -> str:
        return f"{public_url}/webhooks/{provider}"

    return [
        App(
            provider="meta",
            client_id="100000000000001",
            client_secret="sim-meta-app-secret-0123456789abcdef",  # noqa: S106  the simulator's own app
            redirect_uris=uris("meta"),
            webhook_url=hook("meta"),
            data_deletion_url=hook("meta"),
        ),
        App(
            provider="google-ads",
            client_id="100000000001-ads.apps.googleusercontent.com",
            client_secret="GOCSPX-sim-google-ads",  # noqa: S106
            redirect_uris=uris("google-ads"),
            webhook_url=hook("google-ads"),
            options={"project": "wevion-ads", "developer_token": "sim-developer-token"},
        ),
        App(
            provider="google-drive",
            client_id="100000000002-drive.apps.googleusercontent.com",
            client_secret="GOCSPX-sim-google-drive",  # noqa: S106
            redirect_uris=uris("google-drive"),
            webhook_url=hook("google-drive"),
            options={"project": "wevion-drive"},
        ),
        App(
            provider="tiktok",
            client_id="7000000000000000001",
            client_secret="sim-tiktok-secret",  # noqa: S106
            redirect_uris=uris("tiktok"),
        ),
        App(
            provider="snapchat",
            client_id="5a1e0000-0000-4000-a000-000000000001",
            client_secret="sim-snapchat-secret",  # noqa: S106
            redirect_uris=uris("snapchat"),
        ),
        App(
            provider="stripe",
            client_id="ca_SimWevion",
            client_secret="sk_test_SimWevionPlatformKey",  # noqa: S106
            redirect_uris=uris("stripe"),
            webhook_url=hook("stripe"),
            webhook_secret="whsec_SimWevionConnect",  # noqa: S106
        ),
        App(
            provider="telegram",
            client_id="WevionBot",
            client_secret="7000000001:SimWevionBotToken_AAAAAAAAAAAAAAAAA",  # noqa: S106
        ),
        App(
            provider="rfc6749",
            client_id="wevion",
            client_secret="sim-rfc6749-secret",  # noqa: S106
            redirect_uris=uris("rfc6749"),
        ),
    ]


class Apps:
    def __init__(self) -> None:
        self._apps: dict[tuple[str, str], App] = {}

    def put(self, app: App) -> None:
        self._apps[app.provider, app.client_id] = app

    def get(self, provider: str, client_id: str) -> App | None:
        return self._apps.get((provider, client_id))

    def among(self, providers: tuple[str, ...], client_id: str) -> App | None:
        """The app with this client id at any of `providers`: Google's endpoints are shared by its products."""
        for provider in providers:
            if (app := self._apps.get((provider, client_id))) is not None:
                return app
        return None

    def all(self) -> list[App]:
        return list(self._apps.values())

    def of(self, provider: str) -> list[App]:
        return [a for a in self._apps.values() if a.provider == provider]

    def remove(self, provider: str, client_id: str) -> bool:
        return self._apps.pop((provider, client_id), None) is not None

    def clear(self) -> None:
        self._apps.clear()
