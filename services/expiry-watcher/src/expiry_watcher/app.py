"""How expiry-watcher is put together. The only file that knows all the others."""

import argparse
import sys
from datetime import datetime

from common.runtime.clock import SystemClock
from common.runtime.periodic import Periodic
from common.service import Service
from expiry_watcher.clients.notifier import NoticesClient
from expiry_watcher.clients.oauth_svc import ChecksClient
from expiry_watcher.consumers import GROUP, TOPICS, followed
from expiry_watcher.http import diagnose_routes, ladder_routes, token_routes
from expiry_watcher.operations import Deps, RebuildProgress, rebuild
from expiry_watcher.settings import WatcherSettings
from expiry_watcher.sweep import Sweep, measuring, tidying

NAME = "expiry-watcher"


async def run_rebuild(settings: WatcherSettings, _: argparse.Namespace) -> int:
    """Fill the inventory anew from the topics, saying how far it is."""
    pool = await settings.database(f"{NAME} rebuild", max_size=4)
    try:
        deps = Deps(pool=pool, ladder=settings.ladder, public_url=settings.public_url)
        done = await rebuild(deps, settings.kafka(NAME), SystemClock().now(), _report)
    finally:
        await pool.close()
    sys.stdout.write(f"rebuilt: {done}\n")
    return 0


def _report(part: str, progress: RebuildProgress) -> None:
    sys.stdout.write(f"{part}: {progress}\n")
    sys.stdout.flush()


async def run(settings: WatcherSettings) -> None:
    """Run until SIGTERM."""
    async with Service(settings, name=NAME) as service:
        pool = await service.postgres()
        producer = await service.producer()
        relay = await service.outbox(pool, producer)
        verifier = await service.verifier()

        def wake_sweep(due_at: datetime) -> None:
            if sweep.sleeps_past(due_at):
                sweeping.poke()

        deps = Deps(
            pool=pool,
            ladder=settings.ladder,
            public_url=settings.public_url,
            wake_sweep=wake_sweep,
            committed=relay.poke,
        )
        sweep = Sweep(deps, service.clock, rate_per_s=settings.ladder_rate_per_s)
        sweeping = service.periodic(
            Periodic("sweep", sweep.run_once, interval_s=settings.sweep_max_wait_s, next_delay=sweep.next_delay)
        )
        service.consumer(GROUP, TOPICS, followed(deps, service.clock), producer)

        service.periodic(measuring(deps, service.clock))
        service.periodic(tidying(deps, service.clock))
        notices = NoticesClient(service.http(), settings.notifier_url)
        checks = ChecksClient(service.http(), settings.oauth_url)
        # The fixed paths first: `ladder` is not a token's id.
        routes = [
            ladder_routes(deps, service.clock),
            diagnose_routes(deps, service.clock, notices, checks),
            token_routes(deps, service.clock),
        ]
        await service.serve(routes, verifier)
        await service.run()
