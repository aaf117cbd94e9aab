"""One rule for addresses: what it takes can be mailed, and two people are never one."""

import pytest

from common.addresses import AddressError, key, mailable


@pytest.mark.parametrize(
    ("address", "wire"),
    [
        ("ada@agency.example", "ada@agency.example"),
        (" Ada.Lovelace+x@Agency.Example ", "Ada.Lovelace+x@agency.example"),
        ("anna@bücher.example", "anna@xn--bcher-kva.example"),
        ("anna@BÜCHER.example", "anna@xn--bcher-kva.example"),
        ("anna@xn--bcher-kva.example", "anna@xn--bcher-kva.example"),
        ("strasse@faß.example", "strasse@xn--fa-hia.example"),
        ("o'neil@agency.example", "o'neil@agency.example"),
        ("taro@例え.テスト", "taro@xn--r8jz45g.xn--zckzah"),
    ],
)
def test_an_address_as_smtp_has_it(address: str, wire: str) -> None:
    assert mailable(address) == wire


@pytest.mark.parametrize(
    "address",
    [
        "",
        "ada",
        "@agency.example",
        "ada@",
        "a@b@agency.example",
        "a,b@agency.example",
        "a b@agency.example",
        '"a b"@agency.example',
        "<ada@agency.example>",
        "ada..x@agency.example",
        ".ada@agency.example",
        "jörg@agency.example",
        "\u212aate@agency.example",
        "ada\n@agency.example",
        "ada\x00@agency.example",
        "ada@localhost",
        "ada@agency.example.",
        "ada@agency..example",
        "ada@-agency.example",
        "ada@my_agency.example",
        "ada@\u2603.example",
        "ada@192.0.2.1",
        "ada@[192.0.2.1]",
        f"{'a' * 65}@agency.example",
        f"ada@{'a' * 64}.example",
        f"ada@{'.'.join(['a' * 60] * 5)}.example",
        "ada@agency.example\ud83d",
    ],
)
def test_what_can_never_be_mailed_is_refused_with_the_reason(address: str) -> None:
    with pytest.raises(AddressError, match=r"^(is|has|needs) "):
        mailable(address)


def test_two_people_are_two_and_one_is_one() -> None:
    assert key("strasse@faß.example") != key("strasse@fass.example")
    assert key("STRASSE@Fass.example") == key("strasse@fass.example")
    assert key("ada@ⓐ.example") == key("ada@a.example")  # the one domain that browsers and servers know by both


def test_an_address_that_was_stored_once_has_a_form() -> None:
    assert key("J\u00f6rg@Agency.Example") == key("jo\u0308rg@agency.example") == "j\u00f6rg@agency.example"
    assert key("\ufb01@agency.example") != key("fi@agency.example")
    assert key("nobody") == "nobody"
