"""The loop: a dead grant is told once to the right people, with the right words, and is over when it works again."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from common.contracts import (
    AccountRef,
    DataGapClosedV1,
    DetectedBy,
    IssuedHow,
    NoticeCode,
    RevocationCause,
    RulePausedV1,
    RuleResumedV1,
    TokenKind,
    TokenStatus,
)
from common.runtime.ids import new_id
from notifier.operations import notices
from notifier.operations.notices import Reader

EVERYBODY = ["ada@agency.example", "max@agency.example", "mia@agency.example"]


def _next(token: Any, version: int) -> Any:
    return token.model_copy(update={"version": version})


def _receivers(world: Any) -> list[str]:
    return sorted(mail["X-Envelope-To"] for mail in world.mailbox.mails)


def _text(mail: Any) -> str:
    return str(mail.get_body(("plain",)).get_content())


@pytest.fixture
async def token(world: Any, connector: Any) -> Any:
    made = world.token(connector)
    await world.issued(made)
    await world.know_people()
    return made


async def test_connector_then_admins_are_told(world: Any, token: Any) -> None:
    world.person("tom")  # a member who has nothing to do with it
    await world.know_people()
    await world.revoked(_next(token, 2))
    assert await world.count("SELECT count(*) FROM notice") == 3
    assert [event["channel"] for event in await world.sent_events()] == ["in_app"] * 3
    await world.later()
    assert _receivers(world) == EVERYBODY
    assert sorted(event["channel"] for event in await world.sent_events()) == ["email"] * 3 + ["in_app"] * 3
    await world.later(timedelta(minutes=1))
    assert len(world.mailbox.mails) == 3


async def test_the_mail_names_platform_accounts_consequence_and_the_link_that_fixes_it(world: Any, token: Any) -> None:
    for number in range(4):
        await world.take(
            RulePausedV1(
                rule_id=new_id(),
                rule_name=f"Rule {number}",
                workspace_id=world.workspace_id,
                account_id=token.accounts[0].account_id,
                token_id=token.token_id,
                reason="the token is dead",
                auto_paused_at=world.clock.now(),
                version=1,
            )
        )
    await world.revoked(_next(token, 2))
    await world.later()
    mail = world.mailbox.to("mia@agency.example")[0]
    text, html = _text(mail), mail.get_body(("html",)).get_content()
    for said in (
        "Hello Mia",
        "somebody removed Wevion",
        "Shop 1, Shop 2 and Shop 3",
        "4 automation rules are paused",
    ):
        assert said in text
        assert said in html
    link = f"http://wevion.example/connect/meta?connection_id={token.token_id}"
    assert link in text
    assert f'href="{link}"' in html
    assert mail["Subject"] == "Meta access was ended"
    assert mail["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert mail["Auto-Submitted"] == "auto-generated"


async def test_a_warning_says_how_long_is_left_and_when_on_the_readers_clock(world: Any, token: Any) -> None:
    ends = world.clock.now() + timedelta(days=6, hours=3)
    await world.issued(_next(token, 2), expires_in=timedelta(days=6, hours=3), how=IssuedHow.REAUTHORIZE)
    await world.expiring(_next(token, 2), "7d", ends)
    await world.later(timedelta(seconds=3))
    text = _text(world.mailbox.to("mia@agency.example")[0])
    assert "in 6 days and 2 hours" in text
    assert "Sun 20 Sep 2026, 17:00 (Europe/Berlin)" in text


async def test_connector_gone_owner_is_told(world: Any, token: Any) -> None:
    members = world.directory.members[world.workspace_id]
    members.remove(world.people["mia"])
    world.clock.advance(timedelta(minutes=6))
    await world.know_people()
    await world.revoked(_next(token, 2))
    await world.later()
    assert _receivers(world) == EVERYBODY[:2]


async def test_who_was_removed_a_moment_ago_gets_no_mail(world: Any, token: Any) -> None:
    await world.revoked(_next(token, 2))
    world.directory.members[world.workspace_id].remove(world.people["max"])
    await world.later()
    assert _receivers(world) == ["ada@agency.example", "mia@agency.example"]


async def test_who_is_no_admin_any_more_gets_no_mail_of_what_others_made(world: Any, token: Any) -> None:
    await world.revoked(_next(token, 2))
    members = world.directory.members[world.workspace_id]
    members[members.index(world.people["max"])] = replace(world.people["max"], role="member")
    await world.later()
    assert _receivers(world) == ["ada@agency.example", "mia@agency.example"]


async def test_while_nobody_says_who_belongs_to_it_mails_leave_for_a_quarter_of_an_hour_and_then_wait(
    world: Any, token: Any
) -> None:
    world.directory.away = True
    world.clock.advance(timedelta(minutes=14))
    await world.revoked(_next(token, 2))
    await world.later()
    assert _receivers(world) == EVERYBODY
    other = world.token(world.people["mia"], provider="tiktok")
    await world.issued(other)
    world.clock.advance(timedelta(minutes=10))
    await world.revoked(_next(other, 2))
    await world.later()
    assert _receivers(world) == EVERYBODY
    world.directory.away = False
    world.directory.members[world.workspace_id].remove(world.people["max"])
    await world.later(timedelta(minutes=1))
    assert _receivers(world) == sorted([*EVERYBODY, "ada@agency.example", "mia@agency.example"])
    assert await world.count("SELECT count(*) FROM delivery WHERE reason = 'people_unknown'") == 0


async def test_a_disabled_person_is_told_nothing(world: Any, connector: Any) -> None:
    world.person("eve", "admin", active=False)
    token = world.token(connector)
    await world.issued(token)
    await world.know_people()
    await world.revoked(_next(token, 2))
    await world.later()
    assert _receivers(world) == EVERYBODY


async def test_reauthorised_before_the_mail_leaves_nothing_is_mailed_and_the_notice_is_resolved(
    world: Any, token: Any
) -> None:
    await world.revoked(_next(token, 2))
    await world.issued(_next(token, 3), how=IssuedHow.REAUTHORIZE)
    await world.later()
    assert world.mailbox.mails == []
    shown, unread = await _page(world, "mia")
    assert [(item.view.code, item.view.resolution) for item in shown] == [(NoticeCode.TOKEN_REVOKED, "renewed")]
    assert unread == 0


async def test_recovery_is_followed_up_once_to_whom_the_first_mail_reached(world: Any, token: Any) -> None:
    await world.revoked(_next(token, 2))
    await world.later()
    await world.take(
        DataGapClosedV1.model_validate(
            {
                "gap_id": new_id(),
                "account_id": token.accounts[0].account_id,
                "account_name": "Shop 1",
                "token_id": token.token_id,
                "workspace_id": world.workspace_id,
                "owner_user_id": token.owner_user_id,
                "provider": "meta",
                "version": 3,
                "from": world.clock.now(),
                "to": world.clock.now() + timedelta(hours=2),
            }
        )
    )
    world.clock.advance(timedelta(hours=2))
    await world.issued(_next(token, 3), how=IssuedHow.REAUTHORIZE)
    await world.state(_next(token, 4), TokenStatus.ACTIVE)
    await world.later()
    followed = world.mailbox.mails[3:]
    assert sorted(mail["X-Envelope-To"] for mail in followed) == EVERYBODY
    assert {mail["Subject"] for mail in followed} == {"Meta works again"}
    assert "Data was lost in between: Shop 1" in _text(followed[0])
    await world.later(timedelta(hours=1))
    assert len(world.mailbox.mails) == 6


async def test_stages_update_the_same_notice_and_only_ever_come_closer(world: Any, token: Any) -> None:
    ends = world.clock.now() + timedelta(days=13)
    await world.issued(_next(token, 2), expires_in=timedelta(days=13), how=IssuedHow.REAUTHORIZE)
    for stage in ("14d", "7d", "7d", "14d", "3d"):
        await world.expiring(_next(token, 2), stage, ends)
        await world.later(timedelta(days=1))
    assert await world.count("SELECT count(*) FROM notice") == 3
    assert len(world.mailbox.to("mia@agency.example")) == 3  # 14d, 7d, 3d
    world.clock.set(ends)
    await world.expired(_next(token, 2), ends)
    shown, _ = await _page(world, "mia")
    assert [(item.view.code, item.view.resolution) for item in shown] == [
        (NoticeCode.TOKEN_EXPIRED, None),
        (NoticeCode.TOKEN_EXPIRING, "superseded"),
    ]


async def test_a_refresh_that_moves_full_expiry_ends_the_warning(world: Any, token: Any) -> None:
    ends = world.clock.now() + timedelta(days=6)
    await world.state(_next(token, 2), TokenStatus.EXPIRING, expires_at=ends)
    await world.expiring(_next(token, 2), "7d", ends)
    await world.state(_next(token, 3), TokenStatus.ACTIVE, expires_at=ends + timedelta(days=54))
    await world.expiring(_next(token, 2), "3d", ends)  # late: derived from a past that is over
    await world.later()
    assert world.mailbox.mails == []
    shown, _ = await _page(world, "mia")
    assert [item.view.resolution for item in shown] == ["renewed"]


@pytest.mark.parametrize(
    ("cause", "detected_by"),
    [(RevocationCause.DISCONNECTED, DetectedBy.USER), (RevocationCause.ADMIN_FORCED, DetectedBy.ADMIN)],
)
async def test_nobody_is_told_what_they_just_did_themselves(
    world: Any, token: Any, cause: Any, detected_by: Any
) -> None:
    await world.revoked(_next(token, 2), cause, detected_by)
    await world.later()
    assert await world.count("SELECT count(*) FROM notice") == 0


async def test_sessions_leave_no_trace(world: Any, connector: Any) -> None:
    session = world.token(connector, kind=TokenKind.SESSION)
    await world.issued(session)
    await world.revoked(_next(session, 2), RevocationCause.COMPROMISE)
    assert await world.count("SELECT count(*) FROM token") == 0
    assert await world.count("SELECT count(*) FROM notice") == 0


async def test_disconnecting_a_dead_connection_ends_its_notice_without_a_message(world: Any, token: Any) -> None:
    await world.revoked(_next(token, 2))
    await world.later()
    await world.state(_next(token, 3), TokenStatus.REVOKED, cause=RevocationCause.DISCONNECTED)
    await world.later()
    assert len(world.mailbox.mails) == 3
    shown, _ = await _page(world, "mia")
    assert [item.view.resolution for item in shown] == ["ended"]


async def test_the_same_fact_from_several_topics_in_any_order_is_one_notice(world: Any, token: Any) -> None:
    dead = _next(token, 2)
    await world.state(dead, TokenStatus.REVOKED, cause=RevocationCause.USER_REVOKED, detected_by=DetectedBy.WEBHOOK)
    await world.revoked(dead)
    await world.state(dead, TokenStatus.REVOKED, cause=RevocationCause.USER_REVOKED, detected_by=DetectedBy.WEBHOOK)
    await world.later()
    assert await world.count("SELECT count(*) FROM notice") == 3
    assert len(world.mailbox.mails) == 3


async def test_an_event_that_comes_after_the_recovery_it_preceded_changes_nothing(world: Any, token: Any) -> None:
    await world.issued(_next(token, 3), how=IssuedHow.REAUTHORIZE)
    await world.revoked(_next(token, 2))
    await world.later()
    assert await world.count("SELECT count(*) FROM notice") == 0


async def test_flapping_grant_stays_quiet(world: Any, token: Any) -> None:
    for round_ in range(10):
        await world.revoked(_next(token, 2 + 2 * round_))
        await world.later(timedelta(seconds=10))
        await world.issued(_next(token, 3 + 2 * round_), how=IssuedHow.REAUTHORIZE)
        await world.later(timedelta(seconds=10))
    # One message and its follow-up; the other nine deaths were over before their turn came.
    assert [mail["Subject"] for mail in world.mailbox.to("mia@agency.example")] == [
        "Meta access was ended",
        "Meta works again",
    ]


async def test_twenty_dead_connections_are_one_mail_a_person(world: Any, connector: Any) -> None:
    await world.know_people()
    for _ in range(20):
        token = world.token(connector, accounts=(AccountRef(account_id=new_id(), external_id="1", name="Acme"),))
        await world.issued(token)
        await world.revoked(_next(token, 2))
    world.clock.advance(timedelta(minutes=1))
    await world.know_people()
    await world.later()
    assert _receivers(world) == EVERYBODY
    assert world.mailbox.mails[0]["Subject"] == "Meta access was ended, and 19 more"
    assert await world.count("SELECT count(*) FROM notice") == 60


async def test_without_the_directory_the_maker_is_told_at_once_and_the_others_when_it_is_back(
    world: Any, connector: Any
) -> None:
    world.directory.away = True
    token = world.token(connector)
    await world.issued(token)
    await world.know_people()
    await world.revoked(_next(token, 2))
    shown, _ = await _page(world, "mia")
    assert len(shown) == 1
    await world.later()
    assert world.mailbox.mails == []  # no address is known yet
    world.directory.away = False
    world.clock.advance(timedelta(seconds=5))
    await world.know_people()
    await world.later()
    assert _receivers(world) == EVERYBODY
    assert await world.count("SELECT count(*) FROM notice") == 3


async def test_an_old_list_of_people_is_used_while_the_directory_is_away(world: Any, token: Any) -> None:
    world.directory.away = True
    world.clock.advance(timedelta(minutes=10))
    await world.know_people()
    await world.revoked(_next(token, 2))
    await world.later()
    assert _receivers(world) == EVERYBODY


async def test_paused_rules_are_counted_until_they_resume(world: Any, token: Any) -> None:
    await world.revoked(_next(token, 2))
    rule = {
        "rule_id": new_id(),
        "rule_name": "Pause losers",
        "workspace_id": world.workspace_id,
        "account_id": token.accounts[0].account_id,
        "token_id": token.token_id,
        "reason": "dead",
        "auto_paused_at": world.clock.now(),
    }
    await world.take(RulePausedV1(version=2, **rule))
    await world.take(RulePausedV1(version=2, **rule))
    assert (await _page(world, "mia"))[0][0].view.rules_paused == 1
    await world.take(RuleResumedV1(version=3, **rule))
    await world.take(RulePausedV1(version=2, **rule))  # late
    assert (await _page(world, "mia"))[0][0].view.rules_paused == 0


async def test_a_long_dead_token_met_at_the_first_start_is_not_news(world: Any, connector: Any) -> None:
    token = world.token(connector)
    await world.know_people()
    world_now = world.clock.now()
    world.clock.set(world_now - timedelta(days=30))
    body_time = world.clock.now()
    world.clock.set(world_now)
    from common.contracts import TokenStateV1  # noqa: PLC0415

    await world.take(
        TokenStateV1(token=token, status=TokenStatus.REVOKED, since=body_time, cause=RevocationCause.USER_REVOKED)
    )
    assert await world.count("SELECT count(*) FROM notice") == 0


async def _page(world: Any, name: str) -> Any:
    person = world.people[name]
    reader = Reader(user_id=person.user_id, workspace_id=person.workspace_id, role=person.role)
    return await notices.page(world.deps, reader, before=None, state=None, limit=50, now=world.clock.now())


async def test_a_grant_authorised_again_up_to_the_same_end_is_warned_of_at_the_next_stage(
    world: Any, token: Any
) -> None:
    ends = world.clock.now() + timedelta(days=6)
    await world.issued(_next(token, 2), expires_in=timedelta(days=6), how=IssuedHow.REAUTHORIZE)
    await world.expiring(_next(token, 2), "7d", ends)
    await world.later()
    await world.revoked(_next(token, 3))
    await world.later()
    await world.issued(_next(token, 4), expires_in=ends - world.clock.now(), how=IssuedHow.REAUTHORIZE)
    world.clock.set(ends - timedelta(days=3))
    await world.expiring(_next(token, 4), "3d", ends)
    await world.later()
    shown, unread = await _page(world, "mia")
    assert [(item.view.code, item.view.stage, item.view.resolution) for item in shown] == [
        (NoticeCode.TOKEN_REVOKED, "", "renewed"),
        (NoticeCode.TOKEN_EXPIRING, "3d", None),
    ]
    assert unread == 1
    subjects = [mail["Subject"] for mail in world.mailbox.to("mia@agency.example")]
    assert subjects[0] == "Meta access ends in 5 days and 23 hours"
    assert subjects[-1] == "Meta access ends in 2 days and 23 hours"
    # It is renewed at last: the one follow-up that the second warning deserves.
    await world.issued(_next(token, 5), how=IssuedHow.REAUTHORIZE)
    await world.later()
    assert world.mailbox.to("mia@agency.example")[-1]["Subject"] == "Meta access was renewed"


async def test_a_renewal_that_brings_the_end_closer_leaves_one_warning(world: Any, token: Any) -> None:
    far, near = world.clock.now() + timedelta(days=13), world.clock.now() + timedelta(days=6)
    await world.issued(_next(token, 2), expires_in=timedelta(days=13), how=IssuedHow.REAUTHORIZE)
    await world.expiring(_next(token, 2), "14d", far)
    await world.issued(_next(token, 3), expires_in=timedelta(days=6), how=IssuedHow.REAUTHORIZE)
    await world.expiring(_next(token, 3), "7d", near)
    await world.later()
    shown, _ = await _page(world, "mia")
    assert [(item.view.expires_at, item.view.resolution) for item in shown] == [(near, None), (far, "superseded")]
    assert len(world.mailbox.to("mia@agency.example")) == 1


async def test_who_became_an_admin_meanwhile_is_told_of_the_next_stage(world: Any, token: Any) -> None:
    ends = world.clock.now() + timedelta(days=6)
    await world.issued(_next(token, 2), expires_in=timedelta(days=6), how=IssuedHow.REAUTHORIZE)
    await world.expiring(_next(token, 2), "7d", ends)
    await world.later()
    world.person("eve", "admin")
    world.clock.advance(timedelta(days=3))
    await world.know_people()
    await world.expiring(_next(token, 2), "3d", ends)
    await world.later()
    assert len(world.mailbox.to("eve@agency.example")) == 1
    assert len(world.mailbox.to("mia@agency.example")) == 2
