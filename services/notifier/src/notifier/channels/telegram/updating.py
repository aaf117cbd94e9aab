"""The bot's background work: read its updates by long poll, and end one-time codes that nobody opened."""

import asyncio
from datetime import timedelta

from common.postgres import transaction
from common.runtime.clock import Clock
from common.runtime.ids import new_id
from common.runtime.periodic import Periodic
from common.telemetry.logs import get_logger
from notifier.channels.telegram import chatting, linking, store
from notifier.channels.telegram.channel import MethodBusyError, TelegramChannel
from notifier.operations.deps import Deps

_log = get_logger(__name__)


def code_expirer(deps: Deps, clock: Clock) -> Periodic:
    """Ends one-time codes that nobody opened."""

    async def activate() -> None:
        await linking.expire(deps, clock.now())

    return Periodic("expire-telegram-codes", activate, interval_s=30.0)


class Poller:
    """Reads updates by long poll, as the only one: Telegram allows one reader, and a lease row chooses it."""

    LEASE = timedelta(seconds=60)
    STAND_BY_S = 5.0
    LONGEST_WAIT_S = 600.0
    """A longer wait is asked for again: whoever waits holds no update, and a person may stand before the bot."""

    def __init__(self, deps: Deps, bot: TelegramChannel, clock: Clock) -> None:
        self._deps = deps
        self._bot = bot
        self._clock = clock
        self._me = new_id()
        self._offset: int | None = None
        self._polls = False

    async def run(self) -> None:
        """Read until cancelled. Trouble raises, and the supervisor starts it again."""
        try:
            while True:
                try:
                    mine = await self.run_once()
                except MethodBusyError as busy:
                    if busy.retry_after_s is None:
                        raise
                    _log.warning("telegram_wants_to_be_left_alone", seconds=busy.retry_after_s)
                    await asyncio.sleep(min(busy.retry_after_s, self.LONGEST_WAIT_S))
                    continue
                if not mine:
                    await asyncio.sleep(self.STAND_BY_S)
        finally:
            async with transaction(self._deps.pool) as db:
                await store.leave_poller(db, self._me)

    async def run_once(self) -> bool:
        """Return one look, if it is ours to look; False while another process reads."""
        async with transaction(self._deps.pool) as db:
            if await store.take_poller(db, self._me, self.LEASE) is None:
                return False
        if not self._polls:
            await self._bot.use_polling()
            self._polls = True
        for update in await self._bot.updates(self._offset):
            await chatting.take_update(self._deps, self._bot, update, self._clock.now())
            self._offset = update.update_id + 1  # only now may Telegram forget it
        return True
