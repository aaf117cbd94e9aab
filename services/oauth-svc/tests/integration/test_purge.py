"""Dead grants are forgotten after a time; the living never are."""

from __future__ import annotations

import argparse
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest

from common.crypto import Keyring
from common.runtime import ids
from oauth_svc.__main__ import _purge_arguments, purge_dead
from oauth_svc.core.errors import StillAliveError
from oauth_svc.operations import disconnect, purge
from oauth_svc.settings import OauthSettings

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import Person, Stage

LONG = timedelta(days=181)


@pytest.fixture
def settings(one_database: str, tmp_path: Path) -> OauthSettings:
    ring = tmp_path / "keyring.json"
    Keyring.generate().write(ring)
    return OauthSettings.model_validate(
        {"database_url": one_database, "kafka_bootstrap_servers": "127.0.0.1:1", "keyring_file": ring}
    )


def arguments(*argv: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    _purge_arguments(parser)
    return parser.parse_args(argv)


async def everything(stage: Stage) -> dict[str, Any]:
    tables = ("connection", "credential", "refresh_attempt", "account", "schedule", "outbox")
    return {
        table: [tuple(row) for row in await stage.pool.fetch(f"SELECT * FROM {table} ORDER BY 1")] for table in tables
    }


async def dead_and_living(stage: Stage) -> tuple[Person, Person]:
    dead, living = stage.person(), stage.person()
    await stage.connect(dead, "meta", "avery")
    await stage.connect(living, "meta", "jordan")
    await stage.sim("POST", "grants/meta/avery/revoke", {"cause": "user_revoked", "webhook": "none"})
    await stage.probe_all()
    await stage.pool.execute("UPDATE connection SET since = since - $1::interval", LONG)
    await stage.events()
    return dead, living


async def credentials(stage: Stage, person: Person) -> int:
    found: int = await stage.pool.fetchval(
        "SELECT count(*) FROM credential WHERE workspace_id = $1", person.workspace_id
    )
    return found


async def test_purge_dry_run_changes_nothing(
    stage: Stage, settings: OauthSettings, capsys: pytest.CaptureFixture[str]
) -> None:
    dead, _ = await dead_and_living(stage)
    connection_id = (await stage.connection(dead))["connection_id"]
    before = await everything(stage)
    assert await purge_dead(settings, arguments("--dry-run")) == 0
    assert await purge_dead(settings, arguments("--dry-run", "--connection", connection_id)) == 0
    said = capsys.readouterr().out
    assert "meta  revoked  1 grants, the oldest since" in said
    assert "1 grants dead for more than 180 days" in said
    assert said.count("nothing was purged (--dry-run)") == 2
    assert await everything(stage) == before


async def test_the_long_dead_are_forgotten_with_a_tombstone_and_can_come_back(
    stage: Stage, settings: OauthSettings, capsys: pytest.CaptureFixture[str]
) -> None:
    dead, living = await dead_and_living(stage)
    before = await stage.connection(dead)
    assert await purge_dead(settings, arguments()) == 0
    assert "1 grants dead" in capsys.readouterr().out
    assert (await credentials(stage, dead), await credentials(stage, living)) == (0, 1)
    (row,) = await stage.pool.fetch("SELECT topic, key, payload FROM outbox")
    assert tuple(row) == ("token.state", before["connection_id"], None)
    assert (await purge.run(stage.deps, stage.clock.now())).grants == 0, "a second run finds nothing"

    assert await stage.connection(dead) == before, "what it was, and the way back, stay on record"
    account = before["accounts"][0]["account_id"]
    refused = await stage.ask("GET", f"/api/v1/accounts/{account}/access-token", stage.service())
    assert (refused.status, refused.json["cause"]) == (409, "user_revoked")
    await stage.pool.execute("DELETE FROM outbox")
    reply = await stage.connect(dead, "meta", "avery", connection_id=before["connection_id"])
    assert "how=reauthorize" in reply.location
    healed = await stage.connection(dead)
    assert {a["account_id"] for a in healed["accounts"]} == {a["account_id"] for a in before["accounts"]}
    topics = [topic for topic, _ in await stage.events()]
    assert topics[:2] == ["token.issued", "token.state"]
    assert await stage.pool.fetchval("SELECT count(*) FROM connection WHERE purged_at IS NOT NULL") == 0


async def test_the_living_and_the_unknown_are_refused(
    stage: Stage, settings: OauthSettings, capsys: pytest.CaptureFixture[str]
) -> None:
    _, living = await dead_and_living(stage)
    connection = await stage.connection(living)
    before = await everything(stage)
    for connection_id, words in (
        (UUID(connection["connection_id"]), "is active"),
        (ids.new_id(), "no such connection"),
    ):
        assert await purge_dead(settings, arguments("--connection", str(connection_id))) == 1
        assert words in capsys.readouterr().err
    assert await everything(stage) == before
    for argv in (("--dead-for-days", "0"), ("--dead-for-days", "x"), ("--connection", "7")):
        with pytest.raises(SystemExit):
            arguments(*argv)


async def test_the_lately_dead_wait_and_one_can_be_named(stage: Stage, settings: OauthSettings) -> None:
    person = stage.person()
    await stage.connect(person, "rfc6749")
    await stage.sim("POST", "grants/rfc6749/avery/revoke", {"cause": "user_revoked"})
    await stage.probe_all()
    assert (await purge.sweep(stage.deps)).claimed == 0
    assert await purge_dead(settings, arguments("--dead-for-days", "1")) == 0
    assert await credentials(stage, person) == 1
    connection = await stage.connection(person)
    assert await purge_dead(settings, arguments("--connection", connection["connection_id"])) == 0
    assert await credentials(stage, person) == 0


async def test_a_disconnected_grant_keeps_its_credential_until_the_platform_was_told(stage: Stage) -> None:
    person = stage.person()
    await stage.connect(person, "meta")
    connection = await stage.connection(person)
    await stage.ask("DELETE", f"/api/v1/connections/{connection['connection_id']}", person.headers)
    stage.clock.advance(LONG)
    assert (await purge.sweep(stage.deps)).claimed == 0
    with pytest.raises(StillAliveError, match="was not told"):
        await purge.one(stage.deps, UUID(connection["connection_id"]), dry_run=False)
    assert await credentials(stage, person) == 1
    await disconnect.sweep_remote(stage.deps)
    assert (await stage.sim("GET", "grants?provider=meta&alive=1"))["grants"] == []
    assert (await purge.sweep(stage.deps)).claimed == 1
    tombstones = await stage.pool.fetchval("SELECT count(*) FROM outbox WHERE payload IS NULL")
    assert tombstones == 1
