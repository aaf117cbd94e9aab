"""Which platforms there are."""

from __future__ import annotations

from provider_simulator.platforms.base import Platform
from provider_simulator.platforms.google import Google
from provider_simulator.platforms.meta import Meta
from provider_simulator.platforms.outbrain import Outbrain
from provider_simulator.platforms.receiver import Receiver
from provider_simulator.platforms.rfc6749 import Rfc6749
from provider_simulator.platforms.slack import Slack
from provider_simulator.platforms.snapchat import Snapchat
from provider_simulator.platforms.stripe import Stripe
from provider_simulator.platforms.taboola import Taboola
from provider_simulator.platforms.telegram import Telegram
from provider_simulator.platforms.telegram_pages import TelegramPages
from provider_simulator.platforms.tiktok import TikTok
from provider_simulator.wire import Routes
from provider_simulator.world import World

PLATFORMS: tuple[type[Platform], ...] = (
    Meta,
    Google,
    TikTok,
    Taboola,
    Snapchat,
    Outbrain,
    Stripe,
    Telegram,
    Slack,
    Receiver,
    Rfc6749,
)


def install(world: World) -> tuple[Routes, dict[str, Platform]]:
    """Put every platform into the world.

    Returns:
        The routes of all platforms, and the platform of each provider's id.

    """
    routes = Routes()
    platforms: dict[str, Platform] = {}
    for made in PLATFORMS:
        platform = made(world)
        platforms |= dict.fromkeys(made.providers, platform)
        platform.routes(routes)
        if isinstance(platform, Telegram):
            TelegramPages(platform).routes(routes)
    world.platforms |= platforms
    return routes, platforms
