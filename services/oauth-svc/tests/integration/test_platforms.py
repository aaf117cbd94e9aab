"""The table: platform x ability, every cell a test against the simulator. The README's table is made of the same cells.

A cell of a platform that has no such thing says why, with the platform's own fact, and its test shows the absence.
"""

from __future__ import annotations

import io
import itertools
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from common.testing import eventually
from oauth_svc.operations import disconnect, importing, purge
from oauth_svc.providers.builtin import BUILTIN

if TYPE_CHECKING:
    from tests.conftest import Person, Reply, Stage

README = Path(__file__).parents[2] / "README.md"
MARKS = "<!-- platforms: made by tests/integration/test_platforms.py -->", "<!-- platforms end -->"
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


@dataclass(frozen=True)
class Cell:
    """One cell: what it shows, and what its test expects. `absent`: why the platform has no such thing."""

    words: str
    expect: Any = None
    absent: str = ""


def has(words: str, expect: Any = None) -> Cell:
    return Cell(words, expect)


def none(why: str, expect: Any = None) -> Cell:
    return Cell("", expect, why)


@dataclass(frozen=True)
class Platform:
    """How the tests speak to one platform, and its row of the table."""

    provider: str
    cells: dict[str, Cell]
    role: str = "member"
    credentials: tuple[tuple[str, str], ...] = ()
    new_credentials: tuple[tuple[str, str], ...] = ()


ONE_GRANT_ONE_ACCOUNT = none("one grant is one account")
FAILS_BY_STATUS = none("it answers errors with a failure status")
BY_HAND = none("it has no revocation call: forgotten here, and the customer is told where to remove Wevion")
SAID = "platform_enforced"

