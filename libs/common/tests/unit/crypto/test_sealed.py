"""Sealed values open only whole, only in their place, and only with their key."""

from hashlib import sha256
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.crypto import DataKey, Keyring, SealingKey, UnsealableError, associated_data, data_key_id
from common.crypto.sealed import LONGEST_KEY_ID, make_head, read_head
from common.runtime.ids import random_bytes

MATERIAL = sha256(b"some key").digest()
KEY = SealingKey(b"k1", MATERIAL)
AAD = associated_data("grant", "refresh", UUID(int=1), 7)


@given(st.binary(max_size=5000), st.binary(max_size=200))
def test_what_was_sealed_opens(plaintext: bytes, aad: bytes) -> None:
    assert KEY.open_(KEY.seal(plaintext, aad), aad) == plaintext


@given(st.integers(0, 10_000), st.integers(1, 255))
def test_any_changed_byte_is_noticed(at: int, change: int) -> None:
    blob = bytearray(KEY.seal(b"a refresh token", AAD))
    blob[at % len(blob)] ^= change
    with pytest.raises(UnsealableError):
        KEY.open_(bytes(blob), AAD)


@given(st.binary(max_size=200))
def test_no_other_bytes_open(junk: bytes) -> None:
    for opener in (KEY, Keyring({"k1": MATERIAL}, "k1")):
        with pytest.raises(UnsealableError):
            opener.open_(junk, AAD)


def test_cut_blobs_do_not_open() -> None:
    blob = KEY.seal(b"x", AAD)
    for length in range(len(blob)):
        with pytest.raises(UnsealableError):
            KEY.open_(blob[:length], AAD)
    with pytest.raises(UnsealableError):
        KEY.open_(blob + b"x", AAD)


def test_swapped_rows_do_not_decrypt() -> None:
    blob = KEY.seal(b"x", associated_data("grant", "refresh", UUID(int=1), 7))
    for other in (
        associated_data("grant", "refresh", UUID(int=2), 7),
        associated_data("grant", "access", UUID(int=1), 7),
        associated_data("grant", "refresh", UUID(int=1), 6),
        b"",
    ):
        with pytest.raises(UnsealableError):
            KEY.open_(blob, other)


def test_the_head_is_part_of_what_is_protected() -> None:
    """The same key under another name must not open it: a blob cannot be said to be under a newer key."""
    twin = SealingKey(b"k2", MATERIAL)
    blob = KEY.seal(b"x", AAD)
    renamed = make_head(1, b"k2") + blob[len(make_head(1, b"k1")) :]
    with pytest.raises(UnsealableError):
        twin.open_(renamed, AAD)


def test_every_refusal_says_the_same() -> None:
    blob = KEY.seal(b"x", AAD)
    said = set()
    for wrong, aad in ((blob, b"other"), (blob[:-1], AAD), (b"", AAD), (b"\x09" + blob[1:], AAD)):
        with pytest.raises(UnsealableError) as refused:
            KEY.open_(wrong, aad)
        said.add((str(refused.value), refused.value.__cause__))
    assert said == {("the sealed value cannot be opened", None)}


def test_no_two_blobs_are_the_same() -> None:
    assert len({KEY.seal(b"x", AAD) for _ in range(1000)}) == 1000


def test_a_blob_names_its_version_algorithm_and_key() -> None:
    assert read_head(KEY.seal(b"x", b"")) == (1, b"k1", 5)
    key_id = UUID(int=9)
    assert data_key_id(DataKey(key_id, random_bytes(32)).seal(b"x", b"")) == key_id
    with pytest.raises(UnsealableError):
        data_key_id(KEY.seal(b"x", b""))


@pytest.mark.parametrize("key_id", [b"", b"x" * (LONGEST_KEY_ID + 1)])
def test_key_ids_that_do_not_fit(key_id: bytes) -> None:
    with pytest.raises(ValueError, match="key id"):
        SealingKey(key_id, bytes(32))


@pytest.mark.parametrize("length", [0, 16, 31, 33])
def test_keys_of_another_size(length: int) -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        SealingKey(b"k", bytes(length))


def test_nothing_shows_a_key() -> None:
    key = DataKey(UUID(int=1), b"K" * 32)
    for shown in (repr(key), str(key), repr(SealingKey(b"k", b"K" * 32)), repr(Keyring({"k": MATERIAL}, "k"))):
        assert "KKK" not in shown


@given(st.lists(st.text(max_size=8), max_size=4), st.lists(st.text(max_size=8), max_size=4))
def test_different_parts_are_different_data(one: list[str], other: list[str]) -> None:
    assert (associated_data(*one) == associated_data(*other)) == (one == other)
