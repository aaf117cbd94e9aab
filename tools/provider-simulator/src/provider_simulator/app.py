"""How the simulator is put together: one world, the platform port, the control port, the SMTP port."""

from __future__ import annotations

import asyncio
import logging
import signal
from contextlib import AsyncExitStack, suppress
from types import TracebackType
from typing import Self

from aiohttp import web

from provider_simulator.clock import SimClock
from provider_simulator.control import Control
from provider_simulator.http_orders import problems
from provider_simulator.mailbox import smtp
from provider_simulator.mailbox.pages import Mailbox
from provider_simulator.notification_control import NotificationControl
from provider_simulator.platforms import catalogue
from provider_simulator.server import PlatformServer
from provider_simulator.settings import Settings
from provider_simulator.telegram_control import TelegramControl
from provider_simulator.world import World

LOG = logging.getLogger("provider_simulator")
SHUTDOWN_S = 1.0
BACKLOG = 1024


class Simulator:
    """`async with Simulator(settings) as sim`: serving inside the block; the addresses are its attributes."""

    def __init__(self, settings: Settings, clock: SimClock | None = None) -> None:
        self._settings = settings
        self._clock = clock
        self._stack = AsyncExitStack()
        self.world: World
        self.url = self.control_url = ""
        self.smtp_port = 0

    async def __aenter__(self) -> Self:
        s = self._settings
        async with AsyncExitStack() as stack:
            world = self.world = World(s, self._clock)
            stack.callback(world.journal.close)
            routes, known = catalogue.install(world)
            stack.push_async_callback(world.webhooks.close)

            platforms = web.ServerRunner(
                web.Server(PlatformServer(world, routes, known), handler_cancellation=True, access_log=None),
                shutdown_timeout=SHUTDOWN_S,
            )
            self.url = await _listen(stack, platforms, s.host, s.port)
            control = web.Application(middlewares=[problems], client_max_size=64 << 20)
            for part in (
                Control(world, known),
                TelegramControl(world, known),
                NotificationControl(known),
                Mailbox(world),
            ):
                control.add_routes(part.routes())
            runner = web.AppRunner(control, access_log=None, shutdown_timeout=SHUTDOWN_S)
            self.control_url = await _listen(stack, runner, s.host, s.control_port)

            mail = await smtp.serve(world, s.host, s.smtp_port)
            stack.callback(mail.close)
            self.smtp_port = mail.sockets[0].getsockname()[1]

            writer = asyncio.create_task(world.journal.run())
            stack.push_async_callback(_cancel, writer)
            for platform in dict.fromkeys(known.values()):
                stack.push_async_callback(platform.close)
            self._stack = stack.pop_all()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stack.aclose()


async def _listen(stack: AsyncExitStack, runner: web.BaseRunner, host: str, port: int) -> str:
    await runner.setup()
    stack.push_async_callback(runner.cleanup)
    site = web.TCPSite(runner, host, port, backlog=BACKLOG)
    await site.start()
    address = runner.addresses[0]
    return f"http://{address[0]}:{address[1]}"


async def _cancel(task: asyncio.Task[None]) -> None:
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


async def run(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, stop.set)
    async with Simulator(settings) as simulator:
        LOG.info(
            "simulator_ready platforms=%s control=%s/_sim mailbox=%s/mailbox smtp=%s:%d seed=%d",
            simulator.url,
            simulator.control_url,
            simulator.control_url,
            settings.host,
            simulator.smtp_port,
            settings.seed,
        )
        await stop.wait()
