"""Grants from another system, in bulk: one JSON object a line, checked before anything is written.

An imported grant is a connection like any other: sealed, scheduled (a cohort is spread by the hashed jitter), and told
by `token.issued` and `token.state`. Running the same file again changes nothing.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, TextIO
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, SecretStr, ValidationError

from common.postgres import transaction
from common.runtime import ids
from oauth_svc import store
from oauth_svc.core.accounts import compare
from oauth_svc.core.connection import Connection, Listing, PlatformAccount
from oauth_svc.core.flow import Flow, Profile
from oauth_svc.core.grant import MAX_SECRET, Secrets
from oauth_svc.operations.deps import Deps
from oauth_svc.operations.granting import NewGrant, store_grants

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
    prepared = [(grant, _connection(deps.providers[grant.provider].profile, grant, now)) for grant in batch]
    async with transaction(deps.pool, timeout_s=120) as db:
        await deps.vault.ready(db, now, workspaces={grant.workspace_id for grant in batch})
        made = await store.connections.insert(db, [connection for _, connection in prepared], now)
        fresh = [_new_grant(grant, c, now) for grant, c in prepared if c.connection_id in made]
        await store_grants(db, deps, fresh, now)
    deps.committed()
    return len(fresh)


def _connection(profile: Profile, grant: ImportedGrant, now: datetime) -> Connection:
    return Connection.begun(
        connection_id=ids.new_id(),
        workspace_id=grant.workspace_id,
        provider=grant.provider,
        kind=profile.kind,
        subject=grant.external_user_id,
        subject_name=grant.external_user_name,
        owner_user_id=grant.owner_user_id,
        now=now,
    )


def _new_grant(grant: ImportedGrant, connection: Connection, now: datetime) -> NewGrant:
    accounts = {a.external_id: PlatformAccount(a.external_id, a.name) for a in grant.accounts}
    refresh_token = grant.refresh_token.get_secret_value() if grant.refresh_token else None
    return NewGrant(
        connection=connection,
        accounts=compare((), Listing(tuple(accounts.values())), now, ids.new_id, last_good_at=now, first=True),
        secrets=Secrets(grant.access_token.get_secret_value(), refresh_token),
        owner_user_id=grant.owner_user_id,
        subject_name=grant.external_user_name,
        issued_at=now,
        access_expires_at=grant.access_expires_at,
        expires_at=grant.expires_at,
        asked=(),
        granted=None if grant.scopes is None else frozenset(grant.scopes),
    )
