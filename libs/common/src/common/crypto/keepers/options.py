"""Which keeper there is, and how it is reached: the settings, and the one place that opens it."""

from collections.abc import Callable
from pathlib import Path
from typing import Literal

import aiohttp
from pydantic import Field, SecretStr

from common.crypto.keepers.interface import KeyEncryption
from common.crypto.keepers.ring import KeyringEncryption
from common.crypto.keepers.transit import TransitEncryption
from common.crypto.keyring import KeyringError, KeyringFile
from common.runtime.errors import PermanentError
from common.runtime.settings import Settings


class KeyOptions(Settings):
    """Where the key-encryption keys are."""

    key_encryption: Literal["keyring", "transit"] = Field(
        default="keyring", description="where the key-encryption keys are: a file, or Vault/OpenBao transit"
    )
    keyring_file: Path | None = Field(default=None, description="the keyring, mode 0600 (key_encryption=keyring)")
    vault_address: str | None = Field(default=None, description="Vault/OpenBao (key_encryption=transit)")
    vault_token: SecretStr | None = Field(default=None, description="its token (key_encryption=transit)")
    vault_key: str = Field(default="wevion", description="name of the transit key")
    vault_mount: str = Field(default="transit", description="mount of the transit engine")

    @property
    def keys_missing(self) -> str | None:
        """Return what has to be set before there are keys; None when everything is."""
        if self.key_encryption == "keyring" and self.keyring_file is None:
            return "WEVION_KEYRING_FILE is not set (or set WEVION_KEY_ENCRYPTION=transit)"
        if self.key_encryption == "transit" and (self.vault_address is None or self.vault_token is None):
            return "WEVION_VAULT_ADDRESS and WEVION_VAULT_TOKEN are needed with transit"
        return None

    def keys(self, client: Callable[[], aiohttp.ClientSession]) -> KeyEncryption:
        """Return the keeper; `client` is asked for where the keeper is reached over HTTP.

        Raises:
            PermanentError: a setting is missing, or the keys cannot be used.

        """
        if self.keys_missing is not None:
            raise PermanentError(self.keys_missing)
        if self.key_encryption == "transit" and self.vault_address and self.vault_token:
            return TransitEncryption(
                client(), self.vault_address, self.vault_token, self.vault_key, mount=self.vault_mount
            )
        try:
            return KeyringEncryption(KeyringFile(self.keyring_file or ""))
        except KeyringError as error:
            raise PermanentError(f"WEVION_KEYRING_FILE: {error}") from None
