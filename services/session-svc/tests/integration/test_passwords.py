"""Changing a password, and the mailed link: once, for thirty minutes, and without telling who has an account."""

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import jwt
import pytest

from common.testing import eventually

if TYPE_CHECKING:
    from testbed import Person, World

pytestmark = pytest.mark.asyncio(loop_scope="session")

NEW = "another long passphrase"


async def test_changing_the_password_ends_all_other_sessions(world: "World") -> None:
    person = await world.person()
    browser, other = await world.signed_in(person), await world.signed_in(person)
    old_cookie = browser.cookie
    old_jwt = (await browser.token()).body["token"]

    answer = await browser.post("/api/v1/auth/password", {"current_password": person.password, "new_password": NEW})

    assert answer.status == 204
    assert browser.cookie != old_cookie
    assert (await other.token()).body["cause"] == "password_changed"
    kept = await browser.token()
    assert kept.status == 200
    claims = jwt.decode(kept.body["token"], options={"verify_signature": False})
    assert claims["epoch"] == 1
    stale = world.browser()
    stale.cookie = old_cookie
    assert (await stale.token()).code == "token_missing"
    await _refused_everywhere(world, old_jwt)
    assert (await world.browser().post("/api/v1/auth/sign-in", _sign_in(person, NEW))).status == 200
    assert (await world.browser().post("/api/v1/auth/sign-in", _sign_in(person))).status == 401


async def test_wrong_present_password_changes_nothing(world: "World") -> None:
    person = await world.person()
    browser, other = await world.signed_in(person), await world.signed_in(person)

    answer = await browser.post("/api/v1/auth/password", {"current_password": "not this one", "new_password": NEW})

    assert (answer.status, answer.code) == (401, "wrong_credentials")
    assert [(await one.token()).status for one in (browser, other)] == [200, 200]
    assert await world.signed_in(person)


@pytest.mark.parametrize("bad", ["short", "passwordpassword", "aaaaaaaaaaaaaaaa", "wevion123456"])
async def test_weak_password_is_refused_by_rule(world: "World", bad: str) -> None:
    person = await world.person()
    browser = await world.signed_in(person)

    answer = await browser.post("/api/v1/auth/password", {"current_password": person.password, "new_password": bad})

    assert answer.status == 400
    assert answer.body["errors"][0]["field"] == "new_password"
    assert answer.body["fix"]
    assert bad not in str(answer.body)


async def test_reset_link_works_once_and_ends_every_session(world: "World") -> None:
    person = await world.person()
    browser = await world.signed_in(person)

    secret = await _mailed_link(world, person)
    answer = await world.browser().post("/api/v1/auth/password-reset/confirm", {"token": secret, "new_password": NEW})

    assert answer.status == 204
    assert (await browser.token()).body["cause"] == "password_changed"
    assert (await world.browser().post("/api/v1/auth/sign-in", _sign_in(person, NEW))).status == 200
    again = await world.browser().post("/api/v1/auth/password-reset/confirm", {"token": secret, "new_password": NEW})
    assert (again.status, again.code) == (410, "reset_link_used")


async def test_single_use_refusals_are_told_apart(world: "World") -> None:
    person = await world.person()
    first = await _mailed_link(world, person)
    second = await _mailed_link(world, person)
    confirm = "/api/v1/auth/password-reset/confirm"

    unknown = await world.browser().post(confirm, {"token": "x" * 43, "new_password": NEW})
    assert (unknown.status, unknown.code) == (410, "reset_link_unknown")
    assert (await world.browser().post(confirm, {"token": second, "new_password": NEW})).status == 204
    replaced = await world.browser().post(confirm, {"token": first, "new_password": NEW})
    assert (replaced.status, replaced.code) == (410, "reset_link_used")
    third = await _mailed_link(world, person)
    world.advance(timedelta(minutes=30))
    expired = await world.browser().post(confirm, {"token": third, "new_password": NEW})
    assert (expired.status, expired.code) == (410, "reset_link_expired")
    assert (await world.browser().post("/api/v1/auth/sign-in", _sign_in(person, NEW))).status == 200


async def test_weak_password_does_not_use_up_the_link(world: "World") -> None:
    person = await world.person()
    secret = await _mailed_link(world, person)
    confirm = "/api/v1/auth/password-reset/confirm"

    refused = await world.browser().post(confirm, {"token": secret, "new_password": "short"})

    assert refused.status == 400
    assert (await world.browser().post(confirm, {"token": secret, "new_password": NEW})).status == 204


async def test_link_used_in_two_browsers_at_once_works_in_one(world: "World") -> None:
    person = await world.person()
    secret = await _mailed_link(world, person)
    confirm = "/api/v1/auth/password-reset/confirm"
    wanted = [f"{word} long passphrase here" for word in ("first", "second")]

    answers = await asyncio.gather(
        *(world.browser().post(confirm, {"token": secret, "new_password": new}) for new in wanted)
    )

    assert sorted(answer.status for answer in answers) == [204, 410]


