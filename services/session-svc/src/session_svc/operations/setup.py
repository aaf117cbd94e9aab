"""What the commands do: people, workspaces and service clients, made once however often a command is run."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from common.postgres import Db, Pool, transaction
from common.runtime.ids import new_id, random_token
from session_svc.core import clients, passwords
from session_svc.core.audit import Action, AuditedAct
from session_svc.core.errors import InvalidError, NotFoundError
from session_svc.core.people import Role, User
from session_svc.operations.hashing import PasswordHasher
from session_svc.operations.tokens import hash_secret
from session_svc.store import audit
from session_svc.store import clients as stored_clients
from session_svc.store import people as stored

SUPPORT_WORKSPACE = "Wevion support"


@dataclass(frozen=True, slots=True)
class Made:
    """A user as a command reports it."""

    user_id: UUID
    workspace_id: UUID
    created: bool


async def create_workspace(pool: Pool, *, name: str, workspace_id: UUID | None, now: datetime) -> tuple[UUID, bool]:
    """Create a workspace of this name (or id) if there is none; return its id and whether it is new.

    Args:
        pool: the service's database.
        name: the name that people see.
        workspace_id: its id; None for a new one.
        now: the present time, in UTC.

    """
    async with transaction(pool) as db:
        return await _workspace(db, name=name, workspace_id=workspace_id, now=now)


async def create_user(
    pool: Pool,
    hasher: PasswordHasher,
    *,
    email: str,
    name: str,
    password: str,
    workspace_id: UUID | None,
    role: Role,
    time_zone: str,
    locale: str,
    support_admin: bool,
    now: datetime,
) -> Made:
    """Return a user with a place in a workspace. Somebody who is there already keeps their password and gets the place.

    Support admins without a workspace get the one of support.

    Args:
        pool: the service's database.
        hasher: hashes the password.
        email: the address.
        name: the name that people see.
        password: the password; None for one that a link sets.
        workspace_id: the workspace; None for support.
        role: the role in the workspace.
        time_zone: an IANA name, such as `Europe/Berlin`.
        locale: a BCP 47 tag, such as `en`.
        support_admin: they are of Wevion's support.
        now: the present time, in UTC.

    Raises:
        InvalidError: the password breaks a rule.
        NotFoundError: there is no such workspace.

    """
    password_hash = await hasher.hash(passwords.check_new(password, email=email, field="password"))
    async with transaction(pool) as db:
        if workspace_id is None:
            workspace_id, _ = await _workspace(db, name=SUPPORT_WORKSPACE, workspace_id=None, now=now)
        elif not await stored.workspace_exists(db, workspace_id):
            raise NotFoundError("workspace")
        new = User.new(
            new_id(), email=email, name=name, time_zone=time_zone, locale=locale, support_admin=support_admin
        )
        user, created = await stored.insert_or_find(db, new, password_hash, now)
        if support_admin and not user.support_admin:
            await stored.set_support_admin(db, user.user_id)
        await stored.put_membership(db, user.user_id, workspace_id, role, now)
        await _note(db, Action.USER_CREATED, ("user", str(user.user_id)), now, workspace_id)
    return Made(user.user_id, workspace_id, created)


async def create_client(
    pool: Pool, *, client_id: str, name: str, scopes: Sequence[str], secret: str | None, now: datetime
) -> str | None:
    """Return a service client with these scopes. Returns its secret if one was made here: it is never shown again.

    A given secret becomes its newest one; the one before stays good, older ones end. A client that has a secret keeps
    it when none is given.

    Args:
        pool: the service's database.
        client_id: the service client.
        name: the name that people see.
        scopes: the scopes.
        secret: a secret to add; None has one made if there is none.
        now: the present time, in UTC.

    Raises:
        InvalidError: an unknown scope, or a secret that is too short.

    """
    unknown = clients.unknown_scopes(scopes)
    if unknown:
        raise InvalidError("scope", f"{unknown[0]} does not exist", f"Use some of: {', '.join(clients.SCOPES)}.")
    if secret is not None and len(secret) < clients.MIN_SECRET_LENGTH:
        raise InvalidError("secret", f"has fewer than {clients.MIN_SECRET_LENGTH} characters", "Use a random one.")
    shown: str | None = None
    async with transaction(pool) as db:
        await stored_clients.put(db, client_id, name, scopes, now)
        live = await stored_clients.lock_secrets(db, client_id)
        if secret is None and not live:
            secret = shown = random_token()
        if secret is not None and hash_secret(secret) not in live:
            for old in live[: len(live) - clients.MAX_LIVE_SECRETS + 1]:
                await stored_clients.delete_secret(db, client_id, old)
            await stored_clients.add_secret(db, client_id, hash_secret(secret), now)
        await _note(db, Action.CLIENT_CREATED, ("client", client_id), now, None)
    return shown


async def _workspace(db: Db, *, name: str, workspace_id: UUID | None, now: datetime) -> tuple[UUID, bool]:
    known = workspace_id or await stored.workspace_named(db, name)
    made = known or new_id()
    created = await stored.insert_workspace(db, made, name, now)
    if created:
        await _note(db, Action.WORKSPACE_CREATED, ("workspace", str(made)), now, made)
    return made, created


async def _note(db: Db, action: Action, target: tuple[str, str], now: datetime, workspace_id: UUID | None) -> None:
    entry = AuditedAct(
        audit_id=new_id(),
        at=now,
        action=action,
        workspace_id=workspace_id,
        target_kind=target[0],
        target_id=target[1],
        details={"by": "command"},
    )
    await audit.add(db, [entry])
