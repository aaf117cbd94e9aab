"""`/api/v1/notification-preferences`: what a person wants to be told, where, and when not to be disturbed."""

from dataclasses import replace
from datetime import time
from enum import StrEnum
from typing import Annotated, Self
from zoneinfo import available_timezones

from pydantic import AfterValidator, BaseModel, Field, model_validator

from common.contracts import NoticeChannel, NoticeCode
from common.runtime.clock import Clock
from common.web import Access, FieldError, Principal, Problem, Routes, invalid
from notifier.core.channels import ChannelReach
from notifier.core.preferences import PUSH_CHANNELS, Preferences, QuietHours
from notifier.core.routing import ADMIN_ROLES
from notifier.http.reader import reader_of
from notifier.operations import wishes as operations
from notifier.operations.deps import Deps


class Scope(StrEnum):
    """Whose preferences: one's own, or the workspace's, which are the default of everybody in it."""

    USER = "user"
    WORKSPACE = "workspace"


def _known_zone(name: str | None) -> str | None:
    if name is not None and name not in available_timezones():
        raise ValueError("is not an IANA time zone, such as Europe/Berlin")
    return name


def _to_the_minute(value: time) -> time:
    if value.second or value.microsecond or value.tzinfo is not None:
        raise ValueError("give it as HH:MM, on the reader's own clock")
    return value


Clocktime = Annotated[time, AfterValidator(_to_the_minute)]


class Quiet(BaseModel):
    """Hours without messages, on the reader's clock. Critical notices pass."""

    start: Clocktime
    end: Clocktime

    @model_validator(mode="after")
    def _not_empty(self) -> Self:
        if self.start == self.end:
            raise ValueError("start and end must differ")
        return self


def _pushes(channel: NoticeChannel) -> NoticeChannel:
    if channel not in PUSH_CHANNELS:
        raise ValueError("in the app every notice is shown; that is not a wish")
    return channel


ChannelWishes = dict[Annotated[NoticeChannel, AfterValidator(_pushes)], dict[NoticeCode, bool]]
"""By channel and notice code: whether to send. What is left out is decided by the layer below."""


class Wishes(BaseModel):
    """One layer of preferences. What is left out is decided by the layer below."""

    channels: ChannelWishes = Field(default_factory=dict, description="by channel and notice code: whether to send")
    quiet_hours: Quiet | None = None
    time_zone: Annotated[str | None, AfterValidator(_known_zone)] = Field(
        default=None, max_length=64, description="IANA name; without it, the one of the person's profile"
    )

    @classmethod
    def of(cls, held: Preferences) -> Self:
        """As the API shows it."""
        quiet = held.quiet_hours
        return cls(
            channels={
                channel: {code: on for (where, code), on in held.channels.items() if where is channel}
                for channel in PUSH_CHANNELS
            },
            quiet_hours=Quiet(start=quiet.start, end=quiet.end) if quiet else None,
            time_zone=held.time_zone,
        )

    def preferences(self) -> Preferences:
        """As the rules want it."""
        return Preferences(
            channels={(channel, code): on for channel, wishes in self.channels.items() for code, on in wishes.items()},
            quiet_hours=QuietHours(self.quiet_hours.start, self.quiet_hours.end) if self.quiet_hours else None,
            time_zone=self.time_zone,
        )


class PreferencesView(Wishes):
    """What happens now (own wishes over the workspace's over the defaults), and the layers it follows from.

    In the app every notice is shown: that is not a wish.
    """

    own: Wishes
    workspace: Wishes
    may_change_workspace: bool


class PreferencesQuery(BaseModel):
    """Whose to replace."""

    scope: Scope = Scope.USER


def routes(deps: Deps, clock: Clock) -> Routes:
    """Return the endpoints."""
    r = Routes("preferences")
    path = "/api/v1/notification-preferences"

    async def shown(principal: Principal) -> PreferencesView:
        reader = reader_of(principal)
        own, shared = await operations.read(deps, reader.workspace_id, reader.user_id)
        both = own.over(shared)
        every = {(channel, code): both.wants(channel, code) for channel in PUSH_CHANNELS for code in NoticeCode}
        effective = Wishes.of(replace(both, channels=every))
        return PreferencesView(
            channels=effective.channels,
            quiet_hours=effective.quiet_hours,
            time_zone=effective.time_zone,
            own=Wishes.of(own),
            workspace=Wishes.of(shared),
            may_change_workspace=reader.role in ADMIN_ROLES,
        )

    @r.get(path, access=Access.user(), summary="What the caller is told, and where")
    async def preferences(principal: Principal) -> PreferencesView:
        """Own wishes, the workspace's, and what follows from both."""
        return await shown(principal)

    @r.put(
        path,
        access=Access.user(refuse_act=True),
        summary="Replace the caller's wishes, or (as an admin) the workspace's",
        problems=[(403, "admins_only")],
    )
    async def put(query: PreferencesQuery, body: Wishes, principal: Principal) -> PreferencesView:
        """What is left out of the body is forgotten, and the layer below decides it. A time zone left out stays."""
        reader = reader_of(principal)
        if query.scope is Scope.WORKSPACE and reader.role not in ADMIN_ROLES:
            raise Problem(
                403,
                "admins_only",
                "Only an admin or the owner changes the workspace's preferences",
                fix="Ask an admin or the owner, or change your own preferences.",
            )
        if query.scope is Scope.USER:
            _refuse_channels_of_workspace(deps, body)
        user_id = reader.user_id if query.scope is Scope.USER else None
        wanted = body.preferences()
        if "time_zone" not in body.model_fields_set:  # saving quiet hours moves nobody to another zone; null does
            own, shared = await operations.read(deps, reader.workspace_id, reader.user_id)
            wanted = replace(wanted, time_zone=(own if user_id is not None else shared).time_zone)
        await operations.write(deps, reader.workspace_id, user_id, wanted, clock.now())
        return await shown(principal)

    return r


def _refuse_channels_of_workspace(deps: Deps, body: Wishes) -> None:
    """A person's wish about a channel of the whole workspace would change nothing, so it is refused."""
    errors = [
        FieldError(
            field=f"channels.{name.value}",
            rule="workspace_only",
            message="is a channel of the workspace: an admin changes it with scope=workspace",
        )
        for name, wishes in body.channels.items()
        if wishes and (channel := deps.channels.get(name)) is not None and channel.audience is ChannelReach.WORKSPACE
    ]
    if errors:
        raise invalid(errors)
