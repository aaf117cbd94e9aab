"""Where calls of ours may go."""

import pytest
from yarl import URL

from common.web.outbound import blocked, is_public


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("93.184.215.14", True),
        ("2606:2800:21f::1", True),
        ("::ffff:93.184.215.14", True),
        ("fe80::1%eth0", False),
        ("100.64.0.1", False),
        ("169.254.169.254", False),
        ("0.0.0.0", False),  # noqa: S104  an address to judge
        ("255.255.255.255", False),
        ("240.0.0.1", False),
        ("192.88.99.1", False),
        ("224.0.0.1", False),
        ("239.255.255.250", False),
        ("::", False),
        ("::1", False),
        ("::127.0.0.1", False),
        ("::ffff:10.0.0.1", False),
        ("64:ff9b::a9fe:a9fe", False),
        ("64:ff9b::7f00:1", False),
        ("64:ff9b:1::1", False),
        ("2002:7f00:1::", False),
        ("2001::1", False),
        ("fd00::1", False),
        ("fec0::1", False),
        ("ff02::1", False),
        ("ff0e::1", False),
    ],
)
def test_what_is_public(address: str, public: bool) -> None:
    assert is_public(address) is public


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("https://api.platform.example/x", None),
        ("https://93.184.215.14/", None),
        ("http://api.platform.example/x", "insecure_url"),
        ("http://127.0.0.1:9100/x", None),
        ("http://127.0.0.1:9101/x", "insecure_url"),
        ("https://127.0.0.1:9101/x", "blocked_address"),
        ("https://\u2460\u2461\u2466.0.0.1/", "blocked_address"),
        ("ftp://api.platform.example/", "insecure_url"),
        ("/only/a/path", "insecure_url"),
    ],
)
def test_what_a_url_says_itself(url: str, why: str | None) -> None:
    assert blocked(URL(url), frozenset({"127.0.0.1:9100"})) == why
