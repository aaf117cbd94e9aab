"""The bodies of the control API: what a test may order, checked at the door."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from provider_simulator.platforms.base import Cause


class Order(BaseModel):
    model_config = ConfigDict(extra="forbid")


class PlatformEvent(Order):
    """Something that happens to a whole platform.

    `all_ended`: every grant ends, with the platform's signal only if `webhook` is on; `outage`: every request fails as
    `fault` says, until `restored`; `when` says whether the platform acts before that (see `faults`).
    """

    kind: Literal["all_ended", "outage", "restored"]
    cause: Cause = "platform_enforced"
    fault: Literal["status", "hang", "html", "reset", "rate_limit"] = "status"
    status: int | None = Field(default=None, ge=200, le=599)
    retry_after: float | None = Field(default=None, ge=0)
    when: Literal["before", "after"] | None = None
    webhook: bool = False


class Limit(Order):
    """A token bucket on one endpoint; `burst` defaults to one second's worth."""

    endpoint: str = "token"
    per_second: float = Field(gt=0)
    burst: float | None = Field(default=None, ge=1)


class NewPerson(Order):
    """`accounts`: how many at each platform."""

    key: str = Field(pattern=r"^[a-z][a-z0-9_-]{0,40}$")
    name: str
    email: str
    brand: str = "Brand"
    accounts: dict[str, int] = Field(default_factory=dict)


class AccountChange(Order):
    """`lost`: the person's access is taken away or given back; `active`: the account itself is on or off."""

    lost: bool | None = None
    active: bool | None = None
    name: str | None = None


class AppChange(Order):
    """Fields of an app; the ones left out keep their value."""

    client_secret: str | None = None
    name: str | None = None
    redirect_uris: list[str] | None = None
    webhook_url: str | None = None
    webhook_secret: str | None = None
    data_deletion_url: str | None = None
    options: dict[str, Any] | None = None


class ClockChange(Order):
    """Forward only; `reset` takes the real time again."""

    advance_s: float = Field(default=0, ge=0)
    reset: bool = False


class NewGrants(Order):
    """Grants made without a consent, for load: each with its own tokens, which are in the answer.

    `access_age_s`: how long ago the tokens were issued.
    """

    count: int = Field(default=1, ge=1, le=200_000)
    client_id: str | None = None
    person: str = "avery"
    scopes: list[str] = Field(default_factory=list)
    access_age_s: float = Field(default=0, ge=0)
