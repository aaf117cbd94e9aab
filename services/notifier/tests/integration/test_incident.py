"""A platform in trouble is one notice a person; single deaths that it may explain wait until it is over."""

from datetime import timedelta
from typing import Any
from uuid import UUID

from common.contracts import (
    DetectedBy,
    IncidentState,
    IssuedHow,
    NoticeCode,
    PlatformIncidentV1,
    RevocationCause,
    Verdict,
)
from common.runtime.ids import new_id
from notifier.operations import notices
from notifier.operations.notices import Reader


def _next(token: Any, version: int) -> Any:
    return token.model_copy(update={"version": version})


async def _incident(
    world: Any,
    incident_id: UUID,
    state: IncidentState,
    version: int = 1,
    *,
    workspaces: tuple[UUID, ...] = (),
    **more: Any,
) -> None:
    await world.take(
        PlatformIncidentV1(
            incident_id=incident_id,
            provider="meta",
            state=state,
            tokens_affected=500,
            since=world.clock.now(),
            workspace_ids=workspaces,
            version=version,
            **more,
        )
    )


async def _shown(world: Any, name: str) -> list[tuple[NoticeCode, str | None]]:
    person = world.people[name]
    reader = Reader(user_id=person.user_id, workspace_id=person.workspace_id, role=person.role)
    found, _ = await notices.page(world.deps, reader, before=None, state=None, limit=50, now=world.clock.now())
    return [(item.view.code, item.view.resolution) for item in found]


async def _living(world: Any, count: int) -> list[Any]:
    tokens = [world.token(world.people["mia"]) for _ in range(count)]
    for token in tokens:
        await world.issued(token)
    await world.know_people()
    return tokens


async def test_one_incident_is_one_notice_and_one_mail_a_person_with_a_follow_up(world: Any) -> None:
    await _living(world, 5)
    world.person("tom")  # has no connection there
    incident = new_id()
    for _ in range(3):
        await _incident(world, incident, IncidentState.OPENED)
    await world.later()
    assert await world.count("SELECT count(*) FROM notice") == 3
    assert {mail["Subject"] for mail in world.mailbox.mails} == {"Meta has a problem"}
    assert len(world.mailbox.mails) == 3
    await _incident(world, incident, IncidentState.CLOSED, 2)
    await _incident(world, incident, IncidentState.OPENED, 1)  # late
    await world.later()
    assert [mail["Subject"] for mail in world.mailbox.mails[3:]] == ["The problem at Meta is over"] * 3
    assert await _shown(world, "mia") == [(NoticeCode.PLATFORM_INCIDENT, "closed")]


async def test_deaths_that_the_platform_may_explain_are_held_and_dropped_when_they_were_none(world: Any) -> None:
    tokens = await _living(world, 4)
    incident = new_id()
    await world.revoked(_next(tokens[0], 2), RevocationCause.PLATFORM_ENFORCED, DetectedBy.REFRESH)
    await _incident(world, incident, IncidentState.OPENED)
    for token in tokens[1:]:
        await world.revoked(_next(token, 2), RevocationCause.PLATFORM_ENFORCED, DetectedBy.REFRESH)
    await world.later()
    assert [mail["Subject"] for mail in world.mailbox.to("mia@agency.example")] == ["Meta has a problem"]
    assert await _shown(world, "mia") == [(NoticeCode.PLATFORM_INCIDENT, None)]
    for token in tokens[:3]:
        await world.issued(_next(token, 3), how=IssuedHow.REAUTHORIZE)
    await _incident(world, incident, IncidentState.CLOSED, 2)
    await world.later()
    # One is dead indeed, and is told now; the three that came back were never spoken of.
    mails = [mail["Subject"] for mail in world.mailbox.to("mia@agency.example")]
    assert sorted(mails) == ["Meta access was ended", "Meta has a problem", "The problem at Meta is over"]
    open_now = [code for code, resolution in await _shown(world, "mia") if resolution is None]
    assert open_now == [NoticeCode.TOKEN_REVOKED]


async def test_a_death_that_a_person_or_a_webhook_reported_is_told_in_an_incident_too(world: Any) -> None:
    (token,) = await _living(world, 1)
    await _incident(world, new_id(), IncidentState.OPENED)
    await world.revoked(_next(token, 2), RevocationCause.USER_REVOKED, DetectedBy.WEBHOOK)
    await world.later()
    assert (NoticeCode.TOKEN_REVOKED, None) in await _shown(world, "mia")


async def test_an_incident_of_another_platform_holds_nothing(world: Any) -> None:
    await _living(world, 1)
    other = world.token(world.people["mia"], provider="tiktok")
    await world.issued(other)
    await _incident(world, new_id(), IncidentState.OPENED)
    await world.revoked(_next(other, 2), RevocationCause.PLATFORM_ENFORCED, DetectedBy.REFRESH)
    await world.later(timedelta(minutes=1))
    assert (NoticeCode.TOKEN_REVOKED, None) in await _shown(world, "mia")


async def test_our_own_fault_is_said_to_be_ours_and_no_account_is_blamed(world: Any) -> None:
    await _living(world, 1)
    incident = new_id()
    await _incident(world, incident, IncidentState.OPENED, reason=Verdict.OUR_BUG)
    await world.later()
    mail = world.mailbox.to("mia@agency.example")[0]
    text = mail.get_body(("plain",)).get_content()
    assert mail["Subject"] == "Wevion has a problem with Meta"
    assert "The cause is on our side" in text
    assert "Your accounts are fine." in text
    assert "working on it" in text
    await _incident(world, incident, IncidentState.CLOSED, 2, reason=Verdict.OUR_BUG)
    await world.later()
    assert world.mailbox.to("mia@agency.example")[1]["Subject"] == "The problem with Meta is over"
