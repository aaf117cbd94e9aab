"""session-svc and the gateway inside a test, under a clock that the test moves, and people who sign in."""

from testbed.world import Answer, Browser, Person, System, World, running, system, world

__all__ = ["Answer", "Browser", "Person", "System", "World", "running", "system", "world"]
