"""Inviting people to a workspace, and what they answer. A membership begins when the person accepts, never before.

An invitation says nothing about the invited person: known and unknown addresses get the same answer, in the same
time, and the workspace sees a name only after the person has accepted.
"""

from datetime import datetime
from uuid import UUID

from common import addresses, edge
from common.postgres import Db, transaction, translate_errors
from common.runtime.ids import new_id
from session_svc.core import passwords
from session_svc.core.audit import Action, AuditedAct
from session_svc.core.errors import (
    InvitationRefusedError,
    NotAllowedError,
    NotFoundError,
    TakenError,
    TooManyAttemptsError,
    WrongCredentialsError,
)
from session_svc.core.invitations import LIFE, Invitation, InvitationState
from session_svc.core.people import Role, User
from session_svc.operations import limiting
from session_svc.operations.deps import Caller, Deps, record_act
from session_svc.operations.ranks import check_rank
from session_svc.operations.sign_in import Place
from session_svc.operations.tokens import hash_secret
from session_svc.store import audit
from session_svc.store import invitations as stored
from session_svc.store import people as stored_people


async def invite(deps: Deps, caller: Caller, *, email: str, role: Role, now: datetime) -> tuple[UUID, datetime]:
    """Invite whoever owns an address to the caller's workspace; a mail with a link is on its way to them.

    Args:
        deps: the parts of the service.
        caller: the administrator who invites.
        email: the address.
        role: what the person would be in the workspace.
        now: the time.

    Returns:
        The invitation's id and when it ends. An invitation that is open already is renewed.

    Raises:
        NotAllowedError: the role ranks above the caller.
        TakenError: a member of the workspace has this address.
        TooManyAttemptsError: the caller or the workspace has invited too many people.

    """
    check_rank(caller, role)
    key = addresses.key(email)
    await limiting.spend(
        deps.pool,
        {
            f"invite:inviter:{caller.user_id}": deps.limits.invitations_per_inviter,
            f"invite:workspace:{caller.workspace_id}": deps.limits.invitations_per_workspace,
        },
    )
    mail_at = await _mail_allowed_at(deps, key, now)
    async with transaction(deps.pool) as db:
        if await stored_people.member_by_email(db, key, caller.workspace_id):
            raise TakenError("email", "Somebody with this address is a member of the workspace already.")
        new = Invitation(
            invitation_id=new_id(),
            workspace_id=caller.workspace_id,
            workspace_name="",
            email=email,
            email_key=key,
            role=role,
            invited_by=caller.user_id,
            inviter_name="",
            state=InvitationState.OPEN,
            created_at=now,
            expires_at=now + LIFE,
        )
        invitation_id = await stored.put_open(db, new, mail_due_at=mail_at)
        await record_act(
            db,
            caller,
            Action.MEMBER_INVITED,
            now,
            target=("invitation", str(invitation_id)),
            details={"to": role.value},
        )
    deps.wake_mail()
    return invitation_id, new.expires_at


async def _mail_allowed_at(deps: Deps, email_key: str, now: datetime) -> datetime:
    """Return when the address may get one more invitation mail. The invitation itself is never refused for it.

    A refusal would let a stranger use the limit up and so keep an honest workspace from inviting the person.
    """
    try:
        await limiting.spend(
            deps.pool, {f"invite:to:{hash_secret(email_key).hex()[:32]}": deps.limits.invitation_mails_per_address}
        )
    except TooManyAttemptsError as limit:
        return now + limit.retry_after
    return now


async def withdraw(deps: Deps, caller: Caller, invitation_id: UUID, now: datetime) -> None:
    """Take an open invitation of the caller's workspace back.

    Args:
        deps: what the operations of the service work with.
        caller: who calls.
        invitation_id: the invitation.
        now: the present time, in UTC.

    Raises:
        NotFoundError: there is none of that id in the workspace.
        NotAllowedError: its role ranks above the caller.

    """
    async with transaction(deps.pool) as db:
        found = await stored.lock(db, invitation_id)
        if found is None or found.workspace_id != caller.workspace_id or found.refusal(now):
            raise NotFoundError("invitation")
        check_rank(caller, found.role)
        await stored.decide(db, invitation_id, InvitationState.WITHDRAWN, now)
        await record_act(db, caller, Action.INVITATION_WITHDRAWN, now, target=("invitation", str(invitation_id)))


