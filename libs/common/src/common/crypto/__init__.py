"""Sealing values, keeping keys. Knows AES-256-GCM and nothing about what is sealed."""

from common.crypto.data_keys import DataKey, associated_data, create, data_key_id, rewrap
from common.crypto.keepers import KeyEncryption, KeyOptions, KeyringEncryption, TransitEncryption
from common.crypto.keyring import Keyring, KeyringError, KeyringFile, Sealer
from common.crypto.sealed import SealingKey, UnsealableError

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
    "UnsealableError",
    "associated_data",
    "create",
    "data_key_id",
    "rewrap",
]
