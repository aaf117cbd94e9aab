"""The transit engine of Vault or OpenBao over HTTP, against a server that answers as their documentation says.

https://openbao.org/api-docs/secret/transit/ : encrypt, decrypt, keys; 400 for what cannot be decrypted.
"""

import asyncio
import base64
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from common.crypto import Keyring, TransitEncryption, UnsealableError, create, rewrap
from common.crypto.keepers import transit as transit_module
from common.runtime.errors import PermanentError, RetryableError
from common.runtime.ids import new_id, random_bytes

TOKEN = "s.hunter2hunter2"


class Transit:
    """One key of type aes256-gcm96 with versions."""

    def __init__(self) -> None:
        self.versions = [AESGCM(random_bytes(32))]
        self.override: tuple[int, Any] | None = None
        self.hang = False
        self.seen: list[web.Request] = []

    async def handle(self, request: web.Request) -> web.StreamResponse:  # noqa: PLR0911  one per documented answer
        self.seen.append(request)
        if self.hang:
            await asyncio.Event().wait()
        if self.override is not None:
            status, body = self.override
            return (
                web.Response(status=status, text=body)
                if isinstance(body, str)
                else web.json_response(body, status=status)
            )
        if request.headers.get("X-Vault-Token") != TOKEN:
            return web.json_response({"errors": ["permission denied"]}, status=403)
        verb, name = request.match_info["verb"], request.match_info["name"]
        if name != "wevion":
            return web.json_response({"errors": ["encryption key not found"]}, status=404)
        if verb == "keys":
            return web.json_response({"data": {"latest_version": len(self.versions), "type": "aes256-gcm96"}})
        body = await request.json()
        aad = base64.b64decode(body["associated_data"])
        if verb == "encrypt":
            nonce = random_bytes(12)
            sealed = nonce + self.versions[-1].encrypt(nonce, base64.b64decode(body["plaintext"]), aad)
            text = f"vault:v{len(self.versions)}:{base64.b64encode(sealed).decode()}"
            return web.json_response({"data": {"ciphertext": text, "key_version": len(self.versions)}})
        _, version, text = body["ciphertext"].split(":")
        try:
            sealed = base64.b64decode(text, validate=True)
            plain = self.versions[int(version[1:]) - 1].decrypt(sealed[:12], sealed[12:], aad)
        except (InvalidTag, ValueError, IndexError):
            return web.json_response({"errors": ["cipher: message authentication failed"]}, status=400)
        return web.json_response({"data": {"plaintext": base64.b64encode(plain).decode()}})


@pytest.fixture
def transit() -> Transit:
    return Transit()


@pytest.fixture
async def address(transit: Transit) -> AsyncIterator[str]:
    app = web.Application()
    app.router.add_route("*", "/v1/transit/{verb}/{name}", transit.handle)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    await runner.cleanup()


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


@pytest.fixture
def kek(http: aiohttp.ClientSession, address: str) -> TransitEncryption:
    return TransitEncryption(http, address + "/", TOKEN, "wevion", namespace="team")


async def test_a_data_key_goes_there_and_back(kek: TransitEncryption, transit: Transit) -> None:
    key, wrapped = await create(kek, new_id(), b"workspace")
    assert kek.key_id_of(wrapped) == "wevion:v1" == await kek.current_key_id()
    assert len(await kek.unwrap(wrapped, b"workspace")) == 32
    assert transit.seen[0].headers["X-Vault-Namespace"] == "team"
    assert repr(key)


async def test_rotation_there_is_seen_here(kek: TransitEncryption, transit: Transit) -> None:
    _, wrapped = await create(kek, new_id(), b"w")
    transit.versions.append(AESGCM(random_bytes(32)))
    assert await kek.current_key_id() == "wevion:v2"
    again = await rewrap(kek, wrapped, b"w")
    assert kek.key_id_of(again) == "wevion:v2"
    assert await kek.unwrap(again, b"w") == await kek.unwrap(wrapped, b"w")


async def test_what_does_not_open(kek: TransitEncryption) -> None:
    wrapped = await kek.wrap(b"k" * 32, b"w")
    renamed = wrapped.replace(b"wevion:v1", b"wevion:v2", 1)
    elsewhere = wrapped.replace(b"wevion:", b"billing", 1)
    for blob, aad in (
        (wrapped, b"other"), (wrapped[:-4] + b"AAAA", b"w"), (wrapped[:8], b"w"), (b"", b"w"), (renamed, b"w"),
        (elsewhere, b"w"), (Keyring.generate().seal(b"x", b"w"), b"w"), (wrapped + b"\xff", b"w"),
    ):  # fmt: skip
        with pytest.raises(UnsealableError) as refused:
            await kek.unwrap(blob, aad)
        assert str(refused.value) == "the sealed value cannot be opened"


async def test_who_is_refused_learns_it_once(http: aiohttp.ClientSession, address: str) -> None:
    for token, name in (("wrong", "wevion"), (TOKEN, "unknown")):
        with pytest.raises(PermanentError, match="refuses us") as refused:
            await TransitEncryption(http, address, token, name).wrap(b"x", b"w")
        assert token not in str(refused.value)


@pytest.mark.parametrize(
    "answer",
    [(500, "sealed"), (503, "x"), (429, "x"), (200, "<html>"), (200, []), (200, {}), (200, {"data": None}),
     (200, {"data": {"ciphertext": "junk"}}), (200, {"data": {"ciphertext": 5}})],
)  # fmt: skip
async def test_answers_that_are_none(kek: TransitEncryption, transit: Transit, answer: tuple[int, Any]) -> None:
    transit.override = answer
    with pytest.raises(RetryableError):
        await kek.wrap(b"x", b"w")


async def test_a_plaintext_that_is_none(kek: TransitEncryption, transit: Transit) -> None:
    wrapped = await kek.wrap(b"x", b"w")
    for data in ({}, {"plaintext": 5}, {"plaintext": "!"}):
        transit.override = (200, {"data": data})
        with pytest.raises(UnsealableError):
            await kek.unwrap(wrapped, b"w")


async def test_a_service_that_is_away_or_hangs(
    kek: TransitEncryption, transit: Transit, http: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transit_module, "TIMEOUT_S", 0.2)
    with pytest.raises(RetryableError, match="does not answer"):
        await TransitEncryption(http, "http://127.0.0.1:1", TOKEN, "wevion").wrap(b"x", b"w")
    transit.hang = True
    with pytest.raises(RetryableError, match="does not answer"):
        await kek.wrap(b"x", b"w")


def test_it_does_not_show_its_token(kek: TransitEncryption) -> None:
    assert "hunter2" not in repr(kek) + str(vars(kek))
