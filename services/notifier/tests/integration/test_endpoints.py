"""Slack and signed webhooks from end to end: set up by an admin, sent once, edited, refused, disabled."""

import json
from datetime import timedelta
from typing import Any

import pytest

from common.contracts import IssuedHow
from notifier import sweep
from notifier.operations import sending

CHANNELS = "/api/v1/notification-channels"
SLACK, WEBHOOK = f"{CHANNELS}/slack", f"{CHANNELS}/webhook"
BOT = {"bot_token": "xoxb-100000000001-100000000002-SimWevionBot", "channel_id": "C0WEVIONADS"}
HOUR = timedelta(hours=1)


def _next(token: Any, version: int) -> Any:
    return token.model_copy(update={"version": version})


async def _dies(world: Any, **more: Any) -> Any:
    token = world.token(world.people["mia"], **more)
    await world.issued(token)
    await world.revoked(_next(token, 2))
    return token


def _title(message: dict[str, Any]) -> str:
    title: str = message["blocks"][0]["text"]["text"]
    return title


@pytest.fixture
async def admin(world: Any, channels_api: Any) -> str:
    token: str = channels_api.signed_in(world.people["max"])
    return token


@pytest.fixture
async def slack(outside: Any, channels_api: Any, admin: str) -> Any:
    assert (await channels_api.call("PUT", SLACK, admin, json=BOT)).status == 200
    return outside


@pytest.fixture
async def webhook(outside: Any, channels_api: Any, admin: str) -> Any:
    made = await channels_api.call("PUT", WEBHOOK, admin, json={"url": outside.receiver_url})
    assert made.status == 200, made.body
    await outside.receiver(made.body["secret"])
    return outside


# -- Slack


async def test_a_fact_is_one_message_to_the_workspace_however_often_it_is_told(world: Any, slack: Any) -> None:
    token = await _dies(world)
    await world.later()
    await world.revoked(_next(token, 2))
    await world.revoked(_next(token, 2))
    await world.later(HOUR)
    assert [_title(message) for message in await slack.slack_messages()] == ["🔴 Meta access was ended"]
    assert len(world.mailbox.mails) == 3


async def test_a_recovery_edits_the_message_in_its_place(world: Any, slack: Any) -> None:
    token = await _dies(world)
    await world.later()
    await world.issued(_next(token, 3), how=IssuedHow.REAUTHORIZE)
    await world.later()
    (message,) = await slack.slack_messages()
    assert _title(message) == "✅ Meta works again"
    assert message["edited"]


async def test_an_incoming_webhook_is_enough_and_a_recovery_is_a_message_of_its_own(
    world: Any, outside: Any, channels_api: Any, admin: str
) -> None:
    assert (await channels_api.call("PUT", SLACK, admin, json={"webhook_url": outside.hook_url})).status == 200
    token = await _dies(world)
    await world.later()
    await world.issued(_next(token, 3), how=IssuedHow.REAUTHORIZE)
    await world.later()
    titles = [_title(message) for message in await outside.slack_messages()]
    assert titles == ["🔴 Meta access was ended", "✅ Meta works again"]


async def test_a_message_that_is_gone_is_followed_by_a_new_one(world: Any, slack: Any) -> None:
    token = await _dies(world)
    await world.later()
    await world.deps.pool.execute("UPDATE delivery SET reference = 'C0WEVIONADS:1.000001' WHERE channel = 'slack'")
    await world.issued(_next(token, 3), how=IssuedHow.REAUTHORIZE)
    await world.later()
    assert [_title(message) for message in await slack.slack_messages()][1:] == ["✅ Meta works again"]


async def test_slack_is_left_alone_for_as_long_as_it_says(world: Any, slack: Any) -> None:
    fault = {"provider": "slack", "endpoint": "chat.postMessage", "kind": "rate_limit", "retry_after": 30}
    await slack.order("POST", "faults", **fault)
    sender = sweep.sender(world.deps, slack.slack, world.clock)
    await _dies(world)
    world.clock.advance(timedelta(seconds=5))
    await sender.run_once()
    await slack.order("DELETE", "faults")
    world.clock.advance(timedelta(seconds=20))
    await sender.run_once()
    assert await slack.slack_messages() == []
    world.clock.advance(timedelta(seconds=15))
    await world.later(timedelta(0))
    assert len(await slack.slack_messages()) == 1


