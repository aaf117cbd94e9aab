"""Who is refreshed first when the platform's rate allows few: every workspace in its turn, the most urgent first."""

from __future__ import annotations

import io
import json
from collections import Counter
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from common.runtime import ids
from oauth_svc.operations import importing

if TYPE_CHECKING:
    from uuid import UUID

    from tests.conftest import Stage

PROVIDER = "rfc6749"
CALLS = 20
"""What the bucket holds at each tick; it does not fill by itself in these tests."""


async def imported(stage: Stage, workspace_id: UUID, person: str, count: int) -> None:
    """`count` grants of a workspace, all of them due, as another system would bring them."""
    made = (await stage.sim("POST", f"grants/{PROVIDER}", {"count": count, "person": person}))["grants"]
    end = (stage.clock.now() + timedelta(hours=1)).isoformat()
    lines = [
        json.dumps(
            {
                "provider": PROVIDER,
                "workspace_id": str(workspace_id),
                "owner_user_id": str(ids.new_id()),
                "external_user_id": grant["grant"],
                "access_token": grant["access_token"],
                "refresh_token": grant["refresh_token"],
                "access_expires_at": end,
                "scopes": ["ads.read"] if number % 2 else ["ads.read", "accounts.read"],
            }
        )
        for number, grant in enumerate(made)
    ]
    text = "\n".join(lines)
    assert importing.check(stage.deps, io.StringIO(text)) == (count, [])
    assert (await importing.load(stage.deps, io.StringIO(text), lambda _: None)).made == count


def limited(stage: Stage) -> None:
    provider: Any = stage.deps.providers[PROVIDER]
    provider._profile = replace(provider.profile, requests_per_s=1e-6, burst=float(CALLS))


async def tick(stage: Stage) -> list[str]:
    """The bucket is full once more, and the sweep runs; the grants that were refreshed."""
    ledger = await stage.sim("GET", f"ledger?provider={PROVIDER}&limit=5000")
    await stage.pool.execute("UPDATE provider_health SET tokens = $1", float(CALLS))
    await stage.engine.sweep()
    await stage.engine.drain(20)
    after = await stage.sim("GET", f"ledger?provider={PROVIDER}&limit=5000&after={ledger['written']}")
    return [entry["grant"] for entry in after["entries"]]


def person_of(grant: str) -> str:
    return grant.split("-")[1]


async def due_since(stage: Stage, workspace_id: UUID, ago: timedelta) -> None:
    await stage.pool.execute(
        "UPDATE schedule SET refresh_at = now() - $2::interval WHERE workspace_id = $1", workspace_id, ago
    )


async def test_small_workspace_is_not_starved(stage: Stage) -> None:
    """Two thousand grants of an agency have been due for an hour; five of a small customer have just become due."""
    agency, small = ids.new_id(), ids.new_id()
    await imported(stage, agency, "agency", 2000)
    await imported(stage, small, "jordan", 5)
    await due_since(stage, agency, timedelta(hours=1))
    await due_since(stage, small, timedelta(seconds=1))
    limited(stage)
    served: Counter[str] = Counter()
    while served["jordan"] < 5:
        grants = await tick(stage)
        assert len(grants) <= CALLS, "never above the bucket"
        served.update(person_of(grant) for grant in grants)
        assert served["agency"] <= stage.deps.limits.workspace_share + CALLS, "the small one had its turn by now"
    waiting = await stage.pool.fetchval("SELECT count(*) FROM schedule WHERE refresh_at < now()")
    assert waiting >= 2000 - stage.deps.limits.workspace_share - CALLS, "while the agency's backlog was still there"
    after = await tick(stage)
    assert {person_of(grant) for grant in after} == {"agency"}, "and the agency goes on with the whole bucket"
    assert len(after) == CALLS


async def test_workspaces_that_wait_alike_share_alike(stage: Stage) -> None:
    one, two = ids.new_id(), ids.new_id()
    await imported(stage, one, "avery", 100)
    await imported(stage, two, "jordan", 100)
    for workspace_id in (one, two):
        await due_since(stage, workspace_id, timedelta(minutes=5))
    limited(stage)
    served: Counter[str] = Counter()
    for _ in range(4):
        served.update(person_of(grant) for grant in await tick(stage))
    assert served == {"avery": 2 * CALLS, "jordan": 2 * CALLS}


async def test_within_a_workspace_the_earliest_deadline_comes_first(stage: Stage) -> None:
    workspace_id = ids.new_id()
    await imported(stage, workspace_id, "avery", 3 * CALLS)
    await due_since(stage, workspace_id, timedelta(minutes=5))
    # Neither in the order of the rows nor in that of becoming due.
    await stage.pool.execute(
        """UPDATE schedule s SET deadline = now() + make_interval(secs => hashtext(s.connection_id::text)::float8)
           WHERE workspace_id = $1""",
        workspace_id,
    )
    limited(stage)
    rows = await stage.pool.fetch(
        "SELECT c.subject FROM schedule s JOIN connection c USING (connection_id) ORDER BY deadline"
    )
    by_deadline = [row["subject"] for row in rows]
    for number in range(3):
        grants = await tick(stage)
        assert set(grants) == set(by_deadline[number * CALLS : (number + 1) * CALLS])
