"""One incident of a platform that everybody uses: each person once, in batches (target P11)."""

from typing import Any
from uuid import UUID

from common.contracts import IncidentState, NoticeChannel, PlatformIncidentV1
from common.postgres import transaction
from common.runtime.ids import new_id
from notifier.core.routing import Person
from notifier.operations import sending
from notifier.store import people

PEOPLE = 1_000
A_WORKSPACE = 5


async def _crowd(world: Any) -> None:
    """Workspaces with a living connection each, and their people."""
    pool, now = world.deps.pool, world.clock.now()
    spaces = [new_id() for _ in range(PEOPLE // A_WORKSPACE)]
    crowd = [
        Person(
            user_id=new_id(),
            workspace_id=space,
            name=f"Person {number}",
            email=f"person{number}@{space.hex[-8:]}.example",
            role="owner" if number == 0 else "admin",
            time_zone="Europe/Berlin",
        )
        for space in spaces
        for number in range(A_WORKSPACE)
    ]
    for person in crowd:
        world.directory.members.setdefault(person.workspace_id, []).append(person)
    async with transaction(pool) as db:
        await people.upsert(db, crowd)
        await db.execute(
            """INSERT INTO workspace (workspace_id, asked_for_at, fetched_at, next_try_at)
               SELECT id, $2::timestamptz, $2, $2 FROM unnest($1::uuid[]) AS id""",
            spaces,
            now,
        )
        await db.execute(
            """INSERT INTO token (token_id, kind, provider, workspace_id, owner_user_id, version, status, updated_at)
               SELECT t, 'platform_oauth', 'meta', w, o, 1, 'active', $4
                 FROM unnest($1::uuid[], $2::uuid[], $3::uuid[]) AS made (t, w, o)""",
            [new_id() for _ in spaces],
            spaces,
            [crowd[index * A_WORKSPACE].user_id for index in range(len(spaces))],
            now,
        )


def _incident(incident_id: UUID, state: IncidentState, since: Any, version: int) -> PlatformIncidentV1:
    return PlatformIncidentV1(
        incident_id=incident_id, provider="meta", state=state, tokens_affected=PEOPLE, since=since, version=version
    )


async def test_everybody_is_told_of_an_incident_once(world: Any) -> None:
    await _crowd(world)
    incident = new_id()
    await world.take(_incident(incident, IncidentState.OPENED, world.clock.now(), 1))
    assert await world.count("SELECT count(*) FROM notice") == PEOPLE
    assert await world.count("SELECT count(*) FROM outbox WHERE topic = 'notice.sent'") == PEOPLE
    await world.later()
    assert len({mail["X-Envelope-To"] for mail in world.mailbox.mails}) == PEOPLE
    assert len(world.mailbox.mails) == PEOPLE
    status = await sending.send_due(world.deps, world.deps.channels[NoticeChannel.EMAIL], world.clock.now())
    assert status.sent == 0
