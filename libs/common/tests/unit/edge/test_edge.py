"""The rules of the public edge."""

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common import edge

TRUSTED = edge.networks(["10.0.0.0/8", "::1", ""])


@pytest.mark.parametrize("good", ["/", "/connections", "/connect/meta?connection_id=1&x=%2F%2Fevil", "/a#b", "/a:b"])
def test_paths_of_ours_are_returned_to(good: str) -> None:
    assert edge.safe_return_to(good) == good


@pytest.mark.parametrize(
    "bad",
    [
        None,
        "",
        "connections",
        "//evil.example",
        "///evil.example",
        "/\\evil.example",
        "\\\\evil.example",
        "/\t/evil.example",
        "/\n/evil.example",
        "/ /evil.example",
        "/\x7f/evil",
        "https://evil.example",
        "javascript:alert(1)",
        "http:/evil",
        "/" + "a" * 2048,
        " /x",
    ],
)
def test_anything_else_is_not(bad: str | None) -> None:
    assert edge.safe_return_to(bad) == "/"
    assert edge.safe_return_to(bad, "/connections") == "/connections"


def test_longest_path_is_returned_to() -> None:
    assert edge.safe_return_to("/" + "a" * 2047) != "/"


@given(st.text(alphabet=string.printable, max_size=30))
def test_return_never_leaves_the_origin(value: str) -> None:
    found = edge.safe_return_to("/" + value)

    assert found.startswith("/")
    assert not found.startswith("//")
    assert "\\" not in found
    assert all(c > " " for c in found)


@pytest.mark.parametrize(
    ("url", "origin"),
    [
        ("https://app.wevion.example/x?y", "https://app.wevion.example"),
        ("https://App.Wevion.example:443", "https://app.wevion.example"),
        ("http://127.0.0.1:8080", "http://127.0.0.1:8080"),
        ("http://localhost:80", "http://localhost"),
        ("https://localhost:80", "https://localhost:80"),
        ("http://[::1]:8080", "http://[::1]:8080"),
    ],
)
def test_origin_is_written_as_browsers_do(url: str, origin: str) -> None:
    assert edge.origin_of(url) == origin


@pytest.mark.parametrize(
    ("hops", "peer", "forwarded", "found"),
    [
        (0, "203.0.113.7", [], "203.0.113.7"),
        (0, "203.0.113.7", ["6.6.6.6"], "203.0.113.7"),
        (0, "10.0.0.1", ["8.8.8.8"], "10.0.0.1"),
        (1, "10.0.0.1", ["203.0.113.7"], "203.0.113.7"),
        (1, "10.0.0.1", ["6.6.6.6, 203.0.113.7"], "203.0.113.7"),
        (1, "10.0.0.1", ["10.0.0.1", "203.0.113.7"], "203.0.113.7"),
        (1, "10.0.0.1", ["203.0.113.7, 10.0.0.9"], "10.0.0.9"),
        (2, "10.0.0.1", ["6.6.6.6", "203.0.113.7, 10.0.0.2"], "203.0.113.7"),
        (2, "10.0.0.1", ["203.0.113.7"], "10.0.0.1"),
        (1, "10.0.0.1", ["203.0.113.7, nonsense"], "10.0.0.1"),
        (1, "10.0.0.1", ["203.0.113.7,"], "10.0.0.1"),
        (1, "10.0.0.1", [], "10.0.0.1"),
        (1, "::1", ["[2001:db8::1]:443"], "2001:db8::1"),
        (1, "::ffff:10.0.0.1", ["203.0.113.7:5000"], "203.0.113.7"),
        (0, "::ffff:10.0.0.1", [], "10.0.0.1"),
        (0, " 203.0.113.7:80 ", [], "203.0.113.7"),
        (0, "[2001:db8::1]", [], "2001:db8::1"),
        (0, "nonsense", [], "unknown"),
        (0, "", ["6.6.6.6"], "unknown"),
        (0, None, ["203.0.113.7"], "unknown"),
    ],
)
def test_the_address_is_what_the_outermost_proxy_of_ours_saw(
    hops: int, peer: str | None, forwarded: list[str], found: str
) -> None:
    assert edge.client_address(peer, forwarded, hops) == found


