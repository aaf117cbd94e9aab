"""Signing in, signing out, and what a person sees of their own sessions."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from common import addresses, edge
from common.contracts import DetectedBy
from common.postgres import transaction, translate_errors
from common.runtime.ids import new_id, random_token
from common.runtime.rate_limit import RateLimit
from session_svc import metrics
from session_svc.core import people
from session_svc.core import session as life
from session_svc.core.audit import Action, AuditedAct
from session_svc.core.errors import NotAllowedError, NotFoundError, RefusalError, WrongCredentialsError
from session_svc.core.passwords import normalise
from session_svc.core.people import Member, Membership, User
from session_svc.core.session import EndCause, Session, SessionStatus
from session_svc.operations import limiting, links, state
from session_svc.operations.deps import Caller, Deps, record_act
from session_svc.operations.tokens import hash_secret
from session_svc.store import audit, devices, limits, sessions
from session_svc.store import people as stored_people

SHOW_SUPPORT_ACCESS_FOR = timedelta(days=90)
_BY_ADDRESS = "sign_in:address:"


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a request comes from."""

    device: str
    address: str


@dataclass(frozen=True, slots=True, repr=False)
class SignedIn:
    """A new session, its cookie and the device's (the only time they are seen), and the person."""

    session: Session
    cookie: str
    device_cookie: str
    user: User
    memberships: tuple[Membership, ...]


async def sign_in(
    deps: Deps,
    *,
    email: str,
    password: str,
    workspace_id: UUID | None,
    previous_cookie: str | None,
    device_cookie: str | None,
    place: Place,
    now: datetime,
) -> SignedIn:
    """Make a session from an address and a password.

    An unknown address, a wrong password and a person without a password are one refusal, after the same work.

    Args:
        deps: what the operations of the service work with.
        email: the address.
        password: the password.
        workspace_id: where to begin; None for where they worked last.
        previous_cookie: the browser's session cookie: that session ends.
        device_cookie: shows that the browser has signed in before.
        place: from where it is asked: address and device.
        now: the present time, in UTC.

    Raises:
        WrongCredentialsError: they do not belong together.
        TooManyAttemptsError: for this account or address, with the time to wait.
        BusyError: too many are signing in at once.
        NotAllowedError: the account is disabled, or belongs to no (such) workspace; said to who knows the password.

    """
    try:
        signed_in = await _sign_in(
            deps,
            email=email,
            password=password,
            workspace_id=workspace_id,
            previous_cookie=previous_cookie,
            device_cookie=device_cookie,
            place=place,
            now=now,
        )
    except RefusalError as refusal:
        metrics.SIGN_INS.labels(refusal.label()).inc()
        raise
    metrics.SIGN_INS.labels("signed_in").inc()
    return signed_in


async def _sign_in(
    deps: Deps,
    *,
    email: str,
    password: str,
    workspace_id: UUID | None,
    previous_cookie: str | None,
    device_cookie: str | None,
    place: Place,
    now: datetime,
) -> SignedIn:
    key = addresses.key(email)
    attempts = await _attempt_limits(deps, key, device_cookie, place)
    await limiting.spend(deps.pool, attempts)
    with translate_errors():
        known = await stored_people.credentials_by_email(deps.pool, email)
    known_hash = known.password_hash if known else None
    if not await deps.hasher.check(known_hash, normalise(password)) or known is None or known_hash is None:
        await _record_refusal(deps, known.user if known else None, place, now)
        raise WrongCredentialsError
    async with state.transition(deps) as tx:
        await stored_people.lock_user(tx.db, known.user.user_id)
        # Read again under the lock: the password or the account may have changed while this one was checked.
        current = await stored_people.credentials(tx.db, known.user.user_id)
        if current is None or current.password_hash != known_hash:
            raise WrongCredentialsError
        user = current.user
        memberships = await stored_people.memberships(tx.db, user.user_id)
        chosen = _choose_workspace(user, memberships, workspace_id)
        await _supersede(tx, previous_cookie, now)
        cookie = random_token()
        change = life.opened(
            session_id=new_id(),
            user_id=user.user_id,
            workspace_id=chosen.workspace_id,
            role=people.effective_role(support_admin=user.support_admin, membership=chosen.role),
            epoch=user.epoch,
            device=place.device,
            address=place.address,
            now=now,
            lifetimes=deps.lifetimes,
        )
        await state.open_session(tx, change, hash_secret(cookie), now)
        await stored_people.note_use(tx.db, user.user_id, chosen.workspace_id, now)
        await record_act(tx.db, caller_of(change.session, place.address), Action.SIGNED_IN, now)
        device = device_cookie or random_token()
        await devices.remember(tx.db, hash_secret(device), user.user_id, now)
        await limits.forget(tx.db, [one for one in attempts if not one.startswith(_BY_ADDRESS)])
    if deps.hasher.outdated(known_hash):
        new_hash = await deps.hasher.hash(normalise(password))
        with translate_errors():
            await stored_people.replace_hash(deps.pool, user.user_id, known_hash, new_hash)
    return SignedIn(change.session, cookie, device, user, memberships)


