"""From a request to validated values. Each binder is built once per endpoint; a request only runs it."""

from collections.abc import Awaitable, Callable, Iterable
from typing import Any, get_args, get_origin

from aiohttp import web
from pydantic import BaseModel, ValidationError

from common.web.bodies import FORM, parse_form, read_body
from common.web.problems import FieldError, Place, Problem, from_validation, invalid
from common.web.routes import Body

_NUL = "\x00"  # PostgreSQL has no text with it, so it is refused at the edge rather than failing inside
_NUL_IN_JSON = b"\\u0000"

BindBody = Callable[[web.Request], Awaitable[Any]]
Bind = Callable[[web.Request], Any]


def bind_path(model: type[BaseModel]) -> Bind:
    """Return the path's variables, each percent-decoded."""
    validate = model.__pydantic_validator__.validate_python

    def bind(request: web.Request) -> BaseModel:
        values = dict(request.match_info)
        for name, value in values.items():
            if _NUL in value:
                raise invalid([_nul(name, "path")])
        try:
            found: BaseModel = validate(values)
        except ValidationError as error:
            raise from_validation(error, "path") from None
        return found

    return bind


def bind_query(model: type[BaseModel]) -> Bind:
    """Return the query's parameters: unknown ones and second ones are refused by name."""
    collect = _collector(model, "query")

    def bind(request: web.Request) -> BaseModel:
        return collect(request.rel_url.query.items() if request.query_string else ())

    return bind


def refuse_query(request: web.Request) -> None:
    """For an endpoint that takes no query."""
    if request.query_string:
        raise invalid(
            [
                FieldError(field=name, rule="unknown", message="there is no such parameter", place="query")
                for name in dict.fromkeys(request.rel_url.query)
            ]
            or [FieldError(field="", rule="unknown", message="this endpoint takes no query", place="query")]
        )


def bind_body(body: Body, limit: int) -> BindBody:
    """Return the body: JSON by default, a form, or bytes."""
    if body.model is None:
        return _bind_bytes(limit)
    if body.form:
        return _bind_form(body.model, limit)
    return _bind_json(body.model, limit, optional=body.optional)


def _bind_bytes(limit: int) -> BindBody:
    async def bind(request: web.Request) -> bytes:
        return await read_body(request, limit)

    return bind


def _bind_form(model: type[BaseModel], limit: int) -> BindBody:
    collect = _collector(model, "body")

    async def bind(request: web.Request) -> BaseModel:
        raw = await read_body(request, limit)
        _require_media_type(request, FORM)
        return collect(parse_form(raw))

    return bind


def _bind_json(model: type[BaseModel], limit: int, *, optional: bool) -> BindBody:
    validate = model.__pydantic_validator__.validate_json
    extra = _extra(model)

    async def bind(request: web.Request) -> BaseModel | None:
        raw = await read_body(request, limit)
        if not raw and optional:
            return None
        _require_media_type(request, "application/json")
        try:
            # Strict: JSON has types, so "1" is not a number here. Dates, UUIDs and enums are still read from strings.
            found: BaseModel = validate(raw, strict=True, extra=extra)
        except ValidationError as error:
            raise from_validation(error, "body") from None
        if _NUL_IN_JSON in raw and _has_nul(found.model_dump()):
            raise invalid([_nul("", "body")])
        return found

    return bind


def _collector(model: type[BaseModel], place: Place) -> Callable[[Iterable[tuple[str, str]]], BaseModel]:
    """Pairs of text into a model: a second value for a field that is no list is refused, and so are unknown names."""
    validate = model.__pydantic_validator__.validate_python
    extra = _extra(model)
    lists = frozenset(field.alias or name for name, field in model.model_fields.items() if _is_list(field.annotation))

    def collect(pairs: Iterable[tuple[str, str]]) -> BaseModel:
        values: dict[str, Any] = {}
        wrong: list[FieldError] = []
        for name, value in pairs:
            if _NUL in value or _NUL in name:
                wrong.append(_nul(name.replace(_NUL, ""), place))
            elif name in lists:
                values.setdefault(name, []).append(value)
            elif name in values:
                wrong.append(FieldError(field=name, rule="duplicate", message="is given more than once", place=place))
            else:
                values[name] = value
        if wrong:
            raise invalid(wrong)
        try:
            found: BaseModel = validate(values, extra=extra)
        except ValidationError as error:
            raise from_validation(error, place) from None
        return found

    return collect


def _extra(model: type[BaseModel]) -> Any:
    """Unknown fields are refused unless the model says otherwise: a misspelt option must not be silently ignored."""
    return None if "extra" in model.model_config else "forbid"


def _is_list(annotation: Any) -> bool:
    if get_origin(annotation) in {list, tuple, set, frozenset}:
        return True
    return any(_is_list(inner) for inner in get_args(annotation))


def _require_media_type(request: web.Request, wanted: str) -> None:
    given = request.content_type  # without parameters, in lower case
    if given == wanted or (wanted == "application/json" and given.endswith("+json")):
        return
    raise Problem(
        415,
        "unsupported_media_type",
        detail=f"the body must be {wanted}",
        headers={"Accept": wanted},
    )


def _nul(name: str, place: Place) -> FieldError:
    return FieldError(field=name, rule="nul_character", message="must not contain the NUL character", place=place)


def _has_nul(value: Any) -> bool:
    if isinstance(value, str):
        return _NUL in value
    if isinstance(value, dict):
        return any(_has_nul(key) or _has_nul(item) for key, item in value.items())
    if isinstance(value, list | tuple | set | frozenset):
        return any(_has_nul(item) for item in value)
    get_secret = getattr(value, "get_secret_value", None)
    return get_secret is not None and _has_nul(get_secret())
