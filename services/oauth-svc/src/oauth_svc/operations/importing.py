"""Grants from another system, in bulk: one JSON object a line, checked before anything is written.

An imported grant is a connection like any other: sealed, scheduled (a cohort is spread by the hashed jitter), and told
by `token.issued` and `token.state`. Running the same file again changes nothing.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Annotated, TextIO
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, SecretStr, ValidationError

from common import outbox
from common.contracts import AccountAccess, EventBody, IssuedHow
from common.postgres import transaction
from common.runtime import ids
from oauth_svc import store
from oauth_svc.core.connection import Account, Connection
from oauth_svc.core.flow import Flow, Profile
from oauth_svc.core.grant import MAX_SECRET, Secrets, earliest, missing_scopes
from oauth_svc.core.lifecycle import Authorized, apply
from oauth_svc.core.schedule import refresh_at
from oauth_svc.store.credentials import SealedCredential
from oauth_svc.store.schedule import NewPlan

from .connect import first_probe
from .deps import SOURCE, Deps

BATCH = 500
MAX_LINE = 262_144
"""Longest line, in characters: 200 accounts and two long tokens fit many times."""

_Short = Annotated[str, Field(min_length=1, max_length=256)]


class ImportedAccount(BaseModel):
    """One ad account under the grant."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    external_id: _Short
    name: _Short


