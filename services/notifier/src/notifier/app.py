"""How the notifier is put together. The only file that knows every other."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from importlib.resources import files
from importlib.resources.abc import Traversable

from common.runtime.periodic import Periodic
from common.service import Service
from notifier import consumers, sweep
from notifier.channels.registry import open_channels
from notifier.channels.setup import Setting
from notifier.clients.session_svc import PeopleClient
from notifier.core.rendering import Texts
from notifier.core.routing import Pace
from notifier.http import messages, notices, preferences
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

        deps = Deps(
            pool=pool,
            texts=load_texts(settings.public_url),
            people=PeopleClient(service.http(), settings.people_url, service.service_tokens()),
            vault=None if settings.keys_missing else settings.keys(service.http),
            pace=Pace(
                settle=timedelta(seconds=settings.settle_s),
                cooldown=timedelta(seconds=settings.cooldown_s),
                digest_after=settings.digest_after,
                digest_window=timedelta(seconds=settings.digest_window_s),
            ),
            lease=timedelta(seconds=settings.lease_s),
            parallel=settings.smtp_connections,
            directory_fresh=timedelta(seconds=settings.people_fresh_s),
            people_stale=timedelta(seconds=settings.people_stale_s),
            committed=committed,
        )
        opened = open_channels(settings, Setting(service, deps))
        channels = [each.channel for each in opened if each.channel is not None]
        deps.channels.update({channel.name: channel for channel in channels})
        work += [sweep.sender(deps, channel, service.clock) for channel in channels]
        work.append(sweep.people_refresher(deps, service.clock))
        for periodic in (*work, sweep.gauges(deps, service.clock)):
            service.periodic(periodic)
        listeners = [each.listener for each in opened if each.listener is not None]
        service.consumer(CONSUMER, consumers.TOPICS, consumers.handler(deps, service.clock, listeners), producer)
        await service.serve(
            [
                notices.routes(deps, service.clock),
                preferences.routes(deps, service.clock),
                messages.routes(deps, service.clock, public_url=settings.public_url),
                *(routes for each in opened for routes in each.routes),
            ],
            verifier,
        )
        try:
            await service.run()
        finally:
            for channel in channels:
                await channel.close()


@asynccontextmanager
async def offline(settings: NotifierSettings) -> AsyncIterator[Deps]:
    """Return what a command works with: the database and the texts. A running replica sends what it leaves due."""
    pool = await settings.database("notifier", max_size=2)
    try:
        yield Deps(pool=pool, texts=load_texts(settings.public_url))
    finally:
        await pool.close()


def load_texts(public_url: str) -> Texts:
    """Return every text in `templates/`, compiled. A text with a mistake stops the start."""
    sources: dict[str, str] = {}

    def read(folder: Traversable, prefix: str) -> None:
        for entry in folder.iterdir():
            if entry.is_dir():
                read(entry, f"{prefix}{entry.name}/")
            elif entry.name.endswith((".txt", ".html")):
                sources[prefix + entry.name] = entry.read_text(encoding="utf-8")

    read(files("notifier") / "templates", "")
    return Texts(sources, public_url=public_url)
