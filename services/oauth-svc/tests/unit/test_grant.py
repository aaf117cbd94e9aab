"""Token answers, scopes, PKCE and the way back."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oauth_svc.core.errors import UnsafeReturnError
from oauth_svc.core.grant import (
    MalformedAnswerError,
    Secrets,
    TokenAnswer,
    earliest,
    local_return,
    missing_scopes,
    read_token_answer,
    scope_set,
)

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)


@pytest.mark.parametrize("path", ["/connections", "/a/b?c=d&e=f", "/x#y", "/settings/integrations?tab=1"])
def test_local_paths_are_kept(path: str) -> None:
    assert local_return(path) == path


@pytest.mark.parametrize(
    "path",
    [
        "//evil.example",
        "/\\evil.example",
        "https://evil.example",
        "javascript:alert(1)",
        "/\t/evil.example",
        "/\n/evil.example",
        "/connections\n",
        "evil",
        "/" + "a" * 600,
        "/a b",
        "/<script>",
        "\\\\evil",
    ],
)
def test_ways_out_are_refused(path: str) -> None:
    with pytest.raises(UnsafeReturnError):
        local_return(path)


def test_no_path_is_the_default() -> None:
    assert local_return(None) == "/connections"
    assert local_return("", "/x") == "/x"


@pytest.mark.parametrize(
    ("expires_in", "expected"),
    [
        (3600, timedelta(hours=1)),
        ("3600", timedelta(hours=1)),
        (3600.5, timedelta(seconds=3600.5)),
        (0, None),
        (-5, None),
        (None, None),
        (True, None),
    ],
)
def test_expires_in_in_every_spelling(expires_in: object, expected: timedelta | None) -> None:
    found = read_token_answer({"access_token": "a", "expires_in": expires_in}, NOW)
    assert found.expires_at == (None if expected is None else NOW + expected)


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"access_token": ""},
        {"access_token": 5},
        {"access_token": None},
        {"access_token": "x" * 20_000},
    ],
)
def test_malformed_answers_are_refused(body: dict[str, Any]) -> None:
    with pytest.raises(MalformedAnswerError):
        read_token_answer(body, NOW)


ODD = ["", "3600s", "never", "2026-12-01T00:00:00Z", 2**63 - 1, 1e12, float("nan"), float("inf"), "1e999", [], [1], {}]


@pytest.mark.parametrize("odd", ODD, ids=repr)
@pytest.mark.parametrize("name", ["expires_in", "refresh_token_expires_in"])
def test_an_odd_decoration_never_loses_the_tokens(name: str, odd: object) -> None:
    found = read_token_answer({"access_token": "a", "refresh_token": "r", name: odd}, NOW)
    assert (found.access_token, found.refresh_token) == ("a", "r")
    assert found.expires_at is None
    assert found.grant_expires_at is None


@pytest.mark.parametrize("odd", [False, 7, {}, [], "", "x" * 20_000], ids=lambda odd: repr(odd)[:20])
@pytest.mark.parametrize("name", ["id_token", "refresh_token"])
def test_another_token_that_cannot_be_read_counts_as_not_said(name: str, odd: object) -> None:
    found = read_token_answer({"access_token": "a", name: odd}, NOW)
    assert getattr(found, name) is None


def test_a_missing_refresh_token_keeps_the_old_one_and_a_new_one_replaces_it() -> None:
    old = Secrets("a1", "r1", {"k": "v"})
    assert old.renewed_by(TokenAnswer("a2")) == Secrets("a2", "r1", {"k": "v"})
    assert old.renewed_by(TokenAnswer("a2", "r2")) == Secrets("a2", "r2", {"k": "v"})


def test_nothing_shows_a_secret() -> None:
    shown = repr(Secrets("AT-secret", "RT-secret", {"password": "PW-secret"})) + repr(
        TokenAnswer("AT-secret", "RT-secret", id_token="ID-secret")
    )
    assert "secret" not in shown


@pytest.mark.parametrize(
    ("needed", "granted", "missing"),
    [
        ({"a", "b"}, None, ()),
        ({"a", "b"}, {"a", "b"}, ()),
        ({"a", "b"}, {"a", "b", "c"}, ()),
        ({"a", "b"}, {"b"}, ("a",)),
        ({"a", "b"}, set(), ("a", "b")),
        (set(), {"x"}, ()),
    ],
)
def test_scope_table(needed: set[str], granted: set[str] | None, missing: tuple[str, ...]) -> None:
    assert missing_scopes(frozenset(needed), None if granted is None else frozenset(granted)) == missing


@pytest.mark.parametrize(
    ("value", "separator", "expected"),
    [
        ("a b", " ", {"a", "b"}),
        ("a,b", ",", {"a", "b"}),
        ("a, b", ",", {"a", "b"}),
        ("", " ", None),
        ("a,b", " ", {"a", "b"}),
        (["a", 4], " ", {"a", "4"}),
        (None, " ", None),
        (7, " ", None),
    ],
)
def test_scopes_in_every_spelling(value: object, separator: str, expected: set[str] | None) -> None:
    assert scope_set(value, separator) == (None if expected is None else frozenset(expected))


@given(st.lists(st.none() | st.datetimes(timezones=st.just(UTC)), max_size=5))
def test_earliest_of_what_is_known(times: list[datetime | None]) -> None:
    known = [time for time in times if time is not None]
    assert earliest(*times) == (min(known) if known else None)
