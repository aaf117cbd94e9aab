"""Who gets in, and everything that keeps the others out."""

import asyncio
import hmac
import json
from base64 import urlsafe_b64encode
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import jwt
import pytest
from aiohttp.test_utils import make_mocked_request
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from multidict import CIMultiDict

from wevion_tokens.auth import (
    Access,
    FixedKeys,
    Principal,
    Reason,
    RevocationSet,
    Verifier,
    deny_role,
    ending_for,
    refuse,
)
from wevion_tokens.contracts import RevocationCause
from wevion_tokens.problems import Problem
from wevion_tokens.telemetry import metrics
from wevion_tokens.testing import ManualClock

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
USER = UUID("019ab000-0000-7000-8000-000000000001")
SESSION = UUID("019ab000-0000-7000-8000-000000000002")
NOON = int(NOW.timestamp())


def b64(value: bytes | dict[str, Any]) -> str:
    raw = value if isinstance(value, bytes) else json.dumps(value).encode()
    return urlsafe_b64encode(raw).rstrip(b"=").decode()


async def refusal(verifier: Verifier, token: str, now: datetime = NOW) -> Problem:
    with pytest.raises(Problem) as refused:
        await verifier.verify(token, now)
    return refused.value


async def assert_invalid(verifier: Verifier, token: str, words: str = "") -> None:
    problem = await refusal(verifier, token)
    assert (problem.status, problem.code) == (401, "token_invalid")
    assert words in problem.detail
    assert problem.token_kind == "session"
    assert problem.fix
    assert 'error="invalid_token"' in problem.headers["WWW-Authenticate"]
    assert len(token) < 20 or token not in json.dumps(problem.document())


# --- who gets in


async def test_a_user(verifier: Verifier, issuer: Any) -> None:
    principal = await verifier.verify(issuer.user(act={"sub": str(UUID(int=9)), "sid": str(UUID(int=8))}), NOW)
    assert (principal.kind, principal.user_id, principal.session_id) == ("user", USER, SESSION)
    assert (principal.role, principal.epoch, principal.token_id) == ("owner", 3, "j-1")
    assert principal.expires_at == NOW + timedelta(hours=1)
    assert principal.act is not None
    assert (principal.act.subject, principal.act.session_id) == (str(UUID(int=9)), UUID(int=8))
    assert not principal.scopes


async def test_a_user_without_workspace(verifier: Verifier, issuer: Any) -> None:
    principal = await verifier.verify(issuer.user(wid=..., role=None), NOW)
    assert (principal.workspace_id, principal.role) == (None, None)


async def test_a_service(verifier: Verifier, issuer: Any) -> None:
    principal = await verifier.verify(issuer.service(), NOW)
    assert (principal.kind, principal.subject) == ("service", "rule-pauser")
    assert principal.scopes == {"tokens:read", "users:read"}
    assert (await verifier.verify(issuer.service(scope=""), NOW)).scopes == frozenset()


# --- signatures and headers


async def test_alg_none(verifier: Verifier, issuer: Any) -> None:
    for alg in ("none", "None", "NONE", "nOnE"):
        unsigned = issuer.sign_raw({"alg": alg, "typ": "JWT", "kid": "k1"}, issuer.user_claims()).rsplit(".", 1)[0]
        await assert_invalid(verifier, unsigned + ".", "not signed with EdDSA")
        await assert_invalid(verifier, unsigned)


async def test_the_public_key_is_no_shared_secret(verifier: Verifier, issuer: Any) -> None:
    for secret in (
        issuer.key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw),
        issuer.key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo),
    ):
        signed = f"{b64({'alg': 'HS256', 'kid': 'k1'})}.{b64(issuer.user_claims())}"
        forged = f"{signed}.{b64(hmac.digest(secret, signed.encode(), 'sha256'))}"
        await assert_invalid(verifier, forged, "not signed with EdDSA")


async def test_another_key(verifier: Verifier, issuer: Any) -> None:
    forged = jwt.encode(issuer.user_claims(), Ed25519PrivateKey.generate(), algorithm="EdDSA", headers={"kid": "k1"})
    await assert_invalid(verifier, forged, "signature")


