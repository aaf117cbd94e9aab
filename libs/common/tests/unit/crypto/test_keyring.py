"""The keyring file: what is refused, how it is written, how keys are changed."""

import base64
import json
from hashlib import sha256
from pathlib import Path

import pytest

from common.crypto import Keyring, KeyringError, KeyringFile, UnsealableError
from common.crypto.keyring import mode_refusal

KEY = base64.b64encode(sha256(b"one").digest()).decode()
OTHER = base64.b64encode(sha256(b"other").digest()).decode()


def write(path: Path, text: str | bytes, mode: int = 0o600) -> Path:
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    path.chmod(mode)
    return path


def test_written_and_read(tmp_path: Path) -> None:
    keyring = Keyring.generate("2026-11")
    path = tmp_path / "keyring.json"
    keyring.write(path)
    assert path.stat().st_mode & 0o777 == 0o600
    again = Keyring.from_file(path)
    assert (again.active, again.ids) == ("2026-11", ("2026-11",))
    assert again.open_(keyring.seal(b"x", b"a"), b"a") == b"x"
    assert [each.name for each in tmp_path.iterdir()] == ["keyring.json"]


def test_toml_is_read_too(tmp_path: Path) -> None:
    path = write(tmp_path / "keyring.toml", f'active = "a"\n[keys]\na = "{KEY}"\n"b" = "{OTHER}"\n')
    assert Keyring.from_file(path).ids == ("a", "b")


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o660, 0o601])
def test_a_file_that_others_can_read_is_refused(tmp_path: Path, mode: int) -> None:
    path = write(tmp_path / "k.json", json.dumps({"active": "a", "keys": {"a": KEY}}), mode)
    with pytest.raises(KeyringError, match="must be 0600 at most"):
        Keyring.from_file(path)


US, ROOT, STRANGER = 10001, 0, 4711


@pytest.mark.parametrize(
    ("mode", "owner", "reader", "most"),
    [
        (0o600, US, US, None),
        (0o400, US, US, None),
        (0o640, US, US, "0600"),
        (0o440, ROOT, US, None),  # a Secret of Kubernetes, mounted with fsGroup
        (0o640, ROOT, US, None),
        (0o660, ROOT, US, "0640"),
        (0o644, ROOT, US, "0640"),
        (0o640, ROOT, ROOT, "0600"),
        (0o640, STRANGER, US, "0600"),
    ],
)
def test_who_may_read_it_depends_on_whose_it_is(mode: int, owner: int, reader: int, most: str | None) -> None:
    refusal = mode_refusal(mode, owner=owner, reader=reader)
    assert (refusal is None) if most is None else (refusal is not None and f"must be {most} at most" in refusal)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "is not a keyring"),
        ("{", "is not a keyring"),
        ("[]", "is not a keyring"),
        ("null", "is not a keyring"),
        (b"\xff\xfe", "cannot be read"),
        (json.dumps({"keys": {"a": KEY}}), "is not a keyring"),
        (json.dumps({"active": "a"}), "is not a keyring"),
        (json.dumps({"active": "b", "keys": {"a": KEY}}), "'b' is not among"),
        (json.dumps({"active": "a", "keys": {"a": "c2hvcnQ="}}), "5 bytes instead of 32"),
        (json.dumps({"active": "a", "keys": {"a": "no base64!"}}), "'a' is not base64"),
        (json.dumps({"active": "a", "keys": {"a": 5}}), "'a' is not base64"),
        (json.dumps({"active": "a b", "keys": {"a b": KEY}}), "letters, digits"),
        (json.dumps({"active": "", "keys": {"": KEY}}), "letters, digits"),
        (json.dumps({"active": "a", "keys": {"a": KEY, "b": KEY}}), "two ids have the same key"),
    ],
)
def test_files_that_are_refused(tmp_path: Path, text: str | bytes, why: str) -> None:
    with pytest.raises(KeyringError, match=why) as refused:
        Keyring.from_file(write(tmp_path / "k.json", text))
    assert KEY not in str(refused.value)
    assert "no base64!" not in str(refused.value)


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(KeyringError, match="cannot be read"):
        Keyring.from_file(tmp_path / "none.json")


def test_rotation_opens_the_old_and_seals_with_the_new() -> None:
    first = Keyring.generate("k1")
    old = first.seal(b"x", b"")
    second = first.rotated("k2")
    assert second.key_id_of(second.seal(b"y", b"")) == "k2"
    assert second.key_id_of(old) == "k1"
    assert second.open_(old, b"") == b"x"
    third = second.without("k1")
    with pytest.raises(UnsealableError):
        third.open_(old, b"")
    with pytest.raises(KeyringError, match="already"):
        second.rotated("k1")
    with pytest.raises(KeyringError, match="is active"):
        second.without("k2")


