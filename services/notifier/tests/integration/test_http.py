"""The API: what it gives, and everything that it refuses."""

from datetime import timedelta
from typing import Any

import pytest

from common.runtime.ids import new_id

NOTICES = "/api/v1/notices"
PREFERENCES = "/api/v1/notification-preferences"
LINK = "/api/v1/telegram/link"
HOOK = "/webhooks/telegram"
SECRET = {"X-Telegram-Bot-Api-Secret-Token": "a-secret-of-the-webhook"}


async def _dead(world: Any, **more: Any) -> Any:
    token = world.token(world.people["mia"], **more)
    await world.issued(token)
    await world.revoked(token.model_copy(update={"version": 2}))
    return token


async def test_notices_come_newest_first_in_pages_with_the_number_of_unread(world: Any, api: Any) -> None:
    for provider in ("meta", "tiktok", "snapchat"):
        await _dead(world, provider=provider)
    mia = api.signed_in(world.people["mia"])
    first = await api.call("GET", f"{NOTICES}?limit=2", mia)
    assert [item["provider"] for item in first.body["items"]] == ["snapchat", "tiktok"]
    assert first.body["unread"] == 3
    second = await api.call("GET", f"{NOTICES}?limit=2&cursor={first.body['next_cursor']}", mia)
    assert [item["provider"] for item in second.body["items"]] == ["meta"]
    assert second.body["next_cursor"] is None


async def test_a_notice_names_everything_that_a_person_needs(world: Any, api: Any) -> None:
    token = await _dead(world)
    item = (await api.call("GET", NOTICES, api.signed_in(world.people["mia"]))).body["items"][0]
    assert item["code"] == "TOKEN_REVOKED"
    assert item["critical"] is True
    assert item["account_names"] == ["Shop 1", "Shop 2", "Shop 3"]
    assert item["fix_url"] == f"http://wevion.example/connect/meta?connection_id={token.token_id}"
    assert item["token_id"] == str(token.token_id)
    assert item["resolved_at"] is None
    one = await api.call("GET", f"{NOTICES}/{item['notice_id']}", api.signed_in(world.people["mia"]))
    assert one.body == item


async def test_reading_is_idempotent_and_counted(world: Any, api: Any) -> None:
    await _dead(world)
    mia = api.signed_in(world.people["mia"])
    notice_id = (await api.call("GET", NOTICES, mia)).body["items"][0]["notice_id"]
    for _ in range(2):
        assert (await api.call("POST", f"{NOTICES}/{notice_id}/read", mia)).status == 204
    page = (await api.call("GET", NOTICES, mia)).body
    assert page["unread"] == 0
    assert page["items"][0]["read_at"] is not None


async def test_somebody_elses_notice_is_not_found_and_stays_unread(world: Any, api: Any) -> None:
    await _dead(world)
    mia, max_ = api.signed_in(world.people["mia"]), api.signed_in(world.people["max"])
    notice_id = (await api.call("GET", NOTICES, mia)).body["items"][0]["notice_id"]
    stranger = api.signed_in(world.people["mia"], wid=str(new_id()))
    for caller in (max_, stranger):
        assert (await api.call("GET", f"{NOTICES}/{notice_id}", caller)).status == 404
        refused = await api.call("POST", f"{NOTICES}/{notice_id}/read", caller)
        assert (refused.status, refused.body["code"]) == (404, "notice_not_found")
    assert (await api.call("GET", NOTICES, stranger)).body["items"] == []
    assert (await api.call("GET", NOTICES, mia)).body["unread"] == 1


@pytest.mark.parametrize(
    ("path", "field", "rule"),
    [
        (f"{NOTICES}?limit=0", "limit", "greater_than_equal"),
        (f"{NOTICES}?limit=x", "limit", "int_parsing"),
        (f"{NOTICES}?state=loud", "state", "enum"),
        (f"{NOTICES}?colour=red", "colour", "unknown"),
        (f"{NOTICES}?cursor=xyz", "cursor", "invalid_cursor"),
        (f"{NOTICES}/not-an-id", "id", "uuid_parsing"),
    ],
)
async def test_bad_queries_are_named(world: Any, api: Any, path: str, field: str, rule: str) -> None:
    answer = await api.call("GET", path, api.signed_in(world.people["mia"]))
    assert answer.status in (400, 422)
    assert (answer.body["errors"][0]["field"], answer.body["errors"][0]["rule"]) == (field, rule)


