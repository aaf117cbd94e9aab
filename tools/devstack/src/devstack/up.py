"""`devstack up`, which is `make run`: the stack with its demo workspace, until Ctrl-C."""

import asyncio
import signal
from collections.abc import Mapping

from devstack import stack as stacks
from devstack.layout import Layout
from devstack.terminal import say, table


async def run(layout: Layout, replicas: Mapping[str, int], without: frozenset[str]) -> int:
    """Returns when it was told to stop and everything has stopped."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, stop.set)
    say(f"Wevion token services, local stack (data in {layout.root}; make clean forgets it)")
    starting = asyncio.create_task(_until_cancelled(layout, replicas, without))
    stopping = asyncio.create_task(stop.wait())
    await asyncio.wait({starting, stopping}, return_when=asyncio.FIRST_COMPLETED)
    if not starting.done():
        say("\nstopping …")
        starting.cancel()
    stopping.cancel()
    try:
        await starting
    except asyncio.CancelledError:
        say("stopped")
    return 0


async def _until_cancelled(layout: Layout, replicas: Mapping[str, int], without: frozenset[str]) -> None:
    async with stacks.running(layout, replicas=replicas, without=without) as stack:
        say(f"\nready after {stack.steps.elapsed_s:.1f} s\n")
        say(
            table(
                [
                    ("console", stack.addresses.public_url),
                    ("mailbox", f"{stack.addresses.url('simulator-control')}/mailbox"),
                ]
            )
        )
        say("\nCtrl-C stops everything.")
        await asyncio.Event().wait()
