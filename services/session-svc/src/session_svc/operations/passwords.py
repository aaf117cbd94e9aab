"""Changing a password, and setting a new one by a mailed link."""

from datetime import datetime
from uuid import UUID

from common import addresses, edge
from common.contracts import DetectedBy
from common.postgres import Db, transaction, translate_errors
from common.runtime.ids import new_id, random_token
from session_svc.core import passwords
from session_svc.core.audit import Action, AuditedAct
from session_svc.core.errors import LinkRefusedError, NotFoundError, TooManyAttemptsError, WrongCredentialsError
from session_svc.core.session import EndCause
from session_svc.operations import limiting, links, state
from session_svc.operations.deps import Caller, Deps, record_act
from session_svc.operations.sign_in import Place, account_digest
from session_svc.operations.tokens import hash_secret
from session_svc.store import audit, devices, limits, resets, sessions
from session_svc.store import people as stored


async def change_password(deps: Deps, caller: Caller, *, current: str, new: str, now: datetime) -> str:
    """Return a new password. Every other session ends, the user's epoch rises, and this session gets another cookie.

    Returns the new cookie.

    Args:
        deps: what the operations of the service work with.
        caller: who calls.
        current: the present password.
        new: the new one.
        now: the present time, in UTC.

    Raises:
        WrongCredentialsError: the present password is another one.
        InvalidError: the new one breaks a rule.
        TooManyAttemptsError: the present one was guessed at too often.
        NotFoundError: the session is over.

    """
    key = f"password:{caller.user_id}"
    await limiting.spend(deps.pool, {key: deps.limits.per_account_and_address})
    with translate_errors():
        known = await stored.credentials(deps.pool, caller.user_id)
    known_hash = known.password_hash if known else None
    if known is None or not await deps.hasher.check(known_hash, passwords.normalise(current)):
        raise WrongCredentialsError
    accepted = passwords.check_new(new, email=known.user.email)
    new_hash = await deps.hasher.hash(accepted)
    cookie = random_token()
    async with state.transition(deps) as tx:
        await stored.lock_user(tx.db, caller.user_id)
        present = await stored.credentials(tx.db, caller.user_id)
        session = await sessions.lock(tx.db, caller.session_id)
        if present is None or present.password_hash != known_hash or session is None or not session.live(now):
            raise NotFoundError("session")
        await stored.set_password(tx.db, caller.user_id, new_hash, now)
        await state.end_all_of_user(
            tx, caller.user_id, EndCause.PASSWORD_CHANGED, DetectedBy.USER, now, keep=caller.session_id
        )
        await sessions.replace_secret(tx.db, caller.session_id, hash_secret(cookie))
        await links.end_links_of(tx.db, caller.user_id, now)
        await record_act(tx.db, caller, Action.PASSWORD_CHANGED, now)
        await limits.forget(tx.db, [key])
    return cookie


async def request_reset(deps: Deps, *, email: str, place: Place, now: datetime) -> None:
    """Have a link mailed, if somebody has this address. The caller never learns whether.

    Args:
        deps: what the operations of the service work with.
        email: the address, as it was typed.
        place: from where it is asked: address and device.
        now: the present time, in UTC.

    Raises:
        TooManyAttemptsError: this network address asks too often, for this account or for any.

    """
    key = addresses.key(email)
    account = account_digest(key)
    address = edge.limit_key(place.address)
    await limiting.spend(
        deps.pool,
        {
            f"reset:pair:{account}:{address}": deps.limits.resets_per_account,
            f"reset:address:{address}": deps.limits.resets_per_address,
        },
    )
    try:
        await limiting.spend(deps.pool, {f"reset:account:{account}": deps.limits.resets_per_account})
    except TooManyAttemptsError:
        mail = False  # the links that were mailed in the last minutes work; strangers cannot use up the owner's right
    else:
        mail = True
    async with transaction(deps.pool) as db:
        if mail:
            await resets.insert(db, new_id(), key, now)
        entry = AuditedAct(
            audit_id=new_id(),
            at=now,
            action=Action.PASSWORD_RESET_REQUESTED,
            address=place.address,
        )
        await audit.add(db, [entry])
    deps.wake_mail()


async def confirm_reset(deps: Deps, *, secret: str, new: str, place: Place, now: datetime) -> str:
    """Set a new password by a mailed link; returns the cookie of the device. Every session of the user ends.

    The link works once. Its browser is known from now on, and every other one is forgotten.

    Args:
        deps: what the operations of the service work with.
        secret: what the mailed link held.
        new: the new password.
        place: from where it is asked: address and device.
        now: the present time, in UTC.

    Raises:
        LinkRefusedError: the link was used, is too old, or was never sent.
        InvalidError: the new password breaks a rule. The link stays good.
        TooManyAttemptsError: from this address.

    """
    await limiting.spend(
        deps.pool, {f"reset_use:address:{edge.limit_key(place.address)}": deps.limits.resets_per_address}
    )
    async with transaction(deps.pool) as db:
        user_id = await _usable_link(db, secret, now)
        known = await stored.user(db, user_id)
    if known is None:
        raise LinkRefusedError("unknown")
    new_hash = await deps.hasher.hash(passwords.check_new(new, email=known.email))
    async with state.transition(deps) as tx:
        await stored.lock_user(tx.db, user_id)
        # Once more under the lock: two browsers with the same link get one password changed between them.
        await _usable_link(tx.db, secret, now)
        reset = await resets.lock_by_secret(tx.db, hash_secret(secret))
        if reset is None:
            raise LinkRefusedError("unknown")
        await stored.set_password(tx.db, user_id, new_hash, now)
        await state.end_all_of_user(tx, user_id, EndCause.PASSWORD_CHANGED, DetectedBy.USER, now)
        await resets.use(tx.db, reset.reset_id, user_id, now)
        await links.end_links_of(tx.db, user_id, now)
        device = random_token()
        await devices.forget_of_user(tx.db, user_id)
        await devices.remember(tx.db, hash_secret(device), user_id, now)
        await limits.forget_account(tx.db, account_digest(addresses.key(known.email)))
        memberships = await stored.memberships(tx.db, user_id)
        entry = AuditedAct(
            audit_id=new_id(),
            at=now,
            action=Action.PASSWORD_RESET,
            workspace_id=memberships[0].workspace_id if memberships else None,
            actor_user_id=user_id,
            address=place.address,
        )
        await audit.add(tx.db, [entry])
    return device


async def _usable_link(db: Db, secret: str, now: datetime) -> UUID:
    reset = await resets.lock_by_secret(db, hash_secret(secret))
    if reset is None or reset.user_id is None:
        raise LinkRefusedError("unknown")
    if reset.state not in {"requested", "mailed"}:  # mailed a moment ago, the answer of the notifier under way
        raise LinkRefusedError("used")
    if reset.expires_at is None or now >= reset.expires_at:
        raise LinkRefusedError("expired")
    return reset.user_id
