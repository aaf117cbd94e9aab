"""What must never be written down, by the name of its field and by its shape."""

import ast
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.telemetry.redaction import REDACTED, is_secret_name, redact, redact_text

JWT = "eyJhbGciOiJFZERTQSIsImtpZCI6ImEifQ.eyJzdWIiOiJ4In0.c2lnbmF0dXJlLXNpZ25hdHVyZQ"


@pytest.mark.parametrize(
    "name",
    [
        "token", "access_token", "refreshToken", "client_secret", "password", "new_password", "Authorization", "cookie",
        "Set-Cookie", "code", "code_verifier", "api_key", "private_key", "credentials", "signed_request", "jwt",
        "X-Vault-Token", "signature", "clientSecret",
    ],
)  # fmt: skip
def test_names_of_secrets(name: str) -> None:
    assert is_secret_name(name)
    assert redact({name: "hunter2"}) == {name: REDACTED}


@pytest.mark.parametrize(
    "name",
    ["token_id", "token_kind", "tokens_affected", "token_type", "secret_count", "status", "provider", "expires_at",
     "token_version", "key", "tokens_tracked", "event", "password_changed_at"],
)  # fmt: skip
def test_names_that_only_speak_about_secrets(name: str) -> None:
    assert not is_secret_name(name)
    assert redact({name: "meta"}) == {name: "meta"}


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        (f"refused {JWT} by", JWT),
        ("meta said EAABsbCS1iHgBAKZCbZCZAq for it", "EAABsbCS1iHgBAKZCbZCZAq"),
        ("google ya29.a0AfH6SMBx-abc_def", "a0AfH6SMBx"),
        ("refresh 1//0gabcdefghijklmnop", "0gabcdefghijklmnop"),
        ("Authorization: Bearer abc.DEF-123_456~+/=", "abc.DEF-123_456"),
        ("authorization: basic dXNlcjpwYXNzd29yZA==", "dXNlcjpwYXNzd29yZA"),
        ("GET /cb?code=4/P7q7W91a-oMsCeLvIaQm6bTrgtp7&state=af0ifjs HTTP/1.1", "P7q7W91a"),
        ("GET /cb?x=1&state=af0ifjsldkj", "af0ifjsldkj"),
        ("postgresql://wevion:hunter2@db:5432/x", "hunter2"),
        ('{"access_token": "opaque-value", "n": 1}', "opaque-value"),
        ("{'client_secret': 'opaque'}", "opaque"),
        ("Cookie: wevion_session=abcDEF123; theme=dark", "abcDEF123"),
        ("grant_type=x refresh_token=opaque-thing", "opaque-thing"),
        ("bot 123456789:AAEhBOweik9ai-o0Zq3kQz_abcdefghijk", "AAEhBOweik9ai"),
        ("key sk_live_51H8abcDEFghiJKL failed", "51H8abcDEFghiJKL"),
    ],
)
def test_shapes_of_secrets(text: str, secret: str) -> None:
    assert secret not in redact_text(text)
    assert REDACTED in redact_text(text)
    assert secret not in str(redact({"message": [{"deep": text}]}))


@pytest.mark.parametrize(
    "text",
    [
        "token 019ab-cd expired",
        "GET /api/v1/tokens?limit=3",
        "https://example.com/a/b",
        "state active, code 3",
        "EAAS",
        "",
    ],
)
def test_ordinary_text_is_left_alone(text: str) -> None:
    assert redact_text(text) == text


def test_words_of_ours_are_shown_under_a_secret_looking_name() -> None:
    class Code(StrEnum):
        TOKEN_EXPIRING = "TOKEN_EXPIRING"

    assert redact({"code": Code.TOKEN_EXPIRING, "token": 3}) == {"code": "TOKEN_EXPIRING", "token": 3}


def test_bytes_are_counted_not_shown() -> None:
    assert redact(b"\x00secret") == "(7 bytes)"


def test_endless_values_end() -> None:
    loop: list[object] = []
    loop.append(loop)
    assert "…" in str(redact(loop))
    assert len(redact_text("x" * 100_000)) < 10_000


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text() | st.binary(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    )
)
def test_redaction_never_fails(value: object) -> None:
    redact(value)


@given(st.text(st.characters(whitelist_categories=("L", "N")), min_size=8), st.text(max_size=30), st.text(max_size=30))
def test_a_bearer_token_is_found_wherever_it_stands(token: str, before: str, after: str) -> None:
    ascii_token = "tok" + token.encode("ascii", "ignore").decode() + "12345678"
    assert ascii_token not in redact_text(f"{before} Bearer {ascii_token} {after}")


def _log_fields() -> Iterator[tuple[str, str]]:
    """Every field that a source file gives to a log line: where it is, and its name."""
    for path in Path(__file__).parents[5].glob("*/*/src/**/*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Attribute)
                and node.func.attr in {"debug", "info", "warning", "error", "exception", "critical"}
                and isinstance(node.func.value, ast.Name)
                and node.func.value.id in {"log", "_log"}
            ):
                yield from ((f"{path.name}:{node.lineno}", field.arg) for field in node.keywords if field.arg)


def test_no_log_line_has_a_field_that_is_always_redacted() -> None:
    fields = list(_log_fields())
    assert len(fields) > 100
    assert [(where, name) for where, name in fields if is_secret_name(name)] == []


@pytest.mark.parametrize("name", ["failure_code", "error_code", "status_code", "failureCode"])
def test_codes_of_our_own_are_shown(name: str) -> None:
    assert redact({name: "invalid_client"}) == {name: "invalid_client"}


@pytest.mark.parametrize("name", ["code", "link_code", "authorization_code", "code_verifier"])
def test_other_codes_are_secrets(name: str) -> None:
    assert redact({name: "SplxlOBeZQQYbYS6WxSbIA"}) == {name: "***"}
