"""session-svc and the gateway inside a test, under a clock that the test moves, and people who sign in."""

from testbed.browser import Answer, Browser, Person
from testbed.world import System, World, running, system, world

__all__ = ["Answer", "Browser", "Person", "System", "World", "running", "system", "world"]
