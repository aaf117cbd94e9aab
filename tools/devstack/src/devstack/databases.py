"""One role and one database per service: no service can read another's."""

import asyncio
from collections.abc import Mapping

from common.postgres import Pool, migrate, open_pool


async def provision(admin_dsn: str, passwords: Mapping[str, str]) -> None:
    """Makes what is missing: a role per name with its password, a database of that name which only it may enter."""
    pool = await open_pool(admin_dsn, application_name="devstack", min_size=1, max_size=1)
    try:
        for name, password in passwords.items():
            await _provision(pool, name, password)
    finally:
        await pool.close()


async def _provision(pool: Pool, name: str, password: str) -> None:
    # names are ours and passwords are base64url: neither can hold a quote
    if await pool.fetchval("SELECT 1 FROM pg_roles WHERE rolname = $1", name):
        await pool.execute(f"ALTER ROLE {name} PASSWORD '{password}'")
    else:
        await pool.execute(f"CREATE ROLE {name} LOGIN PASSWORD '{password}'")
    if not await pool.fetchval("SELECT 1 FROM pg_database WHERE datname = $1", name):
        await pool.execute(f"CREATE DATABASE {name} OWNER {name}")
        await pool.execute(f"REVOKE CONNECT ON DATABASE {name} FROM PUBLIC")


async def migrate_all(urls: Mapping[str, str]) -> list[str]:
    """Brings each service's database up to date; returns what was applied, as `package/file`."""
    applied = await asyncio.gather(*(migrate(url, package) for package, url in urls.items()))
    return [name for names in applied for name in names]
