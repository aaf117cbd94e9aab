"""The loop of issue 3: a dead grant is told once to the right people, and is over when it works again."""

from datetime import timedelta
from typing import Any


async def test_a_revoked_grant_is_told_in_the_app_and_by_mail_to_its_maker_and_the_admins(world: Any) -> None:
    mia = world.people["mia"]
    token = world.token(mia)
    await world.issued(token)
    await world.know_people()
    await world.revoked(token.model_copy(update={"version": 2}))
    assert await world.count("SELECT count(*) FROM notice") == 3
    assert [event["channel"] for event in await world.sent_events()] == ["in_app"] * 3
    await world.later()
    assert sorted(mail["X-Envelope-To"] for mail in world.mailbox.mails) == [
        "ada@agency.example",
        "max@agency.example",
        "mia@agency.example",
    ]
    text = world.mailbox.mails[0].get_body(("plain",)).get_content()
    assert "Meta" in text
    assert "Shop 1, Shop 2 and Shop 3" in text
    assert f"http://wevion.example/connect/meta?connection_id={token.token_id}" in text
    await world.later(timedelta(minutes=1))
    assert len(world.mailbox.mails) == 3