@pytest.mark.parametrize("path", [NOTICES, PREFERENCES, LINK])
async def test_without_a_session_nothing_is_shown(api: Any, path: str) -> None:
    assert (await api.call("GET", path)).status == 401


async def test_own_wishes_win_over_the_workspaces_and_stop_a_mail(world: Any, api: Any) -> None:
    admin, mia = api.signed_in(world.people["max"]), api.signed_in(world.people["mia"])
    off = {"channels": {"email": {"TOKEN_REVOKED": False}}}
    assert (await api.call("PUT", f"{PREFERENCES}?scope=workspace", admin, off)).status == 200
    own = {"channels": {"email": {"TOKEN_REVOKED": True}}, "time_zone": "Asia/Tokyo"}
    answer = await api.call("PUT", PREFERENCES, mia, own)
    assert answer.body["channels"]["email"]["TOKEN_REVOKED"] is True
    assert answer.body["workspace"]["channels"]["email"] == {"TOKEN_REVOKED": False}
    await _dead(world)
    await world.later()
    assert [mail["X-Envelope-To"] for mail in world.mailbox.mails] == ["mia@agency.example"]


async def test_quiet_hours_hold_a_warning_and_let_a_critical_notice_pass(world: Any, api: Any) -> None:
    mia = world.people["mia"]
    quiet = {"quiet_hours": {"start": "12:00", "end": "16:30"}, "time_zone": "UTC"}
    assert (await api.call("PUT", PREFERENCES, api.signed_in(mia), quiet)).status == 200
    token = world.token(mia)
    ends = world.clock.now() + timedelta(days=6)
    await world.issued(token, expires_in=timedelta(days=6))
    await world.expiring(token, "7d", ends)
    await world.later(timedelta(hours=1))
    assert world.mailbox.to(mia.email) == []
    await world.later(timedelta(hours=3, minutes=31))
    assert len(world.mailbox.to(mia.email)) == 1
    world.clock.set(world.clock.now() + timedelta(hours=20))
    await _dead(world)
    await world.later()
    assert len(world.mailbox.to(mia.email)) == 2


async def test_only_admins_change_the_workspaces_wishes(world: Any, api: Any) -> None:
    mia = api.signed_in(world.people["mia"])
    answer = await api.call("PUT", f"{PREFERENCES}?scope=workspace", mia, {})
    assert (answer.status, answer.body["code"]) == (403, "admins_only")
    assert await world.count("SELECT count(*) FROM preference") == 0


async def test_a_support_admin_who_acts_as_a_person_changes_nothing_for_them(world: Any, api: Any) -> None:
    acting = api.signed_in(world.people["mia"], act={"sub": str(new_id())})
    assert (await api.call("PUT", PREFERENCES, acting, {})).status == 403
    assert (await api.call("POST", LINK, acting)).status == 403
    assert (await api.call("DELETE", LINK, acting)).status == 403


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"channels": {"email": {"NO_SUCH_CODE": True}}}, "channels.email.NO_SUCH_CODE.[key]"),
        ({"channels": {"pigeon": {}}}, "channels.pigeon.[key]"),
        ({"channels": {"in_app": {}}}, "channels.in_app.[key]"),
        ({"channels": {"email": {"DATA_GAP": "yes"}}}, "channels.email.DATA_GAP"),
        ({"time_zone": "Mars/Olympus"}, "time_zone"),
        ({"quiet_hours": {"start": "22:00"}}, "quiet_hours.end"),
        ({"quiet_hours": {"start": "22:00", "end": "22:00"}}, "quiet_hours"),
        ({"quiet_hours": {"start": "22:00:30", "end": "07:00"}}, "quiet_hours.start"),
        ({"loud": True}, "loud"),
    ],
)
async def test_bad_wishes_are_named_and_not_kept(world: Any, api: Any, body: Any, field: str) -> None:
    answer = await api.call("PUT", PREFERENCES, api.signed_in(world.people["mia"]), body)
    assert answer.status in (400, 422)
    assert answer.body["errors"][0]["field"] == field
    assert await world.count("SELECT count(*) FROM preference") == 0


