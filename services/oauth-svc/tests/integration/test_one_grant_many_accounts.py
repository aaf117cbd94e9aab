"""One login, many accounts: one consent heals all of them and nobody else's, and each says how it is (T2.13, T2.16)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.conftest import Person, Stage


async def accounts(stage: Stage, person: Person) -> dict[str, dict[str, Any]]:
    reply = await stage.ask("GET", "/api/v1/accounts?limit=200", person.headers)
    return {item["external_id"]: item for item in reply.json["items"]}


async def test_one_consent_heals_twenty_accounts_and_names_what_changed(stage: Stage) -> None:
    """An agency: while its grant was dead, one account was taken from its user and another one given."""
    person, other = stage.person(), stage.person()
    await stage.connect(other, "meta", "avery")
    known = {"key": "brightside", "name": "B", "email": "b@brightside.example", "accounts": {"meta": 21}}
    ids = [a["id"] for a in (await stage.sim("POST", "people", known))["accounts"]["meta"]]
    lost, joined = ids[3], ids[20]
    await stage.sim("PUT", f"people/brightside/accounts/meta/{joined}", {"lost": True})
    await stage.connect(person, "meta", "brightside")
    before = await accounts(stage, person)
    assert len(before) == 20
    await stage.sim("POST", "grants/meta/*/revoke", {"cause": "user_revoked", "webhook": "none"})
    await stage.probe_all()
    assert {a["status"] for a in (await accounts(stage, person)).values()} == {"revoked"}
    await stage.sim("PUT", f"people/brightside/accounts/meta/{lost}", {"lost": True})
    await stage.sim("PUT", f"people/brightside/accounts/meta/{joined}", {"lost": False})
    await stage.events()

    connection_id = (await stage.connection(person))["connection_id"]
    reply = await stage.connect(person, "meta", "brightside", (), connection_id=connection_id)
    assert "how=reauthorize" in reply.location
    assert "accounts_lost=1" in reply.location
    healed = await accounts(stage, person)
    assert len(healed) == 21
    assert {a["account_id"] for a in before.values()} < {a["account_id"] for a in healed.values()}
    assert [key for key, a in healed.items() if not a["usable"]] == [lost]
    assert healed[lost]["summary"] == "Access to this account was removed at Meta."
    assert healed[lost]["cause"] == "permission_changed"
    assert healed[lost]["fix_url"]
    events = await stage.events()
    changed = {b["account"]["external_id"]: b["access"] for topic, b in events if topic == "account.access_changed"}
    assert changed == {lost: "lost", joined: "granted"}
    closed = [body for topic, body in events if topic == "data_gap.closed"]
    assert len(closed) == 19, "the gap of the one that was lost goes on"
    assert (await stage.ask("GET", "/api/v1/data-gaps", person.headers)).json["open"] == 1
    assert (await stage.connection(other))["status"] == "revoked", "nobody else's grant came back with it"

    account_id = healed[lost]["account_id"]
    verified = (await stage.ask("POST", f"/api/v1/accounts/{account_id}/verify", person.headers)).json
    assert (verified["verified"], verified["explanation"]) == (False, healed[lost]["summary"])
    await stage.sim("PUT", f"people/brightside/accounts/meta/{lost}", {"lost": False})
    verified = (await stage.ask("POST", f"/api/v1/accounts/{account_id}/verify", person.headers)).json
    assert (verified["verified"], "confirms access" in verified["explanation"]) == (True, True)
