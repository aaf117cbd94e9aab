"""Keeps the parts of a stack running: starts a crashed one again, with backoff, and says so.

It judges a part by its process only. Whether a part is *ready* is asked over HTTP, at the start and after a restart.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import aiohttp

from common.runtime.clock import monotonic
from common.runtime.retry import Backoff
from common.testing.processes import Child, ChildFailedError
from common.testing.processes.child import describe_exit
from devstack.terminal import Say

WATCH_EVERY_S = 0.1
PROBE_EVERY_S = 0.1
PROBE_TIMEOUT_S = 2.0
#: A part that ran so long has earned its first, short wait again.
STEADY_AFTER_S = 30.0
RESTARTS = Backoff(base_s=0.5, cap_s=15.0, factor=2.0, jitter=0.0)
#: What a service answers when a setting is wrong: starting it again cannot help.
EXIT_BAD_SETTINGS = 2


@dataclass(frozen=True, slots=True)
class Part:
    """One process of the stack: how it is launched, how it says that it is ready, how long it may take to stop."""

    name: str
    launch: Callable[[], Child]
    ready_url: str | None = None
    grace_s: float = 12.0


@dataclass(slots=True)
class _Running:
    part: Part
    child: Child
    since: float
    crashes: int = 0
    restart_at: float | None = None
    held: bool = False
    comeback: asyncio.Task[None] | None = None


@dataclass(slots=True)
class Supervisor:
    """Owns every child of a stack. All methods belong to one event loop, and to the thread that it runs in."""

    say: Say
    http: aiohttp.ClientSession
    #: Called whenever `pids` has changed.
    on_change: Callable[[], None] = lambda: None
    _running: dict[str, _Running] = field(default_factory=dict)
    _watcher: asyncio.Task[None] | None = None

    def start(self, part: Part) -> None:
        """Starts it and keeps it running from now on; does not wait until it is ready."""
        self._running[part.name] = _Running(part, part.launch(), monotonic())
        if self._watcher is None:
            self._watcher = asyncio.create_task(self._watch(), name="supervisor")
        self.on_change()

    async def wait_ready(self, name: str, timeout_s: float) -> None:
        """Returns when the part answers 200.

        Raises `ChildFailedError` with what is known about the reason: it refused its settings, or time is up.
        """
        running = self._running[name]
        deadline = monotonic() + timeout_s
        answer = "no answer yet"
        while running.part.ready_url is not None:
            ok, answer = await self._probe(running.part.ready_url)
            if ok:
                return
            if running.child.returncode == EXIT_BAD_SETTINGS or monotonic() > deadline:
                why = (
                    f"refused to start {describe_exit(EXIT_BAD_SETTINGS)}"
                    if running.child.returncode == EXIT_BAD_SETTINGS
                    else f"was not ready within {timeout_s:g} s ({answer})"
                )
                raise ChildFailedError(f"{name} {why}.\n{running.child.log_tail()}")
            await asyncio.sleep(PROBE_EVERY_S)

    def pids(self) -> dict[str, list[int]]:
        """The living processes, replicas under the one name of their service."""
        found: dict[str, list[int]] = {}
        for name, running in self._running.items():
            pids = found.setdefault(name.partition("#")[0], [])
            if running.child.returncode is None:
                pids.append(running.child.pid)
        return found

    def kill(self, name: str) -> bool:
        """A crash on order: SIGKILL to the part, which is then started again like any crashed one.

        It says nothing about the part's health, so the wait is the first, short one. False if it did not run just now.
        """
        running = self._running[name]
        if running.child.returncode is not None:
            return False
        running.crashes = 0
        running.child.kill()
        return True

    def names(self) -> list[str]:
        """Every part, each replica by itself."""
        return list(self._running)

    async def hold(self, name: str) -> None:
        """Stops the part in an orderly way; it stays away until `release`."""
        running = self._running[name]
        running.held = True
        await asyncio.to_thread(running.child.stop, running.part.grace_s)
        self.on_change()

    def release(self, name: str) -> None:
        """Starts a held part again; does not wait until it is ready."""
        running = self._running[name]
        if running.held:
            running.held = False
            running.child = running.part.launch()
            running.since = monotonic()
            self.on_change()

    async def stop(self, *waves: Callable[[str], bool]) -> None:
        """Ends everything, wave by wave (a wave says which names belong to it), each wave at once.

        What no wave names ends last. Safe to call again, and after any part has crashed.
        """
        if self._watcher is not None:
            self._watcher.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._watcher
            self._watcher = None
        for wave in (*waves, _everything):
            names = [name for name in self._running if wave(name)]
            leaving = [self._running.pop(name) for name in names]
            for running in leaving:
                if running.comeback is not None:
                    running.comeback.cancel()
            await asyncio.gather(*(asyncio.to_thread(running.child.stop, running.part.grace_s) for running in leaving))

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(WATCH_EVERY_S)
            for running in tuple(self._running.values()):
                self._look_after(running, monotonic())

    def _look_after(self, running: _Running, now: float) -> None:
        name, code = running.part.name, running.child.returncode
        if code is None or running.held:
            return
        if running.restart_at is None:
            if now - running.since > STEADY_AFTER_S:
                running.crashes = 0
            running.crashes += 1
            delay_s = RESTARTS.delay(running.crashes)
            running.restart_at = now + delay_s
            self.say(
                f"  ! {name} ended {describe_exit(code)}; starting it again in {delay_s:g} s (log: {running.child.log})"
            )
            self.on_change()
        elif now >= running.restart_at:
            running.restart_at = None
            running.since = now
            try:
                running.child.stop(grace_s=0)  # whatever it left in its process group
                running.child = running.part.launch()
            except (ChildFailedError, OSError) as exc:
                self.say(f"  ! {name} could not be started: {exc}")
                running.restart_at = now + RESTARTS.delay(running.crashes)
                return
            self.on_change()
            if running.comeback is not None:
                running.comeback.cancel()
            running.comeback = asyncio.create_task(self._announce(running), name=f"comeback {name}")

    async def _announce(self, running: _Running) -> None:
        began = monotonic()
        url = running.part.ready_url
        while url is not None and not (await self._probe(url))[0]:  # noqa: ASYNC110  # another process's state
            await asyncio.sleep(PROBE_EVERY_S)
        self.say(f"  ✓ {running.part.name} is back after {monotonic() - began:.1f} s")

    async def _probe(self, url: str) -> tuple[bool, str]:
        try:
            async with self.http.get(url, timeout=aiohttp.ClientTimeout(total=PROBE_TIMEOUT_S)) as response:
                return response.status == 200, f"{response.status} {(await response.text())[:300]}"  # noqa: PLR2004
        except (aiohttp.ClientError, TimeoutError) as exc:
            return False, str(exc) or type(exc).__name__


def _everything(_name: str) -> bool:
    return True


async def each(*work: Awaitable[None]) -> None:
    """All at once; the first failure is the caller's, when the others have ended too."""
    results = await asyncio.gather(*work, return_exceptions=True)
    for result in results:
        if isinstance(result, BaseException):
            raise result