async def test_a_link_is_offered_shown_and_taken_back(world: Any, api: Any) -> None:
    mia = api.signed_in(world.people["mia"])
    assert (await api.call("GET", LINK, mia)).body["state"] == "none"
    offer = await api.call("POST", LINK, mia)
    assert offer.status == 201
    assert offer.body["url"].startswith("https://t.me/WevionBot?start=")
    assert (await api.call("GET", LINK, mia)).body["state"] == "waiting"
    assert (await api.call("DELETE", LINK, mia)).status == 204
    again = await api.call("DELETE", LINK, mia)
    assert (again.status, again.body["code"]) == (404, "no_telegram_link")
    assert again.body["fix_url"] == "http://wevion.example/settings/notifications"


async def _update(number: int, code: str) -> dict[str, Any]:
    person = {"id": 77, "is_bot": False, "first_name": "Mallory"}
    chat = {"id": 77, "type": "private", "first_name": "Mallory"}
    message = {"message_id": 1, "date": 1_789_000_000, "chat": chat, "from": person, "text": f"/start {code}"}
    return {"update_id": number, "message": message}


@pytest.mark.parametrize(
    "headers",
    [{}, {"X-Telegram-Bot-Api-Secret-Token": "wrong"}, {"X-Telegram-Bot-Api-Secret-Token": "\udcff\udce9"}],
)
async def test_a_forged_update_is_refused_and_changes_nothing(world: Any, api: Any, headers: Any) -> None:
    offer = await api.call("POST", LINK, api.signed_in(world.people["mia"]))
    update = await _update(1, offer.body["url"].partition("start=")[2])
    answer = await api.call("POST", HOOK, json=update, headers=headers)
    assert (answer.status, answer.body["code"]) == (403, "wrong_secret")
    assert await world.count("SELECT count(*) FROM telegram_update") == 0
    assert await world.count("SELECT count(*) FROM telegram_code WHERE chat_id IS NOT NULL") == 0


async def test_an_update_with_the_secret_is_taken_once(world: Any, api: Any) -> None:
    offer = await api.call("POST", LINK, api.signed_in(world.people["mia"]))
    update = await _update(2, offer.body["url"].partition("start=")[2])
    for _ in range(2):
        assert (await api.call("POST", HOOK, json=update, headers=SECRET)).status == 204
    assert await world.count("SELECT count(*) FROM telegram_code WHERE chat_id = 77") == 1


@pytest.mark.parametrize("body", [{"no": "update"}, [], {"update_id": "x"}])
async def test_what_is_no_update_is_refused(api: Any, body: Any) -> None:
    answer = await api.call("POST", HOOK, json=body, headers=SECRET)
    assert (answer.status, answer.body["code"]) == (400, "not_an_update")


MESSAGES = "/api/v1/messages"
RESET = "http://wevion.example/reset?code=SECRET-LINK-CODE"


