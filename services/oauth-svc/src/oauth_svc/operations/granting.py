"""The one place where a grant is stored: its accounts, state, credential, scopes and schedule in one transaction.

Every grant comes through here: of a consent, of entered credentials, and of an import.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from common.contracts import IssuedHow
from oauth_svc import store
from oauth_svc.core.accounts import Comparison
from oauth_svc.core.changes import Authorized
from oauth_svc.core.connection import Connection
from oauth_svc.core.flow import Profile
from oauth_svc.core.grant import Secrets
from oauth_svc.core.granting import authorization
from oauth_svc.core.refresh import can_renew
from oauth_svc.core.schedule import refresh_at, unit_hash
from oauth_svc.operations import tokens
from oauth_svc.operations.deps import Deps
from oauth_svc.store.schedule import NewPlan


@dataclass(frozen=True, slots=True)
class NewGrant:
    """One authorisation that a platform gave.

    `connection` is locked by the transaction, or was made in it (version 0). `accounts` says what the listing changes.
    `asked` and `granted` are scopes; `granted` is None where the platform is silent. The two ends are None where the
    platform states none. `probe_at` is set when the grant is asked about before its usual time.
    """

    connection: Connection
    accounts: Comparison
    secrets: Secrets
    owner_user_id: UUID
    subject_name: str
    issued_at: datetime
    access_expires_at: datetime | None
    expires_at: datetime | None
    asked: tuple[str, ...]
    granted: frozenset[str] | None
    probe_at: datetime | None = None

    @property
    def how(self) -> IssuedHow:
        """Return whether the connection is new."""
        return IssuedHow.CONNECT if self.connection.version == 0 else IssuedHow.REAUTHORIZE


async def store_grants(db: store.Db, deps: Deps, grants: Sequence[NewGrant], now: datetime) -> dict[UUID, Connection]:
    """Store these grants; the workspaces' keys must be `ready`. Returns the connections as they are now.

    Whoever refreshes one of them at this moment is fenced out, and what was asked about the grant before is
    superseded.

    Args:
        db: the connection or the transaction to use.
        deps: what the operations of the service work with.
        grants: the grants, as they were answered or imported.
        now: the present time, in UTC.

    """
    by_id = {grant.connection.connection_id: grant for grant in grants}
    # The accounts' rows come first: closing a gap reads the account's name.
    await store.accounts.save(db, [(g.connection, g.accounts.to_write) for g in grants])
    locked = {key: replace(g.connection, accounts=g.accounts.accounts) for key, g in by_id.items()}
    changes = {key: _change(deps, grant) for key, grant in by_id.items()}
    after = await tokens.change(db, locked, changes, now)
    for key, grant in by_id.items():
        if grant.accounts.told:
            await tokens.tell_accounts(db, after[key], grant.accounts, now)
        await tokens.tell_list(db, after[key], grant.connection, now)
    await _keep_secrets(db, deps, grants)
    await store.connections.mark_authorized(
        db, [(key, g.asked, None if g.granted is None else sorted(g.granted)) for key, g in by_id.items()]
    )
    await store.attempts.supersede(db, list(by_id))
    await store.schedule.put(db, [_plan(deps, grant, now) for grant in grants])
    return after


def first_probe(profile: Profile, connection_id: UUID, now: datetime) -> datetime:
    """Return one interval from now, less up to a tenth, so that an imported cohort is spread."""
    return now + profile.probe_every * (1 - 0.1 * unit_hash(connection_id, "probe"))


def _change(deps: Deps, grant: NewGrant) -> Authorized:
    profile = deps.providers[grant.connection.provider].profile
    return authorization(
        profile,
        how=grant.how,
        owner_user_id=grant.owner_user_id,
        subject_name=grant.subject_name,
        renews=can_renew(profile, grant.secrets),
        access_expires_at=grant.access_expires_at,
        expires_at=grant.expires_at,
        granted=grant.granted,
    )


async def _keep_secrets(db: store.Db, deps: Deps, grants: Sequence[NewGrant]) -> None:
    old = await store.credentials.get_many(db, [grant.connection.connection_id for grant in grants])
    sealed = []
    for grant in grants:
        connection = grant.connection
        before = old.get(connection.connection_id)
        sealed.append(
            deps.vault.seal_credential(
                connection.connection_id,
                connection.workspace_id,
                grant.secrets,
                version=before.version + 1 if before else 1,
                generation=before.generation + 1 if before else 1,
                issued_at=grant.issued_at,
            )
        )
    await store.credentials.put(db, sealed)


def _plan(deps: Deps, grant: NewGrant, now: datetime) -> NewPlan:
    connection = grant.connection
    profile = deps.providers[connection.provider].profile
    renews = can_renew(profile, grant.secrets)
    return NewPlan(
        connection.connection_id,
        connection.workspace_id,
        connection.provider,
        refresh_at(connection.connection_id, grant.issued_at, grant.access_expires_at) if renews else None,
        grant.probe_at or first_probe(profile, connection.connection_id, now),
        grant.access_expires_at,
    )
