"""Events as the services write them, and an inbox without a database."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from importlib.resources import files
from typing import Any, Generic, TypeVar
from uuid import UUID, uuid4

from wevion_tokens.contracts import Event, EventBody, writers
from wevion_tokens.events.inbox import family
from wevion_tokens.runtime.clock import SystemClock

B = TypeVar("B", bound=EventBody)
Tx = TypeVar("Tx")


def example(
    body: type[B],
    name: str | None = None,
    *,
    event_id: UUID | None = None,
    time: datetime | None = None,
    **token: Any,
) -> Event[B]:
    """Return an event of this type, made from one of its stored examples.

    Args:
        body: the type, such as `TokenRevokedV1`.
        name: which example, such as `user_removed_app`; by default the first.
        event_id: the same id twice is a repeat; by default a new one.
        time: when it happened; by default now.
        **token: other values for members of the body's `token`, such as `version` and `token_id`.

    Returns:
        The event, as a consumer decodes it.

    Raises:
        ValueError: there is no such example.

    """
    folder = files("wevion_tokens.contracts") / "examples" / body.TYPE
    found = {each.name.removesuffix(".json"): each for each in folder.iterdir()}
    if name is not None and name not in found:
        raise ValueError(f"{body.TYPE} has no example {name}; there are {', '.join(sorted(found))}")
    document = json.loads(found[name if name is not None else min(found)].read_text())
    if token:
        document["token"] = document["token"] | token
    made = body.model_validate_json(json.dumps(document, default=str))
    return Event(
        id=event_id or uuid4(),
        time=time or SystemClock().now(),
        source=min(writers(made)),
        body=made,
    )


class MemoryInbox(Generic[Tx]):
    """An inbox for tests of handlers: gives each the same `transaction`, and passes repeats and old versions over."""

    def __init__(self, transaction: Tx) -> None:
        self._transaction = transaction
        self._seen: set[tuple[str, UUID]] = set()
        self._versions: dict[tuple[str, str, str], int] = {}

    @asynccontextmanager
    async def accept(self, consumer: str, event: Event[EventBody]) -> AsyncIterator[Tx | None]:
        """Yield the transaction, or None; an error in the block takes the note back."""
        key = (consumer, family(event), event.body.subject())
        version = event.body.aggregate_version()
        if (consumer, event.id) in self._seen or version < self._versions.get(key, 0):
            yield None
            return
        yield self._transaction
        self._seen.add((consumer, event.id))
        self._versions[key] = version
