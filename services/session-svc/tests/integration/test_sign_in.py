"""T1.1, T1.2, T1.8: signing in, JWTs, and every refusal with its reason, through the gateway."""

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING

import jwt
import pytest

from common.contracts import TokenExpiredV1, TokenStateV1
from common.testing import eventually
from session_svc.core.people import Role

if TYPE_CHECKING:
    from testbed import World

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_sign_in_makes_a_session_of_seven_days_and_a_jwt_of_one_hour(world: "World") -> None:
    person = await world.person(role=Role.OWNER)
    browser = world.browser()

    answer = await browser.post("/api/v1/auth/sign-in", {"email": person.email, "password": person.password})

    assert answer.status == 200
    assert answer.body["session"]["role"] == "owner"
    assert answer.body["session"]["workspace_id"] == str(person.workspace_id)
    assert answer.body["token"]["expires_at"] - answer.body["token"]["issued_at"] == 3600
    cookie = answer.headers["Set-Cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Lax" in cookie
    ends = await world.pool.fetchval("SELECT expires_at FROM sessions WHERE user_id = $1", person.user_id)
    assert ends == world.clock.now() + timedelta(days=7)


async def test_jwt_is_exactly_one_hour_and_verifies_from_the_jwks_alone(world: "World") -> None:
    person = await world.person(role=Role.ADMIN)
    browser = await world.signed_in(person)

    answer = await browser.token()

    keys = jwt.PyJWKSet.from_dict((await browser.get("/.well-known/jwks.json")).body)
    header = jwt.get_unverified_header(answer.body["token"])
    claims = jwt.decode(
        answer.body["token"],
        keys[header["kid"]],
        algorithms=["EdDSA"],
        audience="wevion",
        issuer=world.gateway_url,
        options={"verify_exp": False, "verify_iat": False},
    )
    assert claims["exp"] - claims["iat"] == 3600
    assert claims["sub"] == str(person.user_id)
    assert claims["wid"] == str(person.workspace_id)
    assert claims["role"] == "admin"
    assert claims["epoch"] == 0
    assert "act" not in claims
    assert len({(await browser.token()).body["token"] for _ in range(3)}) == 3


async def test_ten_tabs_renew_at_once(world: "World") -> None:
    browser = await world.signed_in(await world.person())

    answers = await asyncio.gather(*(browser.token() for _ in range(10)))

    assert [answer.status for answer in answers] == [200] * 10


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "email"),
        ({"email": "ann", "password": "x"}, "email"),
        ({"email": "ann@example.com", "password": ""}, "password"),
        ({"email": "ann@example.com", "password": "x" * 300}, "password"),
        ({"email": "ann@example.com", "password": "x", "role": "owner"}, "role"),
        ({"email": "ann@example.com", "password": "x", "workspace_id": "1"}, "workspace_id"),
    ],
)
async def test_bad_sign_in_names_field_and_rule(world: "World", body: dict[str, str], field: str) -> None:
    answer = await world.browser().post("/api/v1/auth/sign-in", body)

    assert answer.status == 400
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.body["errors"][0]["field"] == field
    assert answer.body["errors"][0]["rule"]
    assert "Set-Cookie" not in answer.headers


async def test_wrong_password_and_unknown_address_are_one_answer(world: "World") -> None:
    person = await world.person()

    wrong = await world.browser().post("/api/v1/auth/sign-in", {"email": person.email, "password": "not this one"})
    unknown = await world.browser().post("/api/v1/auth/sign-in", {"email": world.email("no"), "password": "not this"})

    assert (wrong.status, wrong.code) == (401, "wrong_credentials")
    assert {**wrong.body, "trace_id": ""} == {**unknown.body, "trace_id": ""}
    assert "Set-Cookie" not in wrong.headers


async def test_guessing_is_slowed_down_and_says_how_long(world: "World") -> None:
    person = await world.person()
    guess = {"email": person.email, "password": "not this one"}
    statuses = [(await world.browser().post("/api/v1/auth/sign-in", guess)).status for _ in range(9)]

    refused = await world.browser().post("/api/v1/auth/sign-in", {"email": person.email, "password": person.password})

    assert statuses[:8] == [401] * 8
    assert statuses[8] == 429
    assert (refused.status, refused.code) == (429, "too_many_attempts")
    await world.rate_limits_age(timedelta(seconds=int(refused.headers["Retry-After"])))
    assert await world.signed_in(person)


