"""The breaker of each provider: evidence in this process, the state in the row that all replicas share."""

from collections.abc import Iterable
from datetime import datetime
from uuid import UUID

from common import outbox
from common.contracts import INCIDENT_REASONS, IncidentState, IncidentVerdict, PlatformIncidentV1, Verdict
from common.platforms.errors import Failure
from common.postgres import connection, transaction
from common.runtime import ids
from common.telemetry.logs import get_logger
from oauth_svc import metrics, store
from oauth_svc.core.breaker import FleetEvidence
from oauth_svc.core.connection import Connection
from oauth_svc.core.reconsent import SUSPICIOUS, belongs, is_surprise
from oauth_svc.operations.deps import SOURCE, Deps
from oauth_svc.store.health import ProviderHealth

_log = get_logger(__name__)


class Breakers:
    """Opens on evidence, lets canaries through, closes on the first success.

    An incident of reason `consent` is closed by `reconsent` alone: a grant that works says nothing about those that
    the platform ended.
    """

    def __init__(self, deps: Deps) -> None:
        self._deps = deps
        self._calls: dict[str, FleetEvidence] = {}
        self._consents: dict[str, FleetEvidence] = {}
        self._seen: dict[str, ProviderHealth] = {}
        self._succeeded: set[str] = set()

    def saw(self, provider: str, health: ProviderHealth) -> None:
        """The shared row, as a claim read it."""
        self._seen[provider] = health
        metrics.INCIDENT_OPEN.labels(provider).set(1 if health.open else 0)

    def incident(self, provider: str) -> UUID | None:
        """Return the open incident's id, if there is one."""
        seen = self._seen.get(provider)
        return seen.incident_id if seen is not None and seen.open else None

    def doubts(self, connection: Connection, failure: Failure, now: datetime) -> bool:
        """Return whether this refusal is not believed now: the platform is in trouble, or refuses too many."""
        if not is_surprise(failure, connection, now) or self.in_reconsent(connection, failure, now):
            return False
        evidence = self._consents.get(connection.provider)
        return self.incident(connection.provider) is not None or (
            evidence is not None and evidence.verdict(now, voices=SUSPICIOUS) is not None
        )

    def in_reconsent(self, connection: Connection, failure: Failure, now: datetime) -> bool:
        """Return whether this refusal is part of a forced re-consent that is understood already."""
        seen = self._seen.get(connection.provider)
        known = seen is not None and belongs(connection, seen.reconsent_at)
        return known and is_surprise(failure, connection, now)

    def note(self, connection: Connection, failure: Failure | None, now: datetime) -> None:
        """One outcome of a token call; None is a success."""
        verdict = failure.verdict if failure is not None else None
        self._evidence(self._calls, connection.provider).note(connection.connection_id, verdict, now)
        self.note_consent(connection, failure, now)
        if failure is None:
            self._succeeded.add(connection.provider)

    def note_consent(self, connection: Connection, failure: Failure | None, now: datetime) -> None:
        """What the platform said about one person's grant. Its being in trouble says nothing about any grant."""
        evidence = self._evidence(self._consents, connection.provider)
        if failure is None:
            evidence.note(connection.subject, None, now)
        elif is_surprise(failure, connection, now) and not self.in_reconsent(connection, failure, now):
            evidence.note(connection.subject, failure.verdict, now)

    async def act(self, providers: Iterable[str], now: datetime) -> None:
        """Open or close what the evidence says."""
        for provider in providers:
            seen = self._seen.get(provider)
            if seen is None or not seen.open:
                trouble = self._trouble(provider, now)
                if trouble is not None:
                    await self._open(provider, trouble, now)
            elif provider in self._succeeded and seen.reason is not Verdict.REAUTHORIZE:
                await self.close(provider, now)
            self._succeeded.discard(provider)

    def _evidence(self, kind: dict[str, FleetEvidence], provider: str) -> FleetEvidence:
        found = kind.get(provider)
        if found is None:
            limits = self._deps.limits
            found = kind[provider] = FleetEvidence(limits.evidence_window, limits.evidence_grants)
        return found

    def _trouble(self, provider: str, now: datetime) -> IncidentVerdict | None:
        calls = self._evidence(self._calls, provider).verdict(now)
        if calls is not None and calls is not Verdict.REAUTHORIZE:
            return calls
        return self._evidence(self._consents, provider).verdict(now)

    async def _open(self, provider: str, trouble: IncidentVerdict, now: datetime) -> None:
        incident_id = ids.new_id()
        consent = trouble is Verdict.REAUTHORIZE
        affected = self._evidence(self._consents if consent else self._calls, provider).affected()
        async with transaction(self._deps.pool) as db:
            version = await store.health.open_incident(
                db, provider, incident_id=incident_id, reason=trouble, affected=affected, now=now
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
                            reason=trouble,
                        )
                    ],
                    source=SOURCE,
                    now=now,
                )
            health = await store.health.current(db, provider)
        self._deps.committed()
        self._forget(provider, health)
        if version is not None:
            metrics.INCIDENTS.labels(provider, INCIDENT_REASONS[trouble]).inc()
            _log.error(
                "platform_incident_opened", provider=provider, reason=INCIDENT_REASONS[trouble], affected=affected
            )

    async def close(self, provider: str, now: datetime) -> None:
        """The platform is believed again: what waited is due, and what was doubted is asked anew."""
        async with transaction(self._deps.pool) as db:
            closed = await self.close_in(db, provider, now)
            if closed:
                await _release_doubts(db, provider, now)
                await store.schedule.release_backlog(db, provider, now)
            health = await store.health.current(db, provider)
        self._deps.committed()
        self._forget(provider, health)
        if closed:
            _log.info("platform_incident_closed", provider=provider)

    async def close_in(self, db: store.Db, provider: str, now: datetime, *, affected: int | None = None) -> bool:
        """Close the incident and tell it, in the caller's transaction; False when another replica was faster.

        Args:
            db: the transaction.
            provider: the provider's id, such as `google-ads`.
            now: the present time, in UTC.
            affected: how many connections the incident touched.

        """
        was = await store.health.close_incident(db, provider)
        if was is None or was.incident_id is None:
            return False
        await outbox.enqueue(
            db,
            [
                PlatformIncidentV1(
                    incident_id=was.incident_id,
                    provider=provider,
                    state=IncidentState.CLOSED,
                    tokens_affected=was.affected if affected is None else affected,
                    since=was.since or now,
                    workspace_ids=tuple(await store.health.affected_workspaces(db, provider)),
                    version=was.incident_version,
                    reason=was.reason,
                )
            ],
            source=SOURCE,
            now=now,
        )
        return True

    def _forget(self, provider: str, health: ProviderHealth | None) -> None:
        """The evidence has done its work; what follows is judged anew."""
        for kind in (self._calls, self._consents):
            self._evidence(kind, provider).clear()
        if health is not None:
            self.saw(provider, health)

    async def look(self, provider: str) -> None:
        """Read the shared row again, after an incident was settled elsewhere."""
        async with connection(self._deps.pool) as db:
            health = await store.health.current(db, provider)
        self._forget(provider, health)


async def _release_doubts(db: store.Db, provider: str, now: datetime) -> None:
    """Doubts that proved nothing: each grant is refreshed or probed anew, and that word counts."""
    doubted = await store.doubts.of_provider(db, provider)
    await store.schedule.look_at_now(db, doubted, now)  # locks in the order of a settlement: schedule, then doubt
    await store.doubts.drop(db, doubted)
