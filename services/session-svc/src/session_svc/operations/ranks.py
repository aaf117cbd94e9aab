"""Rank: nobody acts on somebody above them."""

from session_svc.core import people
from session_svc.core.errors import NotAllowedError
from session_svc.core.people import Role
from session_svc.operations.deps import Caller


def check_rank(caller: Caller, target: Role) -> None:
    """Refuse an act on somebody of a higher rank.

    Raises:
        NotAllowedError: the caller ranks below `target`.

    """
    if not people.may_manage(caller.role, target):
        raise NotAllowedError(
            "outranked", "This needs a role that ranks at least as high.", "Ask an owner of the workspace to do it."
        )
