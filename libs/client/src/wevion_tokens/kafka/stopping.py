"""Stop an aiokafka client whatever state it is in, without being drawn into it."""

import asyncio

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from wevion_tokens.runtime.tasks import describe
from wevion_tokens.telemetry.logs import get_logger

_log = get_logger(__name__)


async def stop_client(client: AIOKafkaConsumer | AIOKafkaProducer, within_s: float) -> None:
    """Close, and return within the limit; what had not been sent by then may or may not be.

    In a task of its own, because after a broker was away `stop()` does three things that must not reach the caller: an
    idempotent producer's can wait for ever, it can swallow the cancellation that would end the wait, and a consumer's
    cancels its fetches and then raises their CancelledError, which would end the caller as if it had been cancelled.
    """
    stopping = asyncio.ensure_future(client.stop())
    try:
        await asyncio.wait({stopping}, timeout=within_s)
    finally:
        stopping.cancel()  # nothing, once it is done
        stopping.add_done_callback(_note)


def _note(stopping: "asyncio.Future[None]") -> None:
    if stopping.cancelled():
        _log.warning("client_stop_cut_short")
    elif (error := stopping.exception()) is not None:
        _log.warning("client_stop_failed", error=describe(error))
