"""One click stops such mails for their reader, without a session (RFC 8058); nobody else's link does."""

import base64
from datetime import timedelta
from typing import Any

import pytest

from common.contracts import NoticeCode
from common.crypto import Keyring, associated_data
from common.runtime.ids import new_id
from notifier.channels.email import unsubscribing

PATH = "/api/v1/notification-preferences/unsubscribe"
PREFERENCES = "/api/v1/notification-preferences"
ONE_CLICK = {"Content-Type": "application/x-www-form-urlencoded"}


async def _dead(world: Any, provider: str = "meta") -> Any:
    token = world.token(world.people["mia"], provider=provider)
    await world.issued(token)
    await world.revoked(token.model_copy(update={"version": 2}))
    await world.later()
    return token


async def _link(world: Any, name: str = "mia") -> str:
    """The link of the newest mail to a person, as their mail client reads it."""
    header = world.mailbox.to(f"{name}@agency.example")[-1]["List-Unsubscribe"]
    return str(header).removeprefix("<http://wevion.example").removesuffix(">")


def _changed(path: str, at: int) -> str:
    head, _, token = path.partition("token=")
    other = "A" if token[at] != "A" else "B"
    return f"{head}token={token[:at]}{other}{token[at + 1 :]}"


async def test_a_mail_clients_post_stops_such_mails_for_its_reader_alone(world: Any, api: Any) -> None:
    await _dead(world)
    link = await _link(world)
    for _ in range(2):  # some clients ask twice
        status, page = await api.page("POST", link, data="List-Unsubscribe=One-Click", headers=ONE_CLICK)
        assert status == 200
        assert "These mails have stopped" in page
    assert await world.count("SELECT count(*) FROM preference") == 1
    await _dead(world, "tiktok")
    subjects = [mail["Subject"] for mail in world.mailbox.to("mia@agency.example")]
    assert subjects == ["Meta access was ended", "Some mails from Wevion were stopped"]  # told once, though asked twice
    assert len(world.mailbox.to("max@agency.example")) == 2
    notices = await api.call("GET", "/api/v1/notices", api.signed_in(world.people["mia"]))
    assert [item["provider"] for item in notices.body["items"]] == ["tiktok", "meta"]  # the app shows it all the same


async def test_a_client_that_posts_multipart_is_understood_too(world: Any, api: Any) -> None:
    await _dead(world)
    body = '--x\r\nContent-Disposition: form-data; name="List-Unsubscribe"\r\n\r\nOne-Click\r\n--x--\r\n'
    headers = {"Content-Type": "multipart/form-data; boundary=x"}
    status, _ = await api.page("POST", await _link(world), data=body, headers=headers)
    assert status == 200
    assert await world.count("SELECT count(*) FROM preference") == 1


async def test_opening_the_link_asks_and_changes_nothing(world: Any, api: Any) -> None:
    await _dead(world)
    status, page = await api.page("GET", await _link(world) + "&utm_source=tracker")
    assert status == 200
    assert '<form method="post">' in page
    assert "access that was ended" in page
    assert "m***@agency.example" in page
    assert "mia@agency.example" not in page
    assert await world.count("SELECT count(*) FROM preference") == 0


async def test_it_adds_to_what_the_reader_wished_before(world: Any, api: Any) -> None:
    await _dead(world)
    mia = api.signed_in(world.people["mia"])
    before = {"channels": {"email": {"DATA_GAP": True}, "telegram": {"DATA_GAP": True}}, "time_zone": "Asia/Tokyo"}
    await api.call("PUT", PREFERENCES, mia, before)
    await api.page("POST", await _link(world))
    own = (await api.call("GET", PREFERENCES, mia)).body["own"]
    assert own["channels"] == {
        "email": {"DATA_GAP": True, "TOKEN_REVOKED": False},
        "telegram": {"DATA_GAP": True},
        "slack": {},
        "webhook": {},
    }
    assert own["time_zone"] == "Asia/Tokyo"