async def test_a_password_reset_is_mailed_once_and_its_link_is_sealed_until_then(world: Any, api: Any) -> None:
    body = {"template": "password_reset", "user_id": str(world.people["mia"].user_id), "link": RESET}
    key = {"Idempotency-Key": str(new_id())}
    for _ in range(2):
        assert (await api.call("POST", MESSAGES, api.service("messages:send"), body, key)).status == 202
    rows = await world.deps.pool.fetch("SELECT * FROM delivery")
    assert len(rows) == 1
    assert b"SECRET-LINK-CODE" not in bytes(rows[0]["sealed"])
    await world.later()
    mails = world.mailbox.to("mia@agency.example")
    assert len(mails) == 1
    assert RESET in mails[0].get_body(("plain",)).get_content()
    assert "List-Unsubscribe" not in mails[0]
    assert await world.count("SELECT count(*) FROM delivery WHERE sealed IS NOT NULL") == 0


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"template": "spam"}, "template"),
        ({"user_id": "me"}, "user_id"),
        ({"link": "http://evil.example/reset"}, "link"),
        ({"link": "http://wevion.example.evil.example/reset"}, "link"),
        ({"to": "mallory@evil.example"}, "to"),
        ({"facts": {"workspace": "W", "inviter": "I", "role": "admin"}}, "facts"),
        ({"user_id": None}, "user_id"),
        ({"template": "invitation"}, "user_id"),
        ({"template": "invitation", "user_id": None}, "to"),
        ({"template": "invitation", "user_id": None, "to": "eve@x.example"}, "facts"),
        ({"template": "invitation", "user_id": None, "to": "a,b@x.example"}, "to"),
    ],
)
async def test_bad_orders_are_refused_without_saying_the_link(world: Any, api: Any, change: Any, field: str) -> None:
    body = {"template": "password_reset", "user_id": str(world.people["mia"].user_id), "link": RESET} | change
    answer = await api.call("POST", MESSAGES, api.service("messages:send"), body)
    assert answer.status in (400, 422)
    assert answer.body["errors"][0]["field"] == field
    assert "SECRET-LINK-CODE" not in str(answer.body)
    assert await world.count("SELECT count(*) FROM delivery") == 0


INVITATION = {
    "template": "invitation",
    "to": "eve@b\u00fccher.example",
    "link": "http://wevion.example/invitation#token=SECRET-LINK-CODE",
    "facts": {"workspace": "Northwind", "inviter": "Ada", "role": "member"},
}


async def test_an_invitation_is_a_mail_of_its_own_to_somebody_whom_nobody_here_knows(world: Any, api: Any) -> None:
    assert (await api.call("POST", MESSAGES, api.service("messages:send"), INVITATION)).status == 202
    stored = await world.deps.pool.fetchrow("SELECT * FROM delivery")
    assert b"eve" not in bytes(stored["sealed"])
    await world.later(timedelta(hours=20))
    (mail,) = world.mailbox.to("eve@xn--bcher-kva.example")
    assert mail["Subject"] == "You are invited to a workspace in Wevion"
    text = mail.get_body(("plain",)).get_content()
    assert "Ada invites you to the workspace \u201cNorthwind\u201d in Wevion as a member." in text
    assert str(INVITATION["link"]) in text
    assert await world.count("SELECT count(*) FROM delivery WHERE sealed IS NOT NULL") == 0


async def test_only_a_service_with_the_scope_may_have_messages_sent(world: Any, api: Any) -> None:
    body = {"template": "password_reset", "user_id": str(world.people["mia"].user_id), "link": RESET}
    for caller in (api.service("users:read"), api.signed_in(world.people["ada"]), None):
        assert (await api.call("POST", MESSAGES, caller, body)).status in (401, 403)
    stranger = body | {"user_id": str(new_id())}
    answer = await api.call("POST", MESSAGES, api.service("messages:send"), stranger)
    assert (answer.status, answer.body["code"]) == (404, "person_not_found")
    bad_key = await api.call("POST", MESSAGES, api.service("messages:send"), body, {"Idempotency-Key": "again"})
    assert bad_key.body["errors"][0]["field"] == "Idempotency-Key"
    assert await world.count("SELECT count(*) FROM delivery") == 0


async def test_a_late_reset_mail_is_not_sent(world: Any, api: Any) -> None:
    world.mailbox.refusals["mia@agency.example"] = "451 4.7.1 later"
    body = {"template": "password_reset", "user_id": str(world.people["mia"].user_id), "link": RESET}
    await api.call("POST", MESSAGES, api.service("messages:send"), body)
    await world.later()
    world.mailbox.refusals.clear()
    await world.later(timedelta(hours=2))
    assert world.mailbox.mails == []
    assert await world.count("SELECT count(*) FROM delivery WHERE sealed IS NOT NULL") == 0


