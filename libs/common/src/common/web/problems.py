"""What makes a request's faults into problem documents (RFC 9457)."""

import re
from collections.abc import Sequence
from http import HTTPStatus

from aiohttp import web
from pydantic import ValidationError

from wevion_tokens.problems import PROBLEM_JSON, TYPE_PREFIX, FieldError, Place, Problem, ProblemDocument

__all__ = [
    "PROBLEM_JSON",
    "TYPE_PREFIX",
    "FieldError",
    "Place",
    "Problem",
    "ProblemDocument",
    "from_http_exception",
    "from_validation",
    "invalid",
    "invalid_field",
]

_POSITION = re.compile(r"at line (\d+) column (\d+)")


def invalid(errors: Sequence[FieldError], *, code: str = "invalid_request") -> Problem:
    """Return the request breaks rules, field by field."""
    first = errors[0]
    where = f"{first.place}.{first.field}" if first.field else first.place
    more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
    return Problem(400, code, "The request is not valid", f"{where}: {first.message}{more}", errors=errors)


def invalid_field(field: str, rule: str, message: str, *, place: Place = "body") -> Problem:
    """Return one field breaks a rule that only the operation could check.

    Args:
        field: the field's name.
        rule: the rule's name, such as `too_long`.
        message: what is wrong, for people.
        place: where the field was given: body, query or path.

    """
    return invalid([FieldError(field=field, rule=rule, message=message, place=place)])


def from_validation(error: ValidationError, place: Place) -> Problem:
    """Return what pydantic found, without the values it found."""
    found = error.errors(include_url=False, include_input=False, include_context=False)
    if found and found[0]["type"] == "json_invalid":
        return _malformed_json(found[0]["msg"])
    return invalid(
        [
            FieldError(
                field=".".join(str(part) for part in problem["loc"]),
                rule=_RULES.get(problem["type"], problem["type"]),
                message=_MESSAGES.get(problem["type"], problem["msg"].removeprefix("Value error, ")),
                place=place,
            )
            for problem in found
        ]
    )


def from_http_exception(error: web.HTTPException) -> Problem:
    """Return the refusals of aiohttp itself, in our form."""
    phrase = HTTPStatus(error.status).phrase
    kept = {name: value for name, value in error.headers.items() if name.lower() in {"allow", "retry-after"}}
    return Problem(error.status, phrase.lower().replace(" ", "_").replace("-", "_"), phrase, headers=kept)


_RULES = {"extra_forbidden": "unknown", "missing": "required"}
_MESSAGES = {"extra_forbidden": "there is no such field", "missing": "is required"}


def _malformed_json(message: str) -> Problem:
    reason = message.removeprefix("Invalid JSON: ")
    code = "json_too_deep" if "recursion limit" in reason else "malformed_json"
    position = _POSITION.search(reason)
    extra = {"position": {"line": int(position[1]), "column": int(position[2])}} if position else {}
    error = FieldError(field="", rule=code, message=reason)
    return Problem(400, code, "The body is not usable JSON", reason, errors=[error], extra=extra)
