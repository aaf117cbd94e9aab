"""P1's ceiling: aiohttp, one indexed asyncpg lookup by the cookie's hash, one EdDSA signature, JSON out."""

import argparse
import asyncio
import hashlib
import time
import uuid

import asyncpg
import jwt
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

SETUP = """
CREATE TABLE bare_session (
  token_hash bytea PRIMARY KEY, session_id uuid NOT NULL, user_id uuid NOT NULL, workspace_id uuid NOT NULL,
  role text NOT NULL, epoch int NOT NULL, expires_at timestamptz NOT NULL)
"""
LOOKUP = "SELECT session_id, user_id, workspace_id, role, epoch, expires_at FROM bare_session WHERE token_hash = $1"
HOUR_S = 3600


async def serve(dsn: str, port: int) -> None:
    """Serve until killed."""
    key = Ed25519PrivateKey.generate()
    pool = await asyncpg.create_pool(dsn, min_size=10, max_size=10)

    async def token(request: web.Request) -> web.Response:
        digest = hashlib.sha256(request.cookies["wevion_session"].encode()).digest()
        row = await pool.fetchrow(LOOKUP, digest)
        if row is None:
            return web.json_response({"code": "session_gone"}, status=401)
        now = int(time.time())
        claims = {
            "iss": "bare",
            "aud": "wevion",
            "sub": str(row["user_id"]),
            "sid": str(row["session_id"]),
            "wid": str(row["workspace_id"]),
            "role": row["role"],
            "epoch": row["epoch"],
            "iat": now,
            "exp": now + HOUR_S,
            "jti": uuid.uuid4().hex,
        }
        return web.json_response(
            {"token": jwt.encode(claims, key, algorithm="EdDSA", headers={"kid": "bare"}), "expires_in": HOUR_S}
        )

    app = web.Application()
    app.router.add_get("/api/v1/auth/token", token)
    app.router.add_get("/livez", _alive)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    await asyncio.Event().wait()


async def _alive(_request: web.Request) -> web.Response:
    return web.Response(text="ok")


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--dsn", required=True)
    parser.add_argument("--port", type=int, required=True)
    arguments = parser.parse_args()
    asyncio.run(serve(arguments.dsn, arguments.port))