async def _attempt_limits(deps: Deps, email_key: str, device_cookie: str | None, place: Place) -> dict[str, RateLimit]:
    """Return what an attempt to sign in spends.

    A device that has signed in to the account before has a budget of its own: whoever guesses from elsewhere uses up
    what strangers share, and the owner gets in (the OWASP "device cookie").
    """
    account = account_digest(email_key)
    if device_cookie:
        digest = hash_secret(device_cookie)
        with translate_errors():
            known = await devices.known(deps.pool, digest, email_key)
        if known:
            return {f"sign_in:device:{account}:{digest.hex()[:32]}": deps.limits.per_account_and_address}
    address = edge.limit_key(place.address)
    return {
        f"sign_in:pair:{account}:{address}": deps.limits.per_account_and_address,
        f"sign_in:account:{account}": deps.limits.per_account,
        f"{_BY_ADDRESS}{address}": deps.limits.per_address,
    }


def account_digest(email_key: str) -> str:
    """Return the name under which an account is counted in rate limits: no address stands in that table."""
    return hash_secret(email_key).hex()[:32]


def _choose_workspace(user: User, memberships: tuple[Membership, ...], wanted: UUID | None) -> Membership:
    if user.disabled:
        raise NotAllowedError(
            "user_disabled", "This account has been disabled.", "Ask your workspace's administrator to enable it."
        )
    for membership in memberships:
        if wanted is None or membership.workspace_id == wanted:
            return membership
    raise NotAllowedError(
        "no_workspace",
        "This account does not belong to the workspace." if wanted else "This account belongs to no workspace.",
        "Ask an administrator of the workspace to add you.",
    )


async def _supersede(tx: state.Transition, cookie: str | None, now: datetime) -> None:
    """The session that this browser had is not left behind where nobody can sign it out."""
    if not cookie:
        return
    old = await sessions.lock_by_secret(tx.db, hash_secret(cookie))
    if old is not None:
        await state.end(tx, [old], own_end(old, EndCause.SUPERSEDED), DetectedBy.USER, now)


async def _record_refusal(deps: Deps, user: User | None, place: Place, now: datetime) -> None:
    # Written for unknown addresses too, so that the answer takes as long.
    async with transaction(deps.pool) as db:
        memberships = await stored_people.memberships(db, user.user_id if user else new_id())
        entry = AuditedAct(
            audit_id=new_id(),
            at=now,
            action=Action.SIGN_IN_REFUSED,
            workspace_id=memberships[0].workspace_id if memberships else None,
            target_kind="user",
            target_id=str(user.user_id) if user else None,
            address=place.address,
        )
        await audit.add(db, [entry])


async def sign_out(deps: Deps, cookie: str | None, *, everywhere: bool, place: Place, now: datetime) -> None:
    """End the session behind the cookie; with `everywhere`, all of its user's. Nothing to end is fine.

    A support admin who acts as somebody only ends that: signing the person out elsewhere is not theirs to do.

    Args:
        deps: what the operations of the service work with.
        cookie: the value of the session cookie; None for none.
        everywhere: all of the user's sessions end.
        place: from where it is asked: address and device.
        now: the present time, in UTC.

    """
    if not cookie:
        return
    async with state.transition(deps) as tx:
        found = await sessions.find_by_secret(tx.db, hash_secret(cookie))
        if found is None:
            return
        # The user before the session, as everywhere: two orders would deadlock.
        await stored_people.lock_user(tx.db, found.user_id)
        session = await sessions.lock(tx.db, found.session_id)
        if session is None or session.status is not SessionStatus.ACTIVE:
            return
        caller = caller_of(session, place.address)
        if everywhere and not session.impersonated:
            await state.end_all_of_user(tx, session.user_id, EndCause.SIGNED_OUT, DetectedBy.USER, now)
            await links.end_links_of(tx.db, session.user_id, now)
            await record_act(tx.db, caller, Action.SIGNED_OUT_EVERYWHERE, now)
        else:
            await state.end(tx, [session], own_end(session, EndCause.SIGNED_OUT), DetectedBy.USER, now)
            action = Action.IMPERSONATION_ENDED if session.impersonated else Action.SIGNED_OUT
            await record_act(tx.db, caller, action, now)


@dataclass(frozen=True, slots=True)
class Who:
    """The person of a session, their workspaces, and the name of the support admin who acts as them."""

    user: User
    memberships: tuple[Membership, ...]
    actor_name: str | None = None


async def who(deps: Deps, session: Session) -> Who:
    """Return whose session it is.

    Raises:
        NotFoundError: there is no such user.

    """
    with translate_errors():
        user = await stored_people.user(deps.pool, session.user_id)
        memberships = await stored_people.memberships(deps.pool, session.user_id)
        actor = await stored_people.user(deps.pool, session.actor_user_id) if session.actor_user_id else None
    if user is None:
        raise NotFoundError("user")
    return Who(user, memberships, actor.name if actor else None)


def own_end(session: Session, cause: EndCause) -> EndCause:
    return EndCause.IMPERSONATION_ENDED if session.impersonated else cause


def caller_of(session: Session, address: str) -> Caller:
    """Return a session's user as the one who acts."""
    return Caller(
        user_id=session.user_id,
        session_id=session.session_id,
        workspace_id=session.workspace_id,
        role=session.role,
        actor_user_id=session.actor_user_id,
        address=address,
    )


async def colleagues(deps: Deps, workspace_id: UUID | None, *, after: UUID | None, limit: int) -> tuple[Member, ...]:
    """Return the members of a workspace.

    Args:
        deps: what the operations of the service work with.
        workspace_id: the workspace; None for all.
        after: where the page begins: behind this one; None for the first page.
        limit: how many are returned at most.

    """
    if workspace_id is None:
        return ()
    with translate_errors():
        return await stored_people.members(
            deps.pool,
            workspace_id=workspace_id,
            user_id=None,
            search=None,
            after=(after, workspace_id) if after else None,
            limit=limit,
        )
