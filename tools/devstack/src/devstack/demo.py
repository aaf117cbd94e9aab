"""`devstack demo`, which is `make demo`: the story against the running stack, or against one of its own."""

import json
from collections.abc import Mapping
from typing import Any

import aiohttp

from common.runtime.clock import monotonic
from devstack import stack as stacks
from devstack.backend import Backend
from devstack.browser import Browser, RefusedError
from devstack.layout import Layout
from devstack.platforms import Platforms
from devstack.story import Story
from devstack.terminal import Say, say
from devstack.witness import NotObservedError, Witness

TIMEOUT_S = 15.0


async def run(layout: Layout) -> int:
    """0 only if every step was observed."""
    if layout.running_pid() is not None and layout.demo_file.exists():
        say(f"On the stack that runs in {layout.root}.\n")
        return await tell(json.loads(layout.demo_file.read_text()), say)
    say("No stack runs here, so one is started for this story.\n")
    async with stacks.running(layout, replicas={}):
        say("")
        return await tell(json.loads(layout.demo_file.read_text()), say)


async def tell(demo: Mapping[str, Any], out: Say) -> int:
    """Tells the story on the stack that `demo` (demo.json) describes; returns the exit status."""
    began = monotonic()
    timeout = aiohttp.ClientTimeout(total=TIMEOUT_S)
    async with (
        aiohttp.ClientSession(timeout=timeout) as http,
        Browser(demo["gateway_url"]) as owner,
        Witness.watching(demo["kafka_bootstrap"]) as witness,
    ):
        story = Story(
            demo=demo,
            say=out,
            http=http,
            witness=witness,
            owner=owner,
            platforms=Platforms(http, demo["simulator_control_url"]),
            backend=Backend(http, demo["service_client"], demo["services"]),
        )
        try:
            await story.tell()
        except (NotObservedError, RefusedError, RuntimeError) as exc:
            out(f"\nnot observed: {exc}\n")
            out("`make logs S=<service>` shows what each part says.")
            return 1
        out(f"\nevery step observed in {monotonic() - began:.1f} s; {witness.count} events on Kafka meanwhile")
        out(f"see it in the console: {demo['gateway_url']}/connections and /notices")
        return 0