@given(st.lists(st.ip_addresses(v=4).map(str), max_size=5), st.integers(1, 3))
def test_stranger_cannot_choose_their_address(claimed: list[str], hops: int) -> None:
    assert edge.client_address("203.0.113.7", claimed, 0) == "203.0.113.7"
    seen = ["203.0.113.7", *["10.0.0.2"] * (hops - 1)]
    assert edge.client_address("10.0.0.1", [", ".join([*claimed, *seen])], hops) == "203.0.113.7"


@pytest.mark.parametrize(
    ("lines", "found"),
    [
        ([], None),
        (["theme=dark"], None),
        (["wevion_session=a"], "a"),
        (["theme=dark; wevion_session=a", "x=1"], "a"),
        (["wevion_session=; wevion_session=a"], "a"),
        (["wevion_session=a; wevion_session=a"], "a"),
        (["__Host-wevion_session=a"], "a"),
        (["wevion_session=planted; __Host-wevion_session=a; wevion_session=stale"], "a"),
        (["__Host-wevion_session=; wevion_session=a"], "a"),
        (["xwevion_session=a; wevion_session2=b; Wevion_Session=c"], None),
        (["wevion_session"], None),
    ],
)
def test_the_session_cookie(lines: list[str], found: str | None) -> None:
    assert edge.session_cookie(lines) == found


@pytest.mark.parametrize(
    "lines",
    [
        ["wevion_session=eve; wevion_session=tom"],
        ["wevion_session=eve", "wevion_session=tom"],
        ["__Host-wevion_session=eve; __Host-wevion_session=tom"],
        ["wevion_session=a; x=1; wevion_session=b; wevion_session=a"],
    ],
)
def test_session_cookies_that_differ_are_nobodys(lines: list[str]) -> None:
    with pytest.raises(edge.AmbiguousCookieError):
        edge.session_cookie(lines)


def test_the_cookie_is_bound_to_the_host_where_there_is_tls() -> None:
    assert edge.session_cookie_name(secure=True) == "__Host-wevion_session"
    assert edge.session_cookie_name(secure=False) == "wevion_session"


def test_network_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match=r"10\.0\.0\.0/99"):
        edge.networks(["10.0.0.0/99"])


@pytest.mark.parametrize(
    ("address", "inside"),
    [("10.1.2.3", True), ("::1", True), ("11.0.0.1", False), ("2001:db8::1", False), ("x", False)],
)
def test_networks_hold_their_addresses(address: str, inside: bool) -> None:
    assert edge.within(address, TRUSTED) is inside


@pytest.mark.parametrize(
    ("address", "key"),
    [
        ("203.0.113.7", "203.0.113.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::1", "2001:db8:1:2::/64"),
        ("unknown", "None"),
    ],
)
def test_one_household_has_one_limit(address: str, key: str) -> None:
    assert edge.limit_key(address) == key


@pytest.mark.parametrize("good", ["/!", "/~", "/ä", "/\x80", "/a//b"])
def test_what_browsers_keep_in_a_path_is_returned_to(good: str) -> None:
    assert edge.safe_return_to(good) == good


@pytest.mark.parametrize("bad", ["/\x00", "/\x1f", "/\x20", "/\x7f", "/a\\b"])
def test_what_browsers_drop_or_turn_is_not(bad: str) -> None:
    assert edge.safe_return_to(bad, "/x") == "/x"


def test_the_longest_path_is_2048_characters_long() -> None:
    longest = "/" + "a" * 2047
    assert edge.safe_return_to(longest) == longest
    assert edge.safe_return_to(longest + "a") == "/"


def test_an_origin_has_the_port_that_browsers_write() -> None:
    assert edge.origin_of("http://x:443") == "http://x:443"
    assert edge.origin_of("http://x:81") == "http://x:81"
    assert edge.origin_of("https://x:444/") == "https://x:444"
    assert edge.origin_of("https://[2001:DB8::1]/") == "https://[2001:db8::1]"
    assert edge.origin_of("file:///x") == "file://"


def test_a_network_may_be_written_by_any_address_in_it() -> None:
    assert edge.networks([" 10.1.2.3/8 "]) == edge.networks(["10.0.0.0/8"])
