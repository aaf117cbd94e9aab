"""`devstack up`, which is `make run`: the stack with its demo workspace, until Ctrl-C."""

import asyncio
import signal
from collections.abc import Mapping
from functools import partial
from pathlib import Path

from devstack import profiles, seed, services
from devstack import stack as stacks
from devstack.browser import Browser
from devstack.layout import Layout
from devstack.platforms import overridden
from devstack.terminal import paint, say, table
from devstack.tuning import Tuning
from devstack.witness import persist


async def run(
    layout: Layout, replicas: Mapping[str, int], without: frozenset[str], overrides: Path | None = None
) -> int:
    """Returns when it was told to stop and everything has stopped.

    Args:
        layout: where the stack keeps its data.
        replicas: how many of which service.
        without: services that are left out.
        overrides: a providers file of one's own, laid over the stack's.

    """
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, stop.set)
    say(f"Wevion token services, local stack (data in {layout.root}; make clean forgets it)")
    starting = asyncio.create_task(_until_cancelled(layout, replicas, without, Tuning(overrides=overrides)))
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


async def _until_cancelled(
    layout: Layout, replicas: Mapping[str, int], without: frozenset[str], tuning: Tuning
) -> None:
    async with stacks.running(layout, replicas=replicas, without=without, tuning=tuning) as stack:
        seeded = await _seed(stack)
        say(f"\nready after {stack.steps.elapsed_s:.1f} s\n")
        _introduce(stack, seeded)
        say("\nCtrl-C stops everything.")
        await asyncio.Event().wait()


async def _seed(stack: stacks.Stack) -> seed.Seeded | None:
    """None where a service that it needs was left out."""
    if stack.identities is None or stack.without:
        return None
    owner = stack.identities.user("owner")
    with stack.steps.step("demo workspace") as detail:
        async with Browser(stack.addresses.public_url) as browser:
            await persist(partial(browser.sign_in, owner["email"], owner["password"]), "the owner's sign-in")
            own = overridden(stack.tuning.overrides)
            seeded = await seed.ensure(browser, stack.platforms, stack.vault, stack.layout.seed_file, without=own)
        detail.text = seeded.summary
    for failure in seeded.failed:
        say(f"  ! {failure}")
    return seeded


def _introduce_backend(stack: stacks.Stack) -> None:
    """A service client that is ready, and the lines that use it."""
    if stack.without & {"session-svc", "oauth-svc"}:
        return
    scopes = ", ".join(services.CLIENTS[services.DEMO_CLIENT])
    say(f"\n  a backend  is the service client {services.DEMO_CLIENT} ({scopes}):")
    say(f'               profile = TokensProfile.from_file(Path("{stack.layout.profiles_file}"), "{profiles.NAME}")')
    say("               async with TokensClient(profile) as client, client.access_token(ACCOUNT_ID) as token:")
    say("                   await http.get(platform_url, headers=token.headers)   # from wevion_tokens")
    say(f"             as variables, with a database to play in: set -a; . {stack.layout.backend_file}; set +a\n")


def _introduce(stack: stacks.Stack, seeded: seed.Seeded | None) -> None:
    """Where to go, who to be, and what to look at."""
    address = stack.addresses
    say(f"  console   {paint(address.public_url, 36)}")
    say(f"  mailbox   {address.url('simulator-control')}/mailbox")
    if stack.identities is not None:
        say("\n  sign in as")
        rows = [(user["role"].replace("_", " "), user["email"], user["password"]) for user in stack.identities.users]
        say(table(rows, indent="    "))
    if seeded is not None:
        say(f"\n  look at    /connections   {seeded.summary}")
        say(f"             /rules         {seeded.rules} rules; those of dead tokens are paused, with the reason")
        say("             /notices       what people were told, and the button that fixes it")
        say("  then       make demo      the whole story in half a minute, beside this")
        say("             make logs S=oauth-svc")
    _introduce_backend(stack)
    say(f"  programs   read {stack.layout.demo_file}")
