"""A mail's bytes: nothing that a person can choose becomes a header or an envelope of its own."""

import email
import email.policy
from email.message import EmailMessage
from uuid import UUID

import pytest

from common.addresses import AddressError
from common.testing import ManualClock
from notifier.app import load_texts
from notifier.channels.email.channel import MailChannel, MailServer
from notifier.channels.email.letters import Letters
from notifier.channels.email.parcel import MailParcel
from notifier.channels.throttle import Throttle


@pytest.fixture
def channel(clock: ManualClock) -> MailChannel:
    server = MailServer(host="unused", port=1, sender="Wevion <notices@wevion.example>", settings_url="http://x/y")
    letters = Letters(load_texts("http://x"), None)
    return MailChannel(server, letters=letters, throttle=Throttle(rate=1, burst=1, clock=clock), clock=clock)


def _mail(channel: MailChannel, **more: str) -> EmailMessage:
    parcel = {"address": "mia@x.example", "reader": "Mia", "subject": "S", "text": "t", "html": "<p>h</p>"} | more
    _, _, content = channel._message(
        MailParcel(
            delivery_id=UUID(int=5),
            address=parcel["address"],
            reader=parcel["reader"],
            subject=parcel["subject"],
            text=parcel["text"],
            html=parcel["html"],
            unsubscribe_url=parcel.get("unsubscribe_url", ""),
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
    "address",
    ["", "mia", "a@b\r\nRCPT TO:<x@y>", "a b@c.example", "a@b@c", "<a@b>", "a@b,c@d", "ä@b.example", "a\x01@b.example"],
)
async def test_what_is_no_address_is_refused(channel: MailChannel, address: str) -> None:
    with pytest.raises(AddressError):
        _mail(channel, address=address)


async def test_a_domain_beyond_ascii_is_mailed_by_its_a_label(channel: MailChannel) -> None:
    assert (
        _mail(channel, address="anna@b\u00fccher.example")["To"].addresses[0].addr_spec == "anna@xn--bcher-kva.example"
    )


@pytest.mark.parametrize("name", ["\U0001f469\u200d\U0001f4bb", "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645"])
async def test_joined_letters_stay_joined(channel: MailChannel, name: str) -> None:
    mail = _mail(channel, reader=name, subject=f"{name} ends")
    assert mail["To"].addresses[0].display_name == name
    assert mail["Subject"] == f"{name} ends"


async def test_text_that_no_mail_can_hold_is_replaced(channel: MailChannel) -> None:
    mail = _mail(channel, reader="Caf\ud83d", subject="a\u202eb\x00c\ue000")
    assert mail["To"].addresses[0].display_name == "Caf\ufffd"
    assert mail["Subject"] == "ab c\ufffd"


async def test_long_lines_are_wrapped_and_words_survive(channel: MailChannel) -> None:
    text = "Zürich " * 400
    mail = _mail(channel, text=text)
    body = mail.get_body(("plain",))
    assert body is not None
    assert body.get_content().strip() == text.strip()
    assert max(len(line) for line in mail.as_bytes().splitlines()) < 998


@pytest.mark.parametrize(
    "name", ["", "Mia", 'Mia "M" Berg', "Mia \\ Berg", "Berg, Mia <x@y>", "Mïa Bérg", "\u7f8e" * 60, "M\x07\x00a"]
)
async def test_a_name_is_the_readers_and_nothing_else(channel: MailChannel, name: str) -> None:
    mail = _mail(channel, reader=name)
    (to,) = mail["To"].addresses
    assert to.addr_spec == "mia@x.example"
    # The standard library reads a space between two encoded words, which is not there (RFC 2047, section 6.2).
    assert to.display_name.replace(" ", "") == name.replace("\x07\x00", "").replace(" ", "")
    assert max(len(line) for line in mail.as_bytes().splitlines()) < 998


@pytest.mark.parametrize("text", ["one\r\ntwo\n", ".\n..\n.x\n", "=20 = \t \n", "tail ", "From me\n", "", "ü" * 500])
async def test_a_text_comes_out_as_it_went_in(channel: MailChannel, text: str) -> None:
    mail = _mail(channel, text=text, html=f"<p>{text}</p>")
    for kind, wanted in (("plain", text), ("html", f"<p>{text}</p>")):
        body = mail.get_body((kind,))
        assert body is not None
        assert body.get_content().splitlines() == wanted.splitlines()


async def test_a_notice_says_how_to_stop_it_with_one_click(channel: MailChannel) -> None:
    mail = _mail(channel, unsubscribe_url="https://wevion.example/u?token=abc")
    assert mail["List-Unsubscribe"] == "<https://wevion.example/u?token=abc>"
    assert mail["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"


async def test_without_keys_for_such_links_it_names_the_settings(channel: MailChannel) -> None:
    mail = _mail(channel)
    assert mail["List-Unsubscribe"] == "<http://x/y>"
    assert mail["List-Unsubscribe-Post"] is None
