"""Errors as RFC 9457 problem documents. What is not a Problem loses its detail on the way out."""

import json
from collections.abc import Mapping, Sequence
from typing import Any, Literal
from uuid import UUID

from aiohttp import web
from multidict import CIMultiDict
from pydantic import BaseModel, ConfigDict, Field

from wevion_tokens.telemetry import tracing

PROBLEM_JSON = "application/problem+json"
TYPE_PREFIX = "urn:wevion:problem:"

Place = Literal["path", "query", "header", "body"]

_MOST_FIELD_ERRORS = 20


class FieldError(BaseModel):
    """One thing that is wrong with one field. Never repeats the value: it may be a secret."""

    model_config = ConfigDict(frozen=True)

    field: str = Field(description="where, as a dotted path; empty for the whole")
    rule: str = Field(description="the broken rule, stable for programs")
    message: str = Field(description="the same for people")
    place: Place = Field(default="body", serialization_alias="in", description="the part of the request")


class ProblemDocument(BaseModel):
    """An error, as RFC 9457 describes it.

    `code` is stable and tells programs what happened; where a token is the reason, `token_kind`, `cause`, `fix` and
    `fix_url` tell people what to do.
    """

    model_config = ConfigDict(extra="allow", title="Problem")

    type: str = Field(description="`urn:wevion:problem:` and the code")
    title: str
    status: int
    code: str
    detail: str | None = None
    fix: str | None = Field(default=None, description="what to do about it, in words")
    fix_url: str | None = Field(default=None, description="where to do it")
    token_kind: str | None = None
    token_id: UUID | None = None
    cause: str | None = None
    errors: list[FieldError] | None = Field(default=None, description="the fields that are wrong, and the broken rules")
    trace_id: str | None = Field(default=None, description="quote it to support: it finds the logs")


class OAuthProblemDocument(ProblemDocument):
    """An error of an OAuth endpoint (RFC 6749, section 5.2), with the members of a problem document beside its own."""

    error: str = Field(description="from the closed list of RFC 6749, RFC 7009 and RFC 7662")
    error_description: str


class Problem(Exception):
    """Raise it anywhere below an endpoint; it becomes the answer.

    `code` is a stable word in snake_case. `title` says it in a few words that are the same each time (by default made
    from the code), `detail` says what is special this time. Neither may hold a secret or an internal.
    """

    def __init__(
        self,
        status: int,
        code: str,
        title: str = "",
        detail: str = "",
        *,
        fix: str = "",
        fix_url: str = "",
        token_kind: str | None = None,
        token_id: UUID | str | None = None,
        cause: str | None = None,
        errors: Sequence[FieldError] = (),
        headers: Mapping[str, str] | None = None,
        extra: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(f"{status} {code}: {detail or title}")
        self.status = status
        self.code = code
        self.title = title or code.replace("_", " ").capitalize()
        self.detail = detail
        self.fix = fix
        self.fix_url = fix_url
        self.token_kind = token_kind
        self.token_id = token_id
        self.cause = cause
        self.errors = tuple(errors)
        self.headers = dict(headers or {})
        self.extra = dict(extra or {})

    def document(self) -> dict[str, Any]:
        """Return the members of the problem document; those without a value are left out."""
        members: dict[str, Any] = {
            "type": TYPE_PREFIX + self.code,
            "title": self.title,
            "status": self.status,
            "code": self.code,
            "detail": self.detail,
            "fix": self.fix,
            "fix_url": self.fix_url,
            "token_kind": self.token_kind,
            "token_id": str(self.token_id) if self.token_id else None,
            "cause": self.cause,
            "errors": [error.model_dump(by_alias=True) for error in self.errors[:_MOST_FIELD_ERRORS]],
            "trace_id": tracing.current_trace_id(),
        }
        return {name: value for name, value in members.items() if value} | self.extra

    def response(self) -> web.Response:
        """Return the answer."""
        headers: CIMultiDict[str] = CIMultiDict(self.headers)
        headers["Content-Type"] = PROBLEM_JSON
        return web.Response(status=self.status, body=json.dumps(self.document(), default=str).encode(), headers=headers)
