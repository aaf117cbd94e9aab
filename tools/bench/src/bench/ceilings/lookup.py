"""P4's ceiling: aiohttp, one indexed asyncpg lookup by the account's id, one AES-GCM decryption, JSON out.

No JWT, no state of the grant, no key hierarchy, no metrics: what is missing is what the ratio prices.
"""

import argparse
import asyncio
import json
import os
import uuid

import asyncpg
from aiohttp import web
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

SETUP = """
CREATE TABLE bare_access (
  account_id uuid PRIMARY KEY, connection_id uuid NOT NULL, provider text NOT NULL, status text NOT NULL,
  expires_at timestamptz NOT NULL, sealed bytea NOT NULL)
"""
LOOKUP = "SELECT connection_id, provider, status, expires_at, sealed FROM bare_access WHERE account_id = $1"
NONCE_BYTES = 12


def account_id(number: int) -> uuid.UUID:
    """The id of the n-th account, for whoever asks for it."""
    return uuid.UUID(int=number + 1)


async def serve(dsn: str, port: int, accounts: int) -> None:
    """Seal a token for each account, then serve until killed."""
    aead = AESGCM(AESGCM.generate_key(256))
    pool = await asyncpg.create_pool(dsn, min_size=10, max_size=10)
    await pool.execute(SETUP)
    sealed = [(account_id(number), _seal(aead, number)) for number in range(accounts)]
    await pool.executemany(
        "INSERT INTO bare_access VALUES ($1, $1, 'bench', 'active', now() + interval '30 days', $2)", sealed
    )

    async def token(request: web.Request) -> web.Response:
        account = uuid.UUID(request.match_info["id"])
        row = await pool.fetchrow(LOOKUP, account)
        if row is None:
            return web.json_response({"code": "not_found"}, status=404)
        blob = row["sealed"]
        secrets = json.loads(aead.decrypt(blob[:NONCE_BYTES], blob[NONCE_BYTES:], account.bytes))
        return web.json_response(
            {
                "account_id": str(account),
                "connection_id": str(row["connection_id"]),
                "provider": row["provider"],
                "status": row["status"],
                "access_token": secrets["access_token"],
                "expires_at": row["expires_at"].isoformat(),
            }
        )

    app = web.Application()
    app.router.add_get("/api/v1/accounts/{id}/access-token", token)
    app.router.add_get("/livez", _alive)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    await asyncio.Event().wait()


def _seal(aead: AESGCM, number: int) -> bytes:
    nonce = os.urandom(NONCE_BYTES)
    secret = json.dumps({"access_token": f"at-{number}.0", "refresh_token": f"rt-{number}.0"}).encode()
    return nonce + aead.encrypt(nonce, secret, account_id(number).bytes)


async def _alive(_request: web.Request) -> web.Response:
    return web.Response(text="ok")


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--dsn", required=True)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--accounts", type=int, required=True)
    arguments = parser.parse_args()
    asyncio.run(serve(arguments.dsn, arguments.port, arguments.accounts))
