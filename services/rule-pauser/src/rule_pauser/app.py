"""How rule-pauser is put together. The only file that knows all the others."""

from common.runtime.periodic import Periodic
from common.service import Service
from rule_pauser.consumers import GROUP, TOPICS, handler
from rule_pauser.http import person_routes, rule_routes, settings_routes
from rule_pauser.operations import Deps, SettleStatus, catch_up, pause_for_incidents, settle_some
from rule_pauser.settings import PauserSettings
from rule_pauser.store.housekeeping import tidy

TIDY_EVERY_S = 3600.0
INCIDENTS_EVERY_S = 10.0
"""An incident has to last for hours before it pauses anything: seconds do not matter."""
NAME = "rule-pauser"


async def run(settings: PauserSettings) -> None:
    """Run until SIGTERM."""
    async with Service(settings, name=NAME) as service:
        pool = await service.postgres()
        producer = await service.producer()
        relay = await service.outbox(pool, producer)
        verifier = await service.verifier()

        async def settle() -> SettleStatus:
            return await settle_some(deps, service.clock.now())

        settling = Periodic("settling", settle, interval_s=settings.settle_max_wait_s)
        deps = Deps(
            pool=pool,
            public_url=settings.public_url,
            incident_pause_after=settings.incident_pause_after,
            wake_settling=settling.poke,
            wake_relay=relay.poke,
        )
        service.periodic(settling)

        async def look_at_incidents() -> None:
            await pause_for_incidents(deps, service.clock.now())

        service.periodic(Periodic("incidents", look_at_incidents, interval_s=INCIDENTS_EVERY_S))
        service.consumer(GROUP, TOPICS, handler(deps, service.clock), producer)

        async def catch_up_once() -> None:
            await catch_up(deps, service.kafka, service.clock.now())

        service.task("catch-up", catch_up_once)
        # The fixed paths first: `settings` is not a rule's id.
        routes = [build(deps, service.clock) for build in (settings_routes, rule_routes, person_routes)]

        async def forget_old() -> None:
            while await tidy(pool, service.clock.now()) > 0:
                pass

        service.periodic(Periodic("tidy", forget_old, interval_s=TIDY_EVERY_S, timeout_s=TIDY_EVERY_S))
        await service.serve(routes, verifier)
        await service.run()
