"""From a ranked kind to the very token and what to do: one answer a row."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest

from common.contracts import RevocationCause, TokenKind, TokenStatus, Verdict
from expiry_watcher.core.diagnosis.answer import conclude, state_weights, the_very_one
from expiry_watcher.core.diagnosis.evidence import Evidence
from expiry_watcher.core.diagnosis.judge import Candidate

K, P, S = TokenKind, Verdict, TokenStatus
URL = "http://g"


@dataclass(frozen=True)
class Held:
    """A token of the inventory."""

    token_id: UUID
    kind: TokenKind = K.PLATFORM_OAUTH
    provider: str = "meta"
    status: TokenStatus = S.ACTIVE
    since: datetime = datetime(2026, 9, 14, tzinfo=UTC)
    cause: RevocationCause | None = None
    missing_scopes: tuple[str, ...] = ()


META = Held(UUID(int=1))
OTHER_META = replace(META, token_id=UUID(int=2))
TIKTOK = Held(UUID(int=3), provider="tiktok")
STRIPE = Held(UUID(int=4), K.INTEGRATION, "stripe")
SESSION = Held(UUID(int=5), K.SESSION, "wevion")
LINK = Held(UUID(int=6), K.TELEGRAM_LINK, "telegram")
DEAD: dict[str, Any] = {"status": S.REVOKED, "cause": RevocationCause.USER_REVOKED}


def candidate(
    kind: TokenKind = K.PLATFORM_OAUTH, problem: Verdict | None = P.REAUTHORIZE, provider: str | None = "meta"
) -> Candidate:
    return Candidate(kind, 0.9, (Evidence("", {kind: 3.0}, provider, problem),))


@pytest.mark.parametrize(
    ("tokens", "provider", "weights"),
    [
        ([META, STRIPE], None, {}),
        ([replace(META, status=S.EXPIRED)], None, {K.PLATFORM_OAUTH: 1.5}),
        ([replace(META, status=S.REVOKED)], "meta", {K.PLATFORM_OAUTH: 1.5}),
        ([replace(META, status=S.REVOKED)], "tiktok", {}),
        ([replace(META, status=S.EXPIRING)], None, {K.PLATFORM_OAUTH: 0.5}),
        ([replace(META, status=S.EXPIRING), replace(TIKTOK, **DEAD)], None, {K.PLATFORM_OAUTH: 1.5}),
        ([replace(TIKTOK, **DEAD), replace(META, status=S.EXPIRING)], None, {K.PLATFORM_OAUTH: 1.5}),
        ([replace(META, status=S.DEGRADED)], None, {}),
        ([replace(STRIPE, **DEAD), replace(META, **DEAD)], None, {K.INTEGRATION: 1.5, K.PLATFORM_OAUTH: 1.5}),
        ([replace(SESSION, **DEAD), replace(LINK, status=S.EXPIRED)], None, {}),
        ([replace(SESSION, **DEAD), replace(META, **DEAD)], "meta", {K.PLATFORM_OAUTH: 1.5}),
    ],
)
def test_a_connection_that_waits_for_a_person_weighs_and_an_ended_session_does_not(
    tokens: list[Held], provider: str | None, weights: dict[TokenKind, float]
) -> None:
    assert state_weights(tokens, provider) == weights


@pytest.mark.parametrize(
    ("tokens", "asked", "named", "found"),
    [
        pytest.param([META], candidate(), (), META, id="the only one"),
        pytest.param([STRIPE, META], candidate(), (), META, id="the only one of its kind"),
        pytest.param([META, TIKTOK], candidate(), (), META, id="the only one of its platform"),
        pytest.param([META, TIKTOK], candidate(provider=None), (), None, id="no platform is named"),
        pytest.param([TIKTOK], candidate(provider="wevion"), (), TIKTOK, id="Wevion is nobody's platform"),
        pytest.param([TIKTOK], candidate(), (), None, id="of another platform"),
        pytest.param([], candidate(), (), None, id="there is none"),
        pytest.param([META, OTHER_META], candidate(), (), None, id="two that work"),
        pytest.param([META, replace(OTHER_META, **DEAD)], candidate(), (), "second", id="one of two fails"),
        pytest.param([replace(META, status=S.EXPIRED), OTHER_META], candidate(), (), "first", id="one of two ended"),
        pytest.param([replace(META, **DEAD), replace(OTHER_META, **DEAD)], candidate(), (), None, id="both fail"),
        pytest.param(
            [META, replace(OTHER_META, status=S.EXPIRING)], candidate(), (), None, id="expiring is no failure"
        ),
        pytest.param(
            [SESSION, replace(SESSION, token_id=UUID(int=9), **DEAD)],
            candidate(K.SESSION, P.SIGN_IN, None),
            (),
            None,
            id="an ended session is a normal sight",
        ),
        pytest.param([META, OTHER_META], candidate(), (UUID(int=2),), OTHER_META, id="named by its id"),
        pytest.param([META, STRIPE], candidate(), (UUID(int=4),), STRIPE, id="named, whatever kind it is"),
        pytest.param([META, OTHER_META], candidate(), (UUID(int=77),), None, id="an id that nobody has"),
    ],
)
def test_the_very_one(tokens: list[Held], asked: Candidate, named: tuple[UUID, ...], found: Held | str | None) -> None:
    expected = {"first": tokens[0], "second": tokens[-1]}[found] if isinstance(found, str) else found
    assert the_very_one(tokens, asked, frozenset(named)) == expected


def told(asked: Candidate, token: Held | None) -> tuple[Verdict, RevocationCause | None, str, str, str | None, bool]:
    found = conclude(asked, token, URL)
    return found.problem, found.cause, found.words, found.fix.words, found.fix.url, found.nothing_wrong


@pytest.mark.parametrize(
    ("token", "kind", "problem", "words", "url"),
    [
        (
            replace(META, **DEAD),
            K.PLATFORM_OAUTH,
            P.REAUTHORIZE,
            "The Meta connection ended before its time: syncs, publishing and rules that need it are stopped.",
            f"{URL}/connect/meta?connection_id={UUID(int=1)}",
        ),
        (
            replace(META, status=S.EXPIRED),
            K.PLATFORM_OAUTH,
            P.REAUTHORIZE,
            "The Meta connection has reached its full expiry: syncs, publishing and rules that need it are stopped.",
            f"{URL}/connect/meta?connection_id={UUID(int=1)}",
        ),
        (
            replace(STRIPE, **DEAD),
            K.INTEGRATION,
            P.REAUTHORIZE,
            "The Stripe connection ended before its time: syncs, publishing and rules that need it are stopped.",
            f"{URL}/settings/integrations",
        ),
        (replace(SESSION, **DEAD), K.SESSION, P.SIGN_IN, "This session has ended.", f"{URL}/sign-in"),
        (
            replace(LINK, **DEAD),
            K.TELEGRAM_LINK,
            P.NEW_LINK,
            "This Telegram link can no longer be used.",
            f"{URL}/settings/notifications",
        ),
    ],
)
@pytest.mark.parametrize("said", [None, P.RATE_LIMITED, P.ACCOUNT_LOST_ACCESS])
def test_a_dead_token_is_the_answer_whatever_the_error_says(
    token: Held, kind: TokenKind, problem: Verdict, *, words: str, url: str, said: Verdict | None
) -> None:
    found = conclude(candidate(kind, said), token, URL)
    assert (found.problem, found.cause, found.words, found.fix.url) == (problem, token.cause, words, url)
    assert (found.nothing_wrong, found.otherwise) == (False, ())


def test_a_problem_that_a_person_mends_is_kept_for_a_dead_token() -> None:
    assert conclude(candidate(problem=P.MISSING_PERMISSION), replace(META, **DEAD), URL).problem is P.MISSING_PERMISSION


@pytest.mark.parametrize("problem", [P.REAUTHORIZE, P.SIGN_IN, P.NEW_LINK, P.EXPIRING, P.MISSING_PERMISSION, P.UNKNOWN])
@pytest.mark.parametrize(
    ("more", "found", "nothing_wrong", "otherwise", "url"),
    [
        ({"status": S.EXPIRING}, P.EXPIRING, False, 0, "/connect/meta"),
        ({"status": S.EXPIRING, "missing_scopes": ("x",)}, P.EXPIRING, False, 0, "/connect/meta"),
        ({"missing_scopes": ("x",)}, P.MISSING_PERMISSION, False, 0, "/connect/meta"),
        ({"status": S.DEGRADED}, P.RETRY_LATER, True, 3, None),
        ({}, None, True, 3, None),
    ],
)
def test_a_token_that_lives_is_not_said_to_be_dead(
    problem: Verdict,
    more: dict[str, Any],
    found: Verdict | None,
    *,
    nothing_wrong: bool,
    otherwise: int,
    url: str | None,
) -> None:
    answer = conclude(candidate(problem=problem), replace(META, **more), URL)
    assert answer.problem is (found or problem)
    assert (answer.cause, answer.nothing_wrong, len(answer.otherwise)) == (None, nothing_wrong, otherwise)
    assert answer.fix.url == (None if url is None else f"{URL}{url}?connection_id={UUID(int=1)}")


def test_what_a_living_token_is_told_in_words() -> None:
    expiring, missing, degraded, fine = (
        told(candidate(), replace(META, **more))[2:4]
        for more in ({"status": S.EXPIRING}, {"missing_scopes": ("x",)}, {"status": S.DEGRADED}, {})
    )
    again = "Re-authorise Meta: one consent renews all of its accounts."
    assert expiring == ("The connection to Meta works, and reaches full expiry soon.", again)
    assert missing == ("The connection to Meta works, but lacks a permission.", again)
    assert degraded == (
        "Refreshes at Meta fail for now, but the connection is believed alive.",
        "Nothing to do: the call is repeated until Meta is well again.",
    )
    assert fine == (
        "Nothing is wrong with your tokens now: the one that this error is about works.",
        "Try again. If it still fails, it is something else.",
    )


def test_a_living_session_needs_no_second_guess() -> None:
    assert conclude(candidate(K.SESSION, P.SIGN_IN, None), SESSION, URL).otherwise == ()
    assert len(conclude(candidate(K.INTEGRATION, P.REAUTHORIZE, "stripe"), STRIPE, URL).otherwise) == 3


@pytest.mark.parametrize("token", [None, META])
@pytest.mark.parametrize(
    ("problem", "fix"),
    [
        (P.RATE_LIMITED, "Nothing to do: the call is repeated when Meta allows it."),
        (P.RETRY_LATER, "Nothing to do: the call is repeated until Meta is well again."),
        (P.OUR_BUG, "Nothing that a customer can fix: tell Wevion's support, with the error."),
        (P.NOT_ALLOWED, "Ask an admin or the owner of the workspace."),
    ],
)
def test_what_is_not_the_tokens_fault_is_nobodys_to_click(token: Held | None, problem: Verdict, fix: str) -> None:
    _, cause, words, said, url, nothing_wrong = told(candidate(problem=problem), token)
    assert (cause, said, url, nothing_wrong) == (None, fix, None, True)
    assert words


def test_an_account_that_was_lost_is_asked_for_at_the_platform() -> None:
    for token in (None, META):
        answer = told(candidate(problem=P.ACCOUNT_LOST_ACCESS), token)
        assert answer[3].startswith("Get access to the account back at Meta (")
        assert answer[4:] == (f"{URL}/connections", False)


@pytest.mark.parametrize(
    ("asked", "words", "url"),
    [
        (
            candidate(),
            "The connection to Meta no longer works until somebody re-authorises it.",
            f"{URL}/connect/meta",
        ),
        (
            candidate(provider=None),
            "The connection to the platform no longer works until somebody re-authorises it.",
            f"{URL}/connections",
        ),
        (candidate(problem=None), "What exactly is wrong does not show in what was given.", f"{URL}/connect/meta"),
        (
            candidate(K.SESSION, P.SIGN_IN, None),
            "The session in Wevion has ended, or its JWT was refused.",
            f"{URL}/sign-in",
        ),
    ],
)
def test_without_the_very_token_the_kind_is_answered(asked: Candidate, words: str, url: str) -> None:
    found = conclude(asked, None, URL)
    assert (found.words, found.fix.url, found.nothing_wrong, found.otherwise) == (words, url, False, ())
