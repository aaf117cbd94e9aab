"""The SMTP side. Some domains behave as real ones do on a bad day.

| recipient's domain | answer |
| --- | --- |
| `bounce.example` | 550 5.1.1, the mailbox does not exist (final) |
| `full.example` | 452 4.2.2, the mailbox is full (try again) |
| `busy.example` | 451 4.7.1, greylisted at the first try, accepted at the next |
| any other | accepted |

Faults with provider `smtp` (kinds status, hang, slow, reset) hit the DATA command.
"""

from __future__ import annotations

import asyncio
import email
import email.policy
from email.message import EmailMessage
from typing import TYPE_CHECKING

from aiosmtpd.smtp import SMTP, Envelope, Session

if TYPE_CHECKING:
    from provider_simulator.world import World

KEEP = 20_000
MOST_BYTES = 5 << 20
REFUSALS = {
    "bounce.example": "550 5.1.1 The email account that you tried to reach does not exist",
    "full.example": "452 4.2.2 The recipient's inbox is full",
}


class Inbox:
    """aiosmtpd's handler: one method per SMTP command that we care about."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._greylisted: set[str] = set()
        self._number = max((int(key) for key in world.mail), default=0)

    async def handle_RCPT(  # noqa: N802  the name that aiosmtpd calls
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, rcpt_options: list[str]
    ) -> str:
        domain = address.rpartition("@")[2].lower()
        if (refusal := REFUSALS.get(domain)) is not None:
            return refusal
        if domain == "busy.example" and address not in self._greylisted:
            self._greylisted.add(address)
            return "451 4.7.1 Greylisted, try again later"
        envelope.rcpt_tos.append(address)
        envelope.rcpt_options.extend(rcpt_options)
        return "250 2.1.5 OK"

    async def handle_DATA(  # noqa: N802
        self, server: SMTP, _session: Session, envelope: Envelope
    ) -> str:
        fault = self._world.faults.pick("smtp", "data", None) if self._world.faults.any else None
        if fault is not None:
            match fault.kind:
                case "slow":
                    await asyncio.sleep(fault.delay_ms / 1000)
                case "hang":
                    await asyncio.sleep(300)
                case "reset":
                    _abort(server)
                    return "421 4.3.0 Closing"
                case "reset_after_answer":
                    self.keep(envelope)
                    _abort(server)
                    return "421 4.3.0 Closing"
                case _:
                    return f"{fault.status or 451} 4.3.0 Simulated fault"
        self.keep(envelope)
        return "250 2.0.0 Message accepted for delivery"

    def keep(self, envelope: Envelope) -> None:
        content = envelope.content if isinstance(envelope.content, bytes) else b""
        message = email.message_from_bytes(content, policy=email.policy.default)
        world = self._world
        self._number += 1
        key = str(self._number)
        world.mail[key] = {
            "id": key,
            "time": world.clock.now(),
            "from": str(message["From"] or envelope.mail_from or ""),
            "to": list(envelope.rcpt_tos),
            "subject": str(message["Subject"] or ""),
            "message_id": str(message["Message-ID"] or ""),
            "headers": {name: str(value) for name, value in message.items()},
            "text": _part(message, "plain"),
            "html": _part(message, "html"),
        }
        world.journal.mark("mail", key)
        if world.mail.pop(old := str(self._number - KEEP), None) is not None:
            world.journal.mark("mail", old)
        world.mail_came.set()
        world.mail_came = asyncio.Event()


def _abort(server: SMTP) -> None:
    if isinstance(server.transport, asyncio.Transport):
        server.transport.abort()


def _part(message: EmailMessage, subtype: str) -> str | None:
    body = message.get_body((subtype,))
    return None if body is None else str(body.get_content())


async def serve(world: World, host: str, port: int) -> asyncio.Server:
    inbox = Inbox(world)
    loop = asyncio.get_running_loop()
    return await loop.create_server(
        lambda: SMTP(inbox, hostname="mailbox.example", enable_SMTPUTF8=True, data_size_limit=MOST_BYTES, loop=loop),
        host,
        port,
    )