@pytest.mark.parametrize(
    "kid", ["k2", "", "../../etc/passwd", "k1 ", "' or 1=1 --", "x" * 200, None, 1, ["k1"], {"a": 1}]
)
async def test_confused_key_ids(verifier: Verifier, issuer: Any, kid: Any) -> None:
    header = {"alg": "EdDSA", "typ": "JWT", "kid": kid}
    await assert_invalid(verifier, issuer.sign_raw(header, issuer.user_claims()), "key")


async def test_a_key_in_the_token_is_not_believed(verifier: Verifier, issuer: Any) -> None:
    own = Ed25519PrivateKey.generate()
    jwk = json.loads(jwt.algorithms.OKPAlgorithm.to_jwk(own.public_key()))
    for header in ({"jwk": jwk}, {"jku": "https://evil.test/jwks"}, {"x5u": "https://evil.test/x"}):
        forged = jwt.encode(issuer.user_claims(), own, algorithm="EdDSA", headers={"kid": "k1", **header})
        await assert_invalid(verifier, forged, "signature")


@pytest.mark.parametrize("extra", [{"crit": ["exp"]}, {"crit": []}, {"b64": False}, {"typ": "dpop+jwt"}, {"typ": 5}])
async def test_headers_that_ask_for_more(verifier: Verifier, issuer: Any, extra: dict[str, Any]) -> None:
    header = {"alg": "EdDSA", "kid": "k1"} | extra
    await assert_invalid(verifier, issuer.sign_raw(header, issuer.user_claims()), "not supported")


@pytest.mark.parametrize("typ", ["JWT", "jwt", "at+jwt", ...])
async def test_types_that_are_fine(verifier: Verifier, issuer: Any, typ: Any) -> None:
    header = {"alg": "EdDSA", "kid": "k1"} | ({} if typ is ... else {"typ": typ})
    await verifier.verify(issuer.sign_raw(header, issuer.user_claims()), NOW)


@pytest.mark.parametrize("header", [b"", b"{", b"[]", b"null", b"\xff", b'{"alg":"EdDSA"}', b"[" * 500])
async def test_headers_that_are_none(verifier: Verifier, issuer: Any, header: bytes) -> None:
    await assert_invalid(verifier, issuer.sign_raw(header, issuer.user_claims()))


async def test_cut_and_altered_tokens(verifier: Verifier, issuer: Any) -> None:
    token = issuer.user()
    head, payload, signature = token.split(".")
    other = issuer.user(role="member").split(".")[1]
    for wrong in (
        "", ".", "..", "a.b.c", "....", head, f"{head}.{payload}", f"{head}.{payload}.", f"{head}..{signature}",
        f".{payload}.{signature}", f"{head}.{other}.{signature}", token[:-1], token[:-20], token[1:], token + "A",
        token + ".x", f"{token}.{signature}", f" {token}", f"{token}\n", token.replace(".", ".é", 1), "\ud800.a.b",
        f"{head}.{payload}.{'A' * 86}", f"{head}.{payload}.!!!!", token.upper(),
    ):  # fmt: skip
        await assert_invalid(verifier, wrong) if wrong != "\ud800.a.b" else await refusal(verifier, wrong)


async def test_huge_tokens_are_not_looked_at(verifier: Verifier, issuer: Any) -> None:
    await assert_invalid(verifier, issuer.user(padding="x" * 5000), "longer than any token")
    await assert_invalid(verifier, "A" * 10_000_000, "longer than any token")


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(at=st.integers(0, 10_000), bit=st.integers(0, 6))
def test_any_flipped_bit_is_noticed(verifier: Verifier, issuer: Any, at: int, bit: int) -> None:
    token = issuer.user()
    at %= len(token)
    altered = token[:at] + chr(ord(token[at]) ^ (1 << bit)) + token[at + 1 :]

    async def check() -> None:
        if at in {token.index(".") - 1, token.rindex(".") - 1, len(token) - 1}:
            return  # the last character of a part has bits that base64 does not use
        assert (await refusal(verifier, altered)).code == "token_invalid"

    asyncio.run(check())


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.text() | st.lists(st.binary(max_size=40), min_size=3, max_size=3))
def test_any_text_is_refused(verifier: Verifier, junk: str | list[bytes]) -> None:
    token = junk if isinstance(junk, str) else ".".join(urlsafe_b64encode(part).decode() for part in junk)
    problem = asyncio.run(refusal(verifier, token))
    assert problem.code == "token_invalid"