async def test_a_clock_that_was_ahead_leaves_nobody_locked_out(world: "World") -> None:
    """Rate limits are on the database's clock: what a process believes the time to be is in none of them."""
    right = await _furthest_limit_after_a_guess(world)
    world.advance(timedelta(minutes=10))
    assert abs(await _furthest_limit_after_a_guess(world) - right) < timedelta(minutes=1)


async def _furthest_limit_after_a_guess(world: "World") -> timedelta:
    """How far in the future the limits of a person lie who has just been guessed at once."""
    person = await world.person()
    await world.pool.execute("DELETE FROM rate_limits")
    guess = {"email": person.email, "password": "not this one"}
    assert (await world.browser().post("/api/v1/auth/sign-in", guess)).status == 401
    found: timedelta = await world.pool.fetchval("SELECT max(tat) - clock_timestamp() FROM rate_limits")
    return found


async def test_guessing_at_nobody_is_slowed_down_in_the_same_words(world: "World") -> None:
    answers = []
    for email in ((await world.person()).email, world.email("nobody")):
        guess = {"email": email, "password": "not this one"}
        answers.append([await world.browser().post("/api/v1/auth/sign-in", guess) for _ in range(10)])

    known, unknown = ([(one.status, {**one.body, "trace_id": ""}) for one in each] for each in answers)
    assert known == unknown
    assert known[-1][0] == 429


async def test_one_account_cannot_be_guessed_at_from_many_addresses(world: "World") -> None:
    person = await world.person()
    guess = {"email": person.email, "password": "not this one"}

    answers = [
        await world.browser().post("/api/v1/auth/sign-in", guess, X_Forwarded_For=f"198.51.{number}.7")
        for number in range(51)
    ]

    assert [answer.status for answer in answers] == [401] * 50 + [429]
    assert await world.live_sessions(person) == 0


async def test_one_address_cannot_try_one_password_on_many_accounts(world: "World") -> None:
    person = await world.person()
    tries = [{"email": world.email(f"user{number}"), "password": person.password} for number in range(100)]
    for guess in tries:
        assert (await world.browser().post("/api/v1/auth/sign-in", guess)).status == 401
    await world.rate_limits_age(-timedelta(minutes=5))  # as if a hundred passwords were hashed in no time

    refused = await world.browser().post("/api/v1/auth/sign-in", {"email": person.email, "password": person.password})

    assert (refused.status, refused.code) == (429, "too_many_attempts")
    assert await world.live_sessions(person) == 0


async def test_cookie_that_was_planted_before_is_not_the_one_that_signs_in(world: "World") -> None:
    eve, ann = await world.person("eve"), await world.person("ann")
    attacker = await world.signed_in(eve)
    victim = world.browser()
    victim.cookie = planted = attacker.cookie  # session fixation: whoever planted it knows it

    await victim.post("/api/v1/auth/sign-in", {"email": ann.email, "password": ann.password})

    assert victim.cookie != planted
    assert (await victim.get("/api/v1/auth/session")).body["user_id"] == str(ann.user_id)
    assert (await attacker.token()).body["cause"] == "superseded"


async def test_no_cookie_and_a_made_up_cookie_are_not_signed_in(world: "World") -> None:
    browser = world.browser()
    for cookie in (None, "short", "A" * 43, "é" * 43, "A" * 5000):
        browser.cookie = None if cookie is None else cookie.encode().decode("latin-1")
        answer = await browser.get("/api/v1/auth/token")
        assert (answer.status, answer.code) == (401, "token_missing"), cookie
        assert answer.body["fix_url"] == f"{world.gateway_url}/sign-in"


async def test_session_unused_for_seven_days_has_expired(world: "World") -> None:
    browser = await world.signed_in(await world.person())

    world.advance(timedelta(days=7, seconds=1))

    answer = await browser.token()
    assert (answer.status, answer.code, answer.body["cause"]) == (401, "session_expired", "expired")
    assert answer.body["token_kind"] == "session"
    assert answer.body["fix"]
    session_id = answer.body["token_id"]
    async with world.events("token.expired", "token.state") as seen:

        def told() -> bool:
            mine = [event.body for event in seen if event.body.subject() == session_id]
            states = [body.status.value for body in mine if isinstance(body, TokenStateV1)]
            return any(isinstance(body, TokenExpiredV1) for body in mine) and states == ["active", "expired"]

        await eventually(told, 15)


