"""What this service refuses, told as domain errors. The HTTP room says them in words."""

from uuid import UUID


class RuleUnknownError(LookupError):
    """No such rule in what the caller may see."""


class RuleForbiddenError(Exception):
    """The rule's id is taken by another workspace.

    Not a PermissionError: an OSError would count as a lost connection.
    """


class RevisionConflictError(ValueError):
    """The definition that was sent is not newer than the one that is stored, and differs from it."""

    def __init__(self, revision: int) -> None:
        super().__init__(f"revision {revision} is stored")
        self.revision = revision


class AccountsForbiddenError(ValueError):
    """Accounts that belong to another workspace."""

    def __init__(self, account_ids: tuple[UUID, ...]) -> None:
        super().__init__(f"{len(account_ids)} accounts belong to another workspace")
        self.account_ids = account_ids
