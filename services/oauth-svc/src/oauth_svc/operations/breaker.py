"""The breaker of each provider: evidence in this process, the state in the row that all replicas share."""

from collections.abc import Iterable
from datetime import datetime
from uuid import UUID

from common import outbox
from common.contracts import IncidentState, PlatformIncidentV1
from common.postgres import transaction
from common.runtime import ids
from common.telemetry import logs
from oauth_svc import metrics, store
from oauth_svc.core.breaker import Evidence, Trouble
from oauth_svc.core.failure import Verdict
from oauth_svc.store.health import Health

from .deps import SOURCE, Deps

log = logs.get_logger("breaker")


class Breakers:
    """Opens on evidence, lets canaries through, closes on the first success."""

    def __init__(self, deps: Deps) -> None:
        self._deps = deps
        self._evidence: dict[str, Evidence] = {}
        self._seen: dict[str, Health] = {}
        self._succeeded: set[str] = set()

    def saw(self, provider: str, health: Health) -> None:
        """The shared row, as a claim read it."""
        self._seen[provider] = health
        metrics.INCIDENT_OPEN.labels(provider).set(1 if health.open else 0)

    def incident(self, provider: str) -> UUID | None:
        """The open incident's id, if there is one."""
        seen = self._seen.get(provider)
        return seen.incident_id if seen is not None and seen.open else None

    def note(self, provider: str, connection_id: UUID, verdict: Verdict | None, now: datetime) -> None:
        """One outcome of a call; None is a success."""
        evidence = self._evidence.get(provider)
        if evidence is None:
            limits = self._deps.limits
            evidence = self._evidence[provider] = Evidence(limits.evidence_window, limits.evidence_grants)
        evidence.note(connection_id, verdict, now)
        if verdict is None:
            self._succeeded.add(provider)

    async def act(self, providers: Iterable[str], now: datetime) -> None:
        """Open or close what the evidence says."""
        for provider in providers:
            seen = self._seen.get(provider)
            is_open = seen is not None and seen.open
            if is_open and provider in self._succeeded:
                await self._close(provider, now)
            elif not is_open:
                trouble = self._evidence[provider].verdict(now) if provider in self._evidence else None
                if trouble is not None and trouble is not Trouble.CONSENT:
                    await self._open(provider, trouble, now)
            self._succeeded.discard(provider)

    async def _open(self, provider: str, trouble: Trouble, now: datetime) -> None:
        incident_id = ids.new_id()
        affected = self._evidence[provider].affected()
        async with transaction(self._deps.pool) as db:
            version = await store.health.open_incident(
                db, provider, incident_id=incident_id, reason=trouble.value, affected=affected, now=now
            )
            if version is not None:
                workspaces = await store.health.affected_workspaces(db, provider)
                await outbox.enqueue(
                    db,
                    [
                        PlatformIncidentV1(
                            incident_id=incident_id,
                            provider=provider,
                            state=IncidentState.OPENED,
                            tokens_affected=affected,
                            since=now,
                            workspace_ids=tuple(workspaces),
                            version=version,
                        )
                    ],
                    source=SOURCE,
                    now=now,
                )
            health = await store.health.current(db, provider)
        self._deps.poke_relay()
        self._evidence[provider].clear()
        if health is not None:
            self.saw(provider, health)
        if version is not None:
            metrics.INCIDENTS.labels(provider, trouble.value).inc()
            log.error("platform_incident_opened", provider=provider, reason=trouble.value, affected=affected)

    async def _close(self, provider: str, now: datetime) -> None:
        async with transaction(self._deps.pool) as db:
            was = await store.health.close_incident(db, provider)
            if was is not None and was.incident_id is not None:
                await outbox.enqueue(
                    db,
                    [
                        PlatformIncidentV1(
                            incident_id=was.incident_id,
                            provider=provider,
                            state=IncidentState.CLOSED,
                            tokens_affected=was.affected,
                            since=was.since or now,
                            workspace_ids=tuple(await store.health.affected_workspaces(db, provider)),
                            version=was.incident_version,
                        )
                    ],
                    source=SOURCE,
                    now=now,
                )
                await store.schedule.release_backlog(db, provider, now)
            health = await store.health.current(db, provider)
        self._deps.poke_relay()
        self._evidence[provider].clear()
        if health is not None:
            self.saw(provider, health)
        if was is not None:
            log.info("platform_incident_closed", provider=provider)