PLATFORMS = (
    Platform(
        "meta",
        {
            "connect": has("consent", 3),
            "longest-lived": has("60 d, swapped early", (60 * DAY, 60 * DAY)),
            "refresh": has("swap"),
            "rotate": none("there is no refresh token; each swap is another access token"),
            "revoked by user": has("190/458, webhook"),
            "one account lost": has("list"),
            "forced re-consent": has("190/459", ("revoked", SAID)),
            "rate limit": has("4, minutes in a header"),
            "outage": has("held"),
            "error with 200": has("error key", {"endpoint": "token", "kind": "status", "status": 200, "code": 2}),
            "re-authorise": has("same accounts"),
            "disconnect": has("DELETE permissions"),
        },
    ),
    Platform(
        "google-ads",
        {
            "connect": has("consent", 4),
            "longest-lived": has("offline, no end", (HOUR, None)),
            "refresh": has("refresh token"),
            "rotate": has("survived"),
            "revoked by user": has("invalid_grant, RISC"),
            "one account lost": has("list"),
            "forced re-consent": has("invalid_rapt", ("revoked", SAID)),
            "rate limit": has("429"),
            "outage": has("held"),
            "error with 200": FAILS_BY_STATUS,
            "re-authorise": has("same accounts"),
            "disconnect": has("revoke, whole project"),
        },
    ),
    Platform(
        "google-drive",
        {
            "connect": has("consent, admins", 1),
            "longest-lived": has("offline, no end", (HOUR, None)),
            "refresh": has("refresh token"),
            "rotate": has("survived"),
            "revoked by user": has("invalid_grant, RISC"),
            "one account lost": ONE_GRANT_ONE_ACCOUNT,
            "forced re-consent": has("invalid_rapt", ("revoked", SAID)),
            "rate limit": has("429, 403 by reason"),
            "outage": has("held"),
            "error with 200": FAILS_BY_STATUS,
            "re-authorise": has("same account"),
            "disconnect": has("revoke, whole project"),
        },
        role="admin",
    ),
    Platform(
        "tiktok",
        {
            "connect": has("consent", 3),
            "longest-lived": has("no end stated, probed", (None, None)),
            "refresh": none("the advertiser token is long-term and comes without a refresh token"),
            "rotate": none("there is nothing to rotate"),
            "revoked by user": has("40105 by probe"),
            "one account lost": has("list"),
            "forced re-consent": has("40102 by probe", ("expired", None)),
            "rate limit": has("40100 with 200"),
            "outage": has("held"),
            "error with 200": has("code", {"endpoint": "accounts", "kind": "status", "status": 200, "code": 50000}),
            "re-authorise": has("same accounts"),
            "disconnect": has("revoke_token"),
        },
    ),
    Platform(
        "taboola",
        {
            "connect": has("client id and secret", 3),
            "longest-lived": has("12 h, asked again", (12 * HOUR, None)),
            "refresh": has("client credentials"),
            "rotate": none("the customer's client secret stays until the customer changes it"),
            "revoked by user": has("invalid_client"),
            "one account lost": has("list"),
            "forced re-consent": has("as an event", ("revoked", None)),
            "rate limit": has("429"),
            "outage": has("held"),
            "error with 200": FAILS_BY_STATUS,
            "re-authorise": has("new credentials"),
            "disconnect": BY_HAND,
        },
        credentials=(("client_id", "taboola-avery"), ("client_secret", "secret-avery")),
        new_credentials=(("client_id", "taboola-avery-2"), ("client_secret", "secret-avery-2")),
    ),
    Platform(
        "snapchat",
        {
            "connect": has("consent, no PKCE", 3),
            "longest-lived": has("refresh token, no end", (HOUR / 2, None)),
            "refresh": has("refresh token"),
            "rotate": has("survived"),
            "revoked by user": has("invalid_grant"),
            "one account lost": has("list"),
            "forced re-consent": has("as an event", ("revoked", None)),
            "rate limit": has("429 on refresh too"),
            "outage": has("held"),
            "error with 200": FAILS_BY_STATUS,
            "re-authorise": has("same accounts"),
            "disconnect": BY_HAND,
        },
    ),
    Platform(
        "outbrain",
        {
            "connect": has("user and password", 2),
            "longest-lived": has("30 d by our clock", (30 * DAY, None)),
            "refresh": has("login, 2 an hour"),
            "rotate": none("the password stays until the customer changes it"),
            "revoked by user": has("401 at login"),
            "one account lost": has("list"),
            "forced re-consent": has("as an event", ("revoked", None)),
            "rate limit": has("429, milliseconds"),
            "outage": has("held"),
            "error with 200": FAILS_BY_STATUS,
            "re-authorise": has("new credentials"),
            "disconnect": BY_HAND,
        },
        credentials=(("username", "avery@northwind.example"), ("password", "pw-avery-2026")),
        new_credentials=(("username", "avery@northwind.example"), ("password", "pw-avery-2026-2")),
    ),
    Platform(
        "stripe",
        {
            "connect": has("consent, admins", 1),
            "longest-lived": has("no end, probed", (None, None)),
            "refresh": none("the access token does not expire"),
            "rotate": none("there is nothing to rotate"),
            "revoked by user": has("account_invalid, webhook"),
            "one account lost": ONE_GRANT_ONE_ACCOUNT,
            "forced re-consent": has("as an event", ("revoked", "user_revoked")),
            "rate limit": has("429"),
            "outage": has("held"),
            "error with 200": FAILS_BY_STATUS,
            "re-authorise": has("same account"),
            "disconnect": has("deauthorize"),
        },
        role="owner",
    ),
    Platform(
        "rfc6749",
        {
            "connect": has("consent, PKCE", 2),
            "longest-lived": has("as the answer says", (HOUR, 30 * DAY)),
            "refresh": has("refresh token"),
            "rotate": has("single use"),
            "revoked by user": has("invalid_grant"),
            "one account lost": has("list"),
            "forced re-consent": has("as an event", ("revoked", None)),
            "rate limit": has("429, Retry-After"),
            "outage": has("held"),
            "error with 200": FAILS_BY_STATUS,
            "re-authorise": has("same accounts"),
            "disconnect": has("RFC 7009"),
        },
    ),
)
TITLES = {"rfc6749": "by settings (RFC 6749)"}


