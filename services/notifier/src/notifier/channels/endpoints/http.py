"""`/api/v1/notification-channels`: the channels of the workspace itself, which admins set up.

What is common to them is here; how one is set up (its PUT) is in its own folder.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from pydantic import BaseModel, Field

from common.contracts import NoticeChannel
from common.runtime.clock import Clock
from common.web import Access, Principal, Problem, Routes
from notifier.channels.endpoints import managing
from notifier.channels.endpoints.channel import EndpointChannel
from notifier.channels.endpoints.model import Endpoint, EndpointState
from notifier.core.delivery import Outcome, SendOutcome
from notifier.core.routing import ADMIN_ROLES
from notifier.http.reader import reader_of
from notifier.operations.deps import Deps

PATH = "/api/v1/notification-channels"
ADMINS = Access.user(ADMIN_ROLES, refuse_act=True)


class ChannelState(StrEnum):
    """Whether the workspace's notices go to a channel."""

    OFF = "off"
    ON = "on"
    DISABLED = "disabled"


class ChannelView(BaseModel):
    """One channel of the workspace. Its secrets are in no answer but the one that made them."""

    channel: NoticeChannel
    state: ChannelState
    reason: str | None = Field(description="why it is disabled, or was not reached: the channel's own code")
    explanation: str | None = Field(description="the reason in words, with what to do")
    failing_since: datetime | None = Field(description="since when no message was taken")
    updated_at: datetime | None
    updated_by: UUID | None
    config: dict[str, Any] | None = Field(description="how it is set up, without secrets; only admins see it")
    may_change: bool


class ChannelList(BaseModel):
    """The channels that a workspace can set up."""

    items: list[ChannelView]


class TestResult(BaseModel):
    """What became of a test message. A channel that was disabled is on again once one arrives."""

    delivered: bool
    reason: str | None = Field(description="the channel's own code of the refusal")
    explanation: str | None


@dataclass(frozen=True, slots=True)
class Managed:
    """A channel, and how its codes of refusal are said in words."""

    channel: EndpointChannel
    explain: Callable[[str], str]

    def view(self, endpoint: Endpoint | None, principal: Principal) -> ChannelView:
        """Return the channel as the API shows it to this person."""
        admin = principal.role in ADMIN_ROLES
        if endpoint is None:
            return ChannelView(
                channel=self.channel.name,
                state=ChannelState.OFF,
                reason=None,
                explanation=None,
                failing_since=None,
                updated_at=None,
                updated_by=None,
                config=None,
                may_change=admin,
            )
        return ChannelView(
            channel=self.channel.name,
            state=ChannelState.DISABLED if endpoint.state is EndpointState.DISABLED else ChannelState.ON,
            reason=endpoint.reason or None,
            explanation=self.explain(endpoint.reason) if endpoint.reason else None,
            failing_since=endpoint.failing_since,
            updated_at=endpoint.updated_at,
            updated_by=endpoint.updated_by,
            config=endpoint.config if admin else None,
            may_change=admin,
        )


def routes(deps: Deps, clock: Clock, channels: Sequence[Managed]) -> Routes:
    """Return the endpoints that all of the workspace's channels have."""
    r = Routes("notification-channels")

    @r.get(PATH, access=Access.user(), summary="The workspace's own channels")
    async def listed(principal: Principal) -> ChannelList:
        """Return everybody sees whether they work; how they are set up, only admins."""
        found = await managing.all_of(deps, reader_of(principal).workspace_id)
        return ChannelList(items=[each.view(found.get(each.channel.name), principal) for each in channels])

    for managed in channels:
        _add_routes(r, deps, clock, managed)
    return r


def _add_routes(r: Routes, deps: Deps, clock: Clock, managed: Managed) -> None:
    name = managed.channel.name
    path = f"{PATH}/{name.value}"

    @r.get(path, access=Access.user(), summary=f"The workspace's {name.value}")
    async def one(principal: Principal) -> ChannelView:
        """`off`: it was not set up; `disabled`: it refused for good or for days, and `reason` says why."""
        endpoint = await managing.find(deps, name, reader_of(principal).workspace_id)
        return managed.view(endpoint, principal)

    @r.delete(
        path,
        access=ADMINS,
        summary="Send nothing more there, and forget its secrets",
        status=204,
        problems=[(404, "channel_off")],
    )
    async def remove(principal: Principal) -> None:
        """What waits to be sent there is dropped."""
        try:
            await managing.remove(deps, name, reader_of(principal).workspace_id, clock.now())
        except managing.NoEndpointError:
            raise channel_off(name) from None

    @r.post(
        f"{path}/test",
        access=ADMINS,
        summary="Send a test message",
        problems=[(404, "channel_off"), (429, "too_many_tests")],
    )
    async def test(principal: Principal) -> TestResult:
        """It is sent at once, and the answer says what came of it."""
        return await _test(deps, managed, reader_of(principal).workspace_id, clock.now())


async def _test(deps: Deps, managed: Managed, workspace_id: UUID, now: datetime) -> TestResult:
    try:
        endpoint = await managing.begin_test(deps, managed.channel.name, workspace_id, now)
    except managing.NoEndpointError:
        raise channel_off(managed.channel.name) from None
    except managing.TooManyTestsError:
        wait = {"Retry-After": str(int(managing.TEST_PAUSE.total_seconds()))}
        raise Problem(429, "too_many_tests", "It was tested a moment ago", fix="Wait.", headers=wait) from None
    outcome = await managed.channel.test(endpoint, now)
    if outcome.answer is SendOutcome.ACCEPTED:
        await managing.passed_test(deps, endpoint, now)
        return TestResult(delivered=True, reason=None, explanation=None)
    return TestResult(delivered=False, reason=_code(outcome), explanation=managed.explain(_code(outcome)))


def _code(outcome: Outcome) -> str:
    return outcome.detail or outcome.answer.value


def channel_off(name: NoticeChannel) -> Problem:
    """Return the refusal for a channel that was not set up."""
    return Problem(404, "channel_off", f"{name.value} is not set up", fix="Set it up first.")


def changed_meanwhile() -> Problem:
    """Return the refusal for a change that lost against another one."""
    return Problem(409, "changed_meanwhile", "Somebody else changed it at the same moment", fix="Look, and try again.")