# --- claims


@pytest.mark.parametrize(
    ("claim", "value", "words"),
    [
        ("iss", "https://wevion.test/", "another issuer"),
        ("iss", "https://evil.test", "another issuer"),
        ("iss", ["https://wevion.test"], "another issuer"),
        ("iss", ..., "another issuer"),
        ("aud", "wevion-staging", "another audience"),
        ("aud", ["wevion"], "another audience"),
        ("aud", ["wevion", "other"], "another audience"),
        ("aud", ..., "another audience"),
        ("exp", ..., "times of issue"),
        ("exp", None, "times of issue"),
        ("exp", "never", "times of issue"),
        ("exp", True, "times of issue"),
        ("exp", 1e300, "times of issue"),
        ("exp", -1, "times of issue"),
        ("iat", ..., "times of issue"),
        ("iat", float("nan"), "times of issue"),
        ("iat", float("inf"), "times of issue"),
        ("exp", NOON + 3601, "lives longer"),
        ("exp", NOON + 10**8, "lives longer"),
        ("jti", ..., "jti"),
        ("jti", "", "jti"),
        ("jti", 5, "jti"),
        ("sub", ..., "sub"),
        ("sub", "root", "sub"),
        ("sub", 1, "sub"),
        ("sid", "1", "sid"),
        ("sid", ..., "sid"),
        ("sid", None, "sid"),
        ("epoch", ..., "epoch"),
        ("epoch", "3", "epoch"),
        ("epoch", -1, "epoch"),
        ("epoch", True, "epoch"),
        ("epoch", 3.0, "epoch"),
        ("wid", "all", "wid"),
        ("role", 1, "role"),
        ("role", "", "role"),
        ("act", "admin", "act"),
        ("act", {}, "sub"),
        ("act", {"sub": ""}, "sub"),
        ("client_id", "rule-pauser", "sid"),
    ],
)
async def test_claims_that_are_refused(verifier: Verifier, issuer: Any, claim: str, value: Any, words: str) -> None:
    await assert_invalid(verifier, issuer.user(**{claim: value}), words)


@pytest.mark.parametrize(
    "changes",
    [
        {"client_id": "other"},
        {"sub": "other"},
        {"scope": ...},
        {"scope": ["tokens:read"]},
        {"client_id": 1},
        {"client_id": ...},
    ],
)
async def test_service_claims_that_are_refused(verifier: Verifier, issuer: Any, changes: dict[str, Any]) -> None:
    await assert_invalid(verifier, issuer.service(**changes))


@pytest.mark.parametrize("payload", [b"", b"{", b"[]", b"null", b'"x"', b"\xff\xfe", b"[" * 3000])
async def test_payloads_that_are_none(verifier: Verifier, issuer: Any, payload: bytes) -> None:
    await assert_invalid(verifier, issuer.sign_raw({"alg": "EdDSA", "kid": "k1"}, payload))


# --- time


@pytest.mark.parametrize("late", [0, 1, 59, 59.9])
async def test_a_minute_of_skew_is_tolerated(verifier: Verifier, issuer: Any, late: float) -> None:
    await verifier.verify(issuer.user(iat=NOON + int(late)), NOW)
    await verifier.verify(issuer.user(), NOW + timedelta(hours=1, seconds=late))
    await verifier.verify(issuer.user(nbf=NOON + int(late)), NOW)


@pytest.mark.parametrize("claim", ["iat", "nbf"])
async def test_more_skew_is_named(verifier: Verifier, issuer: Any, claim: str) -> None:
    problem = await refusal(verifier, issuer.user(**{claim: NOON + 95, "exp": NOON + 600}))
    assert problem.code == Reason.CLOCK_SKEW
    assert problem.detail == "It was issued 95 s in the future; 60 s are tolerated."
    assert "clock" in problem.fix


