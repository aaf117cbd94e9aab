"""How the Slack channel is put together."""

from notifier.channels.endpoints.http import Managed
from notifier.channels.setup import Opened, Setting
from notifier.channels.slack import http
from notifier.channels.slack.api import SlackApi
from notifier.channels.slack.channel import SlackChannel
from notifier.channels.slack.settings import SlackSettings


def open_channel(settings: SlackSettings, setting: Setting) -> Opened:
    """Return the channel, where there are keys to seal the workspaces' credentials with."""
    deps, clock = setting.deps, setting.clock
    if deps.vault is None:
        return Opened(None)
    channel = SlackChannel(deps, deps.vault, SlackApi(setting.service.http(), settings.slack_api_url), clock=clock)
    managed = Managed(channel, lambda code: http.explain(deps.texts, code))
    hooks_url = settings.slack_hooks_url.rstrip("/")
    return Opened(channel, routes=[http.routes(deps, clock, managed, channel, hooks_url=hooks_url)], managed=managed)
