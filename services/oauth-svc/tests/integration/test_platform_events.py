"""Many grants of one platform failing together: a forced re-consent, an error that looks like one, and an outage."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from common.testing import eventually
from oauth_svc.core.flow import OnUnknown
from oauth_svc.operations import reconsent
from oauth_svc.operations.deps import Limits
from oauth_svc.operations.serving import probe

if TYPE_CHECKING:
    from tests.conftest import Person, Reply, Stage

GRANTS, WORKSPACES = 24, 4
CONFIRM = timedelta(minutes=2, seconds=1)


def blinded(stage: Stage) -> None:
    """As a provider by settings that has neither introspection nor user info, and whose rotation is not known."""
    provider: Any = stage.deps.providers["rfc6749"]
    provider._client = replace(provider._client, introspection_url="", userinfo_url="", accounts_url="")
    provider._profile = replace(provider.profile, on_unknown=OnUnknown.WAIT, needs_accounts=False)


async def fleet(stage: Stage, provider: str) -> list[Person]:
    """Two dozen unrelated platform users, connected in four workspaces."""
    people = [stage.person(role="owner") for _ in range(WORKSPACES)]
    for number in range(GRANTS):
        key = f"user{number}"
        person = {"key": key, "name": key, "email": f"{key}@platform.example", "accounts": {provider: 1}}
        await stage.sim("POST", "people", person)
        assert (await consented(stage, people[number % WORKSPACES], provider, key)).status == 302
    await stage.events()
    return people


async def consented(stage: Stage, person: Person, provider: str, key: str, again: str = "", **query: str) -> Reply:
    """A consent of this platform user, or the credentials that stand for it (`again`: the next ones)."""
    if provider == "taboola":
        pair = {"client_id": f"taboola-{key}{again}", "client_secret": f"secret-{key}{again}"}
        return await stage.enter(person, provider, pair | query)
    if provider == "outbrain":
        login = {"username": f"{key}@platform.example", "password": f"pw-{key}-2026{again}"}
        await stage.pool.execute("DELETE FROM login_budget")
        return await stage.enter(person, provider, login | query)
    return await stage.connect(person, provider, key, (), **query)


async def statuses(stage: Stage) -> dict[tuple[str, str | None], int]:
    rows = await stage.pool.fetch("SELECT status, cause, count(*) AS n FROM connection GROUP BY status, cause")
    return {(row["status"], row["cause"]): row["n"] for row in rows}


async def incidents(stage: Stage, *, clear: bool = False) -> list[tuple[str, str]]:
    events = await stage.events(clear=clear)
    return [(body["state"], body["reason"]) for topic, body in events if topic == "platform.incident"]


async def refresh_all(stage: Stage, provider: str) -> None:
    await stage.make_due(provider)
    await stage.refresh_due()


async def asked_again(stage: Stage, provider: str) -> None:
    """The doubts are looked at, one canary at a time, until nothing more is to be learned before the time is up."""

    async def heard() -> bool:
        await reconsent.sweep(stage.deps, stage.engine)
        await stage.engine.drain(5)
        words = await stage.pool.fetchval("SELECT count(*) FROM doubt WHERE word IS NOT NULL")
        closed = await stage.pool.fetchval("SELECT state = 'closed' FROM provider_health WHERE provider = $1", provider)
        return bool(words >= 3 or closed)

    await eventually(heard, what="the platform's second word")


@pytest.mark.parametrize(
    "provider", ["rfc6749", "meta", "google-ads", "google-drive", "snapchat", "taboola", "outbrain"]
)
async def test_a_forced_reconsent_is_one_event_and_ends_the_grants_once_it_is_understood(
    stage: Stage, provider: str
) -> None:
    people = await fleet(stage, provider)
    order = {"kind": "all_ended", "cause": "platform_enforced"}
    assert len((await stage.sim("POST", f"events/{provider}", order))["changed"]) == GRANTS
    await refresh_all(stage, provider)
    assert await incidents(stage) == [("opened", "consent")]
    doubted = await stage.pool.fetchval("SELECT count(*) FROM connection WHERE status = 'degraded'")
    assert doubted >= GRANTS - 2, "refused together, so nobody is believed dead yet"
    await asked_again(stage, provider)
    await reconsent.sweep(stage.deps, stage.engine)
    assert await incidents(stage) == [("opened", "consent")], "not before time has passed"

    stage.clock.advance(CONFIRM)
    await reconsent.sweep(stage.deps, stage.engine)
    assert await statuses(stage) == {("revoked", "platform_enforced"): GRANTS}
    events = await stage.events()
    closed = [body for topic, body in events if topic == "platform.incident"]
    assert [(b["state"], b["reason"]) for b in closed] == [("opened", "consent"), ("closed", "consent")]
    assert closed[-1]["tokens_affected"] == GRANTS
    assert len(closed[0]["workspace_ids"]) == WORKSPACES
    revoked = Counter(body["token"]["token_id"] for topic, body in events if topic == "token.revoked")
    assert (len(revoked), set(revoked.values())) == (GRANTS, {1}), "each is told once; rules pause by it"
    for person in people:
        for connection in await stage.connections(person):
            assert connection["cause"] == "platform_enforced"
            said = f"{connection['title']} ended the access by itself and asks for a new consent."
            assert connection["summary"] == said
    assert await stage.pool.fetchval("SELECT count(*) FROM doubt") == 0
    assert (await stage.sim("GET", f"ledger?provider={provider}"))["presented_twice"] == {}

    again = await stage.connections(people[0])
    await stage.sim("POST", "clock", {"advance_s": 7200})
    reply = await consented(stage, people[0], provider, "user0", "-2", connection_id=again[0]["connection_id"])
    assert "how=reauthorize" in reply.location, "and one click heals, incident or not"


async def test_grants_that_are_not_due_are_asked_about_and_end_with_the_same_cause(stage: Stage) -> None:
    await fleet(stage, "rfc6749")
    await stage.sim("POST", "events/rfc6749", {"kind": "all_ended"})
    await stage.pool.execute(
        """UPDATE schedule SET refresh_at = now() - interval '1 second' WHERE connection_id IN (
             SELECT connection_id FROM schedule ORDER BY connection_id LIMIT 10)"""
    )
    await stage.refresh_due()
    await asked_again(stage, "rfc6749")
    stage.clock.advance(CONFIRM)
    await reconsent.sweep(stage.deps, stage.engine)
    assert (await statuses(stage))["revoked", "platform_enforced"] == 10

    async def all_found() -> bool:
        await probe.sweep(stage.deps, stage.engine)
        return await statuses(stage) == {("revoked", "platform_enforced"): GRANTS}

    await eventually(all_found)
    assert await incidents(stage) == [("opened", "consent"), ("closed", "consent")], "still one event"


@pytest.mark.parametrize("provider", ["tiktok", "stripe"])
async def test_where_nothing_is_refreshed_the_probes_find_it(stage: Stage, provider: str) -> None:
    """TikTok calls such tokens expired, though it never stated an end: the first two of them are taken at its word."""
    await fleet(stage, provider)
    await stage.sim("POST", f"events/{provider}", {"kind": "all_ended"})
    await stage.probe_all()
    assert await incidents(stage) == [("opened", "consent")]
    await asked_again(stage, provider)
    stage.clock.advance(CONFIRM)
    await reconsent.sweep(stage.deps, stage.engine)
    assert ("revoked", "user_revoked") not in await statuses(stage)

    async def all_found() -> bool:
        await probe.sweep(stage.deps, stage.engine)
        found = await statuses(stage)
        at_its_word = found.pop(("expired", None), 0)
        limit = 2 if provider == "tiktok" else 0
        return at_its_word <= limit and found == {("revoked", "platform_enforced"): GRANTS - at_its_word}

    await eventually(all_found)


async def test_where_nothing_else_can_be_asked_what_was_refused_is_presented_again(stage: Stage) -> None:
    await fleet(stage, "rfc6749")
    blinded(stage)
    await stage.sim("POST", "events/rfc6749", {"kind": "all_ended"})
    await refresh_all(stage, "rfc6749")
    before = await stage.pool.fetch("SELECT connection_id, last_good_at FROM connection ORDER BY 1")
    await asked_again(stage, "rfc6749")
    stage.clock.advance(CONFIRM)
    await reconsent.sweep(stage.deps, stage.engine)
    assert await statuses(stage) == {("revoked", "platform_enforced"): GRANTS}
    assert await incidents(stage) == [("opened", "consent"), ("closed", "consent")]
    assert await stage.pool.fetch("SELECT connection_id, last_good_at FROM connection ORDER BY 1") == before


async def test_a_probe_that_asks_nothing_proves_nothing(stage: Stage) -> None:
    person = stage.person()
    await stage.connect(person, "rfc6749")
    blinded(stage)
    good = await stage.pool.fetchval("SELECT last_good_at FROM connection")
    await stage.probe_all()
    assert await stage.pool.fetchval("SELECT last_good_at FROM connection") == good
    assert (await stage.connection(person))["status"] == "active"


@pytest.mark.parametrize("provider", ["rfc6749", "google-ads"])
async def test_an_error_that_looks_like_one_ends_nobody(stage: Stage, provider: str) -> None:
    """For a while the platform calls every refresh token invalid; then it comes to its senses."""
    await fleet(stage, provider)
    await stage.sim(
        "POST",
        "faults",
        {
            "provider": provider,
            "endpoint": "token",
            "kind": "status",
            "status": 400,
            "code": "invalid_grant",
            "when": "before",
        },
    )
    stage.deps.limits = Limits(lease=timedelta(seconds=5), canary_every=timedelta(milliseconds=50), evidence_grants=8)
    await refresh_all(stage, provider)
    assert await incidents(stage) == [("opened", "consent")]
    assert (await statuses(stage)).get(("revoked", None), 0) <= 2
    await stage.sim("DELETE", "faults")
    dead = await stage.pool.fetchval("SELECT count(*) FROM connection WHERE status = 'revoked'")

    async def over() -> bool:
        await reconsent.sweep(stage.deps, stage.engine)
        await stage.engine.drain(5)
        return await incidents(stage) == [("opened", "consent"), ("closed", "consent")]

    await eventually(over)
    await stage.refresh_due()
    assert await statuses(stage) == {("active", None): GRANTS - dead} | ({("revoked", None): dead} if dead else {})
    assert (await stage.sim("GET", f"ledger?provider={provider}"))["presented_twice"] == {}


@pytest.mark.parametrize(
    "fault",
    [
        {"fault": "status", "status": 503, "when": "before"},
        {"fault": "html", "when": "before"},
        {"fault": "rate_limit"},
    ],
)
async def test_an_outage_holds_verdicts_back_and_recovers(stage: Stage, fault: dict[str, Any]) -> None:
    """Two grants really died in the outage: that is believed only when the platform works again.

    Of one whose last answer was lost nobody can say why it is over, so no person is said to have removed it.
    """
    await fleet(stage, "rfc6749")
    await stage.sim("POST", "events/rfc6749", {"kind": "outage", **fault})
    await refresh_all(stage, "rfc6749")
    reason = "rate_limit" if fault["fault"] == "rate_limit" else "outage"
    assert await incidents(stage) == [("opened", reason)]
    assert {cause for _, cause in await statuses(stage)} == {None}
    for number in (0, 1):
        await stage.sim("POST", f"grants/rfc6749/user{number}/revoke", {"cause": "user_revoked"})
    stage.clock.advance(CONFIRM)
    await reconsent.sweep(stage.deps, stage.engine)
    assert {cause for _, cause in await statuses(stage)} == {None}, "an outage is no re-consent, however long"
    await stage.sim("POST", "events/rfc6749", {"kind": "restored"})

    async def closed() -> bool:
        await stage.pool.execute("UPDATE provider_health SET blocked_until = '-infinity'")
        await refresh_all(stage, "rfc6749")
        await reconsent.sweep(stage.deps, stage.engine)
        found = await statuses(stage)
        dead = ("revoked", None) if reason == "rate_limit" else ("degraded", None)
        return found == {("active", None): GRANTS - 2, dead: 2} and len(await incidents(stage)) == 2

    await eventually(closed)
    assert await incidents(stage) == [("opened", reason), ("closed", reason)]
    revoked = [body for topic, body in await stage.events() if topic == "token.revoked"]
    assert len(revoked) == (2 if reason == "rate_limit" else 0)
    assert (await stage.sim("GET", "ledger?provider=rfc6749"))["presented_twice"] == {}


async def test_one_person_in_many_workspaces_is_no_platform_event(stage: Stage) -> None:
    people = [stage.person() for _ in range(12)]
    for person in people:
        assert (await stage.connect(person, "meta")).status == 302
    await stage.events()
    await stage.sim("POST", "grants/meta/avery/revoke", {"cause": "user_revoked", "webhook": "none"})
    await refresh_all(stage, "meta")
    assert await statuses(stage) == {("revoked", "user_revoked"): 12}
    assert await incidents(stage) == []


async def test_three_people_who_leave_at_once_are_believed_when_asked_again(stage: Stage) -> None:
    """Too few for an event of the platform: their doubts stand for half a minute, and then their word counts."""
    await fleet(stage, "snapchat")
    for number in range(4):
        await stage.sim("POST", f"grants/snapchat/user{number}/revoke", {"cause": "user_revoked"})
    gone = await stage.pool.fetch(
        "SELECT connection_id FROM connection WHERE subject_name = ANY($1)", [f"user{n}" for n in range(4)]
    )
    await stage.pool.execute(
        "UPDATE schedule SET refresh_at = now() - interval '1 second' WHERE connection_id = ANY($1)",
        [row["connection_id"] for row in gone],
    )
    await stage.refresh_due()
    assert await incidents(stage) == []
    assert (await statuses(stage)).get(("degraded", None), 0) >= 2
    stage.clock.advance(timedelta(seconds=31))

    async def believed() -> bool:
        await reconsent.sweep(stage.deps, stage.engine)
        return await statuses(stage) == {("active", None): GRANTS - 4, ("revoked", None): 4}

    await eventually(believed)
    assert await incidents(stage) == []
