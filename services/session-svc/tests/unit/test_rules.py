"""Limits, passwords, people, scopes, claims: small rules, each with its twin that does not apply."""

import base64
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from session_svc.core import clients, jwt, passwords, people
from session_svc.core.clients import ServiceClient
from session_svc.core.errors import InvalidError
from session_svc.core.people import Role
from session_svc.core.session import Session, SessionStatus
from session_svc.http.models import TokenView, token_json
from session_svc.operations.tokens import Minted

NOW = datetime(2026, 9, 14, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


@pytest.mark.parametrize(
    "good",
    ["correct horse battery staple", "Tr0ub4dor&3xyz", "пароль-длинный-очень", "a1b2c3d4e5f6", "x" + "yzäöü" * 51],
)
def test_long_enough_is_good_enough(good: str) -> None:
    assert passwords.check_new(good, email="ann@example.com") == good


@pytest.mark.parametrize(
    ("bad", "rule"),
    [
        ("elevenchars", "fewer than 12"),
        ("é" * 257, "more than 256"),
        ("aaaaaaaaaaaa", "first that an attacker"),
        ("abababababababab", "first that an attacker"),
        ("passwordpassword1", "first that an attacker"),
        ("WEVION-wevion-1", "first that an attacker"),
        ("annabelle1234", "first that an attacker"),
    ],
)
def test_bad_password_names_its_rule(bad: str, rule: str) -> None:
    with pytest.raises(InvalidError, match=rule) as refused:
        passwords.check_new(bad, email="annabelle@example.com", field="password")
    assert refused.value.field == "password"
    assert bad not in str(refused.value)


def test_password_is_the_same_from_every_keyboard() -> None:
    assert passwords.normalise("e\u0301") == passwords.normalise("\u00e9")


@pytest.mark.parametrize(
    ("actor", "target", "may"),
    [
        (Role.MEMBER, Role.MEMBER, False),
        (Role.ADMIN, Role.MEMBER, True),
        (Role.ADMIN, Role.ADMIN, True),
        (Role.ADMIN, Role.OWNER, False),
        (Role.OWNER, Role.OWNER, True),
        (Role.OWNER, Role.SUPPORT_ADMIN, False),
        (Role.SUPPORT_ADMIN, Role.OWNER, True),
        (Role.SUPPORT_ADMIN, Role.SUPPORT_ADMIN, True),
    ],
)
def test_nobody_manages_who_ranks_higher(actor: Role, target: Role, may: bool) -> None:
    assert people.may_manage(actor, target) is may


def test_support_admin_is_nothing_else() -> None:
    assert people.effective_role(support_admin=True, membership=Role.OWNER) is Role.SUPPORT_ADMIN
    assert people.effective_role(support_admin=False, membership=Role.OWNER) is Role.OWNER


@pytest.mark.parametrize(
    ("asked", "got"),
    [
        (None, ("a", "b")),
        (" ", ("a", "b")),
        ("b", ("b",)),
        ("b a b", ("b", "a")),
        ("c", None),
        ("a c", None),
    ],
)
def test_client_gets_what_it_has(asked: str | None, got: tuple[str, ...] | None) -> None:
    assert clients.granted(ServiceClient("id", "name", ("a", "b"), None), asked) == got


def test_unknown_scopes_are_named() -> None:
    assert clients.unknown_scopes(["tokens:read", "tokens:steal"]) == ("tokens:steal",)


SESSION = Session(
    session_id=UUID(int=1),
    user_id=UUID(int=2),
    workspace_id=UUID(int=3),
    role=Role.OWNER,
    epoch=5,
    version=1,
    status=SessionStatus.ACTIVE,
    created_at=NOW,
    extended_at=NOW,
    expires_at=NOW + timedelta(days=7),
)


def _claims(session: Session, now: datetime = NOW) -> dict[str, object]:
    return jwt.session_claims(session, issuer="i", audience="a", jti=UUID(int=9), now=now, life=timedelta(hours=1))


def test_claims_are_those_of_the_contract() -> None:
    issued_at = int(NOW.timestamp())
    assert _claims(SESSION) == {
        "iss": "i",
        "sub": str(UUID(int=2)),
        "aud": "a",
        "exp": issued_at + 3600,
        "iat": issued_at,
        "jti": str(UUID(int=9)),
        "sid": str(UUID(int=1)),
        "wid": str(UUID(int=3)),
        "role": "owner",
        "epoch": 5,
    }


def test_jwt_of_an_impersonation_names_the_actor_and_ends_with_it() -> None:
    session = replace(SESSION, actor_user_id=UUID(int=7), expires_at=NOW + timedelta(minutes=10))

    claims = _claims(session)

    assert claims["act"] == {"sub": str(UUID(int=7))}
    assert claims["exp"] == int((NOW + timedelta(minutes=10)).timestamp())


def test_jwt_of_a_session_lives_its_hour_though_the_session_ends_sooner() -> None:
    claims = _claims(SESSION, NOW + timedelta(days=7) - timedelta(minutes=1))

    assert isinstance(claims["exp"], int)
    assert isinstance(claims["iat"], int)
    assert claims["exp"] - claims["iat"] == 3600


def test_service_claims() -> None:
    claims = jwt.service_claims(
        "sync", ("a", "b"), issuer="i", audience="x", jti=UUID(int=9), now=NOW, life=timedelta(minutes=15)
    )

    assert claims["sub"] == claims["client_id"] == "sync"
    assert claims["scope"] == "a b"
    assert claims["exp"] - claims["iat"] == 900
    assert "sid" not in claims


def test_compact_form() -> None:
    signed = jwt.signing_input(jwt.encoded_header("k1"), {"a": "ü?>"})
    head, payload, signature = jwt.compact(signed, b"\xff\xfe\xfd").split(".")

    assert json.loads(_decoded(head)) == {"alg": "EdDSA", "kid": "k1", "typ": "JWT"}
    assert json.loads(_decoded(payload)) == {"a": "ü?>"}
    assert _decoded(signature) == b"\xff\xfe\xfd"
    assert "=" not in head + payload + signature
    assert json.loads(_decoded(jwt.encoded_header("k1", "at+jwt").decode()))["typ"] == "at+jwt"


def test_token_json_is_the_view() -> None:
    minted = Minted("a.b-_.c", 1, 3601, SESSION, extension_due=True)

    assert TokenView.model_validate_json(token_json(minted)) == TokenView.of(minted)


def _decoded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
