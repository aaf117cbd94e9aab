"""Periodic work of `session-svc run`: keys, expiry, forgetting, mails. Each takes no input and may run anywhere."""

from collections.abc import Callable
from datetime import timedelta

from common.runtime.clock import Clock
from common.runtime.periodic import Periodic
from session_svc.clients.notifier import MessagesClient
from session_svc.operations import mails as due_mails
from session_svc.operations import upkeep
from session_svc.operations.deps import Deps
from session_svc.operations.keys import SigningKeys

EXPIRE_EVERY_S = 5.0
PURGE_EVERY_S = 60.0
MAIL_EVERY_S = 5.0


def keys(signing_keys: SigningKeys, clock: Clock) -> Periodic:
    """See other replicas' keys in time, and make the next one when it is due."""

    async def reload() -> None:
        await signing_keys.load(clock.now())  # first, because a reader waits for none of the locks of a rotation
        await signing_keys.ensure(clock.now())

    every: timedelta = signing_keys.schedule.reload_every
    return Periodic("signing-keys", reload, interval_s=every.total_seconds())


def expiry(deps: Deps, clock: Clock) -> Periodic:
    """Return sessions whose time ran out."""

    async def expire() -> upkeep.UpkeepStatus:
        return await upkeep.expire_due(deps, clock.now())

    return Periodic("session-expiry", expire, interval_s=EXPIRE_EVERY_S)


def forgetting(deps: Deps, clock: Clock) -> Periodic:
    """Return the work that forgets sessions that ended long ago."""

    async def forget() -> upkeep.UpkeepStatus:
        return await upkeep.purge_ended(deps, clock.now())

    return Periodic("session-purge", forget, interval_s=PURGE_EVERY_S)


def mails(deps: Callable[[], Deps], channel: MessagesClient, clock: Clock) -> Periodic:
    """Hand over the mails of resets and invitations. Poked by each request for one."""

    async def send() -> due_mails.MailStatus:
        return await due_mails.send_due(deps(), channel, clock.now())

    return Periodic("mails", send, interval_s=MAIL_EVERY_S)
