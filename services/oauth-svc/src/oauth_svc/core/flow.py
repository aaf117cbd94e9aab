"""What is special about a provider, as data. Rules branch on the flow and its figures, never on a brand."""

from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum

from common.contracts import TokenKind


class Flow(StrEnum):
    """How a grant is kept alive."""

    REFRESH = "refresh"  # RFC 6749 section 6, with or without rotation
    SWAP = "swap"  # the living access token is exchanged for a longer-lived one
    CLIENT_CREDENTIALS = "client_credentials"  # the customer's own client asks again
    LOGIN = "login"  # user name and password, with a budget of logins
    LASTING = "lasting"  # no known end; only probes tell

    @property
    def presents_credentials(self) -> bool:
        return self in (Flow.CLIENT_CREDENTIALS, Flow.LOGIN)


class OnUnknown(StrEnum):
    """What may be done after a call whose outcome is not known."""

    REPEAT = "repeat"  # the provider does not care how often it is asked
    PROBE_THEN_REPEAT = "probe_then_repeat"  # ask whether the old token lives; if so, again
    IF_PROVEN = "if_proven"  # rotation is not known: again only if this very credential was answered and kept before
    INTROSPECT = "introspect"  # ask about the refresh token itself (RFC 7662); if unused, again
    WAIT = "wait"  # never again: presenting it twice would end the grant


class RevokeScope(StrEnum):
    """What one revocation at the provider ends."""

    SUBJECT = "subject"  # everything that this user granted to us there
    TOKEN = "token"  # noqa: S105 - this grant alone
    NONE = "none"  # there is no such call; the customer removes us by hand


@dataclass(frozen=True, slots=True)
class FormField:
    """One field of the credential form of a platform without a consent screen."""

    name: str
    label: str
    secret: bool = False
    hint: str = ""


@dataclass(frozen=True, slots=True)
class Budget:
    """The provider counts these calls per user: at most `calls` in `per`."""

    calls: int
    per: timedelta


@dataclass(frozen=True, slots=True)
class Profile:
    """One provider as the rules see it.

    `family` groups providers whose users and revocations are shared (both Google ones). `scopes` is what is asked
    for; `features` says what stops working without each of the needed ones. `adds_scopes`: a later consent adds to what
    was granted before, so the missing part can be asked for alone. `requests_per_s` and `burst` bound all replicas
    together. `list_every`: where listing accounts costs a quota, so often by itself; None is at each probe;
    `operations_per_day` is that quota, where it was set.
    """

    provider: str
    title: str
    kind: TokenKind
    flow: Flow
    on_unknown: OnUnknown = OnUnknown.WAIT
    revoke_scope: RevokeScope = RevokeScope.NONE
    family: str = ""
    scopes: tuple[str, ...] = ()
    features: dict[str, str] = field(default_factory=dict)
    adds_scopes: bool = False
    pkce: bool = False
    form: tuple[FormField, ...] = ()
    needs_accounts: bool = True
    budget: Budget | None = None
    requests_per_s: float = 20.0
    burst: float = 40.0
    total_timeout_s: float = 10.0
    probe_every: timedelta = timedelta(hours=1)
    list_every: timedelta | None = None
    operations_per_day: int | None = None
    remove_hint: str = ""
    access_header: str = "Authorization"
    access_scheme: str = "Bearer"

    @property
    def by_consent(self) -> bool:
        """True when the platform has a consent screen; otherwise the customer enters credentials."""
        return not self.form

    @property
    def subject_family(self) -> str:
        return self.family or self.provider

    def scopes_to_ask(self, missing: tuple[str, ...]) -> tuple[str, ...]:
        """Return the scopes to ask of a grant that lacks `missing`: those alone if the platform can, else all."""
        return missing if missing and self.adds_scopes else self.scopes

    @property
    def needed_scopes(self) -> frozenset[str]:
        return frozenset(self.features)
