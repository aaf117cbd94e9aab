"""The endpoint of "which token is it?"."""

from dataclasses import replace
from typing import Any
from uuid import UUID

from aiohttp import web
from pydantic import AliasChoices, BaseModel, Field, model_validator

from common.contracts import RevocationCause, TokenKind, Verdict
from common.platforms import title_of
from common.runtime.clock import Clock
from common.web import Access, Principal, Routes
from expiry_watcher.clients.notifier import NoticesClient
from expiry_watcher.clients.oauth_svc import ChecksClient
from expiry_watcher.core.diagnosis.answer import after_check, can_be_checked
from expiry_watcher.core.fixes import fix_for
from expiry_watcher.http.callers import scope_of
from expiry_watcher.http.views import TokenView, token_view
from expiry_watcher.operations import Deps, Question, diagnose
from expiry_watcher.operations.diagnose import Diagnosis, Suspect

SCOPE = "tokens:read"
LONGEST = 20_000
NOTHING = (
    "Nothing given speaks of a token. Give the error's text, the HTTP status and body, the page or product area where "
    "it appeared, or the platform."
)


class QuestionBody(BaseModel):
    """An error as it was met: any of these, the more the surer."""

    notice_id: UUID | None = Field(default=None, description="a notice that Wevion showed or sent")
    text: str | None = Field(
        default=None,
        max_length=LONGEST,
        validation_alias=AliasChoices("text", "error_text", "error", "message"),
        description="the error or the complaint in words, Wevion's or a platform's",
    )
    status: int | None = Field(
        default=None, ge=100, le=599, validation_alias=AliasChoices("status", "http_status"), description="HTTP status"
    )
    body: Any = Field(
        default=None,
        validation_alias=AliasChoices("body", "http_body"),
        description="the HTTP answer's body: JSON, or a string",
    )
    path: str | None = Field(default=None, max_length=2000, description="page or API path where it appeared")
    area: str | None = Field(
        default=None,
        max_length=200,
        validation_alias=AliasChoices("area", "product_area"),
        description="product area, such as Ads Manager, Analytics, Campaign Creator",
    )
    provider: str | None = Field(default=None, min_length=1, max_length=64, description="such as meta or stripe")
    account_id: UUID | None = Field(
        default=None, validation_alias=AliasChoices("account_id", "account"), description="the account it is about"
    )
    token_id: UUID | None = Field(default=None, description="the token, if it is known")
    workspace_id: UUID | None = Field(default=None, description="services and support admins: which workspace")

    check: bool = Field(
        default=False, description="ask the platform now whether the token that is found works, if it is believed alive"
    )

    @model_validator(mode="after")
    def _something(self) -> "QuestionBody":
        given = self.model_dump(exclude={"workspace_id", "check"}, exclude_none=True)
        if not any(value.strip() if isinstance(value, str) else value not in ({}, []) for value in given.values()):
            raise ValueError("give at least one of notice_id, text, status, body, path, area, provider, account_id")
        return self


class CandidateView(BaseModel):
    """One kind of token that it can be."""

    kind: TokenKind
    confidence: float = Field(ge=0, le=1)
    provider: str | None
    problem: Verdict
    cause: RevocationCause | None
    token: TokenView | None = Field(description="the very token, where it could be told")
    words: str
    fix: str
    fix_url: str | None


class CheckView(BaseModel):
    """How the token that was found can be checked at the platform now, and what came of it if that was asked for."""

    token_id: UUID
    url: str = Field(description="POST to this checks it; so does the same question with `check`")
    asked: bool = Field(description="the platform was asked just now")
    verified: bool | None = Field(description="whether it confirmed the token; null if it was not asked")


class DiagnosisView(BaseModel):
    """The answer: the kind of token, how sure that is, what happened to that very token, and what to do."""

    kind: TokenKind | None = Field(description="null: no token is at fault, or nothing given speaks of one")
    instead: str | None = Field(default=None, description="what it is when no token is at fault, such as payment")
    confidence: float = Field(ge=0, le=1)
    certainty: str = Field(description="high, medium or low")
    evidence: list[str] = Field(description="what the answer rests on, the heaviest first")
    nothing_wrong: bool = Field(description="no token of the caller's is the problem now")
    problem: Verdict
    cause: RevocationCause | None
    words: str
    otherwise: list[str] = Field(description="what else it may be")
    provider: str | None
    token: TokenView | None = Field(description="the very token and its present state, where it could be told")
    fix: str | None
    fix_url: str | None
    check: CheckView | None = Field(default=None, description="where the token that was found is believed alive")
    candidates: list[CandidateView] = Field(description="every kind that something speaks for, the likeliest first")