async def test_an_expired_token_is_told_so_also_from_the_cache(verifier: Verifier, issuer: Any) -> None:
    token = issuer.user()
    await verifier.verify(token, NOW)
    for _ in range(2):
        problem = await refusal(verifier, token, NOW + timedelta(hours=1, seconds=60))
        assert (problem.code, problem.detail) == (Reason.TOKEN_EXPIRED, "It expired 60 s ago.")
    await verifier.verify(token, NOW)


# --- sessions


@pytest.mark.parametrize("cached", [False, True])
@pytest.mark.parametrize("cause", [None, *RevocationCause])
async def test_an_ended_session(
    verifier: Verifier, issuer: Any, revocations: RevocationSet, cause: RevocationCause | None, *, cached: bool
) -> None:
    token = issuer.user()
    if cached:
        await verifier.verify(token, NOW)
    revocations.end_session(SESSION, NOW, NOW, ending_for(cause))
    problem = await refusal(verifier, token)
    expected = Reason.IMPERSONATION_ENDED if cause is RevocationCause.IMPERSONATION_ENDED else Reason.SESSION_REVOKED
    assert problem.code == expected
    assert problem.cause == (cause.value if cause else None)
    assert problem.token_id == SESSION
    assert problem.fix_url == "https://app.test/sign-in"
    if cause is RevocationCause.IMPERSONATION_ENDED:
        assert "original admin" in problem.fix
    await verifier.verify(issuer.user(sid=str(uuid4())), NOW)


async def test_an_ended_session_is_said_rather_than_an_expired_token(
    verifier: Verifier, issuer: Any, revocations: RevocationSet
) -> None:
    token = issuer.user()
    revocations.end_session(SESSION, NOW, NOW, ending_for(RevocationCause.ADMIN_FORCED))
    assert (await refusal(verifier, token, NOW + timedelta(hours=2))).code == Reason.SESSION_REVOKED


@pytest.mark.parametrize(
    ("roles", "detail", "fix"),
    [
        ({"owner", "admin"}, "It needs the role admin or owner.", "Ask the workspace's admin or owner to do it."),
        # Nobody in the workspace can do what is support's, and support is nobody to be asked for what an admin can do.
        (
            {"owner", "admin", "support_admin"},
            "It needs the role admin or owner.",
            "Ask the workspace's admin or owner to do it.",
        ),
        ({"support_admin"}, "It needs the role support admin.", "Ask Wevion's support to do it."),
    ],
)
def test_whom_to_ask_is_somebody_who_can_be_asked(roles: set[str], detail: str, fix: str) -> None:
    problem = deny_role(frozenset(roles))

    assert (problem.detail, problem.fix) == (detail, fix)


async def test_an_admins_end_names_both_things_that_it_can_be(
    verifier: Verifier, issuer: Any, revocations: RevocationSet
) -> None:
    revocations.end_session(SESSION, NOW, NOW, ending_for(RevocationCause.ADMIN_FORCED))
    problem = await refusal(verifier, issuer.user())
    assert problem.detail == "An admin ended it, or disabled the account."
    assert problem.fix == "Sign in again. If the account is disabled, that says so, and whom to ask."


async def test_an_earlier_epoch(verifier: Verifier, issuer: Any, revocations: RevocationSet) -> None:
    token = issuer.user()
    await verifier.verify(token, NOW)
    revocations.raise_epoch(USER, 4, NOW, NOW, ending_for(RevocationCause.PASSWORD_CHANGED))
    problem = await refusal(verifier, token)
    assert (problem.code, problem.cause) == ("session_revoked", "password_changed")
    await verifier.verify(issuer.user(epoch=4), NOW)
    await verifier.verify(issuer.user(epoch=5), NOW)
    await verifier.verify(issuer.user(sub=str(uuid4())), NOW)


