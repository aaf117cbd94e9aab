"""The OpenAPI 3.1 document, from the same models that validate the requests."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, models_json_schema
from pydantic_core import core_schema

from common.web.problems import PROBLEM_JSON, Problem, ProblemDocument
from common.web.routes import Documented, Route
from wevion_tokens.auth.access import Access, Audience
from wevion_tokens.problems import OAuthProblemDocument

Document = dict[str, Any]
_Mode = Literal["validation", "serialization"]

_PATH_VARIABLE = re.compile(r"\{([^}:]+)(?::[^}]*)?\}")
_NO_NUL = "^[^\\u0000]*$"
_OAUTH_REF = {"$ref": "#/components/responses/OAuthError"}
_PROBLEM_REF = {"$ref": "#/components/responses/Problem"}
_BODY_STATUSES = {400: "invalid_request", 408: "request_timeout", 413: "body_too_large", 415: "unsupported_media_type"}


class _Strict(GenerateJsonSchema):
    """Says what the server does: no unknown fields unless the model allows them, no NUL in a text."""

    def model_schema(self, schema: core_schema.ModelSchema) -> dict[str, Any]:
        made = super().model_schema(schema)
        if self.mode == "validation" and "extra" not in schema["cls"].model_config and "properties" in made:
            made.setdefault("additionalProperties", False)
        return made

    def str_schema(self, schema: core_schema.StringSchema) -> dict[str, Any]:
        made = super().str_schema(schema)
        if self.mode == "validation" and "pattern" not in made:
            made["pattern"] = _NO_NUL
        return made


def build(routes: Iterable[Route], *, title: str, version: str) -> Document:
    """Return the document of every route that is not raw."""
    documented = [route for route in routes if not route.raw]
    schemas = _Schemas(documented)
    ids = _operation_ids(documented)
    paths: dict[str, dict[str, Any]] = {}
    for route, operation_id in zip(documented, ids, strict=True):
        template = _PATH_VARIABLE.sub(r"{\1}", route.path)
        paths.setdefault(template, {})[route.method.lower()] = _operation(route, schemas, operation_id)
    scopes = sorted({route.access.scope for route in documented if route.access.scope})
    return {
        "openapi": "3.1.0",
        "info": {"title": title, "version": version},
        "tags": [{"name": tag} for tag in dict.fromkeys(route.tag for route in documented)],
        "paths": paths,
        "components": {
            "schemas": schemas.components(),
            "responses": {
                "Problem": {"description": "A refusal (RFC 9457)", "content": _refusal(schemas, oauth=False)},
                **(
                    {"OAuthError": {"description": "A refusal (RFC 6749)", "content": _refusal(schemas, oauth=True)}}
                    if any(route.oauth_errors for route in documented)
                    else {}
                ),
            },
            "securitySchemes": {
                "user": {
                    "type": "http",
                    "scheme": "bearer",
                    "bearerFormat": "JWT",
                    "description": "A user's JWT, as the gateway adds it in place of the session cookie.",
                },
                "service": {
                    "type": "oauth2",
                    "description": "A service client's JWT.",
                    "flows": {
                        "clientCredentials": {"tokenUrl": "/oauth2/token", "scopes": {scope: scope for scope in scopes}}
                    },
                },
            },
        },
    }


class _Schemas:
    """All JSON schemas of the document, made in one go so that names are settled once."""

    def __init__(self, routes: list[Route]) -> None:
        wanted: dict[tuple[type[BaseModel], _Mode], None] = {(ProblemDocument, "serialization"): None}
        if any(route.oauth_errors for route in routes):
            wanted[(OAuthProblemDocument, "serialization")] = None
        self._parameters: set[str] = set()
        for route in routes:
            for model in (route.path_model, route.query_model, route.body.model if route.body else None):
                if model is not None:
                    wanted[(model, "validation")] = None
            if route.result is not None:
                wanted[(route.result, "serialization")] = None
        self._refs, document = models_json_schema(
            list(wanted), ref_template="#/components/schemas/{model}", schema_generator=_Strict
        )
        self._definitions: dict[str, Any] = document.get("$defs", {})

    def ref(self, model: type[BaseModel], mode: _Mode) -> dict[str, Any]:
        return dict(self._refs[(model, mode)])

    def parameters(self, model: type[BaseModel], place: str) -> list[dict[str, Any]]:
        """Return the model's fields as parameters; the model itself is then not a component."""
        name = self.ref(model, "validation")["$ref"].rpartition("/")[2]
        self._parameters.add(name)
        schema = self._definitions[name]
        required = schema.get("required", [])
        found = []
        for field, rule in schema.get("properties", {}).items():
            described = {
                key: value for key, value in _without_null(rule).items() if key not in {"title", "description"}
            }
            parameter = {
                "name": field,
                "in": place,
                "required": place == "path" or field in required,
                "schema": described,
            }
            if "description" in rule:
                parameter["description"] = rule["description"]
            found.append(parameter)
        return found

    def components(self) -> dict[str, Any]:
        return {name: schema for name, schema in sorted(self._definitions.items()) if name not in self._parameters}


