"""For backend services: a working access token or a clear refusal, and a place to report what a platform answered."""

from datetime import datetime, timedelta
from uuid import UUID

from pydantic import BaseModel, Field

from common.contracts import Verdict
from common.web import Access, Problem, Routes
from oauth_svc.core.connection import ended_words
from oauth_svc.core.errors import UnknownAccountError
from oauth_svc.core.grant import Secrets
from oauth_svc.http.accounts import AccountPath
from oauth_svc.http.refusals import as_problems
from oauth_svc.operations.deps import Deps
from oauth_svc.operations.serving import probe, reading
from oauth_svc.operations.serving.access import AccessTokens, TokenDeadError, TokenUnavailableError
from oauth_svc.providers.wire import Answer

TOKENS_READ = Access.service("tokens:read")
MAX_MIN_TTL_S = 3600


class TokenQuery(BaseModel):
    """How long the token must last."""

    min_ttl: int = Field(default=60, ge=0, le=MAX_MIN_TTL_S, description="seconds that the token must stay valid")


class AccessTokenView(BaseModel):
    """A token to use now, with the header that the platform wants it in. Do not keep it: ask again."""

    account_id: UUID
    external_id: str
    connection_id: UUID
    workspace_id: UUID
    provider: str
    access_token: str = Field(repr=False)
    header: str = Field(description="the header that carries it")
    scheme: str = Field(description="what stands before the token in that header; may be empty")
    expires_at: datetime | None = None
    status: str
    stale_refresh: bool = Field(description="refreshing fails for now; this older token still works")
    missing_scopes: list[str]
    details: dict[str, str] = Field(default_factory=dict, description="such as login_customer_id")


class FailureReport(BaseModel):
    """A platform's answer as the service got it. Send no token."""

    status: int = Field(ge=100, le=599)
    body: str = Field(default="", max_length=65_536)
    headers: dict[str, str] = Field(default_factory=dict, max_length=50)


class Judgement(BaseModel):
    """What the answer means, and what is done about it."""

    classification: str = Field(description="a verdict, or none")
    code: str | None = None
    probing: bool = Field(description="the grant is being asked at the platform; the state follows from that alone")
    advice: str


_ADVICE = {
    Verdict.RETRY_LATER: "Back off and try again; nothing is wrong with the grant.",
    Verdict.RATE_LIMITED: "Wait as the platform says; nothing is wrong with the grant.",
    Verdict.OUR_BUG: "The request or our set-up is wrong; operators are told.",
    Verdict.REAUTHORIZE: "The grant is being checked; stop using it until it is judged.",
    Verdict.ACCOUNT_LOST_ACCESS: "The account is being checked; stop using it until it is judged.",
    Verdict.UNKNOWN_OUTCOME: "The outcome is not known; do not repeat a write blindly.",
    None: "This answer proves nothing about the grant.",
}


def routes(deps: Deps, access: AccessTokens) -> Routes:
    """Return the endpoints of this file."""
    r = Routes("services")

    @r.get(
        "/api/v1/accounts/{id}/access-token",
        access=TOKENS_READ,
        summary="A working access token for an account",
        problems=(
            404,
            (409, "connection_revoked"),
            (409, "connection_expired"),
            (409, "account_access_lost"),
            (503, "token_unavailable"),
        ),
        quiet=True,
    )
    async def access_token(path: AccountPath, query: TokenQuery) -> AccessTokenView:
        """Valid for at least `min_ttl` seconds, refreshed in flight if it must be; refused clearly while dead."""
        try:
            found = await access.token(path.id, timedelta(seconds=query.min_ttl))
        except UnknownAccountError as unknown:
            raise Problem(404, unknown.code, detail=str(unknown)) from unknown
        except TokenDeadError as dead:
            raise Problem(
                409,
                dead.code,
                detail=str(dead),
                fix=dead.fix,
                fix_url=deps.fix_url(dead.row.provider, dead.row.connection_id),
                token_kind=dead.row.kind.value,
                token_id=dead.row.connection_id,
                cause=dead.cause,
                extra={"since": dead.since.isoformat(), "provider": dead.row.provider},
            ) from dead
        except TokenUnavailableError as away:
            raise Problem(
                503,
                away.code,
                detail=str(away),
                fix=away.fix,
                headers={"Retry-After": str(int(away.retry_after_s))},
            ) from away
        row = found.row
        profile = deps.providers[row.provider].profile
        secrets: Secrets = found.secrets
        return AccessTokenView(
            account_id=row.account_id,
            external_id=row.external_id,
            connection_id=row.connection_id,
            workspace_id=row.workspace_id,
            provider=row.provider,
            access_token=secrets.access_token,
            header=profile.access_header,
            scheme=profile.access_scheme,
            expires_at=row.access_expires_at,
            status=row.status.value,
            stale_refresh=found.stale_refresh,
            missing_scopes=list(row.scopes_missing),
            details=row.details,
        )

    @r.post(
        "/api/v1/accounts/{id}/failures",
        access=TOKENS_READ,
        summary="Report what the platform answered",
        status=202,
        problems=(404,),
        max_body_bytes=256 * 1024,
    )
    async def failures(path: AccountPath, body: FailureReport) -> Judgement:
        """The answer is classed, never believed: what may be a dead grant or account is asked at the platform."""
        with as_problems():
            account, connection = await reading.account(deps, None, path.id)
        headers = {name.lower(): value for name, value in body.headers.items()}
        failure = deps.providers[connection.provider].judge(Answer(body.status, headers, body.body.encode()))
        probing = connection.status.alive and await probe.report(deps, account, connection, failure)
        profile = deps.providers[connection.provider].profile
        verdict = failure.verdict if failure else None
        advice = (
            _ADVICE[verdict]
            if connection.status.alive
            else ended_words(connection.status, connection.cause, profile.title)
        )
        return Judgement(
            classification=verdict or "none", code=failure.code if failure else None, probing=probing, advice=advice
        )

    return r
