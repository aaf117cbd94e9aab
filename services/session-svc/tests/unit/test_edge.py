"""The rules of the public edge."""

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from session_svc.core import device, edge

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
    ("peer", "forwarded", "found"),
    [
        ("203.0.113.7", [], "203.0.113.7"),
        ("203.0.113.7", ["6.6.6.6"], "203.0.113.7"),
        ("10.0.0.1", ["203.0.113.7"], "203.0.113.7"),
        ("10.0.0.1", ["6.6.6.6, 203.0.113.7"], "203.0.113.7"),
        ("10.0.0.1", ["6.6.6.6", "203.0.113.7, 10.0.0.2"], "203.0.113.7"),
        ("10.0.0.1", ["10.0.0.9"], "10.0.0.9"),
        ("10.0.0.1", ["nonsense"], "10.0.0.1"),
        ("10.0.0.1", ["nonsense, 203.0.113.7"], "203.0.113.7"),
        ("10.0.0.1", [], "10.0.0.1"),
        ("::1", ["[2001:db8::1]:443"], "2001:db8::1"),
        ("::ffff:10.0.0.1", ["203.0.113.7:5000"], "203.0.113.7"),
        (None, ["203.0.113.7"], "unknown"),
    ],
)
def test_address_comes_from_trusted_hops_only(peer: str | None, forwarded: list[str], found: str) -> None:
    assert edge.client_address(peer, forwarded, TRUSTED) == found


@given(st.lists(st.ip_addresses(v=4).map(str), max_size=5))
def test_stranger_cannot_choose_their_address(claimed: list[str]) -> None:
    assert edge.client_address("203.0.113.7", claimed, TRUSTED) == "203.0.113.7"
    through_proxy = [", ".join([*claimed, "203.0.113.7"])]
    assert edge.client_address("10.0.0.1", through_proxy, TRUSTED) == "203.0.113.7"


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


@pytest.mark.parametrize(
    ("agent", "said"),
    [
        (None, "Unknown device"),
        ("", "Unknown device"),
        ("Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0", "Firefox on Linux"),
        ("Mozilla/5.0 (Windows NT 10.0) AppleWebKit/537 Chrome/140 Safari/537 Edg/140", "Edge on Windows"),
        ("Mozilla/5.0 (Macintosh; Intel Mac OS X 15) AppleWebKit/605 Version/18 Safari/605", "Safari on macOS"),
        ("Mozilla/5.0 (iPhone; CPU iPhone OS 18 like Mac OS X) Safari/604", "Safari on iPhone"),
        ("Mozilla/5.0 (Linux; Android 15) Chrome/140 Mobile Safari/537", "Chrome on Android"),
        ("curl/8.14", "curl"),
        ("Something\x00 odd\n" + "x" * 100, "Something odd" + "x" * 47),
        ("\x00", "Unknown device"),
    ],
)
def test_device_is_named_as_people_know_it(agent: str | None, said: str) -> None:
    assert device.describe(agent) == said
