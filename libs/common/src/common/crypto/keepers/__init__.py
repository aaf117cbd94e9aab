"""The outer level: what seals data keys and other secrets is a key-encryption key that lives elsewhere.

One interface, one module for each keeper. Adding a keeper (a cloud's KMS) is a module here, its settings and its line
in `options`; no service changes.
"""

from common.crypto.keepers.interface import KeyEncryption
from common.crypto.keepers.options import KeyOptions
from common.crypto.keepers.ring import KeyringEncryption
from common.crypto.keepers.transit import TransitEncryption

__all__ = ["KeyEncryption", "KeyOptions", "KeyringEncryption", "TransitEncryption"]
