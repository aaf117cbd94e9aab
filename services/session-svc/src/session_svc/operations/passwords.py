"""Changing a password, and setting a new one by a mailed link."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from common.contracts import DetectedBy
from common.postgres import Connection, transaction, translate_errors
from common.runtime.errors import Permanent, Retryable
from common.runtime.ids import new_id, random_token
from common.runtime.retry import Backoff
from session_svc import metrics
from session_svc.clients.notifier import MessagesClient
from session_svc.core import edge, passwords, people
from session_svc.core.audit import Action, Entry
from session_svc.core.errors import LinkRefused, NotFound, WrongCredentials
from session_svc.core.session import EndCause
from session_svc.operations import limiting, state
from session_svc.operations.deps import SOURCE, Caller, Deps, record_act
from session_svc.operations.sign_in import Place
from session_svc.operations.tokens import hash_secret, service_jwt
from session_svc.store import audit, limits, resets, sessions
from session_svc.store import people as stored

MAIL_SCOPES = ("messages:send",)
MAIL_BATCH = 50
MAIL_CLAIM = timedelta(seconds=60)
"""A mail that is being handed over is left alone by other replicas for this long."""
_waits = Backoff(base_s=2, cap_s=120)


async def change_password(deps: Deps, caller: Caller, *, current: str, new: str, now: datetime) -> str:
    """A new password. Every other session ends, the user's epoch rises, and this session gets another cookie.

    Returns the new cookie.

    Raises:
        WrongCredentials: the present password is another one.
        Invalid: the new one breaks a rule.
        TooManyAttempts: the present one was guessed at too often.
        NotFound: the session is over.

    """
    key = f"password:{caller.user_id}"
    await limiting.spend(deps.pool, {key: deps.limits.per_account_and_address}, now)
    with translate_errors():
        known = await stored.credentials(deps.pool, caller.user_id)
    known_hash = known.password_hash if known else None
    if known is None or not await deps.hasher.check(known_hash, passwords.normalise(current)):
        raise WrongCredentials
    accepted = passwords.check_new(new, email=known.user.email)
    new_hash = await deps.hasher.hash(accepted)
    cookie = random_token()
    async with state.transition(deps) as tx:
        await stored.lock_user(tx.connection, caller.user_id)
        present = await stored.credentials(tx.connection, caller.user_id)
        session = await sessions.lock(tx.connection, caller.session_id)
        if present is None or present.password_hash != known_hash or session is None or not session.live(now):
            raise NotFound("session")
        await stored.set_password(tx.connection, caller.user_id, new_hash, now)
        await state.end_all_of_user(
            tx, caller.user_id, EndCause.PASSWORD_CHANGED, DetectedBy.USER, now, keep=caller.session_id
        )
        await sessions.replace_secret(tx.connection, caller.session_id, hash_secret(cookie))
        await record_act(tx.connection, caller, Action.PASSWORD_CHANGED, now)
        await limits.forget(tx.connection, [key])
    return cookie


async def request_reset(deps: Deps, *, email: str, place: Place, now: datetime) -> None:
    """Have a link mailed, if somebody has this address. The caller never learns whether.

    Raises:
        TooManyAttempts: for this account or address.

    """
    key = people.email_key(email)
    account = hash_secret(key).hex()[:32]
    await limiting.spend(
        deps.pool,
        {
            f"reset:account:{account}": deps.limits.resets_per_account,
            f"reset:address:{edge.limit_key(place.address)}": deps.limits.resets_per_address,
        },
        now,
    )
    async with transaction(deps.pool) as connection:
        await resets.insert(connection, new_id(), key, now)
        entry = Entry(
            audit_id=new_id(),
            at=now,
            action=Action.PASSWORD_RESET_REQUESTED,
            address=place.address,
        )
        await audit.add(connection, [entry])
    deps.poke_mail()


async def confirm_reset(deps: Deps, *, secret: str, new: str, place: Place, now: datetime) -> None:
    """A new password by a mailed link. The link works once; every session of the user ends.

    Raises:
        LinkRefused: the link was used, is too old, or was never sent.
        Invalid: the new password breaks a rule. The link stays good.
        TooManyAttempts: from this address.

    """
    await limiting.spend(
        deps.pool, {f"reset_use:address:{edge.limit_key(place.address)}": deps.limits.resets_per_address}, now
    )
    async with transaction(deps.pool) as connection:
        user_id = await _usable_link(connection, secret, now)
        known = await stored.user(connection, user_id)
    if known is None:
        raise LinkRefused("unknown")
    new_hash = await deps.hasher.hash(passwords.check_new(new, email=known.email))
    async with state.transition(deps) as tx:
        await stored.lock_user(tx.connection, user_id)
        # Once more under the lock: two browsers with the same link get one password changed between them.
        await _usable_link(tx.connection, secret, now)
        reset = await resets.lock_by_secret(tx.connection, hash_secret(secret))
        if reset is None:
            raise LinkRefused("unknown")
        await stored.set_password(tx.connection, user_id, new_hash, now)
        await state.end_all_of_user(tx, user_id, EndCause.PASSWORD_CHANGED, DetectedBy.USER, now)
        await resets.use(tx.connection, reset.reset_id, user_id, now)
        memberships = await stored.memberships(tx.connection, user_id)
        entry = Entry(
            audit_id=new_id(),
            at=now,
            action=Action.PASSWORD_RESET,
            workspace_id=memberships[0].workspace_id if memberships else None,
            actor_user_id=user_id,
            address=place.address,
        )
        await audit.add(tx.connection, [entry])


async def _usable_link(connection: Connection, secret: str, now: datetime) -> UUID:
    reset = await resets.lock_by_secret(connection, hash_secret(secret))
    if reset is None or reset.user_id is None:
        raise LinkRefused("unknown")
    if reset.state not in {"requested", "mailed"}:  # mailed a moment ago, the answer of the notifier under way
        raise LinkRefused("used")
    if reset.expires_at is None or now >= reset.expires_at:
        raise LinkRefused("expired")
    return reset.user_id


@dataclass(frozen=True, slots=True)
class MailStatus:
    """What became of the mails that were due."""

    sent: int
    put_off: int
    more: bool


async def send_due_mails(deps: Deps, channel: MessagesClient, now: datetime) -> MailStatus:
    """Hand due reset mails to the notifier.

    Killed in between, the next try hands over the same message with the same link, so one mail is sent.
    """
    with translate_errors():
        due = await resets.claim_due(deps.pool, now, now + MAIL_CLAIM, MAIL_BATCH)
    sent = put_off = 0
    for reset in due:
        outcome = await _send(deps, channel, reset, now)
        metrics.RESET_MAILS.labels(outcome).inc()
        sent += outcome == "sent"
        put_off += outcome == "put_off"
    return MailStatus(sent, put_off, more=len(due) == MAIL_BATCH)


async def _send(deps: Deps, channel: MessagesClient, reset: resets.Reset, now: datetime) -> str:
    with translate_errors():
        known = await stored.credentials_by_email(deps.pool, reset.email_key)
        if known is None or known.user.disabled:
            await resets.drop(deps.pool, reset.reset_id)
            return "nobody"
        aad = f"password_resets|{reset.reset_id}".encode()
        secret = deps.keyring.open_(reset.sealed_secret, aad).decode() if reset.sealed_secret else random_token()
        await resets.prepare(
            deps.pool,
            reset.reset_id,
            user_id=known.user.user_id,
            secret_hash=hash_secret(secret),
            sealed_secret=deps.keyring.seal(secret.encode(), aad),
            expires_at=now + deps.limits.reset_link_life,
        )
    # In the fragment, which no browser sends to any server and no Referer carries.
    link = f"{deps.public_url}/reset-password#token={secret}"
    try:
        await channel.send_password_reset(
            token=await service_jwt(deps, SOURCE, MAIL_SCOPES, now),
            user_id=known.user.user_id,
            link=link,
            message_id=reset.reset_id,
        )
    except Retryable:
        with translate_errors():
            delay = timedelta(seconds=_waits.delay(reset.attempt, str(reset.reset_id)))
            await resets.retry_at(deps.pool, reset.reset_id, now + delay)
        return "put_off"
    except Permanent:
        with translate_errors():
            await resets.drop(deps.pool, reset.reset_id)
        return "refused"
    with translate_errors():
        await resets.mailed(deps.pool, reset.reset_id)
    return "sent"