async def test_nobody_with_a_session_gets_in_before_the_revocations_are_known(
    issuer: Any, keys: FixedKeys, at_noon: ManualClock
) -> None:
    revocations = RevocationSet()
    verifier = Verifier(keys, revocations, "https://wevion.test", "wevion", clock=at_noon)
    problem = await refusal(verifier, issuer.user())
    assert (problem.status, problem.code) == (503, "revocations_unknown")
    assert problem.headers["Retry-After"] == "1"
    assert (await verifier.verify(issuer.service(), NOW)).kind == "service", "no session of it could have ended"
    revocations.note_in_step(NOW)
    assert (await verifier.verify(issuer.user(), NOW)).kind == "user"


async def test_while_revocations_cannot_be_read_older_tokens_of_sessions_are_renewed(
    verifier: Verifier, issuer: Any, revocations: RevocationSet
) -> None:
    old, service = issuer.user(), issuer.service()
    assert await verifier.verify(old, NOW)
    revocations.note_in_step(NOW)
    later = NOW + timedelta(minutes=20)
    revocations.note_behind(later, 900)
    problem = await refusal(verifier, old, later)
    assert (problem.status, problem.code) == (401, "token_expired")
    issued = int(later.timestamp())
    assert await verifier.verify(issuer.user(iat=issued, exp=issued + 3600), later)
    assert await verifier.verify(service, later), "a service's token names no session"
    revocations.note_in_step(later)
    assert await verifier.verify(old, later)


async def test_services_have_no_session(verifier: Verifier, issuer: Any, revocations: RevocationSet) -> None:
    revocations.end_session(UUID(int=0), NOW, NOW, ending_for(None))
    await verifier.verify(issuer.service(), NOW)


# --- the cache


async def test_a_removed_key_is_not_trusted_although_its_token_is_cached(
    verifier: Verifier, issuer: Any, keys: FixedKeys
) -> None:
    token = issuer.user()
    await verifier.verify(token, NOW)
    keys.replace({"k2": Ed25519PrivateKey.generate().public_key()})
    await assert_invalid(verifier, token, "a key that the issuer does not have")


async def test_another_key_under_the_same_id_is_noticed(verifier: Verifier, issuer: Any, keys: FixedKeys) -> None:
    token = issuer.user()
    await verifier.verify(token, NOW)
    keys.replace({"k1": Ed25519PrivateKey.generate().public_key()})
    await assert_invalid(verifier, token, "signature")


async def test_the_cache_saves_the_signature_and_is_bounded(
    make_verifier: Callable[..., Verifier], issuer: Any
) -> None:
    verifier = make_verifier(cached_tokens=10)

    def count(outcome: str) -> float:
        return metrics.value("wevion_auth_verifications_total", {"outcome": outcome})

    verified, cached = count("verified"), count("cached")
    token = issuer.user()
    for number in range(45):
        await verifier.verify(issuer.user(jti=str(number)), NOW)
        await verifier.verify(token, NOW)  # in use all the time: it stays
    assert count("verified") - verified == 46
    assert count("cached") - cached == 44
    assert len(verifier._young) + len(verifier._old) <= 20


async def test_refused_tokens_are_not_remembered(verifier: Verifier, issuer: Any) -> None:
    for number in range(20):
        await refusal(verifier, issuer.user(aud="other", jti=str(number)))
        await refusal(verifier, f"x.y.{number}")
    assert not verifier._young
    assert len(verifier._headers) == 1


# --- requests


def request(*authorization: str) -> Any:
    return make_mocked_request("GET", "/", headers=CIMultiDict([("Authorization", value) for value in authorization]))


async def test_the_bearer_token_of_a_request(verifier: Verifier, issuer: Any) -> None:
    for scheme in ("Bearer", "bearer", "BEARER"):
        principal = await verifier.authenticate(request(f"{scheme} {issuer.user()}"), Access.user())
        assert isinstance(principal, Principal)


