"""A mail's bytes: nothing that a person can choose becomes a header or an envelope of its own."""

import email
import email.policy
from email.message import EmailMessage
from uuid import UUID

import pytest

from common.testing import ManualClock
from notifier.channels.base import Parcel
from notifier.channels.mail import MailChannel, MailServer
from notifier.channels.throttle import Throttle


@pytest.fixture
def channel(clock: ManualClock) -> MailChannel:
    server = MailServer(host="unused", port=1, sender="Wevion <notices@wevion.example>", settings_url="http://x/y")
    return MailChannel(server, throttle=Throttle(rate=1, burst=1, clock=clock), clock=clock)


def _mail(channel: MailChannel, **more: str) -> EmailMessage:
    parcel = {"address": "mia@x.example", "reader": "Mia", "subject": "S", "text": "t", "html": "<p>h</p>"} | more
    _, content = channel._message(
        Parcel(
            delivery_id=UUID(int=5),
            address=parcel["address"],
            reader=parcel["reader"],
            subject=parcel["subject"],
            text=parcel["text"],
            html=parcel["html"],
        )
    )
    found = email.message_from_bytes(content, policy=email.policy.default)
    assert isinstance(found, EmailMessage)
    return found


async def test_the_message_id_is_the_deliverys(channel: MailChannel) -> None:
    assert _mail(channel)["Message-ID"] == "<00000000-0000-0000-0000-000000000005@wevion.example>"


async def test_a_name_or_subject_with_line_breaks_adds_no_header(channel: MailChannel) -> None:
    mail = _mail(channel, reader="Mïa\r\nBcc: evil@x.example", subject="Über\r\nBcc: evil@x.example")
    assert mail["Bcc"] is None
    assert mail["Subject"] == "Über Bcc: evil@x.example"
    assert mail["To"].addresses[0].addr_spec == "mia@x.example"


@pytest.mark.parametrize(
    "address", ["", "mia", "a@b\r\nRCPT TO:<x@y>", "a b@c.example", "a@b@c", "<a@b>", "a@b,c@d", "ä@b.example"]
)
async def test_what_is_no_address_is_refused(channel: MailChannel, address: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011  whichever part refuses it
        _mail(channel, address=address)


async def test_long_lines_are_wrapped_and_words_survive(channel: MailChannel) -> None:
    text = "Zürich " * 400
    mail = _mail(channel, text=text)
    body = mail.get_body(("plain",))
    assert body is not None
    assert body.get_content().strip() == text.strip()
    assert max(len(line) for line in mail.as_bytes().splitlines()) < 998
