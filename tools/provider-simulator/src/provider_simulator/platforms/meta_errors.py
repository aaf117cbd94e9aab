"""How Meta says no: one error object, with the subcodes of 190."""

from __future__ import annotations

import hashlib
from typing import Any

from aiohttp import web

from provider_simulator.wire import Reply, answer

# Why a token of an ended grant is refused: subcode of 190 and the sentence that Meta says.
SUBCODES: dict[int, str] = {
    458: "The user has not authorized application {app}.",
    459: "The session has been invalidated because the user was checkpointed. Please log in at www.facebook.com.",
    460: "The session has been invalidated because the user changed their password or Facebook has changed the session "
    "for security reasons.",
    461: "The application was reinstalled by the user.",
    463: "Session has expired.",
    464: "Sessions for the user are not allowed because the user is not a confirmed user.",
    466: "The session has been invalidated by the application.",
    467: "The session is invalid because the user logged out.",
    468: "The session has been invalidated because it was not used for a long time.",
    492: "The user lost the role on the page or business.",
}


ENDINGS = {
    "user_revoked": 458,
    "disconnected": 458,
    "platform_enforced": 459,
    "compromise": 460,
    "password_changed": 460,
    "expired": 463,
    "logged_out": 467,
    "unused": 468,
    "account_deleted": 464,
}


def graph_error(
    code: int,
    message: str,
    subcode: int | None = None,
    *,
    status: int = 400,
    kind: str = "OAuthException",
    transient: bool = False,
    data: Any = None,
    headers: dict[str, str] | None = None,
) -> web.Response:
    error: dict[str, Any] = {"message": message, "type": kind, "code": code}
    if subcode is not None:
        error["error_subcode"] = subcode
    if transient:
        error["is_transient"] = True
    if data is not None:
        error["error_data"] = data
    trace = hashlib.sha256(f"{code}{subcode}{message}".encode()).hexdigest()[:20]
    return answer({"error": error | {"fbtrace_id": f"A{trace}"}}, status, headers)


def refuse(
    code: int,
    message: str,
    subcode: int | None = None,
    data: Any = None,
    *,
    status: int = 400,
    kind: str = "OAuthException",
) -> Reply:
    return Reply(graph_error(code, message, subcode, status=status, kind=kind, data=data))


def ordered_code(ordered: str | int) -> tuple[int, int | None]:
    """`190/463` or `4`."""
    code, _, subcode = str(ordered).partition("/")
    return int(code), int(subcode) if subcode else None
