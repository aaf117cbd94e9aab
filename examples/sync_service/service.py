"""A sync service on FastAPI: people ask for an account's insights, a worker reads them, each once.

It shows the three things that a backend service needs: who calls (`VerifierMiddleware`), a working token
(`TokensClient.call`), and when to stop and go on (`Follower`). Kill it whenever you like: jobs and events that had not
had their effect have it after the next start, and none has it twice.

    uvicorn --app-dir examples/sync_service service:app

Settings: `WEVION_*` as for `TokensProfile`, `EXAMPLE_DATABASE_URL`, `EXAMPLE_PLATFORM_URL` (a simulated platform).
"""

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import aiohttp
import asyncpg
from fastapi import FastAPI, Request

from wevion_tokens import AccountToken, EndedError, PlatformRefusedError, TokensClient, TokensProfile, checked
from wevion_tokens.callers import LiveVerifier, Principal, VerifierMiddleware
from wevion_tokens.contracts import Event, TokenIssuedV1, TokenRevokedV1
from wevion_tokens.events import Follower
from wevion_tokens.events.postgres import Connection, PostgresInbox
from wevion_tokens.runtime.errors import RetryableError

TABLES = """
CREATE TABLE IF NOT EXISTS job (
  job_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  account_id uuid NOT NULL, workspace_id uuid NOT NULL,
  state text NOT NULL DEFAULT 'queued', why text NOT NULL DEFAULT '', fix_url text NOT NULL DEFAULT '',
  not_before timestamptz NOT NULL DEFAULT now()
);
CREATE TABLE IF NOT EXISTS result (job_id bigint NOT NULL, rows integer NOT NULL);
"""
_IDLE_S = 0.2

profile = TokensProfile.from_environment(os.environ)
verifier = LiveVerifier(profile)
platform_url = os.environ.get("EXAMPLE_PLATFORM_URL", "https://graph.facebook.com")


@contextlib.asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    stop = asyncio.Event()
    async with (
        asyncpg.create_pool(os.environ["EXAMPLE_DATABASE_URL"], min_size=1, max_size=5) as pool,
        aiohttp.ClientSession() as http,
        TokensClient(profile) as client,
    ):
        inbox = PostgresInbox(pool)
        await inbox.prepare()
        await pool.execute(TABLES)
        app.state.pool, app.state.follower = pool, following(inbox)
        async with asyncio.TaskGroup() as group:
            group.create_task(app.state.follower.run(stop))
            group.create_task(work(pool, http, client, stop))
            yield
            stop.set()


app = FastAPI(title="sync", lifespan=lifespan)
app.add_middleware(VerifierMiddleware, verifier=verifier)


@app.get("/readyz")
async def readyz() -> dict[str, Any]:
    return {"verifier": verifier.ready() or "ready", "events": "ready" if app.state.follower.ready else "not yet"}


@app.post("/jobs/{account_id}", status_code=202)
async def ask(account_id: UUID, request: Request) -> dict[str, Any]:
    caller: Principal = request.state.principal
    job: int = await app.state.pool.fetchval(
        "INSERT INTO job (account_id, workspace_id) VALUES ($1, $2) RETURNING job_id", account_id, caller.workspace_id
    )
    return {"job_id": job}


@app.get("/jobs/{job_id}")
async def show(job_id: int, request: Request) -> dict[str, Any]:
    caller: Principal = request.state.principal
    row = await app.state.pool.fetchrow(
        "SELECT state, why, fix_url FROM job WHERE job_id = $1 AND workspace_id = $2", job_id, caller.workspace_id
    )
    return dict(row) if row else {"state": "unknown"}


async def work(
    pool: "asyncpg.Pool[asyncpg.Record]", http: aiohttp.ClientSession, client: TokensClient, stop: asyncio.Event
) -> None:
    """Take one job after the other; its result and its end are one transaction."""
    while not stop.is_set():
        async with pool.acquire() as db, db.transaction():
            job = await db.fetchrow(
                "SELECT * FROM job WHERE state = 'queued' AND not_before <= now() ORDER BY job_id"
                " LIMIT 1 FOR UPDATE SKIP LOCKED"
            )
            if job is not None:
                await sync(db, http, client, job)
        if job is None:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), _IDLE_S)


async def sync(db: Connection, http: aiohttp.ClientSession, client: TokensClient, job: asyncpg.Record) -> None:
    """Read the account's insights. Reading is safe to repeat, so the job may be taken again after a crash."""

    async def send(token: AccountToken) -> dict[str, Any]:
        url = f"{platform_url}/v25.0/{token.external_id}/insights"
        async with http.get(url, headers=token.headers) as response:
            found: dict[str, Any] = await (await checked(response)).json()
            return found

    try:
        found = await client.call(job["account_id"], send)
    except EndedError as ended:
        await db.execute(
            "UPDATE job SET state = 'stopped', why = $2, fix_url = $3 WHERE job_id = $1",
            job["job_id"], str(ended), ended.fix_url,
        )  # fmt: skip
    except PlatformRefusedError as refused:
        await db.execute("UPDATE job SET state = 'failed', why = $2 WHERE job_id = $1", job["job_id"], refused.advice)
    except RetryableError as later:
        wait_s = getattr(later, "retry_after", 1.0)
        await db.execute(
            "UPDATE job SET not_before = now() + make_interval(secs => $2) WHERE job_id = $1", job["job_id"], wait_s
        )
    else:
        await db.execute("INSERT INTO result (job_id, rows) VALUES ($1, $2)", job["job_id"], len(found["data"]))
        await db.execute("UPDATE job SET state = 'done' WHERE job_id = $1", job["job_id"])


def following(inbox: PostgresInbox) -> Follower[Connection]:
    """Stop what cannot work, and go on when somebody has clicked."""
    follower: Follower[Connection] = Follower(profile.kafka(), "example-sync", inbox)

    @follower.on(TokenRevokedV1)
    async def stop(event: Event[TokenRevokedV1], db: Connection) -> None:
        accounts = [account.account_id for account in event.body.token.accounts]
        await db.execute(
            "UPDATE job SET state = 'stopped', why = $2 WHERE state = 'queued' AND account_id = ANY($1)",
            accounts, event.body.cause.value,
        )  # fmt: skip

    @follower.on(TokenIssuedV1)
    async def go_on(event: Event[TokenIssuedV1], db: Connection) -> None:
        accounts = [account.account_id for account in event.body.token.accounts]
        await db.execute(
            "UPDATE job SET state = 'queued', why = '', fix_url = '' WHERE state = 'stopped' AND account_id = ANY($1)",
            accounts,
        )

    return follower