async def connect(stage: Stage, platform: Platform, person: Person, *, again: bool = False, **query: str) -> Reply:
    if platform.credentials:
        pairs = platform.new_credentials if again else platform.credentials
        form = dict(pairs) | query
        if platform.provider == "outbrain":
            people = await stage.sim("GET", "people")
            avery = next(p for p in people["people"] if p["key"] == "avery")
            form |= {"username": avery["email"], "password": avery["password"]}
        return await stage.enter(person, platform.provider, form)
    return await stage.connect(person, platform.provider, "avery", (), **query)


async def connected(stage: Stage, platform: Platform) -> Person:
    person = stage.person(role=platform.role)
    reply = await connect(stage, platform, person)
    assert reply.status == 302, reply.text
    return person


async def token(stage: Stage, person: Person) -> str:
    account_id = (await stage.connection(person))["accounts"][0]["account_id"]
    reply = await stage.ask("GET", f"/api/v1/accounts/{account_id}/access-token", stage.service())
    assert reply.status == 200, reply.text
    found: str = reply.json["access_token"]
    return found


async def ledger(stage: Stage, platform: Platform) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = (await stage.sim("GET", f"ledger?provider={platform.provider}"))["entries"]
    return found


async def refreshed(stage: Stage, platform: Platform) -> list[tuple[str, dict[str, Any]]]:
    """One refresh, and its events."""
    await stage.events()
    await stage.make_due(platform.provider)
    assert await stage.refresh_due() == 1
    return await stage.events()


async def end_at_platform(stage: Stage, platform: Platform, cause: str) -> None:
    await stage.sim("POST", f"grants/{platform.provider}/avery/revoke", {"cause": cause, "webhook": "none"})
    await stage.events()
    await stage.probe_all()


async def check_connect(stage: Stage, platform: Platform, cell: Cell) -> None:
    person = await connected(stage, platform)
    connection = await stage.connection(person)
    assert (connection["status"], connection["missing"]) == ("active", [])
    assert len(connection["accounts"]) == cell.expect
    assert [topic for topic, _ in await stage.events()] == ["token.issued", "token.state"]


async def check_longest_lived(stage: Stage, platform: Platform, cell: Cell) -> None:
    await connected(stage, platform)
    for field, life in zip(("access_expires_at", "expires_at"), cell.expect, strict=True):
        seconds = await stage.pool.fetchval(f"SELECT extract(epoch FROM {field} - now())::float8 FROM connection")
        if life is None:
            assert seconds is None, field
        else:
            assert abs(seconds - life.total_seconds()) < 120, (field, seconds)


async def check_refresh(stage: Stage, platform: Platform, cell: Cell) -> None:
    person = await connected(stage, platform)
    before = await token(stage, person)
    if cell.absent:
        assert await stage.pool.fetchval("SELECT refresh_at FROM schedule") is None
        asked = len(await ledger(stage, platform))
        connection = await stage.connection(person)
        again = await stage.ask("POST", f"/api/v1/connections/{connection['connection_id']}/refresh", person.headers)
        assert again.status == 200
        assert len(await ledger(stage, platform)) == asked, "not even when a person asks for it"
        assert await token(stage, person) == before
        return
    assert [topic for topic, _ in await refreshed(stage, platform)] == ["token.refreshed", "token.state"]
    assert await token(stage, person) != before
    assert await stage.refresh_due() == 0


async def check_rotate(stage: Stage, platform: Platform, cell: Cell) -> None:
    if platform.provider in ("google-ads", "google-drive", "snapchat"):
        await stage.sim("PUT", f"modes/{platform.provider}", {"rotates": True})
    person = await connected(stage, platform)
    if not platform.cells["refresh"].absent:
        told = [
            body["rotated"] for _ in range(3) for topic, body in await refreshed(stage, platform) if "rotated" in body
        ]
        assert told == [not cell.absent] * 3 if platform.provider != "outbrain" else told == [False]
    assert (await stage.connection(person))["status"] == "active"
    assert (await stage.sim("GET", f"ledger?provider={platform.provider}"))["presented_twice"] == {}