def diagnose_routes(deps: Deps, clock: Clock, notices: NoticesClient, checks: ChecksClient) -> Routes:
    """Return the endpoint of diagnoses.

    Args:
        deps: what the operations work with.
        clock: tells the present moment.
        notices: reads the notice that is asked about.
        checks: has the token that was found checked at its platform.

    """
    r = Routes("diagnose")

    @r.post("/api/v1/tokens/diagnose", access=Access.user_or_service(SCOPE), summary="Which token is it?")
    async def diagnose_(body: QuestionBody, principal: Principal, request: web.Request) -> DiagnosisView:
        now, authorization = clock.now(), request.headers["Authorization"]
        notice = None
        if body.notice_id is not None:
            notice = await notices.read(body.notice_id, authorization)
        question = Question(
            text=body.text,
            body=body.body,
            status=body.status,
            path=body.path,
            area=body.area,
            provider=body.provider.lower() if body.provider else None,
            account_id=body.account_id,
            token_id=body.token_id,
            session_id=principal.session_id,
            notice=notice,
        )
        found = await diagnose(deps, scope_of(principal, body.workspace_id, "body"), question, now)
        check = None
        if found.answers and principal.kind == "user":
            found, check = await _checked(found, body.check, checks, authorization, deps.public_url)
        candidates = [
            CandidateView(
                kind=answer.candidate.kind,
                confidence=round(answer.candidate.confidence, 3),
                provider=_provider(answer),
                problem=answer.conclusion.problem,
                cause=answer.conclusion.cause,
                token=None if answer.token is None else token_view(answer.token, now, deps.public_url),
                words=answer.conclusion.words,
                fix=answer.conclusion.fix.words,
                fix_url=answer.conclusion.fix.url,
            )
            for answer in found.answers
        ]
        if not found.answers:
            return _nothing(found, deps.public_url)
        best, first = found.answers[0], candidates[0]
        return DiagnosisView(
            kind=first.kind,
            confidence=first.confidence,
            certainty=best.candidate.certainty,
            evidence=[item.words for item in best.candidate.evidence],
            nothing_wrong=best.conclusion.nothing_wrong,
            problem=first.problem,
            cause=first.cause,
            words=first.words,
            otherwise=list(best.conclusion.otherwise),
            provider=first.provider,
            token=first.token,
            fix=first.fix,
            fix_url=first.fix_url,
            check=check,
            candidates=candidates,
        )

    return r


async def _checked(
    found: Diagnosis, wanted: bool, checks: ChecksClient, authorization: str, public_url: str
) -> tuple[Diagnosis, CheckView | None]:
    """Offer to check the token that was found, or check it; the diagnosis then says what the platform said."""
    best = found.answers[0]
    token = best.token
    if token is None or not can_be_checked(token):
        return found, None
    url = f"{public_url}/api/v1/connections/{token.token_id}/check"
    checked = await checks.check(token.token_id, authorization) if wanted else None
    if checked is None:
        return found, CheckView(token_id=token.token_id, url=url, asked=False, verified=None)
    best = replace(best, conclusion=after_check(best.conclusion, token, checked, public_url))
    view = CheckView(token_id=token.token_id, url=url, asked=True, verified=checked.verified)
    return replace(found, answers=(best, *found.answers[1:])), view


def _provider(answer: Suspect) -> str | None:
    return answer.token.provider if answer.token is not None else answer.candidate.provider


def _nothing(found: Diagnosis, public_url: str) -> DiagnosisView:
    against = found.against
    instead = against.instead if against is not None else None
    unrelated = [
        f"The {title_of(token.provider)} connection does not work now, which may have nothing to do with it: "
        + fix_for(token.kind, token.provider, public_url, status=token.status, token_id=token.token_id).words
        for token in found.failing
    ]
    return DiagnosisView(
        kind=None,
        instead=instead.code if instead else None,
        confidence=0.0,
        certainty="low" if instead is None else "high",
        evidence=[against.words] if against is not None else [],
        nothing_wrong=instead is not None,
        problem=Verdict.UNKNOWN if against is None or against.problem is None else against.problem,
        cause=None,
        words=NOTHING if instead is None else f"No token is at fault: this is {instead.words}.",
        otherwise=unrelated,
        provider=against.provider if against is not None else None,
        token=None,
        fix=instead.fix if instead else None,
        fix_url=None,
        candidates=[],
    )