class ImportedGrant(BaseModel):
    """One line. Times are RFC 3339 with an offset; a time that the platform does not state is left out."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    provider: _Short
    workspace_id: UUID
    owner_user_id: UUID
    external_user_id: _Short
    external_user_name: str = Field(default="", max_length=256)
    accounts: tuple[ImportedAccount, ...] = Field(default=(), max_length=10_000)
    access_token: SecretStr = Field(min_length=1, max_length=MAX_SECRET)
    refresh_token: SecretStr | None = Field(default=None, min_length=1, max_length=MAX_SECRET)
    access_expires_at: AwareDatetime | None = None
    expires_at: AwareDatetime | None = None
    scopes: tuple[_Short, ...] | None = None


@dataclass(frozen=True, slots=True)
class LineError:
    """What is wrong with a line, without what it holds."""

    line: int
    field: str
    rule: str

    def __str__(self) -> str:
        return f"line {self.line}: {self.field}: {self.rule}" if self.field else f"line {self.line}: {self.rule}"


@dataclass(frozen=True, slots=True)
class Imported:
    """How an import ended."""

    made: int
    known: int


def check(deps: Deps, lines: Iterable[str], limit: int = 20) -> tuple[int, list[LineError]]:
    """Read every line; how many grants there are, and the first `limit` errors."""
    good = 0
    errors: list[LineError] = []
    for found in _read(deps, lines):
        if isinstance(found, LineError):
            errors.append(found)
            if len(errors) >= limit:
                break
        else:
            good += 1
    return good, errors


async def load(deps: Deps, file: TextIO, progress: Callable[[int], None]) -> Imported:
    """Write every grant of a file that was checked, in batches; `progress` is told how many lines are done."""
    made = done = 0
    batch: list[ImportedGrant] = []
    for found in _read(deps, file):
        if isinstance(found, LineError):
            continue
        batch.append(found)
        if len(batch) == BATCH:
            made += await _write(deps, batch)
            done += len(batch)
            progress(done)
            batch = []
    if batch:
        made += await _write(deps, batch)
        done += len(batch)
        progress(done)
    return Imported(made, done - made)


def _read(deps: Deps, lines: Iterable[str]) -> Iterator[ImportedGrant | LineError]:
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        if len(line) > MAX_LINE:
            yield LineError(number, "", f"is longer than {MAX_LINE} characters")
            continue
        try:
            grant = ImportedGrant.model_validate_json(line)
        except ValidationError as error:
            for problem in error.errors(include_url=False, include_input=False):
                yield LineError(number, ".".join(str(part) for part in problem["loc"]), problem["msg"])
            continue
        if grant.provider not in deps.providers:
            yield LineError(number, "provider", "is not a provider of this installation")
            continue
        profile = deps.providers[grant.provider].profile
        if profile.flow is Flow.REFRESH and grant.refresh_token is None and grant.access_expires_at is not None:
            yield LineError(number, "refresh_token", f"is needed for {profile.title} when the access token ends")
            continue
        if profile.flow.presents_credentials:
            yield LineError(number, "provider", f"{profile.title} takes credentials, which are entered by a person")
            continue
        yield grant


async def _write(deps: Deps, batch: Sequence[ImportedGrant]) -> int:
    now = deps.clock.now()
    prepared = {}
    for grant in batch:
        connection = _connection(deps.providers[grant.provider].profile, grant, now)
        prepared[connection.connection_id] = (grant, connection)
    async with transaction(deps.pool, timeout_s=120) as db:
        await deps.vault.ready(db, now, workspaces={grant.workspace_id for grant in batch})
        made = await store.connections.insert_many(
            db, [connection for _, connection in prepared.values()], [g.scopes for g, _ in prepared.values()], now
        )
        credentials: list[SealedCredential] = []
        plans: list[NewPlan] = []
        events: list[EventBody] = []
        fresh: list[Connection] = []
        for connection_id in made:
            grant, connection = prepared[connection_id]
            profile = deps.providers[grant.provider].profile
            applied = apply(connection, _authorized(profile, grant), now)
            fresh.append(replace(applied.connection, accounts=connection.accounts))
            events.extend(applied.events)
            credentials.append(_sealed(deps, grant, connection, now))
            plans.append(
                NewPlan(
                    connection_id,
                    grant.workspace_id,
                    grant.provider,
                    refresh_at(connection_id, now, grant.access_expires_at) if _renews(profile, grant) else None,
                    first_probe(profile, connection_id, now),
                    grant.access_expires_at,
                )
            )
        await store.connections.insert_accounts(db, fresh)
        await store.connections.save(db, fresh)
        await store.credentials.put(db, credentials)
        await store.schedule.put_many(db, plans)
        await outbox.enqueue(db, events, source=SOURCE, now=now)
    deps.poke_relay()
    return len(made)


def _connection(profile: Profile, grant: ImportedGrant, now: datetime) -> Connection:
    accounts = {account.external_id: account for account in grant.accounts}
    return Connection.begun(
        connection_id=ids.new_id(),
        workspace_id=grant.workspace_id,
        provider=grant.provider,
        kind=profile.kind,
        subject=grant.external_user_id,
        subject_name=grant.external_user_name,
        owner_user_id=grant.owner_user_id,
        now=now,
        accounts=tuple(
            Account(
                account_id=ids.new_id(),
                external_id=account.external_id,
                name=account.name,
                access=AccountAccess.GRANTED,
                since=now,
            )
            for account in accounts.values()
        ),
    )


def _renews(profile: Profile, grant: ImportedGrant) -> bool:
    return profile.flow is Flow.SWAP or (profile.flow is Flow.REFRESH and grant.refresh_token is not None)


def _authorized(profile: Profile, grant: ImportedGrant) -> Authorized:
    full_end = grant.expires_at
    if profile.flow is Flow.SWAP or not _renews(profile, grant):
        full_end = earliest(full_end, grant.access_expires_at)
    granted = None if grant.scopes is None else frozenset(grant.scopes)
    return Authorized(
        how=IssuedHow.CONNECT,
        owner_user_id=grant.owner_user_id,
        subject_name=grant.external_user_name,
        access_expires_at=grant.access_expires_at,
        expires_at=full_end,
        scopes_missing=missing_scopes(profile.needed_scopes, granted),
    )


def _sealed(deps: Deps, grant: ImportedGrant, connection: Connection, now: datetime) -> SealedCredential:
    refresh = grant.refresh_token.get_secret_value() if grant.refresh_token else None
    return deps.vault.seal_credential(
        connection.connection_id,
        connection.workspace_id,
        Secrets(grant.access_token.get_secret_value(), refresh),
        version=1,
        generation=1,
        issued_at=now,
    )
