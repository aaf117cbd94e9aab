"""What operators hear of calls to platforms: a counter for each, and a line in the log for what needs an engineer."""

from collections import Counter
from collections.abc import Iterable
from uuid import UUID

from common.contracts import Verdict
from common.platforms.errors import Failure
from common.telemetry.logs import get_logger
from oauth_svc import metrics

_log = get_logger(__name__)


def report_call(call: str, provider: str, connection_id: UUID, failure: Failure) -> None:
    """Count and log one failed call that is no refresh.

    Args:
        call: What was asked: `probe`, `list`, or `report` for what a service was answered.
        provider: Whom.
        connection_id: About which grant.
        failure: What the answer means.

    """
    verdict = failure.verdict
    metrics.CALLS_FAILED.labels(provider, call, verdict.value).inc()
    if failure.unrecognised:
        metrics.UNRECOGNISED.labels(provider).inc()
    say = _log.warning if failure.unrecognised or verdict.pages_operators else _log.info
    say(
        "call_failed",
        call=call,
        provider=provider,
        verdict=verdict.value,
        failure_code=failure.code,
        unrecognised=failure.unrecognised,
        connection_id=str(connection_id),
    )


def report(outcomes: Iterable[tuple[str, UUID, Failure | None]]) -> None:
    """Count a batch of (provider, connection, failure); None is a success.

    One line for each different failure, with one connection as an example: a platform that refuses our client refuses
    it for thousands at once.
    """
    counts: Counter[tuple[str, str]] = Counter()
    unusual: dict[tuple[str, Verdict, str, bool], list[UUID]] = {}
    for provider, connection_id, outcome in outcomes:
        if outcome is None:
            counts[provider, "refreshed"] += 1
            continue
        verdict = outcome.verdict
        counts[provider, verdict.value] += 1
        if outcome.unrecognised:
            metrics.UNRECOGNISED.labels(provider).inc()
        if outcome.unrecognised or verdict.pages_operators or verdict is Verdict.UNKNOWN_OUTCOME:
            unusual.setdefault((provider, verdict, outcome.code, outcome.unrecognised), []).append(connection_id)
    for labels, count in counts.items():
        metrics.REFRESHES.labels(*labels).inc(count)
    for (provider, verdict, code, unrecognised), connections in unusual.items():
        _log.warning(
            "refreshes_failed",
            provider=provider,
            verdict=verdict.value,
            failure_code=code,
            unrecognised=unrecognised,
            count=len(connections),
            connection_id=str(connections[0]),
        )
