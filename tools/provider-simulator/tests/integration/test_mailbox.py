"""The mailbox: SMTP in; JSON and a page out."""

from __future__ import annotations

import asyncio
from email.message import EmailMessage

import aiosmtplib
import pytest

from provider_simulator.testing import Answer, Client

HTML = {"Accept": "text/html"}


def message(to: str = "avery@northwind.example", subject: str = "Meta expires in 7 days") -> EmailMessage:
    mail = EmailMessage()
    mail["From"], mail["To"], mail["Subject"] = "Wevion <notices@wevion.example>", to, subject
    mail["List-Unsubscribe"] = "<http://app.example/u>"
    mail.set_content("Your connection ends on Monday in Zürich.")
    mail.add_alternative("<h1>Your connection ends</h1><script>alert(1)</script>", subtype="html")
    return mail


async def send(client: Client, mail: EmailMessage) -> None:
    await aiosmtplib.send(mail, hostname="127.0.0.1", port=client.simulator.smtp_port, timeout=5)


async def mailbox(client: Client, path: str = "", method: str = "GET", **query: str) -> Answer:
    return await client.ask(method, f"{client.simulator.control_url}/mailbox{path}", params=query)


async def test_mail_comes_out_whole(client: Client) -> None:
    await send(client, message())
    (mail,) = (await mailbox(client)).json["messages"]
    assert (mail["to"], mail["subject"]) == (["avery@northwind.example"], "Meta expires in 7 days")
    assert "ends on Monday in Zürich." in mail["text"]
    assert "<h1>" in mail["html"]
    assert mail["headers"]["List-Unsubscribe"] == "<http://app.example/u>"
    assert (await mailbox(client, f"/{mail['id']}")).json == mail


async def test_filters(client: Client) -> None:
    await send(client, message())
    await send(client, message("jordan@kestrel.example", "Welcome"))
    for query, count in (
        ({"to": "JORDAN"}, 1),
        ({"subject": "expires"}, 1),
        ({"text": "monday"}, 2),
        ({"after": "1"}, 1),
        ({"to": "nobody"}, 0),
    ):
        assert (await mailbox(client, **query)).json["matching"] == count
    assert len((await mailbox(client, limit="1")).json["messages"]) == 1
    assert (await mailbox(client, limit="many")).status == 400


async def test_waiting_ends_with_the_mail(client: Client) -> None:
    waiting = asyncio.create_task(mailbox(client, subject="expires", wait_s="9"))
    await send(client, message(subject="Other"))
    await send(client, message())
    assert (await asyncio.wait_for(waiting, 5)).json["matching"] == 1
    assert (await mailbox(client, subject="never", wait_s="0.05")).json["messages"] == []


@pytest.mark.parametrize(("to", "code"), [("x@bounce.example", 550), ("x@full.example", 452)])
async def test_recipients_that_refuse(client: Client, to: str, code: int) -> None:
    with pytest.raises(aiosmtplib.SMTPRecipientsRefused) as refused:
        await send(client, message(to))
    assert refused.value.recipients[0].code == code
    assert (await mailbox(client)).json["messages"] == []


async def test_greylisted_at_first(client: Client) -> None:
    with pytest.raises(aiosmtplib.SMTPRecipientsRefused):
        await send(client, message("x@busy.example"))
    await send(client, message("x@busy.example"))
    assert (await mailbox(client)).json["matching"] == 1


async def test_smtp_faults(client: Client) -> None:
    await client.fault(provider="smtp", kind="status", status=451, count=1)
    with pytest.raises(aiosmtplib.SMTPDataError):
        await send(client, message())
    await client.fault(provider="smtp", kind="reset_after_answer", count=1)
    with pytest.raises(aiosmtplib.SMTPException):
        await send(client, message())
    assert (await mailbox(client)).json["matching"] == 1


async def test_page_shows_mail_in_a_frame_that_runs_nothing(client: Client) -> None:
    await send(client, message())
    url = f"{client.simulator.control_url}/mailbox"
    page = await client.get(url, headers=HTML)
    assert "Meta expires in 7 days" in page.text
    opened = await client.get(f"{url}/1", headers=HTML)
    assert 'sandbox="allow-popups"' in opened.text
    assert "<script>" not in opened.text
    frame = await client.get(f"{url}/1/html")
    assert "sandbox" in frame.headers["Content-Security-Policy"]
    assert (await client.get(f"{url}/99")).status == 404


async def test_emptied(client: Client) -> None:
    await send(client, message())
    assert (await mailbox(client, method="DELETE")).status == 204
    assert (await mailbox(client)).json["messages"] == []
