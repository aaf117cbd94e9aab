"""P3's ceiling: decrypt, POST, encrypt, one SQL statement that also writes the outbox row; 128 in flight, nothing else.

No lease, no attempt row, no pending answer, no schedule, no breaker: what is missing is what the ratio prices.
"""

import argparse
import asyncio
import json
import os
import uuid
from urllib.parse import urlencode

import aiohttp
import asyncpg
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from common.runtime.clock import monotonic

SETUP = """
CREATE TABLE bare_grant (id uuid PRIMARY KEY, sealed bytea NOT NULL, version int NOT NULL, expires_at timestamptz);
CREATE TABLE bare_outbox (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, key text NOT NULL, payload bytea NOT NULL)
"""
SAVE = """
WITH changed AS (
  UPDATE bare_grant SET sealed = $2, version = version + 1, expires_at = now() + interval '1 hour'
   WHERE id = $1 RETURNING version)
INSERT INTO bare_outbox (key, payload) SELECT $3, $4 FROM changed
"""
NONCE_BYTES = 12


async def run(dsn: str, endpoint: str, grants: int, in_flight: int) -> float:
    """Refresh `grants` grants once each; returns refreshes per second."""
    aead = AESGCM(AESGCM.generate_key(256))
    pool = await asyncpg.create_pool(dsn, min_size=10, max_size=10)
    await pool.execute(SETUP)
    rows = []
    for number in range(grants):
        identity = uuid.UUID(int=number + 1)
        nonce = os.urandom(NONCE_BYTES)
        secret = json.dumps({"access_token": f"at-{number}.0", "refresh_token": f"bare-{number}.0"}).encode()
        rows.append((identity, nonce + aead.encrypt(nonce, secret, identity.bytes), 1))
    await pool.copy_records_to_table("bare_grant", records=rows, columns=["id", "sealed", "version"])
    due = iter([(row[0], row[1]) for row in rows])
    connector = aiohttp.TCPConnector(limit=in_flight)
    async with aiohttp.ClientSession(connector=connector) as http:

        async def work() -> None:
            for identity, sealed in due:
                secret = json.loads(aead.decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], identity.bytes))
                form = {
                    "grant_type": "refresh_token",
                    "refresh_token": secret["refresh_token"],
                    "client_id": "bench",
                    "client_secret": "bench",
                }
                headers = {"Content-Type": "application/x-www-form-urlencoded"}
                async with http.post(endpoint, data=urlencode(form), headers=headers) as answer:
                    new = await answer.json()
                nonce = os.urandom(NONCE_BYTES)
                kept = json.dumps({"access_token": new["access_token"], "refresh_token": new["refresh_token"]}).encode()
                blob = nonce + aead.encrypt(nonce, kept, identity.bytes)
                event = json.dumps({"token_id": str(identity), "how": "refreshed", "expires_in": new["expires_in"]})
                await pool.execute(SAVE, identity, blob, str(identity), event.encode())

        started = monotonic()
        await asyncio.gather(*(work() for _ in range(in_flight)))
        seconds = monotonic() - started
    await pool.close()
    return grants / seconds


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--dsn", required=True)
    parser.add_argument("--endpoint", required=True)
    parser.add_argument("--grants", type=int, required=True)
    parser.add_argument("--in-flight", type=int, default=128)
    arguments = parser.parse_args()
    print(
        json.dumps({"rate": asyncio.run(run(arguments.dsn, arguments.endpoint, arguments.grants, arguments.in_flight))})
    )