def test_a_failed_write_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "keyring.json"
    Keyring.generate("old").write(path)

    def fail(_: int) -> None:
        raise OSError("disk full")

    monkeypatch.setattr("common.crypto.keyring.os.fsync", fail)
    with pytest.raises(OSError, match="disk full"):
        Keyring.generate("new").write(path)
    assert Keyring.from_file(path).active == "old"
    assert [each.name for each in tmp_path.iterdir()] == ["keyring.json"]


def test_a_file_is_followed_without_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "keyring.json"
    old = Keyring.generate("old")
    old.write(path)
    ring = KeyringFile(path)
    sealed = ring.seal(b"x", b"a")
    both = old.rotated("new")
    both.write(path)
    assert ring.open_(both.seal(b"y", b"a"), b"a") == b"y", "an unknown key is looked for in the file"
    assert ring.active == "new"
    assert ring.key_id_of(ring.seal(b"z", b"a")) == "new"
    assert ring.open_(sealed, b"a") == b"x"
    both.without("old").write(path)
    with pytest.raises(UnsealableError):
        ring.open_(sealed, b"a")


@pytest.mark.parametrize("broken", ["gone", "open to others", "not a keyring", "half of it"])
def test_a_file_that_became_unusable_leaves_the_last_good_keys(tmp_path: Path, broken: str) -> None:
    path = tmp_path / "keyring.json"
    keyring = Keyring.generate("a")
    keyring.write(path)
    ring = KeyringFile(path)
    sealed = ring.seal(b"x", b"a")
    text = path.read_text()
    match broken:
        case "gone":
            path.unlink()
        case "open to others":
            write(path, text + " ", 0o644)
        case "not a keyring":
            write(path, "{}")
        case _:
            write(path, text[: len(text) // 2])
    assert ring.open_(sealed, b"a") == b"x"
    assert ring.active == "a"
    write(path, text)
    keyring.rotated("b").write(path)
    assert ring.active == "b", "and it is followed again"


def test_a_link_that_is_turned_is_followed(tmp_path: Path) -> None:
    """How an orchestrator changes a mounted secret: the link to the folder is replaced, the file's name stays."""
    for name, keyring in (("one", old := Keyring.generate("one")), ("two", old.rotated("two"))):
        (tmp_path / name).mkdir()
        keyring.write(tmp_path / name / "keyring.json")
    (tmp_path / "now").symlink_to(tmp_path / "one")
    ring = KeyringFile(tmp_path / "now" / "keyring.json")
    assert ring.active == "one"
    (tmp_path / "next").symlink_to(tmp_path / "two")
    (tmp_path / "next").rename(tmp_path / "now")
    assert ring.active == "two"


def test_a_file_that_is_unusable_at_the_start_is_refused(tmp_path: Path) -> None:
    with pytest.raises(KeyringError, match="cannot be read"):
        KeyringFile(tmp_path / "none.json")


@pytest.mark.parametrize(
    ("key", "why"),
    [
        (bytes(32), "a sequence"),
        (b"\xff" * 32, "a sequence"),
        (b"A" * 32, "text"),
        (b"\x00\xff" * 16, "a pattern"),
        (bytes(range(8)) * 4, "a pattern"),
        (sha256(b"x").digest()[:15] + bytes(17), "a pattern"),
        (bytes(range(32)), "a sequence"),
        (bytes(range(255, 223, -1)), "a sequence"),
        (bytes((7 * number) % 256 for number in range(32)), "a sequence"),
        (b"correct horse battery staple 123", "text"),
        (sha256(b"x").hexdigest()[:32].encode(), "text"),
        (b"short", "has 5 bytes"),
        (b"", "has 0 bytes"),
        (sha256(b"x").digest() + b"x", "has 33 bytes"),
    ],
)
def test_a_key_that_no_generator_would_give_is_refused(tmp_path: Path, key: bytes, why: str) -> None:
    text = json.dumps({"active": "a", "keys": {"a": base64.b64encode(key).decode()}})
    with pytest.raises(KeyringError, match=why) as refused:
        Keyring.from_file(write(tmp_path / "k.json", text))
    assert base64.b64encode(key).decode() not in str(refused.value) or not key


def test_random_keys_are_taken() -> None:
    for number in range(2000):
        Keyring({"a": sha256(str(number).encode()).digest()}, "a")
