"""Which token is it? Read what was given, look at the tokens that there are, and answer."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from common.contracts import TokenKind
from expiry_watcher import metrics
from expiry_watcher.core.diagnosis.answer import CONNECTIONS, DEAD, Conclusion, conclude, state_weights, the_very_one
from expiry_watcher.core.diagnosis.evidence import Evidence
from expiry_watcher.core.diagnosis.judge import Candidate, no_token, observe, rank
from expiry_watcher.core.diagnosis.signals import Signals, read
from expiry_watcher.core.tracked import TokenScope, TrackedToken
from expiry_watcher.operations.deps import Deps
from expiry_watcher.store import queries

_SUSPECTS = 100
_FAILING = 5


@dataclass(frozen=True, slots=True)
class Question:
    """An error as somebody met it; whatever is not known is None.

    `notice` is the notice that was asked about, as the notifier shows it to the person who asks; `session_id` is the
    session that the question was asked with.
    """

    text: str | None = None
    body: Any = None
    status: int | None = None
    path: str | None = None
    area: str | None = None
    provider: str | None = None
    account_id: UUID | None = None
    token_id: UUID | None = None
    session_id: UUID | None = None
    notice: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Suspect:
    """A kind of token that may be the cause, with the token itself if it could be told which."""

    candidate: Candidate
    token: TrackedToken | None
    conclusion: Conclusion


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """The answers, the likeliest first; none when nothing given speaks of a token.

    Then `failing` are the connections that do not work now, which may have nothing to do with it, and `against` says
    what it is instead, where that shows.
    """

    answers: tuple[Suspect, ...]
    failing: tuple[TrackedToken, ...] = ()
    against: Evidence | None = None


async def diagnose(deps: Deps, scope: TokenScope, question: Question, now: datetime) -> Diagnosis:
    """Answer a question from what the caller may see.

    Args:
        deps: what the operations of the service work with.
        scope: which tokens the caller may see.
        question: what was pasted, and where it appeared.
        now: the present time, in UTC.

    """
    signals = _signals(question)
    evidence = observe(signals)
    first = rank(evidence)
    named = frozenset(_named(question, signals))
    provider = question.provider or (first[0].provider if first else None)
    tokens = await queries.suspects(
        deps.pool,
        scope,
        ids=sorted(named | ({question.session_id} if question.session_id else frozenset())),
        account_id=question.account_id,
        provider=None if provider == "wevion" else provider,
        now=now,
        limit=_SUSPECTS,
    )
    against = no_token(evidence)
    if (not evidence or against is not None) and not named and question.account_id is None:
        # A dead connection alone is no answer: it would be blamed for a full disk.
        metrics.DIAGNOSES.labels("none", "low").inc()
        dead = [token for token in tokens if token.kind in CONNECTIONS and token.status in DEAD]
        return Diagnosis((), tuple(dead[:_FAILING]), against)
    ranked = rank(evidence, state_weights(tokens, provider) | _named_weights(tokens, named))
    answers = tuple(_answer(candidate, tokens, named, question, deps.public_url) for candidate in ranked)
    if answers:
        best = answers[0].candidate
        metrics.DIAGNOSES.labels(best.kind, best.certainty).inc()
    else:
        metrics.DIAGNOSES.labels("none", "low").inc()
    return Diagnosis(answers)


def _answer(
    candidate: Candidate, tokens: list[TrackedToken], named: frozenset[UUID], question: Question, public_url: str
) -> Suspect:
    mine = [token for token in tokens if token.kind is candidate.kind]
    if candidate.kind is TokenKind.SESSION and not any(token.token_id in named for token in mine):
        # Asked without an id, the session in question is the one that the question came with.
        mine = [token for token in mine if token.token_id == question.session_id]
    token = the_very_one(mine, candidate, named)
    return Suspect(candidate, token, conclude(candidate, token, public_url))


def _signals(question: Question) -> Signals:
    notice = question.notice or {}
    words = [question.text, *(str(notice[name]) for name in ("code", "title", "what") if notice.get(name))]
    body = question.body
    if body is None and notice:
        body = {"token_kind": notice.get("token_kind"), "code": notice.get("code"), "cause": notice.get("cause")}
    return read(
        text=" ".join(word for word in words if word) or None,
        body=body,
        status=question.status,
        path=question.path,
        area=question.area,
        provider=question.provider or notice.get("provider"),
    )


def _named(question: Question, signals: Signals) -> set[UUID]:
    """Return ids that may name a token: given, in a notice, or anywhere in the text or body, such as in a link."""
    found = set(signals.ids())
    if question.token_id is not None:
        found.add(question.token_id)
    if question.notice and question.notice.get("token_id"):
        found.add(UUID(str(question.notice["token_id"])))
    return found


def _named_weights(tokens: list[TrackedToken], named: frozenset[UUID]) -> dict[TokenKind, float]:
    """Return weights by the tokens that were named: an id settles the question of the kind."""
    return {token.kind: 8.0 for token in tokens if token.token_id in named}
