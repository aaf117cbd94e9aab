"""Periodic work: messages that are due, per channel; people whose list is old; Telegram's codes and updates."""

import asyncio
from datetime import timedelta

from common.postgres import transaction
from common.runtime.clock import Clock
from common.runtime.ids import new_id
from common.runtime.periodic import Periodic
from notifier.channels.base import Channel
from notifier.channels.telegram import TelegramChannel
from notifier.operations import chatting, directory, sending
from notifier.operations import telegram as chats
from notifier.operations.deps import Deps
from notifier.store import telegram

IDLE_S = 5.0
"""How long a sender sleeps at most when nothing is known to be due: a message of another replica is found then."""
SEND_TIMEOUT_S = 120.0


def sender(deps: Deps, channel: Channel, clock: Clock) -> Periodic:
    """Sends what is due on one channel; sleeps until the next thing is, or the other end wants to be asked again."""
    waits_until = clock.now()

    async def activate() -> sending.SendStatus | None:
        nonlocal waits_until
        if clock.now() < waits_until:
            return None
        status = await sending.send_due(deps, channel, clock.now())
        waits_until = clock.now() + timedelta(seconds=status.wait_s)
        return status

    async def next_delay() -> float | None:
        due_s = await sending.next_delay(deps, channel, clock.now())
        return None if due_s is None else max(due_s, (waits_until - clock.now()) / timedelta(seconds=1))

    return Periodic(
        f"send-{channel.name.value}", activate, interval_s=IDLE_S, timeout_s=SEND_TIMEOUT_S, next_delay=next_delay
    )


def people_refresher(deps: Deps, clock: Clock) -> Periodic:
    """Keeps the lists of people fresh."""

    async def activate() -> directory.RefreshStatus:
        return await directory.refresh(deps, clock.now())

    return Periodic("refresh-people", activate, interval_s=IDLE_S, timeout_s=SEND_TIMEOUT_S)


def code_expirer(deps: Deps, clock: Clock) -> Periodic:
    """Ends one-time codes that nobody opened."""

    async def activate() -> None:
        await chats.expire(deps, clock.now())

    return Periodic("expire-telegram-codes", activate, interval_s=30.0)


class Poller:
    """Reads updates by long poll, as the only one: Telegram allows one reader, and a lease row chooses it."""

    LEASE = timedelta(seconds=60)
    STAND_BY_S = 5.0

    def __init__(self, deps: Deps, bot: TelegramChannel, clock: Clock) -> None:
        self._deps = deps
        self._bot = bot
        self._clock = clock
        self._me = new_id()
        self._offset: int | None = None

    async def run(self) -> None:
        """Read until cancelled. Trouble raises, and the supervisor starts it again."""
        await self._bot.use_polling()
        try:
            while True:
                if not await self.run_once():
                    await asyncio.sleep(self.STAND_BY_S)
        finally:
            async with transaction(self._deps.pool) as connection:
                await telegram.leave_poller(connection, self._me)

    async def run_once(self) -> bool:
        """One look, if it is ours to look; False while another process reads."""
        async with transaction(self._deps.pool) as connection:
            if await telegram.take_poller(connection, self._me, self.LEASE) is None:
                return False
        for update in await self._bot.updates(self._offset):
            await chatting.take_update(self._deps, self._bot, update, self._clock.now())
            self._offset = update.update_id + 1  # only now may Telegram forget it
        return True
