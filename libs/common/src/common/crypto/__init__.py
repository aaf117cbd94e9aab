"""Sealing values, keeping keys. Knows AES-256-GCM and nothing about what is sealed."""

from common.crypto.data_keys import DataKey, associated_data, create, data_key_id, rewrap
from common.crypto.keepers import KeyEncryption, KeyOptions, KeyringEncryption, TransitEncryption
from common.crypto.keyring import Keyring, KeyringError, KeyringFile, Sealer
from common.crypto.sealed import SealingKey, UnsealableError

Unsealable = UnsealableError  # the name that oauth-svc still uses

__all__ = [
    "DataKey",
    "KeyEncryption",
    "KeyOptions",
    "Keyring",
    "KeyringEncryption",
    "KeyringError",
    "KeyringFile",
    "Sealer",
    "SealingKey",
    "TransitEncryption",
    "Unsealable",
    "UnsealableError",
    "associated_data",
    "create",
    "data_key_id",
    "rewrap",
]