async def check_revoked(stage: Stage, platform: Platform, cell: Cell) -> None:
    person = await connected(stage, platform)
    await end_at_platform(stage, platform, "user_revoked")
    connection = await stage.connection(person)
    # The others refuse the token and do not say why: nobody is accused.
    stated = "user_revoked" if platform.provider in {"meta", "stripe"} else None
    assert (connection["status"], connection["cause"]) == ("revoked", stated)
    assert [topic for topic, _ in await stage.events()].count("token.revoked") == 1


async def check_one_account(stage: Stage, platform: Platform, cell: Cell) -> None:
    person = await connected(stage, platform)
    accounts = (await stage.connection(person))["accounts"]
    if cell.absent:
        assert len(accounts) == 1
        return
    lost = accounts[0]["external_id"]
    await stage.sim("PUT", f"people/avery/accounts/{platform.provider}/{lost}", {"lost": True})
    await stage.events()
    await stage.probe_all()
    connection = await stage.connection(person)
    access = {a["external_id"]: a["access"] for a in connection["accounts"]}
    assert access.pop(lost) == "lost"
    assert set(access.values()) == {"granted"}
    assert connection["status"] == "active"
    assert [topic for topic, _ in await stage.events()] == ["account.access_changed", "token.state"]


async def check_reconsent(stage: Stage, platform: Platform, cell: Cell) -> None:
    """Of one grant alone; that many together are one event of the platform is shown in test_platform_events.py."""
    person = await connected(stage, platform)
    await end_at_platform(stage, platform, "platform_enforced")
    connection = await stage.connection(person)
    assert (connection["status"], connection["cause"]) == cell.expect
    assert connection["fix_url"].endswith(f"/connect/{platform.provider}?connection_id={connection['connection_id']}")


async def check_rate_limit(stage: Stage, platform: Platform, cell: Cell) -> None:
    person = await connected(stage, platform)
    await stage.events()
    order = {"provider": platform.provider, "endpoint": "*", "kind": "rate_limit", "retry_after": 7}
    await stage.sim("POST", "faults", order)
    await stage.make_due(platform.provider)
    await stage.refresh_due()
    await stage.probe_all()
    connection = await stage.connection(person)
    assert connection["status"] in ("active", "degraded"), "nobody is bothered for it"
    assert not {"token.revoked", "account.access_changed"} & {topic for topic, _ in await stage.events()}
    if not platform.cells["refresh"].absent:
        assert connection["last_failure"].startswith("rate_limited")


async def check_outage(stage: Stage, platform: Platform, cell: Cell) -> None:
    person = await connected(stage, platform)
    for fault in ({"kind": "status", "status": 503}, {"kind": "html"}, {"kind": "reset"}):
        await stage.sim("DELETE", "faults")
        await stage.sim("POST", "faults", {"provider": platform.provider, "endpoint": "*", **fault})
        await stage.pool.execute("UPDATE schedule SET unknown_count = 0")
        await stage.make_due(platform.provider)
        await stage.refresh_due()
        await stage.probe_all()
        assert (await stage.connection(person))["status"] in ("active", "degraded", "expiring")
    assert "token.revoked" not in {topic for topic, _ in await stage.events()}


async def check_error_with_200(stage: Stage, platform: Platform, cell: Cell) -> None:
    """Where errors have a failure status, a 200 that is none of the platform's answers is no success and no death."""
    person = await connected(stage, platform)
    strange = {"endpoint": "*", "kind": "status", "status": 200, "body": '{"strange": true}'}
    await stage.sim("POST", "faults", {"provider": platform.provider, **(cell.expect or strange)})
    await stage.events()
    await stage.make_due(platform.provider)
    await stage.refresh_due()
    await stage.probe_all()
    connection = await stage.connection(person)
    assert connection["status"] in ("active", "degraded")
    assert {a["access"] for a in connection["accounts"]} == {"granted"}
    topics = {topic for topic, _ in await stage.events()}
    assert not {"token.refreshed", "token.revoked", "account.access_changed"} & topics


