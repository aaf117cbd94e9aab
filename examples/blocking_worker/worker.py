"""A worker without asyncio: the body of `sync` is what a Celery task or a Django view would have.

    python examples/blocking_worker/worker.py JOBS.sqlite

Its queue is a table in SQLite, so that the example needs nothing else. A job's result and its end are one transaction:
killed in between, the job is taken again, and its result is there once.

Settings: `WEVION_*` as for `TokensProfile`, and `EXAMPLE_PLATFORM_URL` for a simulated platform.
"""

import json
import os
import sqlite3
import sys
import time
import urllib.error
import urllib.request
from typing import Any

from wevion_tokens import AccountToken, EndedError, PlatformRefusedError, TokensProfile
from wevion_tokens.runtime.errors import RetryableError
from wevion_tokens.tokens.blocking import BlockingTokensClient

TABLES = """
CREATE TABLE IF NOT EXISTS job (
  job_id INTEGER PRIMARY KEY, account_id TEXT NOT NULL,
  state TEXT NOT NULL DEFAULT 'queued', why TEXT NOT NULL DEFAULT ''
);
CREATE TABLE IF NOT EXISTS result (job_id INTEGER NOT NULL, rows INTEGER NOT NULL);
"""
_IDLE_S = 0.2

platform_url = os.environ.get("EXAMPLE_PLATFORM_URL", "https://graph.facebook.com")


def send(token: AccountToken) -> dict[str, Any]:
    """Call the platform with any HTTP library; a refusal is raised for the client to judge."""
    request = urllib.request.Request(f"{platform_url}/v25.0/{token.external_id}/insights", headers=token.headers)
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            found: dict[str, Any] = json.load(answer)
            return found
    except urllib.error.HTTPError as refused:
        raise PlatformRefusedError(refused.code, refused.read(), dict(refused.headers)) from refused


def sync(client: BlockingTokensClient, account_id: str) -> tuple[str, str, int]:
    """Return the job's new state, why, and how many rows there are."""
    try:
        return "done", "", len(client.call(account_id, send)["data"])
    except EndedError as ended:
        return "stopped", f"{ended} {ended.fix} {ended.fix_url}", 0
    except PlatformRefusedError as refused:
        return "failed", refused.advice, 0
    except RetryableError as later:
        time.sleep(getattr(later, "retry_after", 1.0))
        return "queued", "", 0


def main(path: str) -> None:
    profile = TokensProfile.from_environment(os.environ)
    with sqlite3.connect(path, timeout=30) as db, BlockingTokensClient(profile) as client:
        db.executescript(TABLES)
        while True:
            job = db.execute("SELECT job_id, account_id FROM job WHERE state = 'queued' ORDER BY job_id").fetchone()
            if job is None:
                time.sleep(_IDLE_S)
                continue
            state, why, rows = sync(client, job[1])
            with db:
                if state == "done":
                    db.execute("INSERT INTO result VALUES (?, ?)", (job[0], rows))
                db.execute("UPDATE job SET state = ?, why = ? WHERE job_id = ?", (state, why, job[0]))


if __name__ == "__main__":
    main(sys.argv[1])
