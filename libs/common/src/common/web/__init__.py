"""HTTP for services: a table of typed endpoints in, an aiohttp application out. Knows no domain and no keys."""

from common.web.app import HEALTH, MAX_BODY_BYTES, create_app
from common.web.bodies import BodyPace, read_body, read_form, stream_body
from common.web.endpoint import PRINCIPAL, Authenticate
from common.web.health import Health, ReadyCheck
from common.web.pages import Page, PageQuery, decode_cursor, encode_cursor
from common.web.problems import FieldError, Problem, ProblemDocument, invalid, invalid_field
from common.web.responses import SECURITY_HEADERS, Reply, secured
from common.web.routes import Form, Route, Routes
from common.web.server import Server, serve
from wevion_tokens.auth.access import Access, Actor, Audience, Principal

__all__ = [
    "HEALTH",
    "MAX_BODY_BYTES",
    "PRINCIPAL",
    "SECURITY_HEADERS",
    "Access",
    "Actor",
    "Audience",
    "Authenticate",
    "BodyPace",
    "FieldError",
    "Form",
    "Health",
    "Page",
    "PageQuery",
    "Principal",
    "Problem",
    "ProblemDocument",
    "ReadyCheck",
    "Reply",
    "Route",
    "Routes",
    "Server",
    "create_app",
    "decode_cursor",
    "encode_cursor",
    "invalid",
    "invalid_field",
    "read_body",
    "read_form",
    "secured",
    "serve",
    "stream_body",
]