async def check_reauthorise(stage: Stage, platform: Platform, cell: Cell) -> None:
    person = await connected(stage, platform)
    first = await stage.connection(person)
    await end_at_platform(stage, platform, "user_revoked")
    assert (await stage.connection(person))["status"] == "revoked"
    await stage.pool.execute("DELETE FROM login_budget")
    await stage.sim("POST", "clock", {"advance_s": 7200})
    stage.clock.advance(timedelta(hours=2))
    reply = await connect(stage, platform, person, again=True, connection_id=first["connection_id"])
    assert reply.status == 302, reply.text
    assert "how=reauthorize" in reply.location
    healed = await stage.connection(person)
    assert healed["status"] == "active"
    assert {a["account_id"] for a in healed["accounts"]} == {a["account_id"] for a in first["accounts"]}


async def check_disconnect(stage: Stage, platform: Platform, cell: Cell) -> None:
    person = await connected(stage, platform)
    path = f"/api/v1/connections/{(await stage.connection(person))['connection_id']}"
    reply = await stage.ask("DELETE", path, person.headers)
    assert (reply.status, reply.json["cause"]) == (200, "disconnected")
    await disconnect.sweep_remote(stage.deps)
    assert await stage.pool.fetchval("SELECT count(*) FROM credential") == 0
    assert await stage.pool.fetchval("SELECT remote_revoke FROM connection") == ("by_hand" if cell.absent else "done")
    alive = (await stage.sim("GET", f"grants?provider={platform.provider}&person=avery&alive=1"))["grants"]
    assert len(alive) == (1 if cell.absent else 0)
    again = await stage.ask("DELETE", path, person.headers)
    assert again.status == 200


CHECKS: dict[str, Callable[[Stage, Platform, Cell], Awaitable[None]]] = {
    "connect": check_connect,
    "longest-lived": check_longest_lived,
    "refresh": check_refresh,
    "rotate": check_rotate,
    "revoked by user": check_revoked,
    "one account lost": check_one_account,
    "forced re-consent": check_reconsent,
    "rate limit": check_rate_limit,
    "outage": check_outage,
    "error with 200": check_error_with_200,
    "re-authorise": check_reauthorise,
    "disconnect": check_disconnect,
}


@pytest.mark.parametrize(
    ("platform", "ability"),
    [pytest.param(p, a, id=f"{p.provider}: {a}") for p, a in itertools.product(PLATFORMS, CHECKS)],
)
async def test_cell(stage: Stage, platform: Platform, ability: str) -> None:
    await CHECKS[ability](stage, platform, platform.cells[ability])


def test_every_platform_has_every_cell() -> None:
    assert {platform.provider for platform in PLATFORMS} == {*BUILTIN, "rfc6749"}
    for platform in PLATFORMS:
        assert list(platform.cells) == list(CHECKS)
        assert all(cell.words or cell.absent for cell in platform.cells.values())


def rendered() -> str:
    """The README's table: abilities down, platforms across, and what is absent with its reason below."""
    names = [TITLES.get(p.provider) or BUILTIN[p.provider].profile.title for p in PLATFORMS]
    reasons = list(dict.fromkeys(cell.absent for p in PLATFORMS for cell in p.cells.values() if cell.absent))
    lines = ["| | " + " | ".join(names) + " |", "|---" * (len(names) + 1) + "|"]
    for ability in CHECKS:
        cells = [p.cells[ability] for p in PLATFORMS]
        shown = [f"none ({reasons.index(c.absent) + 1})" if c.absent else c.words for c in cells]
        lines.append(f"| {ability} | " + " | ".join(shown) + " |")
    return "\n".join([*lines, "", *(f"{number}. {reason}" for number, reason in enumerate(reasons, 1))])


def test_the_readme_shows_this_table() -> None:
    text = README.read_text(encoding="utf-8")
    shown = text.partition(MARKS[0])[2].partition(MARKS[1])[0].strip()
    assert shown == rendered(), f"put this between the marks in {README.name}:\n{rendered()}"


