"""Key-encryption keys of the transit engine of Vault or OpenBao, over HTTP: the key never leaves the other process."""

import base64
import binascii
from typing import Any

import aiohttp
from pydantic import SecretStr

from common.crypto.sealed import UnsealableError, make_head, read_head
from common.runtime.errors import PermanentError, RetryableError

TRANSIT = 2
"""The algorithm byte of a blob whose body is transit's own ciphertext."""

TIMEOUT_S = 5.0


class TransitEncryption:
    """By a key of type `aes256-gcm96` in the transit engine of Vault or OpenBao."""

    def __init__(
        self,
        http: aiohttp.ClientSession,
        address: str,
        token: SecretStr | str,
        key_name: str,
        *,
        mount: str = "transit",
        namespace: str | None = None,
    ) -> None:
        self._http = http
        self._base = f"{address.rstrip('/')}/v1/{mount}"
        self._token = token if isinstance(token, SecretStr) else SecretStr(token)
        self._key_name = key_name
        self._namespace = namespace

    async def wrap(self, plaintext: bytes, aad: bytes) -> bytes:
        data = await self._post("encrypt", {"plaintext": _encode(plaintext), "associated_data": _encode(aad)})
        ciphertext = data.get("ciphertext")
        if not isinstance(ciphertext, str) or not ciphertext.isascii() or ciphertext.count(":") != 2:  # noqa: PLR2004
            raise RetryableError("the key service's answer has no ciphertext")
        version = ciphertext.split(":")[1]
        return make_head(TRANSIT, f"{self._key_name}:{version}".encode()) + ciphertext.encode()

    async def unwrap(self, blob: bytes, aad: bytes) -> bytes:
        head = read_head(blob)
        body = blob[head.length :]
        if head.algorithm != TRANSIT or not body.isascii() or self._name_of(head.key_id) != self._key_name:
            raise UnsealableError
        # The head is not part of transit's own authentication: what it says must agree with what is.
        if body.split(b":")[1:2] != [head.key_id.rpartition(b":")[2]]:
            raise UnsealableError
        try:
            data = await self._post("decrypt", {"ciphertext": body.decode(), "associated_data": _encode(aad)})
            return base64.b64decode(data["plaintext"], validate=True)
        except (_RefusedError, KeyError, TypeError, binascii.Error, ValueError):
            raise UnsealableError from None

    def key_id_of(self, blob: bytes) -> str:
        return read_head(blob).key_id.decode("ascii", "replace")

    async def current_key_id(self) -> str:
        data = await self._call("GET", f"keys/{self._key_name}", None)
        return f"{self._key_name}:v{data.get('latest_version')}"

    @staticmethod
    def _name_of(key_id: bytes) -> str:
        return key_id.rpartition(b":")[0].decode("ascii", "replace")

    async def _post(self, verb: str, body: dict[str, str]) -> dict[str, Any]:
        return await self._call("POST", f"{verb}/{self._key_name}", body)

    async def _call(self, method: str, path: str, body: dict[str, str] | None) -> dict[str, Any]:
        headers = {"X-Vault-Token": self._token.get_secret_value(), "X-Vault-Request": "true"}
        if self._namespace:
            headers["X-Vault-Namespace"] = self._namespace
        try:
            async with self._http.request(
                method,
                f"{self._base}/{path}",
                json=body,
                headers=headers,
                timeout=aiohttp.ClientTimeout(total=TIMEOUT_S),
                allow_redirects=False,
            ) as answer:
                if answer.status == 400:  # noqa: PLR2004  what was sent cannot be decrypted
                    raise _RefusedError("the key service refuses the request (400)")
                if answer.status in {401, 403, 404}:
                    raise PermanentError(f"the key service refuses us ({answer.status}): token, policy or key name")
                if answer.status != 200:  # noqa: PLR2004
                    raise RetryableError(f"the key service answers {answer.status}")
                document = await answer.json(content_type=None)
        except (aiohttp.ClientError, TimeoutError, OSError, UnicodeDecodeError) as error:
            raise RetryableError(f"the key service does not answer ({type(error).__name__})") from None
        except ValueError:
            raise RetryableError("the key service's answer is not JSON") from None
        data = document.get("data") if isinstance(document, dict) else None
        if not isinstance(data, dict):
            raise RetryableError("the key service's answer has no data")
        return data


class _RefusedError(PermanentError):
    """The key service found the request wrong."""


def _encode(data: bytes) -> str:
    return base64.b64encode(data).decode()
