"""A rule's refusal as an answer: one place, so that the same refusal is the same everywhere."""

from collections.abc import Iterator
from contextlib import contextmanager

from common.web import Principal, Problem
from oauth_svc.core import errors
from oauth_svc.core.roles import AdminOnlyError, WorkspaceCaller

_STATUS: dict[type[errors.RefusalError], int] = {
    errors.UnknownProviderError: 404,
    errors.UnknownConnectionError: 404,
    errors.UnknownAccountError: 404,
    errors.StateUnknownError: 400,
    errors.StateExpiredError: 400,
    errors.StateUsedError: 409,
    errors.ConsentDeniedError: 400,
    errors.DifferentPlatformUserError: 409,
    errors.ExchangeFailedError: 502,
    errors.StartAgainError: 409,
    errors.PlatformUnavailableError: 503,
    errors.OurFaultError: 502,
    errors.NoAccountsError: 409,
    errors.CredentialsRefusedError: 400,
    errors.LoginBudgetError: 429,
    errors.UnsafeReturnError: 400,
    AdminOnlyError: 403,
}


def status_of(refusal: errors.RefusalError) -> int:
    return next((status for kind, status in _STATUS.items() if isinstance(refusal, kind)), 409)


@contextmanager
def as_problems() -> Iterator[None]:
    """Refusals become problem documents."""
    try:
        yield
    except errors.RefusalError as refusal:
        raise Problem(status_of(refusal), refusal.code, detail=str(refusal), fix=refusal.fix) from refusal


def caller_of(principal: Principal) -> WorkspaceCaller:
    """Return the person as the operations know them. A token without a workspace can do nothing here."""
    if principal.workspace_id is None or principal.session_id is None:
        raise Problem(403, "no_workspace", detail="This session is not in a workspace.", fix="Choose a workspace.")
    return WorkspaceCaller(
        user_id=principal.user_id,
        workspace_id=principal.workspace_id,
        session_id=str(principal.session_id),
        role=principal.role or "member",
    )
