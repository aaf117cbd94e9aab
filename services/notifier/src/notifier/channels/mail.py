"""Email by SMTP (RFC 5321): a few kept connections, one message per transaction.

The Message-ID is made from the delivery's id, so a mail that is sent again after a crash between "accepted" and "noted"
is the same mail to every server and client that looks (RFC 5322, section 3.6.4).
"""

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from email.charset import QP, Charset
from email.header import Header
from email.mime.multipart import MIMEMultipart
from email.mime.text import MIMEText
from email.policy import compat32
from email.utils import format_datetime, formataddr, parseaddr
from typing import Final, Literal

import aiosmtplib
from pydantic import SecretStr

from common.contracts import NoticeChannel
from common.runtime.clock import Clock, monotonic
from common.telemetry import logs
from notifier.channels.base import Parcel
from notifier.channels.throttle import Throttle
from notifier.core.delivery import Answer, Outcome

_log = logs.get_logger("channels.mail")

TIMEOUT_S: Final = 20.0
IDLE_S: Final = 20.0
"""A kept connection older than this is not trusted: servers close idle ones, some without saying so."""
_ADDRESS: Final = re.compile(r"[^\s@<>,;:\"()\[\]\\]+@[^\s@<>,;:\"()\[\]\\]+")
_UTF8: Final = Charset("utf-8")
_UTF8.body_encoding = QP  # readable on the wire, and lines stay below RFC 5322's limit
_WIRE: Final = compat32.clone(linesep="\r\n")
_PERMANENT: Final = 500
_ADDRESS_CODES: Final = frozenset({550, 551, 553, 556})
_SHUTTING_DOWN: Final = 421
_SIGN_IN_CODES: Final = frozenset({530, 534, 535, 538})


@dataclass(frozen=True, slots=True, kw_only=True)
class MailServer:
    """Where mails are handed in, and as whom."""

    host: str
    port: int
    sender: str
    username: str | None = None
    password: SecretStr | None = field(default=None, repr=False)
    tls: Literal["auto", "none", "starttls", "implicit"] = "auto"
    connections: int = 8
    settings_url: str = ""


class MailChannel:
    """Hands mails to one SMTP server."""

    name = NoticeChannel.EMAIL
    repeat_is_recognised = True

    def __init__(self, server: MailServer, *, throttle: Throttle, clock: Clock) -> None:
        self._server = server
        self._throttle = throttle
        self._clock = clock
        self._slots = asyncio.Semaphore(server.connections)
        self._idle: list[tuple[float, aiosmtplib.SMTP]] = []
        name, address = parseaddr(server.sender)
        self._sender_address = address
        self._sender = formataddr((name or "Wevion", address))
        self._domain = address.rpartition("@")[2]

    async def send(self, parcel: Parcel) -> Outcome:
        """Present one mail. See `Channel.send`."""
        try:
            message_id, content = self._message(parcel)
        except ValueError:  # an address that no mail header can hold
            return Outcome(Answer.ADDRESS_DEAD, detail="malformed_address")
        await self._throttle.wait()
        try:
            async with asyncio.timeout(TIMEOUT_S * 2), self._connection() as smtp:
                await smtp.sendmail(self._sender_address, [parcel.address], content)
        except aiosmtplib.SMTPRecipientsRefused as error:
            return _read(error.recipients[0].code, recipient=True)
        except aiosmtplib.SMTPResponseException as error:
            return _read(error.code, recipient=False)
        except (aiosmtplib.SMTPException, TimeoutError, OSError) as error:
            return Outcome(Answer.CHANNEL_DOWN, detail=type(error).__name__)
        return Outcome(Answer.ACCEPTED, reference=message_id)

    async def close(self) -> None:
        """Say goodbye on the kept connections."""
        while self._idle:
            _, smtp = self._idle.pop()
            with contextlib.suppress(aiosmtplib.SMTPException, TimeoutError, OSError):
                async with asyncio.timeout(2):
                    await smtp.quit()

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator[aiosmtplib.SMTP]:
        async with self._slots:
            smtp = self._kept() or await self._connect()
            try:
                yield smtp
            except aiosmtplib.SMTPResponseException:
                # Refused, and the conversation is still in step: aiosmtplib has sent RSET.
                self._keep(smtp)
                raise
            except aiosmtplib.SMTPRecipientsRefused:
                self._keep(smtp)
                raise
            except BaseException:
                smtp.close()
                raise
            self._keep(smtp)

    def _kept(self) -> aiosmtplib.SMTP | None:
        while self._idle:
            since, smtp = self._idle.pop()
            if smtp.is_connected and monotonic() - since < IDLE_S:
                return smtp
            smtp.close()
        return None

    def _keep(self, smtp: aiosmtplib.SMTP) -> None:
        if smtp.is_connected:
            self._idle.append((monotonic(), smtp))

    async def _connect(self) -> aiosmtplib.SMTP:
        server = self._server
        smtp = aiosmtplib.SMTP(
            hostname=server.host,
            port=server.port,
            timeout=TIMEOUT_S,
            use_tls=server.tls == "implicit",
            start_tls=None if server.tls == "auto" else server.tls == "starttls",
            username=server.username,
            password=server.password.get_secret_value() if server.password else None,
        )
        await smtp.connect()
        return smtp

    def _message(self, parcel: Parcel) -> tuple[str, bytes]:
        """The Message-ID and the whole mail. Raises ValueError for an address that no header can hold.

        Built with the older `email.mime` classes on purpose: the newer ones take ten times as long for the same bytes.
        """
        if _ADDRESS.fullmatch(parcel.address) is None:
            raise ValueError("not an address")
        message_id = f"<{parcel.delivery_id}@{self._domain}>"
        mail = MIMEMultipart("alternative")
        mail["From"] = self._sender
        mail["To"] = formataddr((_one_line(parcel.reader), parcel.address))
        charset = "us-ascii" if parcel.subject.isascii() else "utf-8"
        mail["Subject"] = Header(_one_line(parcel.subject), charset).encode()
        mail["Date"] = format_datetime(self._clock.now())
        mail["Message-ID"] = message_id
        mail["Auto-Submitted"] = "auto-generated"  # RFC 3834: no out-of-office answers, please
        if parcel.bulk:
            mail["List-Unsubscribe"] = f"<{self._server.settings_url}>"
            mail["List-Id"] = f"Wevion notices <notices.{self._domain}>"
        mail.attach(MIMEText(parcel.text, "plain", _UTF8))  # type: ignore[arg-type]  # a Charset is as good as its name
        mail.attach(MIMEText(parcel.html, "html", _UTF8))  # type: ignore[arg-type]
        return message_id, mail.as_bytes(policy=_WIRE)


def _one_line(text: str) -> str:
    """Without line breaks: a header that could hold one could be made to hold a header of somebody else's."""
    return " ".join(text.split())


def _read(code: int, *, recipient: bool) -> Outcome:
    """The meaning of a reply (RFC 5321, section 4.2): 4yz may work later, 5yz never will."""
    detail = f"smtp_{code}"
    if code in _SIGN_IN_CODES:
        _log.error("mail_sign_in_refused", code=code)
        return Outcome(Answer.CHANNEL_DOWN, detail=detail)
    if code == _SHUTTING_DOWN:
        return Outcome(Answer.CHANNEL_DOWN, detail=detail)
    if code < _PERMANENT:
        return Outcome(Answer.TRY_LATER, detail=detail)
    dead = recipient and code in _ADDRESS_CODES
    return Outcome(Answer.ADDRESS_DEAD if dead else Answer.MESSAGE_REFUSED, detail=detail)
