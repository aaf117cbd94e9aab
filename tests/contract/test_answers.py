"""Answers that platforms really gave, or that their documents show, through every reader of the product.

`answers/<provider>.jsonl` holds a row each: provider, context (its first word is the call), status, headers, body, and
what it must mean; README.md beside them has the words. A row that a platform re-defines changes here and in one module
of `common.platforms`. Files that `CONTRACT_ANSWERS` names (`make contract ANSWERS=more.jsonl`) are run as well.
"""

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.contracts import RevocationCause, Verdict
from common.platforms import PLATFORMS, clause, sentence, title_of
from common.platforms.errors import Call, Failure
from expiry_watcher.core.diagnosis.judge import no_token, observe, rank
from expiry_watcher.core.diagnosis.signals import read
from oauth_svc.providers.base import PlatformError
from oauth_svc.providers.builtin import BUILTIN
from oauth_svc.providers.wire import Answer
from rule_pauser.core.words import reason_words

from .chatting import incoming, outcome_fits, presented, update_fits
from .replaying import NOW, SECRETS, Replay, Row, fits, outcome, provider_of, read_rows
from .signalling import signal_fits, signalled

ANSWERS = Path(__file__).parent / "answers"
OWN = read_rows(sorted(ANSWERS.glob("*.jsonl")))
FURTHER = read_rows([Path(name) for name in os.environ.get("CONTRACT_ANSWERS", "").split(os.pathsep) if name])
ROWS = [*OWN, *(replace(row, id=f"{row.id} (further)") for row in FURTHER)]
CALLS = {"judge", "refresh", "exchange", "login", "inspect", "accounts", "revoke"}
CALLED = [row for row in ROWS if row.call in CALLS]
SIGNALS = [row for row in ROWS if row.call == "webhook"]
SENT = [row for row in ROWS if row.call in {"send", "edit"}]
UPDATES = [row for row in ROWS if row.call == "update"]
REFUSED = [row for row in CALLED if not any(wanted.startswith(("ok", "none")) for wanted in row.wanted)]
UNTOLD = {"unreadable_answer", "csrf_page", "service_unavailable"}
ONE_ANSWER = [row for row in REFUSED if row.call != "accounts"]


def _id(row: Row) -> str:
    return row.id


@pytest.mark.parametrize("row", CALLED, ids=_id)
async def test_oauth_svc_understands(row: Row) -> None:
    found, calls = await outcome(row)
    assert any(fits(found, wanted, row) for wanted in row.wanted), found
    if row.call in {"refresh", "login"}:
        assert calls == 1, "no layer repeats a token request"


@pytest.mark.parametrize("row", SIGNALS, ids=_id)
async def test_a_signal_is_believed_and_dated(row: Row) -> None:
    said = await signalled(row)
    assert any(signal_fits(said, wanted) for wanted in row.wanted), said


@pytest.mark.parametrize("row", SENT, ids=_id)
async def test_the_notifier_understands_what_became_of_a_message(row: Row) -> None:
    said = await presented(row)
    assert any(outcome_fits(said, wanted) for wanted in row.wanted), said


@pytest.mark.parametrize("row", UPDATES, ids=_id)
def test_the_notifier_reads_an_update(row: Row) -> None:
    said = incoming(row)
    assert any(update_fits(said, wanted) for wanted in row.wanted), said


@pytest.mark.parametrize("row", ONE_ANSWER, ids=_id)
async def test_every_reader_says_the_same(row: Row) -> None:
    """The diagnosis of the pasted answer and the words for the cause follow from what oauth-svc makes of it."""
    found, _ = await outcome(row)
    assert isinstance(found, Failure)
    answer = row.answer("deauthorize")
    signals = read(body=answer.body.decode(), status=row.status, provider=row.provider)
    evidence = observe(signals)
    against = no_token(evidence)
    if against is not None:
        # Only the caller knows that the platform may have acted before it failed.
        said = Verdict.RETRY_LATER if found.verdict is Verdict.UNKNOWN_OUTCOME else found.verdict
        assert against.problem in {said, Verdict.NOT_A_TOKEN}
        assert said in {Verdict.RATE_LIMITED, Verdict.RETRY_LATER, Verdict.OUR_BUG}
        return
    candidate = rank(evidence)[0]
    assert candidate.kind == PLATFORMS[row.provider].kind if row.provider in PLATFORMS else candidate.provider
    if found.unrecognised or found.code in UNTOLD or found.code.startswith("http_") or row.provider not in PLATFORMS:
        return  # nobody knows more about it than the status, or only the caller knows what it was an answer to
    assert (candidate.problem, candidate.cause) == (found.verdict, found.cause)
    if found.verdict is Verdict.REAUTHORIZE:
        words = clause(found.cause, title_of(row.provider))
        assert words in reason_words("token_revoked", row.provider, "Shop", found.cause and found.cause.value)
    assert "removed Wevion" not in sentence(found.cause, "X") or found.cause is RevocationCause.USER_REVOKED


