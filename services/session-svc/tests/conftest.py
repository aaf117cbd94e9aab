"""session-svc and its gateway as they run, for every test that asks for them."""

from testbed import system, world

__all__ = ["system", "world"]