def _without_null(rule: Mapping[str, Any]) -> dict[str, Any]:
    """Return the schema without `null`: a parameter may be absent, but it cannot be null."""
    found = dict(rule)
    choices = [choice for choice in found.get("anyOf", []) if choice != {"type": "null"}]
    if len(choices) == 1:
        del found["anyOf"]
        found = {**choices[0], **found}
    elif choices:
        found["anyOf"] = choices
    if found.get("default", 0) is None:
        del found["default"]
    return found


def _operation(route: Route, schemas: _Schemas, operation_id: str) -> dict[str, Any]:
    operation: dict[str, Any] = {"tags": [route.tag], "summary": route.summary, "operationId": operation_id}
    if route.description:
        operation["description"] = route.description
    parameters = schemas.parameters(route.path_model, "path") if route.path_model else []
    described = {parameter["name"] for parameter in parameters}
    parameters += [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
        for name in _PATH_VARIABLE.findall(route.path)
        if name not in described
    ]
    parameters += schemas.parameters(route.query_model, "query") if route.query_model else []
    if parameters:
        operation["parameters"] = parameters
    if route.body is not None:
        operation["requestBody"] = _request_body(route, schemas)
    operation["responses"] = _responses(route, schemas)
    if not route.access.is_public:
        operation["security"] = _security(route.access)
    return operation


def _operation_ids(routes: Sequence[Route]) -> list[str]:
    """Return an id for each route, unique in the document (OpenAPI 3.1, section 4.8.10.1).

    Where handlers of one name serve several paths, what tells the paths apart is in the id as well.
    """
    names = Counter((route.tag, route.handler.__name__) for route in routes)
    ids = []
    for route in routes:
        parts = [route.tag, route.handler.__name__]
        if names[route.tag, route.handler.__name__] > 1:
            words = route.path.partition(f"/{route.tag}/")[2].split("/")
            parts[1:1] = [word for word in words if word and "{" not in word and word != route.handler.__name__]
        ids.append("_".join(parts).replace("-", "_"))
    if twice := [name for name, count in Counter(ids).items() if count > 1]:
        raise ValueError(f"several operations of the document would be called {twice[0]}")
    return ids


def _request_body(route: Route, schemas: _Schemas) -> dict[str, Any]:
    assert route.body is not None  # noqa: S101  asked for by the caller
    if route.body.model is None:
        return {"required": True, "content": {"*/*": {}}}
    media_type = "application/x-www-form-urlencoded" if route.body.form else "application/json"
    content = {media_type: {"schema": schemas.ref(route.body.model, "validation")}}
    return {"required": not route.body.optional, "content": content}


def _responses(route: Route, schemas: _Schemas) -> dict[str, Any]:
    responses: dict[str, Any] = {}
    if route.result is not None:
        content = {"application/json": {"schema": schemas.ref(route.result, "serialization")}}
        responses[str(route.status)] = {"description": "Done", "content": content}
    elif route.returns_response:
        responses[str(route.status)] = {"description": "Done"}
    else:
        responses["204"] = {"description": "Done"}
    codes: dict[int, list[str]] = {400: ["invalid_request"]}
    if not route.access.is_public:
        codes |= {401: ["token_missing", "token_invalid", "token_expired", "session_revoked"], 403: ["forbidden"]}
    if route.body is not None:
        codes |= {status: [code] for status, code in _BODY_STATUSES.items()}
    for problem in route.problems:
        status, code = _status_and_code(problem)
        known = codes.setdefault(status, [])
        if code and code not in known:
            known.append(code)
    default = _OAUTH_REF if route.oauth_errors else _PROBLEM_REF
    for status, known in sorted(codes.items()):
        if str(status) not in responses:
            responses[str(status)] = (
                default
                if not known
                else {
                    "description": "Refused: " + ", ".join(f"`{code}`" for code in known),
                    "content": _refusal(schemas, oauth=route.oauth_errors),
                }
            )
    responses["default"] = default
    return responses


def _refusal(schemas: _Schemas, *, oauth: bool) -> dict[str, Any]:
    """Return the media type and the schema of a refusal."""
    media_type, model = ("application/json", OAuthProblemDocument) if oauth else (PROBLEM_JSON, ProblemDocument)
    return {media_type: {"schema": schemas.ref(model, "serialization")}}


def _status_and_code(problem: Documented) -> tuple[int, str]:
    if isinstance(problem, Problem):
        return problem.status, problem.code
    return problem if isinstance(problem, tuple) else (problem, "")


def _security(access: Access) -> list[dict[str, list[str]]]:
    user: dict[str, list[str]] = {"user": []}
    service = {"service": [access.scope] if access.scope else []}
    return {Audience.USER: [user], Audience.SERVICE: [service], Audience.USER_OR_SERVICE: [user, service]}[
        access.audience
    ]
