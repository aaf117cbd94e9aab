"""Mails that are owed: links for password resets and invitations, handed to the notifier and tried until it has them.

Killed in between, the next try hands over the same message with the same link, so one mail is sent.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from common.postgres import translate_errors
from common.runtime.errors import PermanentError, RetryableError
from common.runtime.ids import random_token
from common.runtime.retry import Backoff
from session_svc import metrics
from session_svc.clients.notifier import InvitationMail, MessagesClient
from session_svc.operations.deps import SOURCE, Deps
from session_svc.operations.tokens import hash_secret, service_jwt
from session_svc.store import invitations, resets
from session_svc.store import people as stored

MAIL_SCOPES = ("messages:send",)
BATCH = 50
CLAIM = timedelta(seconds=60)
"""A mail that is being handed over is left alone by other replicas for this long."""
_waits = Backoff(base_s=2, cap_s=120)


@dataclass(frozen=True, slots=True)
class MailStatus:
    """What became of the mails that were due."""

    sent: int
    put_off: int
    more: bool


async def send_due(deps: Deps, channel: MessagesClient, now: datetime) -> MailStatus:
    """Hand due mails to the notifier."""
    with translate_errors():
        due_resets = await resets.claim_due(deps.pool, now, now + CLAIM, BATCH)
        due_invitations = await invitations.claim_due_mails(deps.pool, now, now + CLAIM, BATCH)
    outcomes = []
    for reset in due_resets:
        outcomes.append(await _send_reset(deps, channel, reset, now))
        metrics.RESET_MAILS.labels(outcomes[-1]).inc()
    for invitation in due_invitations:
        outcomes.append(await _send_invitation(deps, channel, invitation, now))
        metrics.INVITATION_MAILS.labels(outcomes[-1]).inc()
    return MailStatus(
        outcomes.count("sent"), outcomes.count("put_off"), more=BATCH in {len(due_resets), len(due_invitations)}
    )


async def _send_reset(deps: Deps, channel: MessagesClient, reset: resets.Reset, now: datetime) -> str:
    with translate_errors():
        known = await stored.credentials_by_email(deps.pool, reset.email_key)
        if known is None or known.user.disabled:
            await resets.drop(deps.pool, reset.reset_id)
            return "nobody"
        secret, sealed = await _secret(deps, f"password_resets|{reset.reset_id}", reset.sealed_secret)
        await resets.prepare(
            deps.pool,
            reset.reset_id,
            user_id=known.user.user_id,
            secret_hash=hash_secret(secret),
            sealed_secret=sealed,
            expires_at=now + deps.limits.reset_link_life,
        )
    user_id = known.user.user_id
    token = await service_jwt(deps, SOURCE, MAIL_SCOPES, now)

    async def send() -> None:
        await channel.send_password_reset(
            token=token,
            user_id=user_id,
            # In the fragment, which no browser sends to any server and no Referer carries.
            link=f"{deps.public_url}/reset-password#token={secret}",
            message_id=reset.reset_id,
        )

    outcome = await _hand_over(send)
    with translate_errors():
        if outcome == "put_off":
            await resets.retry_at(deps.pool, reset.reset_id, _retry_at(now, reset.attempt, reset.reset_id))
        elif outcome == "refused":
            await resets.drop(deps.pool, reset.reset_id)
        else:
            await resets.mailed(deps.pool, reset.reset_id)
    return outcome


async def _send_invitation(deps: Deps, channel: MessagesClient, due: invitations.DueMail, now: datetime) -> str:
    with translate_errors():
        secret, sealed = await _secret(deps, f"invitations|{due.invitation_id}", due.sealed_secret)
        await invitations.prepare_link(
            deps.pool, due.invitation_id, secret_hash=hash_secret(secret), sealed_secret=sealed
        )
    mail = InvitationMail(
        address=due.email,
        workspace_name=due.workspace_name,
        inviter_name=due.inviter_name,
        role=due.role.value,
        link=f"{deps.public_url}/invitation#token={secret}",
    )
    token = await service_jwt(deps, SOURCE, MAIL_SCOPES, now)

    async def send() -> None:
        # An invitation that is renewed gets a mail of its own: the link is new, so is the message.
        await channel.send_invitation(token=token, invitation=mail, message_id=UUID(bytes=hash_secret(secret)[:16]))

    outcome = await _hand_over(send)
    again = _retry_at(now, due.attempt, due.invitation_id) if outcome == "put_off" else None
    with translate_errors():
        await invitations.mail_at(deps.pool, due.invitation_id, again)
    return outcome


async def _secret(deps: Deps, row: str, sealed: bytes | None) -> tuple[str, bytes]:
    """Return the link's secret (that of an earlier try, if there was one) and the same sealed for its row."""
    aad = row.encode()
    secret = (await deps.key_encryption.unwrap(sealed, aad)).decode() if sealed else random_token()
    return secret, await deps.key_encryption.wrap(secret.encode(), aad)


async def _hand_over(send: Callable[[], Awaitable[None]]) -> str:
    try:
        await send()
    except RetryableError:
        return "put_off"
    except PermanentError:
        return "refused"
    return "sent"


def _retry_at(now: datetime, attempt: int, row_id: UUID) -> datetime:
    return now + timedelta(seconds=_waits.delay(attempt, str(row_id)))