async def test_webhooks_end_the_grant_at_once(stage: Stage) -> None:
    for case in (p for p in PLATFORMS if p.provider in ("meta", "google-ads", "google-drive", "stripe")):
        apps = (await stage.sim("GET", "apps"))["apps"]
        app = next(a for a in apps if a["provider"] == case.provider)
        await stage.sim(
            "PUT",
            f"apps/{case.provider}/{app['client_id']}",
            {k: v for k, v in app.items() if k not in ("provider", "client_id")}
            | {"webhook_url": f"{stage.url}/webhooks/{case.provider}"},
        )
        person = await connected(stage, case)
        await stage.events()
        await stage.sim("POST", f"grants/{case.provider}/avery/revoke", {"cause": "user_revoked", "webhook": "twice"})

        async def revoked(person: Person = person) -> bool:
            connection = await stage.connection(person)
            return (connection["status"], connection["detected_by"]) == ("revoked", "webhook")

        await eventually(revoked, what=case.provider)
        assert [topic for topic, _ in await stage.events()] == ["token.revoked", "token.state"]


async def test_a_deletion_request_ends_the_grant_and_forgets_its_credential(stage: Stage) -> None:
    """Meta sends it to the same address; it shows the person where to look, and a code."""
    app_id = "100000000000001"
    hook = f"{stage.url}/webhooks/meta"
    await stage.sim("PUT", f"apps/meta/{app_id}", {"webhook_url": hook, "data_deletion_url": hook})
    person = await connected(stage, PLATFORMS[0])
    await stage.sim("POST", "grants/meta/avery/revoke", {"cause": "user_revoked", "data_deletion": True})

    async def answered() -> bool:
        sent = (await stage.sim("GET", "webhooks?provider=meta"))["deliveries"]
        return {(s["kind"], s["status"]) for s in sent} == {("deauthorize", 200), ("data_deletion", 200)}

    await eventually(answered)
    assert (await stage.connection(person))["status"] == "revoked"
    (sent,) = (await stage.sim("GET", "webhooks?provider=meta&kind=data_deletion"))["deliveries"]
    told = (await stage.ask("POST", "/webhooks/meta", data=sent["body"])).json
    code, page = told["confirmation_code"], told["url"].removeprefix(stage.deps.public_url)
    assert page == f"/webhooks/meta/deletions/{code}"
    shown = await stage.ask("GET", page)
    assert (shown.status, "Your data is being deleted" in shown.text) == (200, True)
    assert "avery" not in shown.text.lower()
    stage.clock.advance(stage.deps.limits.signal_grace + timedelta(minutes=1))
    await purge.sweep(stage.deps)
    assert await stage.pool.fetchval("SELECT count(*) FROM credential") == 0
    assert "Your data was deleted" in (await stage.ask("GET", page)).text
    stage.clock.advance(-stage.deps.limits.signal_grace)
    again = await stage.ask("POST", "/webhooks/meta", data=sent["body"])
    assert (again.status, again.json["confirmation_code"]) == (200, code), "a repeat has the same code"
    assert (await connect(stage, PLATFORMS[0], person)).status == 302, "and a new consent brings it back"
    assert (await stage.connection(person))["status"] == "active"
    assert "Your data was deleted" in (await stage.ask("GET", page)).text, "the new consent is another matter"
    for unknown in ("a" * 24, "A1", "..%2f"):
        assert (await stage.ask("GET", f"/webhooks/meta/deletions/{unknown}")).status in {400, 404}
    assert (await stage.ask("GET", f"/webhooks/nobody/deletions/{code}")).status == 404


