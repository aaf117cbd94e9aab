"""Cursors: what they keep, and that an altered one is refused clearly."""

from datetime import UTC, datetime, timedelta, timezone
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.web import Problem, decode_cursor, encode_cursor

LISTING = "connections?provider=meta"
KEYS = (datetime(2026, 11, 23, 12, tzinfo=UTC), UUID(int=7), 42, "näme", None)
KINDS = (datetime, UUID, int, str, str)


def test_the_keys_come_back_as_they_were() -> None:
    assert decode_cursor(LISTING, encode_cursor(LISTING, KEYS), KINDS) == KEYS
    assert decode_cursor(LISTING, None, KINDS) is None


@given(st.datetimes(timezones=st.just(UTC)), st.uuids(), st.integers(), st.text())
def test_any_keys_come_back(when: datetime, identity: UUID, number: int, text: str) -> None:
    keys = (when, identity, number, text)
    cursor = encode_cursor("x", keys)
    if len(cursor) <= 1024:
        assert decode_cursor("x", cursor, (datetime, UUID, int, str)) == keys


def test_a_time_is_kept_in_utc() -> None:
    local = datetime(2026, 11, 23, 14, tzinfo=timezone(timedelta(hours=2)))
    assert decode_cursor("x", encode_cursor("x", [local]), [datetime]) == (local,)
    with pytest.raises(ValueError, match="zone"):
        encode_cursor("x", [datetime(2026, 11, 23)])  # noqa: DTZ001


@pytest.mark.parametrize("cursor", ["", "x", "????", "AAAA", "AAAAAAAAAAAAAAAA", "é", "A" * 5000, "bnVsbA", "\x00"])
def test_what_is_no_cursor_is_refused(cursor: str) -> None:
    with pytest.raises(Problem) as refused:
        decode_cursor(LISTING, cursor, KINDS)
    assert (refused.value.status, refused.value.code) == (400, "invalid_cursor")
    assert refused.value.errors[0].field == "cursor"
    assert refused.value.errors[0].place == "query"


def test_the_cursor_of_another_list_is_refused() -> None:
    with pytest.raises(Problem):
        decode_cursor("connections?provider=tiktok", encode_cursor(LISTING, KEYS), KINDS)


def test_keys_of_other_types_are_refused() -> None:
    cursor = encode_cursor(LISTING, KEYS)
    for kinds in (KINDS[:-1], (UUID, *KINDS[1:]), (*KINDS[:2], str, *KINDS[3:])):
        with pytest.raises(Problem):
            decode_cursor(LISTING, cursor, kinds)
    with pytest.raises(Problem):
        decode_cursor("x", encode_cursor("x", [True]), [int])


@given(st.integers(0, 200), st.characters(codec="ascii"))
def test_a_changed_character_is_noticed(at: int, other: str) -> None:
    cursor = encode_cursor(LISTING, KEYS)
    at %= len(cursor)
    altered = cursor[:at] + other + cursor[at + 1 :]
    if altered == cursor:
        return
    try:
        found = decode_cursor(LISTING, altered, KINDS)
    except Problem:
        return
    assert found == KEYS  # the last character has bits that mean nothing