async def test_a_broken_slack_does_not_delay_mail(world: Any, slack: Any) -> None:
    fault = {"provider": "slack", "endpoint": "chat.postMessage", "kind": "status", "status": 503, "when": "before"}
    await slack.order("POST", "faults", **fault)
    await _dies(world)
    await world.later()
    assert len(world.mailbox.mails) == 3
    assert await slack.slack_messages() == []
    assert await world.count("SELECT count(*) FROM delivery WHERE channel = 'slack' AND state = 'retry'") == 1
    await slack.order("DELETE", "faults")
    await world.later(timedelta(minutes=1))
    assert len(await slack.slack_messages()) == 1
    assert len(world.mailbox.mails) == 3


@pytest.mark.parametrize(
    ("trouble", "reason"),
    [
        (("slack/channels/C0WEVIONADS", {"exists": False}), "channel_not_found"),
        (("slack/channels/C0WEVIONADS", {"archived": True}), "is_archived"),
        (("slack/channels/C0WEVIONADS", {"member": False}), "not_in_channel"),
        (("slack/tokens", {"state": "token_revoked"}), "token_revoked"),
        (("slack/tokens", {"state": "account_inactive"}), "account_inactive"),
    ],
)
async def test_what_only_a_person_can_mend_disables_slack_and_tells_the_admins_once(  # noqa: PLR0917  fixtures
    world: Any, slack: Any, channels_api: Any, admin: str, trouble: tuple[str, dict[str, Any]], reason: str
) -> None:
    await slack.order("POST", trouble[0], **trouble[1])
    await _dies(world)
    await world.later()
    await _dies(world, provider="tiktok")
    await world.later()
    shown = (await channels_api.call("GET", SLACK, admin)).body
    assert (shown["state"], shown["reason"]) == ("disabled", reason)
    assert shown["explanation"]
    told = {mail["X-Envelope-To"] for mail in world.mailbox.mails if "no longer reach Slack" in mail.as_string()}
    assert told == {"ada@agency.example", "max@agency.example"}
    assert await world.count("SELECT count(*) FROM condition WHERE code = 'CHANNEL_DISABLED'") == 1


async def test_a_removed_incoming_webhook_disables_slack(
    world: Any, outside: Any, channels_api: Any, admin: str
) -> None:
    assert (await channels_api.call("PUT", SLACK, admin, json={"webhook_url": outside.hook_url})).status == 200
    await outside.order("POST", "slack/hooks", state="no_service")
    await _dies(world)
    await world.later()
    assert (await channels_api.call("GET", SLACK, admin)).body["reason"] == "no_service"


async def test_a_test_that_arrives_switches_a_disabled_channel_on_again(
    world: Any, slack: Any, channels_api: Any, admin: str
) -> None:
    await slack.order("POST", "slack/channels/C0WEVIONADS", member=False)
    await _dies(world)
    await world.later()
    refused = (await channels_api.call("POST", f"{SLACK}/test", admin)).body
    assert (refused["delivered"], refused["reason"]) == (False, "not_in_channel")
    assert "Invite it" in refused["explanation"]
    too_soon = await channels_api.call("POST", f"{SLACK}/test", admin)
    assert (too_soon.status, too_soon.body["code"]) == (429, "too_many_tests")
    await slack.order("POST", "slack/channels/C0WEVIONADS", member=True)
    world.clock.advance(timedelta(seconds=10))
    assert (await channels_api.call("POST", f"{SLACK}/test", admin)).body["delivered"] is True
    assert (await channels_api.call("GET", SLACK, admin)).body["state"] == "on"
    assert await world.count("SELECT count(*) FROM condition WHERE resolution = 'renewed'") == 1
    await _dies(world, provider="tiktok")
    await world.later()
    assert _title((await slack.slack_messages())[-1]) == "🔴 TikTok access was ended"


