"""`/api/v1/messages`: one-off mails that other services ask for. Their link is a secret."""

from enum import StrEnum
from uuid import UUID

from aiohttp import web
from pydantic import BaseModel, Field, SecretStr, field_validator

from common.runtime.clock import Clock
from common.runtime.errors import Retryable
from common.web import Access, FieldError, Problem, Routes, invalid
from notifier.core.errors import NoMailChannel, UnknownPerson
from notifier.operations import messages as operations
from notifier.operations.deps import Deps

LONGEST_LINK = 2_000


class Template(StrEnum):
    """The messages that exist."""

    PASSWORD_RESET = "password_reset"  # noqa: S105  a template's name


class MessageOrder(BaseModel):
    """A message for one person."""

    template: Template
    user_id: UUID
    workspace_id: UUID | None = None
    link: SecretStr = Field(min_length=1, max_length=LONGEST_LINK, description="secret: sealed at rest, never logged")


class MessageTaken(BaseModel):
    """The message will be sent."""

    id: UUID


def routes(deps: Deps, clock: Clock, *, public_url: str) -> Routes:
    """The endpoint."""
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
                template=body.template.value,
                user_id=body.user_id,
                workspace_id=body.workspace_id,
                link=body.link.get_secret_value(),
                key=_key(request.headers.get("Idempotency-Key")),
                now=clock.now(),
            )
        except UnknownPerson:
            raise Problem(404, "person_not_found", "There is no such person") from None
        except NoMailChannel:
            raise Problem(
                503, "no_mail_channel", "Mail is not set up", fix="Set WEVION_SMTP_HOST and WEVION_KEYRING_FILE."
            ) from None
        except Retryable:
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