async def of_workspace(
    deps: Deps, caller: Caller, *, after: UUID | None, limit: int, now: datetime
) -> tuple[Invitation, ...]:
    """Return a page of the open invitations of the caller's workspace.

    Args:
        deps: what the operations of the service work with.
        caller: who calls.
        after: where the page begins: behind this one; None for the first page.
        limit: how many are returned at most.
        now: the present time, in UTC.

    """
    with translate_errors():
        return await stored.open_in_workspace(deps.pool, caller.workspace_id, now, after=after, limit=limit)


async def of_person(deps: Deps, user_id: UUID, now: datetime) -> tuple[Invitation, ...]:
    """Return what a person is invited to."""
    with translate_errors():
        user = await stored_people.user(deps.pool, user_id)
        if user is None:
            raise NotFoundError("user")
        return await stored.open_for_address(deps.pool, addresses.key(user.email), now)


async def answer(deps: Deps, caller: Caller, invitation_id: UUID, *, accept: bool, now: datetime) -> UUID:
    """Accept or decline an invitation to the address of the signed-in caller; returns the workspace's id.

    Args:
        deps: what the operations of the service work with.
        caller: who calls.
        invitation_id: the invitation.
        accept: True accepts, False declines.
        now: the present time, in UTC.

    Raises:
        NotFoundError: there is no such invitation to the caller.
        InvitationRefusedError: it was answered, withdrawn, or is too old.

    """
    async with transaction(deps.pool) as db:
        user = await stored_people.lock_user(db, caller.user_id)
        found = await stored.lock(db, invitation_id)
        if user is None or found is None or found.email_key != addresses.key(user.email):
            raise NotFoundError("invitation")
        _check_open(found, now)
        if accept:
            await stored_people.add_membership(db, user.user_id, found.workspace_id, found.role, now)
        await stored.decide(db, invitation_id, InvitationState.ACCEPTED if accept else InvitationState.DECLINED, now)
        await record_act(
            db,
            caller,
            Action.INVITATION_ACCEPTED if accept else Action.INVITATION_DECLINED,
            now,
            workspace_id=found.workspace_id,
            target=("user", str(user.user_id)) if accept else ("invitation", str(invitation_id)),
            details={"to": found.role.value},
        )
    return found.workspace_id


async def look_up(deps: Deps, *, secret: str, place: Place, now: datetime) -> tuple[Invitation, bool]:
    """Return the invitation behind a mailed link, and whether its address has an account.

    Whoever holds the secret reads the address's mail, so they may know.

    Args:
        deps: what the operations of the service work with.
        secret: what the mailed link held.
        place: from where it is asked: address and device.
        now: the present time, in UTC.

    Raises:
        InvitationRefusedError: the link is unknown, or the invitation was answered, withdrawn, or is too old.
        TooManyAttemptsError: from this network address.

    """
    await _limit_links(deps, place)
    with translate_errors():
        found = await stored.by_secret(deps.pool, hash_secret(secret))
        if found is None:
            raise InvitationRefusedError("unknown")
        _check_open(found, now)
        known = await stored_people.credentials_by_email(deps.pool, found.email)
    return found, known is not None