async def test_the_workspaces_preferences_say_what_goes_to_slack(
    world: Any, slack: Any, channels_api: Any, admin: str
) -> None:
    path = "/api/v1/notification-preferences"
    wishes = {"channels": {"slack": {"TOKEN_REVOKED": False}}}
    own = await channels_api.call("PUT", path, admin, json=wishes)
    assert (own.status, own.body["errors"][0]["field"]) == (400, "channels.slack")
    assert (await channels_api.call("PUT", f"{path}?scope=workspace", admin, json=wishes)).status == 200
    await _dies(world)
    await world.later()
    assert await slack.slack_messages() == []
    assert len(world.mailbox.mails) == 3


# -- signed webhooks


async def test_a_notice_is_one_signed_document_and_its_end_another(world: Any, webhook: Any) -> None:
    token = await _dies(world)
    await world.later()
    await world.revoked(_next(token, 2))
    await world.issued(_next(token, 3), how=IssuedHow.REAUTHORIZE)
    await world.later()
    opened, resolved = await webhook.posted()
    assert opened["verified"]
    assert resolved["verified"]
    assert (opened["body"]["type"], resolved["body"]["type"]) == ("notice.opened", "notice.resolved")
    data = opened["body"]["data"]
    assert (data["code"], data["state"], data["provider"], data["token_id"]) == (
        "TOKEN_REVOKED",
        "open",
        "meta",
        str(token.token_id),
    )
    assert [account["name"] for account in data["accounts"]] == ["Shop 1", "Shop 2", "Shop 3"]
    assert resolved["body"]["data"]["notice_id"] == data["notice_id"]
    assert resolved["body"]["data"]["resolution"] == "renewed"
    assert opened["id"] != resolved["id"]


async def test_facts_of_one_moment_are_a_document_each(world: Any, webhook: Any) -> None:
    for provider in ("meta", "tiktok", "snapchat"):
        await _dies(world, provider=provider)
    await world.later()
    posted = await webhook.posted()
    assert {each["body"]["data"]["provider"] for each in posted} == {"meta", "tiktok", "snapchat"}
    assert len(posted) == 3
    assert len(world.mailbox.to("ada@agency.example")) == 1


async def test_a_failing_receiver_is_tried_again_with_the_same_id_and_growing_waits(
    world: Any, webhook: Any, channels_api: Any, admin: str
) -> None:
    secret = await _secret(channels_api, admin)
    await webhook.receiver(secret, status=500)
    await _dies(world)
    await world.later()
    await world.later(timedelta(seconds=4))
    assert len(await webhook.posted()) == 1
    await world.later(timedelta(seconds=2))
    assert len(await webhook.posted()) == 2
    await world.later(timedelta(seconds=15))
    assert len(await webhook.posted()) == 2
    await webhook.receiver(secret)
    await world.later(timedelta(seconds=10))
    posted = await webhook.posted()
    assert len({each["id"] for each in posted}) == 1
    assert [each["repeated"] for each in posted] == [False, True, True]
    assert (await channels_api.call("GET", WEBHOOK, admin)).body["failing_since"] is None


async def test_an_endpoint_that_fails_for_days_is_disabled_and_the_admins_are_told(
    world: Any, webhook: Any, channels_api: Any, admin: str
) -> None:
    await webhook.receiver(await _secret(channels_api, admin), status=500)
    await _dies(world)
    for _ in range(11):
        await world.later(timedelta(hours=12, minutes=1))
    await world.later()
    shown = (await channels_api.call("GET", WEBHOOK, admin)).body
    assert (shown["state"], shown["reason"]) == ("disabled", "http_500")
    told = {mail["X-Envelope-To"] for mail in world.mailbox.mails if "no longer reach" in mail.as_string()}
    assert told == {"ada@agency.example", "max@agency.example"}
    before = len(await webhook.posted())
    await world.later(timedelta(days=3))
    assert len(await webhook.posted()) == before


async def test_gone_disables_at_once(world: Any, webhook: Any, channels_api: Any, admin: str) -> None:
    await webhook.receiver(await _secret(channels_api, admin), status=410)
    await _dies(world)
    await world.later()
    shown = (await channels_api.call("GET", WEBHOOK, admin)).body
    assert (shown["state"], shown["reason"]) == ("disabled", "gone")
    assert len(await webhook.posted()) == 1