def test_every_built_in_provider_has_answers() -> None:
    assert set(BUILTIN) <= {row.provider for row in OWN}


def test_every_row_is_run_and_known_by_its_id() -> None:
    assert {row.id for row in ROWS} == {row.id for part in (CALLED, SIGNALS, SENT, UPDATES) for row in part}
    assert len({row.id for row in OWN}) == len(OWN)


PROVIDERS = {name: provider_of(name) for name in sorted({row.provider for row in CALLED})}


async def _refused(name: str, answer: Answer) -> Failure | None:
    provider = PROVIDERS[name]
    row = Row("", name, "refresh", answer.body.decode("latin-1"), "none", answer.status)
    provider._wire = Replay(row)  # type: ignore[attr-defined]
    try:
        await provider.refresh(SECRETS, NOW)
    except PlatformError as error:
        return error.failure
    return None


BODIES = st.one_of(
    st.binary(max_size=60),
    st.sampled_from(
        [
            b'{"error":"invalid_grant"}',
            b'{"error":{"code":190,"error_subcode":458}}',
            b'{"code":40105}',
            b'{"code":"40105"}',
            b'{"error":"invalid_client"}',
            b'{"error":{"code":"account_invalid"}}',
            b'[{"error":{"details":[{"errors":[{"errorCode":{"a":"OAUTH_TOKEN_REVOKED"}}]}]}}]',
        ]
    ),
)


@given(st.sampled_from(sorted(PROVIDERS)), st.sampled_from([429, 500, 502, 503, 504, 599]), BODIES)
async def test_no_429_and_no_5xx_ever_ends_a_grant(name: str, status: int, body: bytes) -> None:
    answer = Answer(status, {}, body)
    for found in (await _refused(name, answer), PROVIDERS[name].judge(answer)):
        assert found is None or found.verdict is not Verdict.REAUTHORIZE


UNKNOWN: tuple[Any, ...] = (
    {"error": "code_of_tomorrow"},
    {"error": {"code": "code_of_tomorrow", "message": "?", "type": "?"}},
    {"error": {"code": 99_999, "message": "?", "type": "OAuthException", "fbtrace_id": "A"}},
    {"code": 49_999, "message": "?"},
    {"error_code": "E9", "request_status": "ERROR"},
    {"message": "Forbidden"},
    {},
)


@pytest.mark.parametrize("call", list(Call))
@pytest.mark.parametrize("name", sorted(PROVIDERS))
def test_a_code_that_nobody_knows_is_asked_about_again_and_ends_nothing(name: str, call: Call) -> None:
    if name == "outbrain" and call.for_tokens:
        return  # its login says 401 for wrong credentials, whatever the body
    for status in (400, 401, 402, 403, 404, 405, 410, 422):
        for body in UNKNOWN:
            found = PROVIDERS[name].judge(Answer(status, {}, json.dumps(body).encode()), call)
            assert found is not None
            assert not found.verdict.only_a_person_helps or found.refresh_first, (status, body, found)


@given(st.sampled_from(sorted(PROVIDERS)), st.integers(200, 599), st.binary(max_size=80))
async def test_a_body_that_is_no_json_ends_nothing(name: str, status: int, body: bytes) -> None:
    if body.strip().startswith((b"{", b"[", b"<")) or status == 401:
        return
    failure = await _refused(name, Answer(status, {}, body))
    assert failure is None or failure.verdict is not Verdict.REAUTHORIZE
