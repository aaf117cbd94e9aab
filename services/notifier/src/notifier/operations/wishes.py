"""Preferences and reachability of people, in bulk."""

from collections.abc import Iterable, Sequence
from datetime import datetime, time
from typing import Any
from uuid import UUID

from common.contracts import NoticeChannel, NoticeCode
from common.postgres import Db, transaction
from notifier.core.channels import ChannelReach
from notifier.core.preferences import PUSH_CHANNELS, Preferences, QuietHours
from notifier.core.routing import Person, workspace_itself
from notifier.operations.channel import AnyChannel
from notifier.operations.deps import Deps
from notifier.store import people

Document = dict[str, Any]


async def of(db: Db, told: Sequence[Person]) -> dict[UUID, Preferences]:
    """Return what each of these people wants: their own wishes over their workspace's."""
    pairs = {(person.workspace_id, person.user_id) for person in told}
    pairs |= {(person.workspace_id, people.WORKSPACE_ITSELF) for person in told}
    stored = await people.wishes(db, pairs)
    parsed = {pair: parse(document) for pair, document in stored.items()}
    nothing = Preferences()
    return {
        person.user_id: parsed.get((person.workspace_id, person.user_id), nothing).over(
            parsed.get((person.workspace_id, people.WORKSPACE_ITSELF), nothing)
        )
        for person in told
    }


async def reachable(
    db: Db, told: Sequence[Person], channels: Iterable[AnyChannel]
) -> dict[UUID, tuple[NoticeChannel, ...]]:
    """Return the push channels that can reach each of these people now."""
    found: dict[UUID, tuple[NoticeChannel, ...]] = {person.user_id: () for person in told}
    for channel in channels:
        for user_id in await channel.addresses(db, told):
            found[user_id] += (channel.name,)
    return found


async def workspaces_reached(db: Db, deps: Deps, workspace_ids: Sequence[UUID]) -> list[Person]:
    """Return those of the workspaces that have a channel of their own, as readers."""
    readers = [workspace_itself(workspace_id) for workspace_id in workspace_ids]
    channels = [channel for channel in deps.channels.values() if channel.audience is ChannelReach.WORKSPACE]
    ways = await reachable(db, readers, channels)
    return [person for person in readers if ways[person.user_id]]


async def read(deps: Deps, workspace_id: UUID, user_id: UUID) -> tuple[Preferences, Preferences]:
    """Return a person's own wishes, and their workspace's."""
    async with transaction(deps.pool) as db:
        stored = await people.wishes(db, [(workspace_id, user_id), (workspace_id, people.WORKSPACE_ITSELF)])
    own = stored.get((workspace_id, user_id), {})
    shared = stored.get((workspace_id, people.WORKSPACE_ITSELF), {})
    return parse(own), parse(shared)


async def write(deps: Deps, workspace_id: UUID, user_id: UUID | None, wanted: Preferences, now: datetime) -> None:
    """Replace the wishes of a person, or (None) of the workspace.

    Args:
        deps: what the operations of the service work with.
        workspace_id: the workspace.
        user_id: the person; None for the workspace's own wishes.
        wanted: the wishes.
        now: the present time, in UTC.

    """
    async with transaction(deps.pool) as db:
        await people.save_wishes(db, workspace_id, user_id or people.WORKSPACE_ITSELF, document(wanted), now)


def document(wanted: Preferences) -> Document:
    """As it is stored."""
    channels: dict[str, dict[str, bool]] = {}
    for (channel, code), on in wanted.channels.items():
        channels.setdefault(channel.value, {})[code.value] = on
    quiet = wanted.quiet_hours
    return {
        "channels": channels,
        "quiet_hours": {"start": quiet.start.isoformat(), "end": quiet.end.isoformat()} if quiet else None,
        "time_zone": wanted.time_zone,
    }


def parse(stored: Document) -> Preferences:
    """As it was stored; codes that this version does not know are left alone."""
    channels = {
        (channel, code): bool(on)
        for channel in PUSH_CHANNELS
        for code in NoticeCode
        if (on := stored.get("channels", {}).get(channel.value, {}).get(code.value)) is not None
    }
    quiet = stored.get("quiet_hours")
    return Preferences(
        channels=channels,
        quiet_hours=QuietHours(time.fromisoformat(quiet["start"]), time.fromisoformat(quiet["end"])) if quiet else None,
        time_zone=stored.get("time_zone"),
    )
