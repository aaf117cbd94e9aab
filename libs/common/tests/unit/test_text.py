"""Text from outside passes one gate that everything behind it can hold."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.text import clean, clean_lines, is_clean, is_plain_name, isolated

WALES = "\U0001f3f4\U000e0067\U000e0062\U000e0077\U000e006c\U000e0073\U000e007f"


@pytest.mark.parametrize(
    ("given_", "wanted"),
    [
        ("Sunset Cafe \ud83d", "Sunset Cafe \ufffd"),
        ("\ud83d\ude00", "\U0001f600"),
        ("Acme\x00Ltd", "Acme Ltd"),
        ("Bob\r\nBcc: eve@x.example", "Bob Bcc: eve@x.example"),
        ("one\u2028two\x85three", "one two three"),
        ("a\u202egpj.exe", "agpj.exe"),
        ("\u2067right\u2069 \u200fmark", "right \u200fmark"),
        ("\ue000 and \U0010fffd", "\ufffd and \ufffd"),
        ("\ufdd0\uffff", "\ufffd\ufffd"),
        ("\ufeffhid\u200bden", "hidden"),
        ("x\U000e0041\U000e0042", "x"),
        ("  many \t spaces  ", "many spaces"),
        ("", ""),
    ],
)
def test_what_breaks_or_deceives_does_not_pass(given_: str, wanted: str) -> None:
    assert clean(given_) == wanted
    assert not is_clean(given_) or given_.split() == wanted.split()


@pytest.mark.parametrize(
    "name",
    [
        "\U0001f469\u200d\U0001f4bb at work",
        "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645",
        WALES,
        "Müller & Söhne GmbH",
        "\U0001f44b\U0001f3fd",
        "日本語",
        "Ana\u0303",
        "\U0001fae8",
        "\u0646\u0635 \u0639\u0631",
    ],
)
def test_names_as_people_write_them_pass_whole(name: str) -> None:
    assert clean(name) == name
    assert is_clean(name)


def test_a_long_text_is_cut_between_letters() -> None:
    assert clean("e\u0301" * 5, longest=3) == "e\u0301"
    assert clean("ab \U0001f469\u200d\U0001f4bb", longest=5) == "ab"
    assert len(clean("x" * 1000)) == 256


def test_lines_are_kept_where_they_may_be() -> None:
    assert clean_lines("one\r\ntwo\x00\u202e\nthree", longest=100) == "one\ntwo\nthree"


def test_other_directions_are_isolated() -> None:
    assert isolated("Acme") == "Acme"
    assert isolated("\u05e9\u05dc") == "\u2068\u05e9\u05dc\u2069"


@given(st.text(st.characters(), max_size=300))
def test_whatever_passes_is_one_line_in_utf_8_and_passes_again(value: str) -> None:
    passed = clean(value)
    passed.encode()
    assert "\x00" not in passed
    assert len(passed.splitlines()) <= 1
    assert len(passed) <= 256
    assert is_clean(passed)
    assert clean(passed) == passed


@pytest.mark.parametrize(
    ("name", "plain"),
    [
        ("Ada Lovelace", True),
        ("Dr. No", True),
        ("St. Pauli / Hamburg", True),
        ("open http://evil.example", False),
        ("WWW.evil.example", False),
        ("evil.example/login", False),
        ("Bob\nBcc: x", False),
        ("a\u202eb", False),
    ],
)
def test_a_name_is_no_place_for_an_address_or_a_trick(name: str, *, plain: bool) -> None:
    assert is_plain_name(name) is plain
