"""The present state of every token, in memory: know everything, then follow."""

import asyncio
from collections.abc import Callable, Iterator, Mapping
from typing import Self
from uuid import UUID

from wevion_tokens.contracts import InvalidEventError, TokenStateV1, decode
from wevion_tokens.kafka import KafkaSettings, TopicReader
from wevion_tokens.runtime.tasks import cancel, supervise
from wevion_tokens.telemetry.logs import get_logger

_log = get_logger(__name__)


class TokenStates(Mapping[UUID, TokenStateV1]):
    """A read-only mapping from token id to its newest state, kept current while the block is open.

        async with TokenStates(profile.kafka(), keep=lambda state: state.token.provider == "meta") as known:
            await known.complete.wait()

    Args:
        kafka: how to reach the cluster.
        keep: which states are wanted; the others take no memory.

    Attributes:
        complete: set while everything that was on the topic is in the mapping.

    """

    def __init__(self, kafka: KafkaSettings, *, keep: Callable[[TokenStateV1], bool] = lambda _state: True) -> None:
        self._reader = TopicReader(kafka, TokenStateV1.TOPIC)
        self._keep = keep
        self._states: dict[UUID, TokenStateV1] = {}
        self._task: asyncio.Task[None] | None = None
        self.complete = self._reader.caught_up

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(supervise("token-states", self._run), name="token-states")
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._task is not None:
            await cancel(self._task)

    def __getitem__(self, token_id: UUID) -> TokenStateV1:
        return self._states[token_id]

    def __iter__(self) -> Iterator[UUID]:
        return iter(self._states)

    def __len__(self) -> int:
        return len(self._states)

    async def _run(self) -> None:
        async for record in self._reader:
            if record.value is None:
                self._forget(record.key)
                continue
            try:
                body = decode(record.value, record.headers).body
            except InvalidEventError as error:
                _log.warning("state_unreadable", partition=record.partition, offset=record.offset, why=str(error))
                continue
            if isinstance(body, TokenStateV1):
                self._note(body)

    def _note(self, state: TokenStateV1) -> None:
        known = self._states.get(state.token.token_id)
        if known is not None and known.token.version > state.token.version:
            return
        if self._keep(state):
            self._states[state.token.token_id] = state
        else:
            self._states.pop(state.token.token_id, None)

    def _forget(self, key: str) -> None:
        try:
            self._states.pop(UUID(key), None)
        except ValueError:
            _log.warning("tombstone_without_token", key=key)
