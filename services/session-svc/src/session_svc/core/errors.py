"""Refusals of this domain. The HTTP room turns them into problems; nobody else catches them by accident."""

import re
from datetime import timedelta
from uuid import UUID

from session_svc.core.session import EndCause


class RefusalError(Exception):
    """The base of every refusal: the caller's request is understood and not granted."""

    @classmethod
    def label(cls) -> str:
        """Return the refusal's name for a metric, such as `wrong_credentials`."""
        return re.sub(r"(?<!^)(?=[A-Z])", "_", cls.__name__.removesuffix("Error")).lower()


class NoSessionError(RefusalError):
    """There is no live session behind the caller's cookie."""

    def __init__(self, cause: EndCause | None = None, session_id: UUID | None = None) -> None:
        super().__init__(cause.value if cause else "there is none")
        self.cause = cause
        self.session_id = session_id


class WrongCredentialsError(RefusalError):
    """Address and password do not belong together. Which of the two is wrong is nobody's business."""


class TooManyAttemptsError(RefusalError):
    """A limit on attempts is used up."""

    def __init__(self, retry_after: timedelta) -> None:
        super().__init__(f"retry in {retry_after.total_seconds():.0f} s")
        self.retry_after = retry_after


class BusyError(RefusalError):
    """More passwords are waiting to be checked than this process takes on."""


class NotFoundError(RefusalError):
    """There is no such thing, or it is not the caller's to know of."""

    def __init__(self, what: str) -> None:
        super().__init__(what)
        self.what = what


class NotAllowedError(RefusalError):
    """The caller is known, and may not do this."""

    def __init__(self, code: str, detail: str, fix: str) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail
        self.fix = fix


class InvalidError(RefusalError):
    """A field's value breaks a rule that only the service can check."""

    def __init__(self, field: str, rule: str, fix: str) -> None:
        super().__init__(f"{field}: {rule}")
        self.field = field
        self.rule = rule
        self.fix = fix


class TakenError(RefusalError):
    """Something of that name or address exists already."""

    def __init__(self, field: str, detail: str) -> None:
        super().__init__(detail)
        self.field = field
        self.detail = detail


class InvalidClientError(RefusalError):
    """Client authentication failed (RFC 6749, section 5.2)."""


class InvalidScopeError(RefusalError):
    """A client asked for a scope that it does not have (RFC 6749, section 5.2)."""


class LinkRefusedError(RefusalError):
    """A one-time link that does not work any more, or never did: `used`, `expired` or `unknown`."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why


class InvitationRefusedError(RefusalError):
    """An invitation that cannot be answered any more, or never was one: `used`, `withdrawn`, `expired`, `unknown`."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why


class NoSigningKeyError(Exception):
    """No key may sign at this moment; the process is not ready."""