async def test_a_refused_access_token_proves_nothing_while_the_token_url_is_away(stage: Stage) -> None:
    """The access token is over, and asking for a new one gets no answer: that is an outage, not the grant's end."""
    for provider in ("google-ads", "snapchat", "taboola", "rfc6749", "outbrain"):
        platform = next(p for p in PLATFORMS if p.provider == provider)
        person = await connected(stage, platform)
        await stage.sim("POST", "faults", {"provider": provider, "endpoint": "token", "kind": "status", "status": 503})
        await stage.sim("POST", "clock", {"advance_s": 31 * 86_400 if provider == "outbrain" else 13 * 3600})
        await stage.probe_all()
        connection = await stage.connection(person)
        assert connection["status"] in ("active", "degraded"), provider
        assert {a["access"] for a in connection["accounts"]} == {"granted"}
        await stage.pool.execute("DELETE FROM connection")


async def test_members_may_not_touch_integrations(stage: Stage) -> None:
    admin = stage.person(role="admin")
    member = stage.person(role="member", workspace_id=admin.workspace_id)
    assert (await stage.connect(admin, "stripe")).status == 302
    connection = await stage.connection(admin)
    refused = await stage.ask("GET", "/connect/stripe", member.headers)
    assert refused.status == 403
    assert "Ask an admin" in refused.text
    refused = await stage.ask("DELETE", f"/api/v1/connections/{connection['connection_id']}", member.headers)
    assert (refused.status, refused.json["code"]) == (403, "admin_required")
    integrations = (await stage.ask("GET", "/api/v1/integrations", member.headers)).json["items"]
    stripe = next(i for i in integrations if i["provider"] == "stripe")
    assert stripe["connection"]["status"] == "active"
    assert (stripe["can_manage"], stripe["connect_url"]) == (False, None)
    assert stripe["ask"]
    assert (await stage.connection(admin))["status"] == "active"


async def test_third_login_in_an_hour_is_planned_not_sent(stage: Stage) -> None:
    await connected(stage, next(p for p in PLATFORMS if p.provider == "outbrain"))
    for _ in range(3):
        await stage.make_due("outbrain")
        await stage.refresh_due()
    entries = (await stage.sim("GET", "ledger?provider=outbrain"))["entries"]
    assert len(entries) == 2
    assert {entry["outcome"] for entry in entries} == {"issued"}
    wait = await stage.pool.fetchval("SELECT extract(epoch FROM refresh_at - now())::float8 FROM schedule")
    assert 3000 < wait <= 3600


@pytest.mark.parametrize("came_by", ["a consent", "an import"])
async def test_a_security_event_that_names_one_token_finds_its_grant(stage: Stage, came_by: str) -> None:
    """Google names a refresh token by its first characters (RISC); who imported it has the same right to hear."""
    (case,) = (p for p in PLATFORMS if p.provider == "google-ads")
    (app,) = [a for a in (await stage.sim("GET", "apps"))["apps"] if a["provider"] == case.provider]
    hook = {"webhook_url": f"{stage.url}/webhooks/{case.provider}"}
    await stage.sim("PUT", f"apps/{case.provider}/{app['client_id']}", hook)
    await stage.sim("PUT", f"modes/{case.provider}", {"risc_names_token": True})
    if came_by == "a consent":
        person = await connected(stage, case)
    else:
        person = stage.person()
        wanted = {"count": 1, "person": "avery", "scopes": ["https://www.googleapis.com/auth/adwords", "email"]}
        (grant,) = (await stage.sim("POST", f"grants/{case.provider}", wanted))["grants"]
        line = {
            "provider": case.provider,
            "workspace_id": str(person.workspace_id),
            "owner_user_id": str(person.user_id),
            "external_user_id": grant["grant"],
            "accounts": [],
            "access_token": "one that ended with the foreign system",
            "refresh_token": grant["refresh_token"],
        }
        assert (await importing.load(stage.deps, io.StringIO(json.dumps(line)), lambda _: None)).made == 1
    await stage.events()
    await stage.sim("POST", f"grants/{case.provider}/avery/revoke", {"cause": "user_revoked", "webhook": "send"})

    async def revoked() -> bool:
        connection = await stage.connection(person)
        return (connection["status"], connection["detected_by"]) == ("revoked", "webhook")

    await eventually(revoked)
