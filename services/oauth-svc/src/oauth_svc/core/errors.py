"""Refusals that follow from the rules, not from a broken part. The HTTP room turns each into one answer."""

from datetime import datetime


class RefusalError(Exception):
    """A rule says no. `code` is stable and public; `fix` says in words what helps."""

    code = "refused"
    fix = ""

    def __init__(self, message: str = "", *, fix: str | None = None) -> None:
        super().__init__(message or (self.__doc__ or "").splitlines()[0])
        if fix is not None:
            self.fix = fix


class UnknownProviderError(RefusalError):
    """There is no such platform or integration."""

    code = "unknown_provider"


class UnknownConnectionError(RefusalError):
    """There is no such connection in this workspace."""

    code = "unknown_connection"


class UnknownAccountError(RefusalError):
    """There is no such account in this workspace."""

    code = "unknown_account"


class StateUnknownError(RefusalError):
    """A consent that was not started here, or was started by somebody else."""

    code = "state_unknown"
    fix = "Start the connection again from Wevion."


class StateExpiredError(RefusalError):
    """A consent that was started too long ago."""

    code = "state_expired"
    fix = "Start the connection again from Wevion."


class StateUsedError(RefusalError):
    """A consent that was already used, and whose outcome is not known."""

    code = "state_used"
    fix = "Look at your connections; if it is not there, start again."


class ConsentDeniedError(RefusalError):
    """The platform says that consent was not given."""

    code = "consent_denied"
    fix = "Nothing was changed. Start again when you want to connect."


class DifferentPlatformUserError(RefusalError):
    """The consent came from another user of the platform than the one this connection belongs to."""

    code = "different_platform_user"
    fix = "Sign in at the platform as the connection's user, or connect this one as a new connection."


class ExchangeFailedError(RefusalError):
    """The platform did not accept the code, or its answer was lost."""

    code = "exchange_failed"
    fix = "Start the connection again; the code of a consent is good for one try only."


class StartAgainError(RefusalError):
    """The code of this consent was used before, or has expired."""

    code = "start_again"
    fix = "Nothing was changed. Start again: one click at the platform is enough."


class PlatformUnavailableError(RefusalError):
    """The platform says that it cannot ask for consent at the moment."""

    code = "platform_unavailable"
    fix = "Nothing was changed. Start again in a few minutes."


class OurFaultError(RefusalError):
    """The platform refuses Wevion's own client or request."""

    code = "our_fault"
    fix = "You can do nothing about it and nothing was changed; Wevion's operators are told. Try again later."


class NoAccountsError(RefusalError):
    """The consent covers no ad account."""

    code = "no_accounts"
    fix = "Start again and choose at least one ad account at the platform."


class CredentialsRefusedError(RefusalError):
    """The platform refused these credentials."""

    code = "credentials_refused"
    fix = "Check them and enter them again."


class LoginBudgetError(RefusalError):
    """The platform allows only so many logins, and they are used up."""

    code = "login_budget"

    def __init__(self, message: str = "", free_at: datetime | None = None) -> None:
        when = f" after {free_at:%H:%M} UTC" if free_at is not None else " later"
        super().__init__(message, fix=f"Nothing was sent. Try again{when}.")


class StillAliveError(RefusalError):
    """A living grant keeps its credential."""

    code = "still_alive"
    fix = "Disconnect it first; that tells the platform, too."


class UnsafeReturnError(RefusalError):
    """`return_to` must be a path of Wevion."""

    code = "unsafe_return_to"
    fix = "Use a path that begins with a single slash."
