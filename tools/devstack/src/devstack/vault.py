"""The stack's secrets: made once, kept in `.local/secrets` for their owner's eyes only."""

from dataclasses import dataclass
from pathlib import Path

from common.crypto import Keyring
from common.runtime.ids import random_token


@dataclass(frozen=True, slots=True)
class Vault:
    """A folder of 0600 files."""

    folder: Path

    def secret(self, name: str) -> str:
        """The secret of that name; made on first use."""
        file = self.folder / name
        if not file.exists():
            self.write(name, random_token(24))
        return file.read_text().strip()

    def write(self, name: str, text: str) -> Path:
        """Writes a file that only its owner may read, never half-written; returns its path."""
        file = self.folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        self.folder.chmod(0o700)
        fresh = file.with_name(file.name + ".new")
        fresh.touch(mode=0o600)
        fresh.write_text(text)
        fresh.replace(file)
        return file

    def keyring(self, service: str) -> Path:
        """The file with the service's key-encryption keys; made on first use."""
        file = self.folder / f"keyring-{service}.json"
        if not file.exists():
            self.folder.mkdir(parents=True, exist_ok=True)
            Keyring.generate().write(file)
        return file

    def service_folder(self, service: str, settings: dict[str, str]) -> Path:
        """A `WEVION_SECRETS_DIR` for one service: one file per secret setting."""
        for name, value in settings.items():
            self.write(f"{service}/{name.lower()}", value)
        return self.folder / service