EMAIL = "/api/v1/notification-preferences/email"


async def test_a_refused_address_is_shown_and_may_be_tried_again(world: Any, api: Any) -> None:
    mia = api.signed_in(world.people["mia"])
    assert (await api.call("GET", EMAIL, mia)).body == {
        "state": "works",
        "address": "mia@agency.example",
        "refused_at": None,
        "tried_again_at": None,
        "reply": None,
    }
    world.mailbox.refusals["mia@agency.example"] = "550 5.1.1 no such user"
    token = world.token(world.people["mia"])
    await world.issued(token)
    await world.revoked(token.model_copy(update={"version": 2}))
    await world.later()
    refused = (await api.call("GET", EMAIL, mia)).body
    assert (refused["state"], refused["reply"]) == ("refused", "smtp_550_5.1.1")
    assert refused["tried_again_at"] > refused["refused_at"]
    assert (await api.call("DELETE", f"{EMAIL}/refusal", mia)).status == 204
    assert (await api.call("GET", EMAIL, mia)).body["state"] == "works"


async def test_an_address_of_nobody_known_has_no_state_to_show(world: Any, api: Any) -> None:
    stranger = world.person("eve")
    assert (await api.call("GET", EMAIL, api.signed_in(stranger))).body["state"] == "unknown"
    assert (await api.call("GET", EMAIL)).status == 401
    acting = api.signed_in(world.people["mia"], act={"sub": str(world.people["ada"].user_id)})
    assert (await api.call("DELETE", f"{EMAIL}/refusal", acting)).status == 403


async def test_a_superseded_notice_names_the_later_one(world: Any, api: Any) -> None:
    token = world.token(world.people["mia"])
    await world.issued(token, expires_in=timedelta(days=6))
    await world.know_people()
    await world.expiring(token, "7d", world.clock.now() + timedelta(days=6))
    world.clock.advance(timedelta(minutes=1))
    await world.revoked(token.model_copy(update={"version": 2}))
    mia = api.signed_in(world.people["mia"])
    later, earlier = (await api.call("GET", "/api/v1/notices", mia)).body["items"]
    assert (earlier["resolution"], earlier["superseded_by"]) == ("superseded", later["notice_id"])
    assert later["superseded_by"] is None
    one = await api.call("GET", f"/api/v1/notices/{earlier['notice_id']}", mia)
    assert one.body["superseded_by"] == later["notice_id"]


@pytest.mark.parametrize("scope", ["user", "workspace"])
async def test_saving_quiet_hours_moves_nobody_to_another_time_zone(world: Any, api: Any, scope: str) -> None:
    ada, path = api.signed_in(world.people["ada"]), f"{PREFERENCES}?scope={scope}"
    quiet = {"quiet_hours": {"start": "22:00", "end": "07:00"}}
    assert (await api.call("PUT", path, ada, {"time_zone": "Asia/Tokyo"})).body["time_zone"] == "Asia/Tokyo"
    assert (await api.call("PUT", path, ada, quiet)).body["time_zone"] == "Asia/Tokyo"
    assert (await api.call("PUT", path, ada, quiet | {"time_zone": None})).body["time_zone"] is None


@pytest.mark.parametrize("missing", ["start", "end"])
@pytest.mark.parametrize("value", [None, "", "left out", "7"])
async def test_quiet_hours_with_one_end_are_refused_with_its_name(
    world: Any, api: Any, missing: str, value: str | None
) -> None:
    quiet: dict[str, Any] = {"start": "22:00", "end": "07:00"} | {missing: value}
    if value == "left out":
        del quiet[missing]
    answer = await api.call("PUT", PREFERENCES, api.signed_in(world.people["mia"]), {"quiet_hours": quiet})
    assert answer.status in (400, 422)
    assert [error["field"] for error in answer.body["errors"]] == [f"quiet_hours.{missing}"]
