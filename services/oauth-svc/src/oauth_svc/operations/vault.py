"""Sealing: AES-256-GCM under a data key per workspace, which a key-encryption key wraps (`common.crypto`).

The associated data names the table, the row, the workspace and the row's version, so a ciphertext that is moved to
another row, or an old one that is brought back, does not open. Unwrapped keys are cached, bounded in number.
"""

import json
from collections.abc import Iterable
from datetime import datetime, timedelta
from uuid import UUID

from cachetools import LRUCache

from common.crypto import DataKey, KeyEncryption, UnsealableError, create, data_key_id, rewrap
from common.postgres import Db
from common.runtime import ids
from common.telemetry.logs import get_logger
from oauth_svc import store
from oauth_svc.core.grant import Secrets, TokenAnswer
from oauth_svc.providers.base import match_digest, token_hash
from oauth_svc.store.credentials import DataKeyRow, SealedCredential

_log = get_logger(__name__)

KEY_CACHE = 10_000
"""Unwrapped data keys that are kept; about 300 bytes each."""

ACTIVE_FOR = timedelta(seconds=60)
"""How long a workspace's active key is taken for granted; a rotated key may be written with for that long."""


_COMPACT = json.JSONEncoder(separators=(",", ":"))


class Vault:
    """Seals and opens. Keys are loaded first (`ready`), so that sealing itself never waits."""

    def __init__(self, kek: KeyEncryption) -> None:
        self._kek = kek
        self._keys: LRUCache[UUID, DataKey] = LRUCache(KEY_CACHE)
        self._active: LRUCache[UUID, tuple[UUID, datetime]] = LRUCache(KEY_CACHE)

    async def ready(
        self, db: Db, now: datetime, *, workspaces: Iterable[UUID] = (), key_ids: Iterable[UUID] = ()
    ) -> None:
        """Load the active keys of these workspaces (made where there is none) and these very keys.

        A key that cannot be unwrapped here is left out: it concerns what it seals, not whatever is loaded with it.

        Args:
            db: the connection or the transaction to use.
            now: the present time, in UTC.
            workspaces: workspaces whose active key is needed.
            key_ids: keys that are needed whatever their age.

        """
        stale = {workspace for workspace in workspaces if not self._is_fresh(workspace, now)}
        if stale:
            await self._load_active(db, stale, now)
        wanted = {key_id for key_id in key_ids if key_id not in self._keys}
        if wanted:
            for row in await store.credentials.data_keys(db, wanted):
                await self._remember(row)

    def forget_active(self) -> None:
        """Ask the database again which key is active, after a rotation."""
        self._active.clear()

    def can_seal(self, workspace_id: UUID) -> bool:
        """Return whether what a platform answers for this workspace could be kept."""
        known = self._active.get(workspace_id)
        return known is not None and known[0] in self._keys

    def seal(self, workspace_id: UUID, plaintext: bytes, aad: bytes) -> tuple[UUID, bytes]:
        """Return the key's id and the blob. The workspace must be `ready`."""
        key = self._keys[self._active[workspace_id][0]]
        return key.id, key.seal(plaintext, aad)

    def open(self, blob: bytes, aad: bytes) -> bytes:
        """Return the plaintext. Raises `UnsealableError`, also when the key is not here: load it with `ready`."""
        key = self._keys.get(data_key_id(blob))
        if key is None:
            raise UnsealableError
        return key.open_(blob, aad)

    def seal_credential(
        self,
        connection_id: UUID,
        workspace_id: UUID,
        secrets: Secrets,
        *,
        version: int,
        generation: int,
        issued_at: datetime,
    ) -> SealedCredential:
        """Return the credential encrypted, bound to its row, version and generation.

        Args:
            connection_id: the connection.
            workspace_id: the workspace.
            secrets: the tokens.
            version: the version of the row.
            generation: how often the credential was replaced.
            issued_at: when the platform issued it, in UTC.

        """
        plaintext = _COMPACT.encode(
            {"a": secrets.access_token, "r": secrets.refresh_token, "c": dict(secrets.credentials)}
        ).encode()
        key_id, sealed = self.seal(workspace_id, plaintext, credential_aad(connection_id, workspace_id, version))
        token = secrets.refresh_token
        return SealedCredential(
            connection_id,
            workspace_id,
            key_id,
            version,
            generation,
            sealed,
            issued_at,
            match_digest(token) if token else None,
            token_hash(token) if token else None,
        )

    def open_credential(self, row: SealedCredential) -> Secrets:
        aad = credential_aad(row.connection_id, row.workspace_id, row.version)
        found = json.loads(self.open(row.sealed, aad))
        return Secrets(found["a"], found["r"], found["c"])

    def seal_answer(
        self, connection_id: UUID, workspace_id: UUID, epoch: int, answer: TokenAnswer
    ) -> tuple[UUID, bytes]:
        """Return a token answer encrypted, bound to the attempt that brought it.

        Args:
            connection_id: the connection.
            workspace_id: the workspace.
            epoch: the epoch of the attempt's lease.
            answer: the token answer.

        """
        plaintext = _COMPACT.encode(
            {
                "a": answer.access_token,
                "r": answer.refresh_token,
                "i": answer.issued_at.isoformat(),
                "e": answer.expires_at and answer.expires_at.isoformat(),
                "g": answer.grant_expires_at and answer.grant_expires_at.isoformat(),
                "s": None if answer.scopes is None else sorted(answer.scopes),
            }
        ).encode()
        return self.seal(workspace_id, plaintext, answer_aad(connection_id, workspace_id, epoch))

    def open_answer(self, connection_id: UUID, workspace_id: UUID, epoch: int, blob: bytes) -> TokenAnswer:
        """Return a token answer that `seal_answer` has encrypted.

        Args:
            connection_id: the connection.
            workspace_id: the workspace.
            epoch: the epoch of the attempt's lease.
            blob: the encrypted answer.

        """
        found = json.loads(self.open(blob, answer_aad(connection_id, workspace_id, epoch)))
        return TokenAnswer(
            access_token=found["a"],
            refresh_token=found["r"],
            issued_at=datetime.fromisoformat(found["i"]),
            expires_at=found["e"] and datetime.fromisoformat(found["e"]),
            grant_expires_at=found["g"] and datetime.fromisoformat(found["g"]),
            scopes=None if found["s"] is None else frozenset(found["s"]),
        )

    async def make_key(self, workspace_id: UUID) -> tuple[DataKeyRow, DataKey]:
        """Return a new data key, not stored yet."""
        key_id = ids.new_id()
        key, wrapped = await create(self._kek, key_id, wrap_aad(key_id, workspace_id))
        return DataKeyRow(key_id, workspace_id, self._kek.key_id_of(wrapped), wrapped, "active"), key

    async def rewrapped(self, row: DataKeyRow) -> DataKeyRow:
        """Return the same data key under the present key-encryption key."""
        wrapped = await rewrap(self._kek, row.wrapped, wrap_aad(row.key_id, row.workspace_id))
        return DataKeyRow(row.key_id, row.workspace_id, self._kek.key_id_of(wrapped), wrapped, row.state)

    async def current_kek(self) -> str:
        """Return the key-encryption key that wraps now."""
        return await self._kek.current_key_id()

    def _is_fresh(self, workspace_id: UUID, now: datetime) -> bool:
        known = self._active.get(workspace_id)
        return known is not None and now < known[1] and known[0] in self._keys

    async def _load_active(self, db: Db, workspaces: set[UUID], now: datetime) -> None:
        found = {row.workspace_id: row for row in await store.credentials.active_keys(db, workspaces)}
        for workspace_id in workspaces:
            row = found.get(workspace_id) or await self._make(db, workspace_id, now)
            await self._remember(row)
            self._active[workspace_id] = (row.key_id, now + ACTIVE_FOR)

    async def _make(self, db: Db, workspace_id: UUID, now: datetime) -> DataKeyRow:
        """Return a new data key; when another process was faster, its key."""
        row, _ = await self.make_key(workspace_id)
        if await store.credentials.add_key(db, row, now):
            return row
        return (await store.credentials.active_keys(db, [workspace_id]))[0]

    async def _remember(self, row: DataKeyRow) -> None:
        if row.key_id in self._keys:
            return
        try:
            material = await self._kek.unwrap(row.wrapped, wrap_aad(row.key_id, row.workspace_id))
        except UnsealableError:
            _log.error("data_key_unreadable", kek_id=row.kek_id)
            return
        self._keys[row.key_id] = DataKey(row.key_id, material)


def wrap_aad(key_id: UUID, workspace_id: UUID) -> bytes:
    return b"data_key|" + key_id.bytes + workspace_id.bytes


def credential_aad(connection_id: UUID, workspace_id: UUID, version: int) -> bytes:
    return b"credential|" + connection_id.bytes + workspace_id.bytes + version.to_bytes(8, "big")


def answer_aad(connection_id: UUID, workspace_id: UUID, epoch: int) -> bytes:
    return b"answer|" + connection_id.bytes + workspace_id.bytes + epoch.to_bytes(8, "big")
