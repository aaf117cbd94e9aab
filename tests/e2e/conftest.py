"""One whole stack for all end-to-end tests: real Kafka, PostgreSQL, simulator and every service as child processes."""

from collections.abc import Iterator

import pytest

from devstack.child_stack import ChildStack


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ChildStack]:
    """A running stack with its demo workspace: `stack.demo` is its demo.json, `stack.kill("notifier")` a crash."""
    running = ChildStack.start(tmp_path_factory.mktemp("stack"))
    yield running
    running.stop()
