"""How the webhook channel is put together."""

from notifier.channels.endpoints.http import Managed
from notifier.channels.setup import Opened, Setting
from notifier.channels.webhook import http
from notifier.channels.webhook.channel import WebhookChannel
from notifier.channels.webhook.settings import WebhookSettings


def open_channel(settings: WebhookSettings, setting: Setting) -> Opened:
    """Return the channel, where there are keys to seal the workspaces' secrets with."""
    deps, clock = setting.deps, setting.clock
    if deps.vault is None:
        return Opened(None)
    channel = WebhookChannel(deps, deps.vault, clock=clock, allowed=settings.webhook_allow_private_hosts)
    managed = Managed(channel, lambda code: deps.texts.phrase("webhook", "reason", code=code))
    return Opened(channel, routes=[http.routes(deps, clock, managed, channel)], managed=managed)