async def test_it_stops_what_the_mail_was_about_and_a_waiting_mail_too(world: Any, api: Any) -> None:
    await _dead(world)
    token = world.token(world.people["mia"], provider="snapchat")
    await world.issued(token)
    await world.revoked(token.model_copy(update={"version": 2}))
    await api.page("POST", await _link(world))
    other = world.token(world.people["mia"], provider="tiktok")
    await world.issued(other, expires_in=timedelta(days=6))
    await world.expiring(other, "7d", world.clock.now() + timedelta(days=6))
    await world.later()
    assert sorted(mail["Subject"] for mail in world.mailbox.to("mia@agency.example")[1:]) == [
        "Some mails from Wevion were stopped",
        "TikTok access ends in 5 days and 23 hours",
    ]


async def test_it_is_the_readers_link_whoever_is_signed_in(world: Any, api: Any) -> None:
    await _dead(world)
    headers = {"Authorization": f"Bearer {api.signed_in(world.people['max'])}"}
    await api.page("POST", await _link(world, "mia"), headers=headers)
    row = await world.deps.pool.fetchrow("SELECT user_id FROM preference")
    assert row["user_id"] == world.people["mia"].user_id


@pytest.mark.parametrize("at", [0, 4, 20, 40, 80, -1])
async def test_a_changed_link_is_refused(world: Any, api: Any, at: int) -> None:
    await _dead(world)
    link = await _link(world)
    token = link.partition("token=")[2]
    await _refused(world, api, _changed(link, at % len(token)) if at >= 0 else link[:-1])


@pytest.mark.parametrize("query", ["", "?token=", "?token=abc", "?token=%C3%A9", "?token=" + "A" * 4_000])
async def test_a_garbled_link_is_refused(world: Any, api: Any, query: str) -> None:
    status, page = await api.page("GET", PATH + query)
    assert status == 400
    assert "token=" not in page or query not in page
    await _refused(world, api, PATH + query)


async def test_a_link_put_together_by_a_stranger_is_refused(world: Any, api: Any) -> None:
    await _dead(world)
    mia = world.people["mia"]
    plain = mia.workspace_id.bytes + mia.user_id.bytes + NoticeCode.TOKEN_REVOKED.value.encode()
    sealed = [
        plain,
        Keyring.generate("stranger").seal(plain, associated_data("unsubscribe", "email")),
        Keyring.generate().seal(plain, associated_data("unsubscribe", "email")),
        await world.deps.vault.wrap(plain, associated_data("direct", new_id())),  # ours, but of something else
    ]
    for blob in sealed:
        await _refused(world, api, f"{PATH}?token={base64.urlsafe_b64encode(blob).decode().rstrip('=')}")


async def test_half_of_one_link_and_half_of_another_is_no_link(world: Any, api: Any) -> None:
    await _dead(world)
    mine, theirs = await _link(world, "mia"), await _link(world, "max")
    await _refused(world, api, mine[: len(mine) // 2] + theirs[len(mine) // 2 :])


async def test_a_large_body_is_refused(world: Any, api: Any) -> None:
    await _dead(world)
    status, _ = await api.page("POST", await _link(world), data="x" * 5_000)
    assert status == 413
    assert await world.count("SELECT count(*) FROM preference") == 0


async def test_a_link_says_nothing_in_the_open(world: Any, api: Any) -> None:
    await _dead(world)
    token = (await _link(world)).partition("token=")[2]
    raw = base64.urlsafe_b64decode(token + "==")
    assert world.people["mia"].user_id.bytes not in raw
    assert b"TOKEN" not in raw
    asked = await unsubscribing.read(world.deps, token, world.clock.now())
    assert (asked.user_id, asked.codes) == (world.people["mia"].user_id, (NoticeCode.TOKEN_REVOKED,))


async def _refused(world: Any, api: Any, path: str) -> None:
    status, page = await api.page("POST", path, data="List-Unsubscribe=One-Click", headers=ONE_CLICK)
    assert status == 400
    assert "Nothing was changed" in page
    assert await world.count("SELECT count(*) FROM preference") == 0


async def test_a_link_ends_with_its_time_and_changes_nothing_then(world: Any, api: Any) -> None:
    await _dead(world)
    link = await _link(world)
    world.clock.advance(timedelta(days=60, seconds=-1))
    assert (await api.page("GET", link))[0] == 200
    world.clock.advance(timedelta(seconds=1))
    for method in ("GET", "POST"):
        status, page = await api.page(method, link)
        assert status == 400
        assert "older than 60 days" in page
    assert await world.count("SELECT count(*) FROM preference") == 0
