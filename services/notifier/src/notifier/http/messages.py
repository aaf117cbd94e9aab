"""`/api/v1/messages`: one-off mails that other services ask for. Their link is a secret."""

from enum import StrEnum
from typing import Any, Literal
from uuid import UUID

from aiohttp import web
from pydantic import BaseModel, Field, SecretStr, ValidationInfo, field_validator

from common import addresses
from common.addresses import LONGEST
from common.runtime.clock import Clock
from common.runtime.errors import RetryableError
from common.web import Access, FieldError, Problem, Routes, invalid
from notifier.core.errors import NoMailChannel, UnknownPerson
from notifier.operations import messages as operations
from notifier.operations.channel import Direct
from notifier.operations.deps import Deps

LONGEST_LINK = 2_000
LONGEST_NAME = 200


class Template(StrEnum):
    """The messages that exist."""

    PASSWORD_RESET = "password_reset"  # noqa: S105  a template's name
    INVITATION = "invitation"


class InvitationFacts(BaseModel):
    """Who invites whom to what."""

    workspace: str = Field(max_length=LONGEST_NAME)
    inviter: str = Field(max_length=LONGEST_NAME)
    role: Literal["owner", "admin", "member"]


class MessageOrder(BaseModel):
    """A message for one person: a person who is known here, or whoever owns an address."""

    template: Template
    user_id: UUID | None = Field(default=None, validate_default=True, description="with password_reset")
    to: str | None = Field(default=None, validate_default=True, max_length=LONGEST, description="with invitation")
    facts: InvitationFacts | None = Field(default=None, validate_default=True, description="with invitation")
    workspace_id: UUID | None = None
    link: SecretStr = Field(min_length=1, max_length=LONGEST_LINK, description="secret: sealed at rest, never logged")

    @field_validator("user_id", "to", "facts")
    @classmethod
    def _as_the_template_needs(cls, value: Any, info: ValidationInfo) -> Any:
        template = info.data.get("template")
        wanted = (info.field_name == "user_id") == (template is Template.PASSWORD_RESET)
        if template is not None and wanted != (value is not None):
            raise ValueError(f"{'is needed' if wanted else 'must be left out'} with the template {template.value}")
        return addresses.mailable(value) if info.field_name == "to" and value is not None else value


class MessageTaken(BaseModel):
    """The message will be sent."""

    id: UUID


def routes(deps: Deps, clock: Clock, *, public_url: str) -> Routes:
    """Return the endpoint."""
    r = Routes("messages")

    class Order(MessageOrder):
        @field_validator("link")
        @classmethod
        def _ours(cls, link: SecretStr) -> SecretStr:
            if not link.get_secret_value().startswith(public_url + "/"):
                raise ValueError("must lead to Wevion itself")
            return link

    @r.post(
        "/api/v1/messages",
        access=Access.service("messages:send"),
        summary="Mail a one-off message to a person",
        status=202,
        problems=[(404, "person_not_found"), (503, "no_mail_channel"), (503, "directory_away")],
    )
    async def send(body: Order, request: web.Request) -> MessageTaken:
        """Accepted means: stored (the link sealed) and due at once. The same `Idempotency-Key` sends one mail."""
        try:
            delivery_id = await operations.accept(
                deps,
                Direct(
                    template=body.template.value,
                    link=body.link.get_secret_value(),
                    to=body.to or "",
                    facts=body.facts.model_dump() if body.facts is not None else {},
                ),
                user_id=body.user_id,
                workspace_id=body.workspace_id,
                key=_key(request.headers.get("Idempotency-Key")),
                now=clock.now(),
            )
        except UnknownPerson:
            raise Problem(404, "person_not_found", "There is no such person") from None
        except NoMailChannel:
            raise Problem(
                503, "no_mail_channel", "Mail is not set up", fix="Set WEVION_SMTP_HOST and WEVION_KEYRING_FILE."
            ) from None
        except RetryableError:
            raise Problem(
                503, "directory_away", "The person's address is not known yet", headers={"Retry-After": "5"}
            ) from None
        return MessageTaken(id=delivery_id)

    return r


def _key(header: str | None) -> UUID | None:
    if header is None:
        return None
    try:
        return UUID(header)
    except ValueError:
        raise invalid(
            [FieldError(field="Idempotency-Key", rule="uuid", message="must be a UUID", place="header")]
        ) from None
