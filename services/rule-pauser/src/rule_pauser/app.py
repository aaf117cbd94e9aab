"""How rule-pauser is put together. The only file that knows all the others."""

from common.service import Service
from rule_pauser import sweep
from rule_pauser.consumers import GROUP, TOPICS, handler
from rule_pauser.http import person_routes, rule_routes, settings_routes
from rule_pauser.operations import Deps, catch_up
from rule_pauser.settings import PauserSettings

NAME = "rule-pauser"


async def run(settings: PauserSettings) -> None:
    """Run until SIGTERM."""
    async with Service(settings, name=NAME) as service:
        pool = await service.postgres()
        producer = await service.producer()
        relay = await service.outbox(pool, producer)
        verifier = await service.verifier()

        reconciling = sweep.reconciling(lambda: deps, service.clock, max_wait_s=settings.settle_max_wait_s)
        deps = Deps(
            pool=pool,
            public_url=settings.public_url,
            incident_pause_after=settings.incident_pause_after,
            wake_reconciling=reconciling.poke,
            committed=relay.poke,
        )
        for work in (reconciling, sweep.incidents(deps, service.clock), sweep.tidying(deps, service.clock)):
            service.periodic(work)
        service.consumer(GROUP, TOPICS, handler(deps, service.clock), producer)

        async def catch_up_once() -> None:
            await catch_up(deps, service.kafka, service.clock.now())

        service.task("catch-up", catch_up_once)
        # The fixed paths first: `settings` is not a rule's id.
        routes = [build(deps, service.clock) for build in (settings_routes, rule_routes, person_routes)]
        await service.serve(routes, verifier)
        await service.run()