async def accept_by_link(
    deps: Deps,
    *,
    secret: str,
    password: str,
    name: str | None,
    time_zone: str,
    locale: str,
    place: Place,
    now: datetime,
) -> UUID:
    """Accept the invitation behind a mailed link; returns the workspace's id. The person signs in afterwards.

    Args:
        deps: the parts of the service.
        secret: the link's secret.
        password: of an account that exists: its password; of a new one: the password that it shall have.
        name: how the person wants to be called; needed for a new account, not used for one that exists.
        time_zone: of a new account, an IANA name.
        locale: of a new account, a BCP 47 tag.
        place: where the request comes from.
        now: the time.

    Raises:
        InvitationRefusedError: the link is unknown, or the invitation was answered, withdrawn, or is too old.
        WrongCredentialsError: the account has another password.
        InvalidError: the new password breaks a rule.
        NotAllowedError: the account is disabled, or the name of a new one is missing.
        TooManyAttemptsError: from this network address.

    """
    found, known = await look_up(deps, secret=secret, place=place, now=now)
    password_hash = None
    if known:
        with translate_errors():
            credentials = await stored_people.credentials_by_email(deps.pool, found.email)
        known_hash = credentials.password_hash if credentials else None
        if not await deps.hasher.check(known_hash, passwords.normalise(password)) or known_hash is None:
            raise WrongCredentialsError
    else:
        if not name:
            raise NotAllowedError("name_needed", "A new account needs a name.", "Say what you want to be called.")
        password_hash = await deps.hasher.hash(passwords.check_new(password, email=found.email))
    async with transaction(deps.pool) as db:
        locked = await stored.lock(db, found.invitation_id)
        if locked is None:
            raise InvitationRefusedError("unknown")
        _check_open(locked, now)
        user = await _person_of(db, locked, password_hash, name=name, zone=(time_zone, locale), now=now)
        await stored_people.add_membership(db, user.user_id, locked.workspace_id, locked.role, now)
        await stored.decide(db, locked.invitation_id, InvitationState.ACCEPTED, now)
        entry = AuditedAct(
            audit_id=new_id(),
            at=now,
            action=Action.INVITATION_ACCEPTED,
            workspace_id=locked.workspace_id,
            actor_user_id=user.user_id,
            target_kind="user",
            target_id=str(user.user_id),
            address=place.address,
            details={"to": locked.role.value},
        )
        await audit.add(db, [entry])
    return locked.workspace_id


async def _person_of(
    db: Db,
    invitation: Invitation,
    password_hash: str | None,
    *,
    name: str | None,
    zone: tuple[str, str],
    now: datetime,
) -> User:
    if password_hash is not None:
        new = User.new(new_id(), email=invitation.email, name=name or "", time_zone=zone[0], locale=zone[1])
        user, created = await stored_people.insert_or_find(db, new, password_hash, now)
        if not created:  # it was made a moment ago, with a password that nobody checked here
            raise WrongCredentialsError
        return user
    known = await stored_people.credentials_by_email(db, invitation.email)
    if known is None:
        raise WrongCredentialsError
    if known.user.disabled:
        raise NotAllowedError("user_disabled", "This account has been disabled.", "Ask Wevion support to enable it.")
    return known.user


async def decline_by_link(deps: Deps, *, secret: str, place: Place, now: datetime) -> None:
    """Decline the invitation behind a mailed link. No account is needed for it.

    Args:
        deps: what the operations of the service work with.
        secret: what the mailed link held.
        place: from where it is asked: address and device.
        now: the present time, in UTC.

    Raises:
        InvitationRefusedError: the link is unknown, or the invitation was answered, withdrawn, or is too old.
        TooManyAttemptsError: from this network address.

    """
    found, _ = await look_up(deps, secret=secret, place=place, now=now)
    async with transaction(deps.pool) as db:
        locked = await stored.lock(db, found.invitation_id)
        if locked is None:
            raise InvitationRefusedError("unknown")
        _check_open(locked, now)
        await stored.decide(db, locked.invitation_id, InvitationState.DECLINED, now)
        entry = AuditedAct(
            audit_id=new_id(),
            at=now,
            action=Action.INVITATION_DECLINED,
            workspace_id=locked.workspace_id,
            target_kind="invitation",
            target_id=str(locked.invitation_id),
            address=place.address,
        )
        await audit.add(db, [entry])


async def _limit_links(deps: Deps, place: Place) -> None:
    await limiting.spend(
        deps.pool, {f"invitation_link:address:{edge.limit_key(place.address)}": deps.limits.resets_per_address}
    )


def _check_open(invitation: Invitation, now: datetime) -> None:
    refusal = invitation.refusal(now)
    if refusal is not None:
        raise InvitationRefusedError(refusal)