async def test_no_token_is_told_without_an_error_code(verifier: Verifier) -> None:
    with pytest.raises(Problem) as refused:
        await verifier.authenticate(request(), Access.user())
    assert (refused.value.status, refused.value.code) == (401, "token_missing")
    assert refused.value.headers["WWW-Authenticate"] == 'Bearer realm="wevion"'
    assert refused.value.fix_url == "https://app.test/sign-in"


@pytest.mark.parametrize(
    "header", ["", "Bearer", "Bearer ", "Basic dXNlcjpwYXNz", "Bearer  x", "Token x", "Bearer a b"]
)
async def test_other_authorization_headers(verifier: Verifier, header: str) -> None:
    with pytest.raises(Problem) as refused:
        await verifier.authenticate(request(header), Access.user())
    assert refused.value.code == "token_invalid"


async def test_two_authorization_headers(verifier: Verifier, issuer: Any) -> None:
    with pytest.raises(Problem) as refused:
        await verifier.authenticate(request(f"Bearer {issuer.user()}", f"Bearer {issuer.service()}"), Access.user())
    assert refused.value.code == "token_invalid"


ADMINS = frozenset({"owner", "admin"})
ACT = {"sub": str(UUID(int=9))}


@pytest.mark.parametrize(
    ("kind", "claims", "access", "code"),
    [
        ("user", {}, Access.user(), None),
        ("user", {}, Access.user(ADMINS), None),
        ("user", {"role": "admin"}, Access.user_or_service("tokens:read", ADMINS), None),
        ("user", {"act": ACT}, Access.user(ADMINS), None),
        ("service", {}, Access.service("tokens:read"), None),
        ("service", {}, Access.user_or_service("tokens:read", ADMINS), None),
        ("user", {"role": "member"}, Access.user(ADMINS), "forbidden_role"),
        ("user", {"role": ...}, Access.user(ADMINS), "forbidden_role"),
        ("user", {"role": "member"}, Access.user_or_service("tokens:read", ADMINS), "forbidden_role"),
        ("user", {"act": ACT}, Access.user(refuse_act=True), "impersonation_refused"),
        ("user", {"act": ACT}, Access.user_or_service("x", refuse_act=True), "impersonation_refused"),
        ("user", {}, Access.service("tokens:read"), "services_only"),
        ("service", {}, Access.user(), "users_only"),
        ("service", {"scope": "users:read"}, Access.service("tokens:read"), "insufficient_scope"),
        ("service", {"scope": ""}, Access.user_or_service("tokens:read"), "insufficient_scope"),
        ("service", {"scope": "tokens:reader"}, Access.service("tokens:read"), "insufficient_scope"),
    ],
)
async def test_who_may(  # noqa: PLR0917  the columns of the table
    verifier: Verifier, issuer: Any, kind: str, claims: dict[str, Any], access: Access, code: str | None
) -> None:
    asked = request(f"Bearer {getattr(issuer, kind)(**claims)}")
    if code is None:
        assert (await verifier.authenticate(asked, access)).kind == kind
        return
    with pytest.raises(Problem) as refused:
        await verifier.authenticate(asked, access)
    assert (refused.value.status, refused.value.code) == (403, code)
    if code == "insufficient_scope":
        assert 'error="insufficient_scope", scope="tokens:read"' in refused.value.headers["WWW-Authenticate"]
    if code == "forbidden_role":
        assert "admin or owner" in refused.value.detail


async def test_the_clock_is_the_one_that_was_given(verifier: Verifier, issuer: Any, at_noon: ManualClock) -> None:
    asked = request(f"Bearer {issuer.user()}")
    await verifier.authenticate(asked, Access.user())
    at_noon.advance(timedelta(hours=2))
    with pytest.raises(Problem) as refused:
        await verifier.authenticate(asked, Access.user())
    assert refused.value.code == "token_expired"


def test_there_are_eight_reasons_and_each_says_what_to_do() -> None:
    assert len(Reason) == 8
    for reason in Reason:
        problem = refuse(reason)
        assert problem.status == 401
        assert problem.fix
        assert problem.token_kind == "session"
        assert problem.headers["WWW-Authenticate"].startswith('Bearer realm="wevion"')
        assert problem.headers["WWW-Authenticate"].isascii()
