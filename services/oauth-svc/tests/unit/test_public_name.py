"""Events name accounts, and never hold an email address."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oauth_svc.core.connection import public_name


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("avery@northwind.example", "northwind.example"),
        ("Shoes EU", "Shoes EU"),
        ("Shoes (avery@northwind.example) EU", "Shoes (northwind.example) EU"),
        ("a@b.example, c@d.example", "b.example, d.example"),
        ("@handle", "@handle"),
        ("a@b@c.example", "c.example"),
    ],
)
def test_an_address_becomes_its_domain(name: str, told: str) -> None:
    assert public_name(name) == told


@given(st.text(alphabet="ab.@ ()<>", max_size=30))
def test_no_address_is_left(name: str) -> None:
    assert not re.search(r"[\w.]+@[\w.]+", public_name(name))