async def test_reset_does_not_tell_who_has_an_account(world: "World") -> None:
    person = await world.person()

    known = await world.browser().post("/api/v1/auth/password-reset", {"email": person.email})
    unknown = await world.browser().post("/api/v1/auth/password-reset", {"email": world.email("nobody")})

    assert (known.status, known.body) == (unknown.status, unknown.body) == (202, b"")


async def test_limits_do_not_tell_who_has_an_account(world: "World") -> None:
    person, nobody = await world.person(), world.email("nobody")

    async def refusal(email: str) -> tuple[int, Any, str]:
        for _ in range(3):
            await world.browser().post("/api/v1/auth/password-reset", {"email": email})
        answer = await world.browser().post("/api/v1/auth/password-reset", {"email": email})
        return answer.status, {**answer.body, "trace_id": ""}, answer.headers["Retry-After"]

    assert await refusal(person.email) == await refusal(nobody)
    sql = "SELECT count(*) FROM audit WHERE action = 'password_reset_requested' AND address = $1"
    assert await world.pool.fetchval(sql, world.address) == 6


async def test_host_of_the_request_does_not_get_into_the_mailed_link(world: "World") -> None:
    person = await world.person()
    headers = {"Host": "evil.example", "X-Forwarded-Host": "evil.example", "Origin": world.gateway_url}

    async with world.http.post(
        f"{world.gateway_url}/api/v1/auth/password-reset",
        json={"email": person.email},
        headers=headers | {"X-Forwarded-For": world.address},
    ) as answer:
        assert answer.status == 202

    await _next_link(world, person)


async def test_guessed_reset_links_are_slowed_down_and_change_nothing(world: "World") -> None:
    person = await world.person()
    real = await _mailed_link(world, person)

    answers = [
        await world.browser().post("/api/v1/auth/password-reset/confirm", {"token": guess, "new_password": NEW})
        for guess in (real[:-1] + ("A" if real[-1] != "A" else "B"), real.upper(), "A" * 43, *["x"] * 20)
    ]

    assert {answer.code for answer in answers[:3]} == {"reset_link_unknown"}
    assert answers[-1].code == "too_many_attempts"
    assert await world.signed_in(person)  # by the password that they always had


async def test_reset_mails_are_limited(world: "World") -> None:
    person = await world.person()

    answers = [await world.browser().post("/api/v1/auth/password-reset", {"email": person.email}) for _ in range(4)]

    assert [answer.status for answer in answers] == [202, 202, 202, 429]
    assert int(answers[3].headers["Retry-After"]) > 0


async def test_mail_waits_for_a_notifier_that_is_down(world: "World") -> None:
    person = await world.person()
    notifier = world.system.notifier
    notifier.status = 503
    try:
        await world.browser().post("/api/v1/auth/password-reset", {"email": person.email})
        await eventually(lambda: notifier.refused >= 1)
    finally:
        notifier.status = 202

    def sent() -> bool:
        world.advance(timedelta(seconds=2))
        return any(message.get("user_id") == str(person.user_id) for message in notifier.messages)

    await eventually(sent, 20)


async def test_notifier_is_called_as_a_service_with_the_scope(world: "World") -> None:
    person = await world.person()
    await _mailed_link(world, person)

    claims = jwt.decode(
        world.system.notifier.authorizations[-1].removeprefix("Bearer "), options={"verify_signature": False}
    )

    assert (claims["sub"], claims["scope"]) == ("session-svc", "messages:send")


async def _mailed_link(world: "World", person: "Person") -> str:
    before = len(_links(world, person))
    assert (await world.browser().post("/api/v1/auth/password-reset", {"email": person.email})).status == 202
    return await _next_link(world, person, before)


async def _next_link(world: "World", person: "Person", before: int = 0) -> str:
    """The one-time value of the first link that is mailed after so many others."""
    link = (await eventually(lambda: _links(world, person)[before:]))[0]
    start = f"{world.gateway_url}/reset-password#token="
    assert link.startswith(start)
    return link.removeprefix(start)


def _links(world: "World", person: "Person") -> list[str]:
    return [str(one["link"]) for one in world.system.notifier.messages if one.get("user_id") == str(person.user_id)]


async def _refused_everywhere(world: "World", token: str) -> None:
    async def refused() -> bool:
        url = f"{world.identity_url}/api/v1/auth/sessions"
        async with world.http.get(url, headers={"Authorization": f"Bearer {token}"}) as answer:
            return answer.status == 401

    await eventually(refused)


def _sign_in(person: "Person", password: str | None = None) -> dict[str, str]:
    return {"email": person.email, "password": password or person.password}
