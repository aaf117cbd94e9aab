"""Refusals of the domain as problem documents, in one place."""

import functools
import math
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from common.contracts import TokenKind
from common.web import FieldError, Problem, Routes, invalid
from session_svc.core import errors
from session_svc.core.refusals import words_for

F = TypeVar("F", bound=Callable[..., Awaitable[Any]])

UNAUTHORIZED = 401


class RefusingRoutes(Routes):
    """Routes whose handlers may let a refusal of the domain through."""

    def __init__(self, tag: str, public_url: str) -> None:
        super().__init__(tag)
        self._public_url = public_url

    def route(self, method: str, path: str, **options: Any) -> Callable[[F], F]:
        """As `Routes.route`."""
        register = super().route(method, path, **options)

        def wrap(handler: F) -> F:
            @functools.wraps(handler)
            async def answer(**arguments: Any) -> Any:
                try:
                    return await handler(**arguments)
                except (errors.RefusalError, errors.NoSigningKeyError) as refusal:
                    raise problem(refusal, self._public_url) from None

            register(answer)
            return handler

        return wrap


def problem(refusal: Exception, public_url: str) -> Problem:  # noqa: C901, PLR0911, PLR0912  one case per refusal
    """Return what the caller is told."""
    match refusal:
        case errors.NoSessionError():
            words = words_for(refusal.cause)
            return Problem(
                UNAUTHORIZED,
                words.reason.value,
                words.title,
                words.detail,
                fix=words.fix,
                fix_url=f"{public_url}/sign-in",
                token_kind=TokenKind.SESSION,
                token_id=refusal.session_id,
                cause=refusal.cause.value if refusal.cause else None,
            )
        case errors.WrongCredentialsError():
            return Problem(
                UNAUTHORIZED,
                "wrong_credentials",
                "Address or password is wrong",
                "This address and this password do not belong together.",
                fix="Check both, or reset the password.",
                fix_url=f"{public_url}/sign-in",
            )
        case errors.TooManyAttemptsError():
            seconds = max(1, math.ceil(refusal.retry_after.total_seconds()))
            return Problem(
                429,
                "too_many_attempts",
                "Too many attempts",
                f"There were too many attempts; the next one is possible in {seconds} s.",
                fix=f"Wait {seconds} seconds, then try again, or reset the password.",
                headers={"Retry-After": str(seconds)},
            )
        case errors.BusyError():
            return Problem(
                503,
                "sign_in_busy",
                "Too many people are signing in",
                "More sign-ins are waiting than can be answered soon.",
                fix="Try again in a few seconds.",
                headers={"Retry-After": "3"},
            )
        case errors.NotFoundError():
            return Problem(404, "not_found", f"There is no such {refusal.what}")
        case errors.NotAllowedError():
            return Problem(403, refusal.code, "", refusal.detail, fix=refusal.fix)
        case errors.TakenError():
            return Problem(409, "taken", detail=refusal.detail, fix="See the list of members.")
        case errors.InvalidError():
            found = invalid([FieldError(field=refusal.field, rule=refusal.rule, message=refusal.rule)])
            found.fix = refusal.fix
            return found
        case errors.InvalidClientError():
            return Problem(
                UNAUTHORIZED,
                "invalid_client",
                detail="client authentication failed",
                headers={"WWW-Authenticate": 'Basic realm="wevion"'},
            )
        case errors.InvalidScopeError():
            return Problem(400, "invalid_scope", detail="the client does not have all of these scopes")
        case errors.LinkRefusedError():
            return Problem(
                410,
                f"reset_link_{refusal.why}",
                detail=_LINKS[refusal.why],
                fix="Ask for a new link.",
                fix_url=f"{public_url}/sign-in",
            )
        case errors.InvitationRefusedError():
            return Problem(410, f"invitation_{refusal.why}", detail=_INVITATIONS[refusal.why], fix="Ask for a new one.")
        case errors.NoSigningKeyError():
            return Problem(503, "no_signing_key", detail=str(refusal), headers={"Retry-After": "2"})
        case _:
            raise refusal


_INVITATIONS = {
    "used": "This invitation was answered already.",
    "withdrawn": "The workspace has withdrawn this invitation.",
    "expired": "This invitation is older than seven days.",
    "unknown": "This is not an invitation that Wevion sent, or a password change has ended its link.",
}
_LINKS = {
    "used": "This link was used already, or a newer one was.",
    "expired": "This link is older than 30 minutes.",
    "unknown": "This is not a link that Wevion sent.",
}