async def test_signing_out_signs_out_every_tab(world: "World") -> None:
    tab = await world.signed_in(await world.person())
    other_tab = world.browser()
    other_tab.cookie = tab.cookie
    assert (await other_tab.get("/api/v1/auth/sessions")).status == 200

    assert (await tab.post("/api/v1/auth/sign-out")).status == 204

    answer = await other_tab.token()
    assert (answer.status, answer.code, answer.body["cause"]) == (401, "session_revoked", "signed_out")
    assert (await tab.post("/api/v1/auth/sign-out")).status == 204


async def test_signing_in_again_leaves_no_session_behind(world: "World") -> None:
    person = await world.person()
    browser = await world.signed_in(person)
    first = browser.cookie

    await browser.post("/api/v1/auth/sign-in", {"email": person.email, "password": person.password})

    assert browser.cookie != first
    assert await world.live_sessions(person) == 1
    sql = "SELECT end_cause FROM sessions WHERE status = 'revoked' AND user_id = $1"
    assert await world.pool.fetchval(sql, person.user_id) == "superseded"


async def test_only_the_hash_of_the_cookie_is_stored(world: "World") -> None:
    browser = await world.signed_in(await world.person())
    assert browser.cookie

    rows = await world.pool.fetch("SELECT s::text AS line FROM sessions AS s UNION ALL SELECT o::text FROM outbox AS o")

    assert len(browser.cookie) == 43
    assert all(browser.cookie not in row["line"] for row in rows)


async def _guess_from_everywhere(world: "World", email: str) -> None:
    """Sixty strangers guess at once: what the hashing of their passwords takes is taken back from the limits."""
    for number in range(60):
        stranger = world.browser()
        stranger.address = f"198.51.100.{number}"
        await stranger.post("/api/v1/auth/sign-in", {"email": email, "password": f"guess {number}"})
    await world.pool.execute(
        "UPDATE rate_limits SET tat = tat + interval '30 minutes' WHERE key LIKE 'sign_in:account:%'"
    )


async def test_guessing_from_everywhere_does_not_keep_a_known_device_out(world: "World") -> None:
    person = await world.person("vic")
    owner = await world.signed_in(person)
    assert (await owner.post("/api/v1/auth/sign-out")).status == 204
    await _guess_from_everywhere(world, person.email)
    body = {"email": person.email, "password": person.password}
    unknown = world.browser()
    unknown.address = "203.0.113.9"

    shut_out, known = await unknown.post("/api/v1/auth/sign-in", body), await owner.post("/api/v1/auth/sign-in", body)

    assert (shut_out.status, known.status) == (429, 200)


async def test_a_known_device_is_slowed_when_it_guesses_and_is_known_to_its_account_only(world: "World") -> None:
    person, other = await world.person("vic"), await world.person("other")
    owner = await world.signed_in(person)
    wrong = {"email": person.email, "password": "not the password"}

    statuses = [(await owner.post("/api/v1/auth/sign-in", wrong)).status for _ in range(10)]
    await _guess_from_everywhere(world, other.email)
    elsewhere = await owner.post("/api/v1/auth/sign-in", {"email": other.email, "password": other.password})

    assert statuses == [401] * 8 + [429] * 2
    assert elsewhere.status == 429


async def test_a_reset_makes_its_browser_known_and_forgets_the_others(world: "World") -> None:
    person = await world.person("vic")
    old = await world.signed_in(person)
    browser = world.browser()
    await browser.post("/api/v1/auth/password-reset", {"email": person.email})

    def links() -> list[str]:
        return [m["link"] for m in world.system.notifier.messages if m.get("user_id") == str(person.user_id)]

    async def mailed() -> bool:
        return bool(links())

    assert await eventually(mailed)
    body = {"token": links()[-1].partition("#token=")[2], "new_password": "an entirely new passphrase"}
    assert (await browser.post("/api/v1/auth/password-reset/confirm", body)).status == 204
    await _guess_from_everywhere(world, person.email)
    right = {"email": person.email, "password": "an entirely new passphrase"}

    known, forgotten = await browser.post("/api/v1/auth/sign-in", right), await old.post("/api/v1/auth/sign-in", right)

    assert (known.status, forgotten.status) == (200, 429)
