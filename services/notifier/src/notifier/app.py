"""How the notifier is put together. The only file that knows every other."""

from datetime import timedelta
from importlib.resources import files
from importlib.resources.abc import Traversable

import aiohttp

from common.contracts import NoticeChannel
from common.crypto import KeyringFile
from common.runtime.clock import Clock
from common.runtime.periodic import Periodic
from common.service import Service
from notifier import consumers, sweep
from notifier.channels.base import Channel
from notifier.channels.mail import MailChannel, MailServer
from notifier.channels.telegram import TelegramChannel
from notifier.channels.throttle import Throttle
from notifier.clients.session_svc import PeopleClient
from notifier.core.rendering import Texts
from notifier.core.routing import Pace
from notifier.http import messages, notices, preferences, telegram, unsubscribing
from notifier.operations.deps import CONSUMER, SOURCE, Deps
from notifier.settings import NotifierSettings


async def run(settings: NotifierSettings) -> None:
    """Run until SIGTERM."""
    async with Service(settings, name=SOURCE) as service:
        pool = await service.postgres()
        producer = await service.producer()
        relay = await service.outbox(pool, producer)
        verifier = await service.verifier()
        work: list[Periodic] = []

        def committed() -> None:
            relay.poke()
            for periodic in work:
                periodic.poke()

        channels = open_channels(settings, service.http(), service.clock)
        deps = Deps(
            pool=pool,
            texts=load_texts(settings.public_url),
            channels=channels,
            people=PeopleClient(service.http(), settings.people_url, service.service_tokens()),
            vault=KeyringFile(settings.keyring_file) if settings.keyring_file else None,
            pace=Pace(
                settle=timedelta(seconds=settings.settle_s),
                cooldown=timedelta(seconds=settings.cooldown_s),
                digest_after=settings.digest_after,
                digest_window=timedelta(seconds=settings.digest_window_s),
            ),
            lease=timedelta(seconds=settings.lease_s),
            parallel=settings.smtp_connections,
            directory_fresh=timedelta(seconds=settings.people_fresh_s),
            committed=committed,
        )
        work += [sweep.sender(deps, channel, service.clock) for channel in channels.values()]
        work.append(sweep.people_refresher(deps, service.clock))
        for periodic in work:
            service.periodic(periodic)
        bot = channels.get(NoticeChannel.TELEGRAM)
        bot = bot if isinstance(bot, TelegramChannel) else None
        service.consumer(CONSUMER, consumers.TOPICS, consumers.handler(deps, service.clock), producer)
        await service.serve(
            [
                notices.routes(deps, service.clock),
                preferences.routes(deps, service.clock),
                unsubscribing.routes(deps, service.clock),
                messages.routes(deps, service.clock, public_url=settings.public_url),
                telegram.routes(deps, service.clock, bot, public_url=settings.public_url),
                telegram.webhook_routes(
                    deps,
                    service.clock,
                    bot,
                    secret=settings.telegram_webhook_secret if settings.telegram_updates == "webhook" else None,
                ),
            ],
            verifier,
        )
        if bot is not None:
            _receive_updates(service, settings, deps, bot)
        try:
            await service.run()
        finally:
            for channel in channels.values():
                await channel.close()


def open_channels(
    settings: NotifierSettings, http: aiohttp.ClientSession, clock: Clock
) -> dict[NoticeChannel, Channel]:
    """The push channels that are set up."""
    channels: dict[NoticeChannel, Channel] = {}
    if settings.smtp_host is not None:
        channels[NoticeChannel.EMAIL] = MailChannel(
            MailServer(
                host=settings.smtp_host,
                port=settings.smtp_port,
                sender=settings.mail_from,
                username=settings.smtp_username,
                password=settings.smtp_password,
                tls=settings.smtp_tls,
                connections=settings.smtp_connections,
                settings_url=f"{settings.public_url}/settings/notifications",
            ),
            throttle=Throttle(rate=settings.smtp_rate_per_s, burst=max(int(settings.smtp_rate_per_s), 1), clock=clock),
            clock=clock,
        )
    if settings.telegram_bot_token is not None:
        rate = settings.telegram_rate_per_s
        channels[NoticeChannel.TELEGRAM] = TelegramChannel(
            http,
            settings.telegram_bot_token,
            api_url=settings.telegram_api_url,
            throttle=Throttle(rate=rate, burst=max(int(rate), 1), clock=clock),
        )
    return channels


def _receive_updates(service: Service, settings: NotifierSettings, deps: Deps, bot: TelegramChannel) -> None:
    service.periodic(sweep.code_expirer(deps, service.clock))
    secret = settings.telegram_webhook_secret
    if settings.telegram_updates == "polling" or secret is None:
        service.task("telegram-updates", sweep.Poller(deps, bot, service.clock).run)
        return
    url = f"{settings.public_url}/webhooks/telegram"
    service.task("telegram-webhook", lambda: bot.use_webhook(url, secret))


def load_texts(public_url: str) -> Texts:
    """Every text in `templates/`, compiled. A text with a mistake stops the start."""
    sources: dict[str, str] = {}

    def read(folder: Traversable, prefix: str) -> None:
        for entry in folder.iterdir():
            if entry.is_dir():
                read(entry, f"{prefix}{entry.name}/")
            elif entry.name.endswith((".txt", ".html")):
                sources[prefix + entry.name] = entry.read_text(encoding="utf-8")

    read(files("notifier") / "templates", "")
    return Texts(sources, public_url=public_url)
