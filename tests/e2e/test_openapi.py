"""The services' interfaces are the stored ones: a change shows in a review, and what breaks callers is refused."""

from pathlib import Path

import pytest

from devstack import apis
from devstack.child_stack import ChildStack
from devstack.services import DATABASES

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("service", DATABASES)
def test_the_interface_is_the_stored_one(stack: ChildStack, service: str) -> None:
    now, known = apis.read(stack.demo["services"][service]), apis.stored(service, ROOT / apis.STORED)
    assert apis.breaking(known, now) == []
    assert now == known, "`make run`, then `make openapi` in another terminal, and review the diff"
    assert now["paths"]