async def test_a_receiver_that_asks_for_time_gets_it(world: Any, webhook: Any, channels_api: Any, admin: str) -> None:
    secret = await _secret(channels_api, admin)
    await webhook.receiver(secret, status=429, retry_after=600)
    await _dies(world)
    await world.later()
    await webhook.receiver(secret)
    await world.later(timedelta(minutes=9))
    assert len(await webhook.posted()) == 1
    await world.later(timedelta(minutes=2))
    assert len(await webhook.posted()) == 2


async def test_both_secrets_sign_until_the_rotation_is_over(
    world: Any, webhook: Any, channels_api: Any, admin: str
) -> None:
    rotated = await channels_api.call("POST", f"{WEBHOOK}/secret", admin)
    assert rotated.status == 201
    await _dies(world)
    await world.later()
    await webhook.receiver(rotated.body["secret"])
    await _dies(world, provider="tiktok")
    await world.later(timedelta(seconds=10))
    assert [(each["verified"], each["signatures"]) for each in await webhook.posted()] == [(True, 2), (True, 2)]
    world.clock.advance(timedelta(hours=24))
    await _dies(world, provider="snapchat")
    await world.later()
    assert (await webhook.posted())[-1]["signatures"] == 1
    assert (await webhook.posted())[-1]["verified"]


@pytest.mark.parametrize(
    "how", [{"status": 302, "location": "https://elsewhere.example/"}, {"status": 200, "body_bytes": 8 << 20}]
)
async def test_no_redirect_is_followed_and_no_long_answer_read(
    world: Any, webhook: Any, channels_api: Any, admin: str, how: dict[str, Any]
) -> None:
    await webhook.receiver(await _secret(channels_api, admin), **how)
    await _dies(world)
    await world.later()
    taken = how["status"] == 200
    assert len(await webhook.posted()) == 1
    sent = await world.count("SELECT count(*) FROM delivery WHERE channel = 'webhook' AND state = 'sent'")
    assert sent == (1 if taken else 0)


@pytest.mark.parametrize(
    "url",
    [
        "http://hooks.agency.example/x",
        "https://127.0.0.1/x",
        "https://localhost.example@127.0.0.1/x",
        "https://user:secret@hooks.agency.example/x",
        "https://[::1]/x",
        "https://169.254.169.254/latest",
        "https://①②⑦.0.0.1/x",
        "https://hooks.agency.example/#x",
        "ftp://hooks.agency.example",
        "x",
        "https://hooks.agency.example/" + "x" * 2_000,
    ],
)
async def test_an_address_that_is_not_of_the_public_internet_is_refused(
    outside: Any, channels_api: Any, admin: str, url: str
) -> None:
    answer = await channels_api.call("PUT", WEBHOOK, admin, json={"url": url})
    assert (answer.status, answer.body["errors"][0]["field"].removeprefix("body.")) == (400, "url")
    assert "secret" not in json.dumps(answer.body["errors"])
    assert (await channels_api.call("GET", WEBHOOK, admin)).body["state"] == "off"


async def test_a_name_that_leads_into_a_private_network_is_not_called(
    world: Any, outside: Any, channels_api: Any, admin: str
) -> None:
    assert (await channels_api.call("PUT", WEBHOOK, admin, json={"url": "https://localhost/x"})).status == 200
    result = (await channels_api.call("POST", f"{WEBHOOK}/test", admin)).body
    assert (result["delivered"], result["reason"]) == (False, "private_address")


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, ""),
        ({"bot_token": BOT["bot_token"]}, ""),
        (BOT | {"webhook_url": "https://hooks.slack.com/services/T/B/x"}, ""),
        (BOT | {"bot_token": "xoxp-1-2-abcdefghijkl"}, "bot_token"),
        (BOT | {"bot_token": "xoxb-1-2-UnknownToSlack"}, "bot_token"),
        (BOT | {"channel_id": "#general"}, "channel_id"),
        ({"webhook_url": "https://evil.example/services/T0WEVION1/B0WEVION1/SimWevionHook"}, "webhook_url"),
    ],
)
async def test_a_wrong_setup_of_slack_names_the_field_and_stores_nothing(
    outside: Any, channels_api: Any, admin: str, body: dict[str, str], field: str
) -> None:
    answer = await channels_api.call("PUT", SLACK, admin, json=body)
    assert answer.status == 400
    assert answer.body["errors"][0]["field"].removeprefix("body").removeprefix(".") == field
    assert "xoxb-1" not in json.dumps(answer.body)
    assert (await channels_api.call("GET", SLACK, admin)).body["state"] == "off"


