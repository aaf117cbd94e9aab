"""The console's pages and files, as they are: plain HTML, CSS and ES modules, read once and served from memory.

Modules import each other by relative paths, so a whole release lies under one folder whose name is a digest of its
files. Browsers keep those files for good, and never mix two releases. `/static/latest/` is the stable address of the
present one, for others who use the session module.
"""

import gzip
import mimetypes
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from hashlib import blake2s
from pathlib import Path

from aiohttp import web

from common.web import Problem, Routes

_FILES = Path(__file__).parent / "static"
_TYPES = {".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml", ".html": "text/html"}
_RELEASE_MARK = b"%RELEASE%"
_WORTH_PACKING = 1_000

APP_PAGES = (
    "/connections",
    "/notices",
    "/rules",
    "/data-gaps",
    "/which-token",
    "/settings/integrations",
    "/settings/notifications",
    "/settings/sessions",
    "/admin/members",
    "/admin/audit",
)
OTHER_PAGES = {
    "/sign-in": "sign-in.html",
    "/reset-password": "reset-password.html",
    "/invitation": "invitation.html",
}

# Scripts and styles from here only, no inline ones; no place in our scripts where text could become markup.
CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "manifest-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'"
)
PAGE_HEADERS = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=()",
    # A link that was mailed holds a one-time value in its query: no other site may learn it.
    "Referrer-Policy": "same-origin",
}


@dataclass(frozen=True, slots=True)
class File:
    """One file, ready to be sent."""

    body: bytes
    packed: bytes | None
    media_type: str
    etag: str


@cache
def release() -> str:
    """Return the name of the folder under which this release's files lie: a digest of them."""
    return _digest(b"".join(name.encode() + b"\0" + body + b"\0" for name, body in _read().items()))


@cache
def files() -> Mapping[str, File]:
    """Return every file of the console by its path, ready to be sent."""
    mark = release().encode()
    return {name: _file(name, body.replace(_RELEASE_MARK, mark)) for name, body in _read().items()}


@cache
def _read() -> Mapping[str, bytes]:
    return {path.relative_to(_FILES).as_posix(): path.read_bytes() for path in sorted(_FILES.rglob("*.*"))}


def console_routes() -> Routes:
    """Return every page and file of the console. Needs nothing: what the pages show they ask for over the API."""
    ready = files()

    r = Routes("console")

    def page(path: str, file: File) -> None:
        async def show(request: web.Request) -> web.Response:
            return _answer(request, file, "no-cache", PAGE_HEADERS)

        r.raw("GET", path, show, quiet=True)

    for path in APP_PAGES:
        page(path, ready["app.html"])
    for path, name in OTHER_PAGES.items():
        page(path, ready[name])

    async def start(_: web.Request) -> web.Response:
        return web.Response(status=303, headers={"Location": "/connections"})

    async def static(request: web.Request) -> web.Response:
        file = ready.get(request.match_info["name"])
        if file is None:
            raise Problem(404, "not_found", "There is no such file")
        # A page that is still open asks for files of its own release; the present ones are the best it can get.
        forever = request.match_info["release"] == release()
        return _answer(request, file, "public, max-age=31536000, immutable" if forever else "no-cache", {})

    async def favicon(request: web.Request) -> web.Response:
        return _answer(request, ready["favicon.svg"], "public, max-age=86400", {})

    r.raw("GET", "/", start, quiet=True)
    r.raw("GET", "/static/{release}/{name:.+}", static, quiet=True)
    r.raw("GET", "/favicon.ico", favicon, quiet=True)
    return r


def _file(name: str, body: bytes) -> File:
    packed = gzip.compress(body, mtime=0) if len(body) > _WORTH_PACKING else None
    suffix = Path(name).suffix
    media_type = _TYPES.get(suffix) or mimetypes.types_map.get(suffix, "application/octet-stream")
    return File(body, packed, f"{media_type}; charset=utf-8", _digest(body))


def _answer(request: web.Request, file: File, cache: str, headers: dict[str, str]) -> web.Response:
    packed = file.packed if "gzip" in request.headers.get("Accept-Encoding", "") else None
    etag = f'"{file.etag}{"-gz" if packed else ""}"'
    head = {**headers, "Cache-Control": cache, "ETag": etag, "Vary": "Accept-Encoding"}
    if etag in request.headers.get("If-None-Match", ""):
        return web.Response(status=304, headers=head)
    head["Content-Type"] = file.media_type
    if packed is None:
        return web.Response(body=file.body, headers=head)
    return web.Response(body=packed, headers={**head, "Content-Encoding": "gzip"})


def _digest(data: bytes) -> str:
    return blake2s(data, digest_size=8).hexdigest()
