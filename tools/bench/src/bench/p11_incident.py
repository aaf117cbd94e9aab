"""P11: one platform incident, and the notices of 10,000 people whom it concerns, each also with a mail.

The people are in the notifier's own tables, as its directory keeps them; what is timed begins with oauth-svc's commit
of the incident and ends when the last mail was taken by the mail server. The notices in the app (`notice.sent` on the
wire) come long before. The seconds of a core that the notifier used are told too: on a busy machine they say more.
"""

import asyncio
import os
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import asyncpg

from bench import mail_sink
from bench.results import Result
from bench.stack import Stack, free_port
from bench.wire import Tally, hearing, speaking
from common.contracts import IncidentState, NoticeChannel, NoticeSentV1, PlatformIncidentV1
from common.crypto import Keyring
from common.kafka import Record
from common.runtime.clock import monotonic
from common.runtime.ids import new_id

MUST_S = 30.0
PREFIX = "p11."
PROVIDER = "meta"
ADMINS = 5
PATIENCE_S = 200.0
LOOK_EVERY_S = 0.25

_WORKSPACES = """
INSERT INTO workspace (workspace_id, asked_for_at, fetched_at, next_try_at)
SELECT gen_random_uuid(), now(), now(), now() + interval '1 day' FROM generate_series(1, $1::int)
"""
_PEOPLE = """
INSERT INTO person (workspace_id, user_id, name, email, role, time_zone, active)
SELECT workspace_id, gen_random_uuid(), 'Person ' || n,
       'person-' || n || '-' || left(workspace_id::text, 8) || '@agency.example',
       CASE n WHEN 1 THEN 'owner' ELSE 'admin' END, 'Europe/Berlin', true
  FROM workspace CROSS JOIN generate_series(1, $1::int) AS n
"""
_TOKENS = """
INSERT INTO token (token_id, kind, provider, workspace_id, owner_user_id, version, status, updated_at)
SELECT gen_random_uuid(), 'platform_oauth', $1, workspace_id, user_id, 1, 'active', now()
  FROM person WHERE role = 'owner'
"""


async def run(stack: Stack, *, quick: bool) -> list[Result]:
    """Tell of the incident once; count the notices, then the mails."""
    users = 1_000 if quick else 10_000
    dsn = await stack.database("notifier")
    workspaces = await _seed(dsn, users)
    port = await _mail_server(stack)
    keyring = stack.folder / "p11-keyring.json"
    Keyring.generate().write(keyring)  # as in production: each mail has a link of its reader's own
    await stack.topics(PREFIX)
    notifier = await stack.service(
        "notifier",
        "notifier",
        PREFIX,
        database_url=dsn,
        jwks_url="http://127.0.0.1:9/jwks",  # nobody calls it, and it asks nobody: the people are there
        service_client_id="bench",
        service_client_secret="bench",  # noqa: S106  for nobody
        smtp_host="127.0.0.1",
        smtp_port=port,
        smtp_rate_per_s=10_000,
        keyring_file=keyring,
    )
    pid = notifier.child.process.pid
    tally = Tally(_in_the_app)
    async with hearing(stack, PREFIX, ["notice.sent"], tally), speaking(stack, PREFIX) as speaker:
        used = _cpu_s(pid)
        began = await speaker.say(_incident(workspaces, users))
        shown = await tally.reaches(users, within_s=PATIENCE_S) - began
        first = min(tally.first.values()) - began
        mailed, mails = await _all_mailed(port, users, began)
        used = _cpu_s(pid) - used
    return [
        Result(
            id="P11",
            measure=f"{users:,} users' notices of one platform incident, in the app and mailed",
            ours=mailed,
            unit="s",
            must=f"< {MUST_S:.0f} (aim 10)",
            met=mailed < MUST_S and mails >= users,
            details={
                "first in the app s": first,
                "all in the app s": shown,
                "notices": float(len(tally.first)),
                "mails": float(mails),
                "notifier's CPU s": used,
                "workspaces": float(len(workspaces)),
            },
        )
    ]


def _in_the_app(record: Record) -> bool:
    return NoticeSentV1.model_validate_json(record.value or b"").channel is NoticeChannel.IN_APP


def _incident(workspaces: list[UUID], users: int) -> PlatformIncidentV1:
    return PlatformIncidentV1(
        incident_id=new_id(),
        provider=PROVIDER,
        state=IncidentState.OPENED,
        tokens_affected=users,
        since=datetime.now(UTC),
        workspace_ids=tuple(workspaces),
        version=1,
    )


async def _seed(dsn: str, users: int) -> list[UUID]:
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute(_WORKSPACES, users // ADMINS)
        await connection.execute(_PEOPLE, ADMINS)
        await connection.execute(_TOKENS, PROVIDER)
        await connection.execute("ANALYZE")
        return [row["workspace_id"] for row in await connection.fetch("SELECT workspace_id FROM workspace")]
    finally:
        await connection.close()


async def _mail_server(stack: Stack) -> int:
    port = free_port()
    child = stack.start("p11-mail", ["python", str(Path(mail_sink.__file__)), "--port", str(port)], stack.environment())
    loop = asyncio.get_running_loop()
    deadline = loop.time() + 10
    while True:
        child.require_running()
        try:
            await mail_sink.mails(port)
        except OSError:
            if loop.time() > deadline:
                raise
            await asyncio.sleep(0.1)
        else:
            return port


async def _all_mailed(port: int, users: int, began: float) -> tuple[float, int]:
    """Seconds until each of them has their mail, or until patience was over; and how many mails there are then."""
    while True:
        mails = await mail_sink.mails(port)
        passed = monotonic() - began
        if mails >= users or passed > PATIENCE_S:
            return passed, mails
        await asyncio.sleep(LOOK_EVERY_S)


def _cpu_s(pid: int) -> float:
    """Seconds of a core that the process has used (proc(5): utime and stime)."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
