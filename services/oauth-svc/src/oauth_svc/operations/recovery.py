"""What an operator sees and does after a database was restored: `oauth-svc recovery status | hold | release`."""

import json
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from common.kafka import KafkaSettings
from common.postgres import connection
from common.runtime.tables import table
from oauth_svc import store
from oauth_svc.core.witness import LogStep
from oauth_svc.operations import witness
from oauth_svc.operations.deps import Deps
from oauth_svc.operations.witness import BATCH, LogComparison

SHOWN = 20
"""Held grants in the table; `--json` has all."""

_WORDS = {
    LogStep.RENEW: "behind the log; the credential can be presented again: to be refreshed",
    LogStep.ASK: "behind the log; the credential may be spent: to be held",
    LogStep.END: "over in the log and alive here: the end is to be taken over",
    LogStep.LOST: "authorised anew since the backup, and that credential is gone: consent is to be asked for",
}


@dataclass(frozen=True, slots=True)
class RecoveryReport:
    """How the database stands to the log, and which grants are held: (id, provider, end of the access token)."""

    comparison: LogComparison
    held: list[tuple[UUID, str, datetime | None]]


async def status(deps: Deps, kafka: KafkaSettings) -> RecoveryReport:
    """Compare and list; changes nothing."""
    comparison = await witness.look(deps, kafka)
    async with connection(deps.pool) as db:
        return RecoveryReport(comparison, await store.witness.held(db))


async def each(
    deps: Deps,
    change: Callable[[Deps, Sequence[UUID]], Awaitable[int]],
    provider: str | None,
    connection_id: UUID | None,
) -> int:
    """Hold or release living grants, batch by batch.

    Args:
        deps: the database.
        change: `hold` or `release`.
        provider: of this provider alone; None: of every.
        connection_id: this one alone; None: every.

    Returns:
        How many were changed.

    """
    async with connection(deps.pool) as db:
        chosen = await store.witness.living(db, provider, connection_id)
    return sum([await change(deps, chosen[start : start + BATCH]) for start in range(0, len(chosen), BATCH)])


def as_text(report: RecoveryReport) -> str:
    """Return the report for a terminal."""
    found = report.comparison
    rows = [(str(len(found.behind.get(what, ()))), words) for what, words in _WORDS.items()]
    rows.append((str(len(found.unseen)), "may have been refreshed by the lost database without telling: to be held"))
    rows.append((str(len(found.absent)), "live in the log and are unknown here: connected since the backup"))
    rows.append((str(len(report.held)), "held now: not presented unless the platform says that it is unspent"))
    lines = [table(("grants", "state"), rows)]
    if report.held:
        held = [
            (str(key), provider, f"{end:%Y-%m-%d %H:%M} UTC" if end else "not stated")
            for key, provider, end in report.held[:SHOWN]
        ]
        lines += ["", table(("held", "provider", "access token ends"), held)]
        if len(report.held) > SHOWN:
            lines.append(f"and {len(report.held) - SHOWN} more (--json)")
    return "\n".join(lines)


def as_json(report: RecoveryReport) -> str:
    """Return the report as one line."""
    found = report.comparison
    return json.dumps(
        {
            "newest": found.newest.isoformat(),
            "behind": {what.value: [str(key) for key in found.behind.get(what, ())] for what in LogStep},
            "unseen": [str(key) for key in found.unseen],
            "absent": [str(key) for key in found.absent],
            "held": [
                {"connection_id": str(key), "provider": provider, "access_expires_at": end and end.isoformat()}
                for key, provider, end in report.held
            ],
        }
    )