async def test_a_slack_that_is_away_is_said_and_nothing_is_stored(outside: Any, channels_api: Any, admin: str) -> None:
    await outside.order("POST", "faults", provider="slack", endpoint="auth.test", kind="html", status=502)
    answer = await channels_api.call("PUT", SLACK, admin, json=BOT)
    assert (answer.status, answer.body["code"]) == (503, "slack_away")


async def test_only_admins_set_channels_up_and_everybody_sees_whether_they_work(
    world: Any, slack: Any, channels_api: Any
) -> None:
    member = channels_api.signed_in(world.people["mia"])
    support = channels_api.signed_in(world.people["max"], act={"sub": "support"})
    for token in (member, support):
        assert (await channels_api.call("PUT", WEBHOOK, token, json={"url": "https://x.example"})).status == 403
        assert (await channels_api.call("DELETE", SLACK, token)).status == 403
        assert (await channels_api.call("POST", f"{SLACK}/test", token)).status == 403
    listed = (await channels_api.call("GET", CHANNELS, member)).body["items"]
    assert [(item["channel"], item["state"], item["config"]) for item in listed] == [
        ("slack", "on", None),
        ("webhook", "off", None),
    ]
    assert not any(item["may_change"] for item in listed)


async def test_the_wait_of_one_workspaces_slack_is_no_wait_of_the_channel(world: Any, slack: Any) -> None:
    fault = {"provider": "slack", "endpoint": "chat.postMessage", "kind": "rate_limit", "retry_after": 30}
    await slack.order("POST", "faults", **fault)
    await _dies(world)
    world.clock.advance(timedelta(seconds=5))
    status = await sending.send_due(world.deps, slack.slack, world.clock.now())
    assert (status.sent, status.failed, status.wait_s) == (0, 1, 0)


async def test_another_workspace_sees_and_changes_nothing_of_it(world: Any, slack: Any, channels_api: Any) -> None:
    stranger = channels_api.person(world.people["mia"].user_id, "owner")
    assert (await channels_api.call("GET", SLACK, stranger)).body["state"] == "off"
    assert (await channels_api.call("DELETE", SLACK, stranger)).body["code"] == "channel_off"


async def test_secrets_are_shown_once_and_are_nowhere_else(
    world: Any, outside: Any, channels_api: Any, admin: str, capsys: pytest.CaptureFixture[str]
) -> None:
    made = (await channels_api.call("PUT", WEBHOOK, admin, json={"url": outside.receiver_url})).body
    await outside.receiver(made["secret"])
    await channels_api.call("PUT", SLACK, admin, json=BOT)
    again = (await channels_api.call("PUT", WEBHOOK, admin, json={"url": outside.receiver_url + "?x=1"})).body
    assert again["secret"] is None
    await _dies(world)
    await world.later()
    assert (await outside.posted())[0]["verified"]
    shown = json.dumps((await channels_api.call("GET", CHANNELS, admin)).body)
    stored = str(await world.deps.pool.fetch("SELECT * FROM endpoint"))
    events = str(await world.deps.pool.fetch("SELECT * FROM outbox"))
    for secret in (made["secret"], made["secret"].removeprefix("whsec_"), BOT["bot_token"]):
        assert all(secret not in text for text in (shown, stored, events, capsys.readouterr().out))


async def test_a_removed_channel_is_sent_nothing(world: Any, slack: Any, channels_api: Any, admin: str) -> None:
    await _dies(world)
    assert (await channels_api.call("DELETE", SLACK, admin)).status == 204
    await world.later()
    assert await slack.slack_messages() == []
    assert await world.count("SELECT count(*) FROM endpoint") == 0
    assert (await channels_api.call("DELETE", SLACK, admin)).status == 404


async def _secret(channels_api: Any, admin: str) -> str:
    """A new secret of the webhook, so that a receiver can be told it."""
    secret: str = (await channels_api.call("POST", f"{WEBHOOK}/secret", admin)).body["secret"]
    return secret
