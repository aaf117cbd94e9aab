"""Standard Webhooks (standardwebhooks.com, specification 1.0.0): what is signed, how, and what an answer means."""

import base64
import hashlib
import hmac
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from notifier.core.delivery import Outcome, SendOutcome
from notifier.core.notices import Notice
from notifier.core.rendering import NoticeView, Words

SCHEMA_VERSION = 1
"""Of the body. Members may be added without a new version; none is removed or changes its meaning."""
SECRET_PREFIX = "whsec_"  # noqa: S105  marks a secret, and is none
SECRET_BYTES = 32
"""The convention asks for 24 to 64 bytes of randomness."""
PREVIOUS_SECRET_LIFE = timedelta(hours=24)
"""For so long after a rotation messages are signed by the secret before it, too."""
GIVE_UP_AFTER = timedelta(days=5)
LONGEST_WAIT_S = 86_400.0
_GONE, _SUCCESS, _REDIRECT = 410, 200, 300


def secret_of(material: bytes) -> str:
    """Return a secret as receivers are given it."""
    return SECRET_PREFIX + base64.b64encode(material).decode()


def sign(secrets: Sequence[str], message_id: str, at: datetime, body: bytes) -> str:
    """Return the value of `webhook-signature`: one `v1` signature for each secret, with a space between them.

    Args:
        secrets: the secrets that are valid now, the newest first.
        message_id: the message's id, the same at each try.
        at: when this try is sent, in UTC.
        body: the body, byte by byte as it is sent.

    """
    signed = f"{message_id}.{int(at.timestamp())}.".encode() + body
    return " ".join("v1," + _signature(secret, signed) for secret in secrets)


def _signature(secret: str, signed: bytes) -> str:
    key = base64.b64decode(secret.removeprefix(SECRET_PREFIX), validate=True)
    return base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()


def headers(secrets: Sequence[str], message_id: str, at: datetime, body: bytes) -> dict[str, str]:
    """Return the headers of a message.

    Args:
        secrets: the secrets that are valid now, the newest first.
        message_id: the message's id, the same at each try.
        at: when this try is sent, in UTC.
        body: the body, byte by byte as it is sent.

    """
    return {
        "Content-Type": "application/json",
        "webhook-id": message_id,
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": sign(secrets, message_id, at, body),
    }


def living_secrets(stored: Mapping[str, Any], now: datetime) -> list[str]:
    """Return the secrets that messages are signed by now: the newest first, and the one before it for a while."""
    previous, until = stored.get("previous"), stored.get("previous_until")
    if previous and until and now < datetime.fromisoformat(until):
        return [stored["secret"], previous]
    return [stored["secret"]]


def rotated(stored: Mapping[str, Any], secret: str, now: datetime) -> dict[str, Any]:
    """Return what is stored after a rotation."""
    until = now + PREVIOUS_SECRET_LIFE
    return {"secret": secret, "previous": stored["secret"], "previous_until": until.isoformat()}


def document(notice: Notice, view: NoticeView, words: Words, *, follow_up: bool) -> dict[str, Any]:
    """Return the body of a message about one notice. Words are written anew at each attempt; facts are ids.

    Args:
        notice: the workspace's notice.
        view: its facts as they are now.
        words: its words in the workspace's language and time zone.
        follow_up: whether it says that the notice is over.

    Returns:
        A JSON document without any secret.

    """
    condition, fact = notice.condition, notice.condition.fact
    over = follow_up or condition.resolved_at is not None
    return {
        "type": "notice.resolved" if over else "notice.opened",
        "timestamp": _time((condition.resolved_at if over else None) or condition.updated_at),
        "schema_version": SCHEMA_VERSION,
        "data": {
            "notice_id": str(notice.notice_id),
            "workspace_id": str(notice.workspace_id),
            "code": fact.code.value,
            "severity": words.severity.value,
            "state": "resolved" if over else "open",
            "resolution": condition.resolution.value if condition.resolution is not None else None,
            "provider": fact.provider,
            "token_kind": fact.kind.value,
            "token_id": str(fact.token_id) if fact.token_id is not None else None,
            "accounts": [
                {"account_id": str(each.account_id), "external_id": each.external_id, "name": each.name}
                for each in fact.accounts
            ],
            "cause": fact.cause.value if fact.cause is not None else None,
            "stage": fact.stage or None,
            "expires_at": _time(fact.expires_at),
            "raised_at": _time(condition.raised_at),
            "resolved_at": _time(condition.resolved_at),
            "rules_paused": view.rules_paused,
            "title": words.solved if over else words.title,
            "what": words.recovered if over else words.what,
            "stops": None if over else words.stops,
            "fix": None if over else words.fix,
            "fix_url": words.fix_url,
        },
    }


def _time(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat().replace("+00:00", "Z")


def read(status: int, retry_after_s: float | None) -> Outcome:
    """Return what a receiver's answer means: 2xx is success, 410 means "never again", anything else "later"."""
    detail = f"http_{status}"
    if _SUCCESS <= status < _REDIRECT:
        return Outcome(SendOutcome.ACCEPTED)
    if status == _GONE:
        return Outcome(SendOutcome.ADDRESS_DEAD, detail="gone")
    wait_s = None if retry_after_s is None else min(retry_after_s, LONGEST_WAIT_S)
    return Outcome(SendOutcome.TRY_LATER, retry_after_s=wait_s, detail=detail)
