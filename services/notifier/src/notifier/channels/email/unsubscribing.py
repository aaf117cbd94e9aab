"""One click in a mail stops such mails for its reader, without signing in (RFC 8058).

What the link carries is sealed by the keyring: who, in which workspace, mails about what, and when it was made. Nothing
is stored for it, nobody can make one or change one, and it can do nothing else. Critical notices can be stopped so too:
quiet hours are a rule of ours, which they pass, and this is the reader's word, which they do not. The app shows them in
any case. A mail can be forwarded, so the link ends, and its reader is told by a mail when it was used.
"""

import base64
import binascii
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from common.contracts import NoticeChannel, NoticeCode
from common.crypto import KeyEncryption, UnsealableError, associated_data
from common.postgres import transaction
from common.runtime.ids import new_id
from notifier import metrics
from notifier.core.errors import NoSuchUnsubscribeLink
from notifier.core.words import masked
from notifier.operations.deps import Deps
from notifier.store import deliveries, people

PATH = "/api/v1/notification-preferences/unsubscribe"
LONGEST = 1_024
_UUID_BYTES = 16
_TIME_BYTES = 5
LIFE = timedelta(days=60)
"""Laws ask for 30 days after the mail (CAN-SPAM, 15 U.S.C. 7704) and for 60 (CASL, section 11)."""
_AAD = associated_data("unsubscribe", NoticeChannel.EMAIL.value, 2)
"""The number is that of the format: links of another one do not open."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What a link would stop."""

    workspace_id: UUID
    user_id: UUID
    codes: tuple[NoticeCode, ...]


async def url(vault: KeyEncryption | None, public_url: str, asked: Asked, now: datetime) -> str:
    """Return the link for one reader of one mail; empty where there are no keys to seal it with.

    Args:
        vault: seals what the link holds; None where there are no keys.
        public_url: the origin that people's browsers use.
        asked: the reader, and what the link turns off.
        now: the present time, in UTC.

    """
    if vault is None:
        return ""
    made = int(now.timestamp()).to_bytes(_TIME_BYTES, "big")
    codes = ",".join(code.value for code in asked.codes).encode()
    plain = made + asked.workspace_id.bytes + asked.user_id.bytes + codes
    token = base64.urlsafe_b64encode(await vault.wrap(plain, _AAD)).rstrip(b"=").decode()
    return f"{public_url}{PATH}?token={token}"


async def read(deps: Deps, token: str, now: datetime) -> Asked:
    """Return what the token of a link stands for.

    Raises:
        NoSuchUnsubscribeLink: it is none of ours, not whole, or too old.

    """
    if deps.vault is None or len(token) > LONGEST:
        raise NoSuchUnsubscribeLink
    try:
        sealed = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
        plain = await deps.vault.unwrap(sealed, _AAD)
        made, plain = plain[:_TIME_BYTES], plain[_TIME_BYTES:]
        if now.timestamp() >= int.from_bytes(made, "big") + LIFE.total_seconds():
            raise NoSuchUnsubscribeLink
        names = plain[2 * _UUID_BYTES :].decode().split(",")
        return Asked(
            workspace_id=UUID(bytes=plain[:_UUID_BYTES]),
            user_id=UUID(bytes=plain[_UUID_BYTES : 2 * _UUID_BYTES]),
            codes=tuple(NoticeCode(name) for name in names),
        )
    except (UnsealableError, binascii.Error, ValueError):
        raise NoSuchUnsubscribeLink from None


async def reader(deps: Deps, asked: Asked) -> str:
    """Return whose mails they are, so that somebody to whom one was forwarded sees that it is not theirs."""
    async with transaction(deps.pool) as db:
        known = await people.of_pairs(db, [(asked.workspace_id, asked.user_id)])
    person = known.get((asked.workspace_id, asked.user_id))
    return masked(person.email) if person is not None else ""


async def stop(deps: Deps, asked: Asked, now: datetime) -> None:
    """Turn these mails off for this one person, and tell them by a mail; again, it changes nothing.

    What waits to be sent is not sent.
    """
    async with transaction(deps.pool) as db:
        changed = await people.turn_off(
            db,
            asked.workspace_id,
            asked.user_id,
            channel=NoticeChannel.EMAIL,
            codes=[code.value for code in asked.codes],
            now=now,
        )
        if changed and deps.vault is not None:
            delivery_id = new_id()
            link = f"{deps.texts.public_url}/settings/notifications"
            await deliveries.add_direct(
                db,
                delivery_id,
                user_id=asked.user_id,
                workspace_id=asked.workspace_id,
                template="mails_stopped",
                sealed=await deps.vault.wrap(link.encode(), associated_data("direct", delivery_id)),
                now=now,
            )
    if changed:
        deps.committed()
    metrics.UNSUBSCRIBED.inc()
