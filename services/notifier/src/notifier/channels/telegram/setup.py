"""How the Telegram channel is put together, with what receives the bot's updates."""

from notifier.channels.setup import Opened, Setting
from notifier.channels.telegram import http, sessions, updating
from notifier.channels.telegram.channel import TelegramChannel
from notifier.channels.telegram.settings import TelegramSettings
from notifier.channels.throttle import Throttle


def open_channel(settings: TelegramSettings, setting: Setting) -> Opened:
    """Return the channel where a bot is set up. Without one its endpoints say so."""
    deps, clock, service = setting.deps, setting.clock, setting.service
    secret = settings.telegram_webhook_secret if settings.telegram_updates == "webhook" else None
    bot = None
    if settings.telegram_bot_token is not None:
        rate = settings.telegram_rate_per_s
        bot = TelegramChannel(
            service.http(),
            settings.telegram_bot_token,
            api_url=settings.telegram_api_url,
            texts=deps.texts,
            throttle=Throttle(rate=rate, burst=max(int(rate), 1), clock=clock),
        )
        service.periodic(updating.code_expirer(deps, clock))
        if secret is None:
            service.task("telegram-updates", updating.Poller(deps, bot, clock).run)
        else:
            url = f"{settings.public_url}/webhooks/telegram"
            receiver, given = bot, secret
            service.task("telegram-webhook", lambda: receiver.use_webhook(url, given))
    return Opened(
        bot,
        routes=[
            http.routes(deps, clock, bot, public_url=settings.public_url),
            http.webhook_routes(deps, clock, bot, secret=secret),
        ],
        listener=sessions.follow,
    )
