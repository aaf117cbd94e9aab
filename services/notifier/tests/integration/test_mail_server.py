"""The conversation with a mail server, with each way of securing it that the server here can do."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Literal

import pytest

from common.runtime.ids import new_id
from common.testing import ManualClock
from notifier.app import load_texts
from notifier.channels.email.channel import MailChannel, MailServer
from notifier.channels.email.letters import Letters
from notifier.channels.email.parcel import MailParcel
from notifier.channels.throttle import Throttle
from notifier.core.delivery import SendOutcome

if TYPE_CHECKING:
    from tests.conftest import Mailbox


def channel(port: int, tls: Literal["auto", "none", "starttls"]) -> MailChannel:
    clock = ManualClock(datetime(2026, 9, 14, 12, 0, tzinfo=UTC))
    server = MailServer(host="127.0.0.1", port=port, sender="Wevion <notices@wevion.example>", tls=tls)
    letters = Letters(load_texts("http://x"), None)
    return MailChannel(server, letters=letters, throttle=Throttle(rate=100, burst=100, clock=clock), clock=clock)


def parcel() -> MailParcel:
    return MailParcel(delivery_id=new_id(), address="mia@agency.example", subject="S", text="t", html="<p>t</p>")


@pytest.mark.parametrize("tls", ["auto", "none"])
async def test_the_first_mail_of_a_connection_is_taken_as_the_next_ones_are(
    mail_server: "tuple[Mailbox, int]", tls: Literal["auto", "none"]
) -> None:
    mailbox, port = mail_server
    mail = channel(port, tls)
    outcomes = [await mail.send(parcel()) for _ in range(2)]
    await mail.close()
    assert [outcome.answer for outcome in outcomes] == [SendOutcome.ACCEPTED] * 2
    assert len(mailbox.to("mia@agency.example")) == 2


async def test_a_server_without_tls_is_not_given_mails_that_must_be_encrypted(
    mail_server: "tuple[Mailbox, int]",
) -> None:
    mailbox, port = mail_server
    mail = channel(port, "starttls")
    outcome = await mail.send(parcel())
    assert outcome.answer is SendOutcome.CHANNEL_DOWN
    assert mailbox.mails == []
