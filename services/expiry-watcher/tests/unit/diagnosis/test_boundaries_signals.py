"""What is read out of an error at its limits, what each platform's numbers mean, and what each wording weighs."""

import json
from typing import Any

import pytest

from common.contracts import RevocationCause, TokenKind, Verdict
from common.platforms import kind_of
from expiry_watcher.core.diagnosis import places
from expiry_watcher.core.diagnosis.evidence import CERTAIN, FAIR, HINT, STRONG, Evidence
from expiry_watcher.core.diagnosis.judge import Candidate, rank
from expiry_watcher.core.diagnosis.signals import read

P, C = Verdict, RevocationCause
SE, AD, IN, TG = TokenKind.SESSION, TokenKind.PLATFORM_OAUTH, TokenKind.INTEGRATION, TokenKind.TELEGRAM_LINK


@pytest.mark.parametrize(
    ("given", "document"),
    [
        ('{"a": 1}', {"a": 1}),
        ('answer {"a": 1} was it', {"a": 1}),
        ("}{", {}),
        ("{", {}),
        ("no braces", {}),
        ('{"a": }', {}),
        ('x{"a": {"b": 2}}y', {"a": {"b": 2}}),
        ([{"a": 1}, {"b": 2}], {"a": 1}),
        ([], {}),
        (7, {}),
    ],
)
def test_a_document_is_found_in_what_was_pasted(given: Any, document: dict[str, Any]) -> None:
    assert read(body=given).document == document


def test_a_document_of_more_than_twenty_thousand_characters_is_only_text() -> None:
    longest = '{"a":"' + "x" * 19_992 + '"}'
    assert read(body=longest).member("a") == "x" * 19_992
    assert read(body=longest + " ").document == {}


def test_a_document_in_the_text_is_read_when_the_body_has_none() -> None:
    assert read(text='{"a": 1}', body="nothing").document == {"a": 1}
    assert read(text='{"a": 1}', body={"b": 2}).document == {"b": 2}
    assert read(text='{"a": {"b": 3}}').member("a", "b") == 3
    assert read(text='{"a": 1}').member("a", "b") is None


def nested(depth: int) -> Any:
    return "deep" if depth == 0 else {"n": nested(depth - 1)}


@pytest.mark.parametrize(("depth", "seen"), [(12, True), (13, False)])
def test_names_and_values_are_words_down_to_the_twelfth_level(depth: int, *, seen: bool) -> None:
    assert ("deep" in read(body=nested(depth)).text) is seen
    as_list: Any = "deep"
    for _ in range(depth):
        as_list = [as_list]
    assert ("deep" in read(body={"a": as_list}).text) is (depth < 12)


def test_of_a_long_list_twenty_are_read_and_of_all_words_twenty_thousand_characters() -> None:
    assert read(body={"a": list(range(100, 130))}).text == " ".join(["a", *map(str, range(100, 120))])
    assert len(read(text="x" * 20_001).text) == 20_000
    assert read(text="A  b\n C", body={"D": None, "e": False}).text == "a b c d e false"


@pytest.mark.parametrize(
    ("text", "status"),
    [
        ("http 401", 401),
        ("HTTP/1.1 503 gone", 503),
        ("http/2 429", 429),
        ("status code: 500", 500),
        ("status_code=404", 404),
        ("401 unauthorized", 401),
        ("403 forbidden", 403),
        ("402 unpaid", None),
        ("status 600", None),
        ("status 4010", None),
        ("room 401", None),
    ],
)
def test_a_status_is_read_where_it_is_called_one(text: str, status: int | None) -> None:
    assert read(text=text).status == status
    assert read(text=text, status=200).status == 200, "what was given counts"


@pytest.mark.parametrize(
    ("given", "path"),
    [
        ("/Connect/Meta?x=1", "/connect/meta"),
        ("https://wevion.example/chat#a", "/chat"),
        ("connections", "/connections"),
        (" //x ", "/x"),
    ],
)
def test_a_path_is_read_out_of_an_address(given: str, path: str) -> None:
    assert read(path=given).path == path


def test_what_was_not_given_is_nothing() -> None:
    signals = read(area=" Ads-Manager_view ", provider="META")
    assert (signals.area, signals.provider, signals.path, signals.status) == ("ads manager view", "meta", None, None)


def test_a_provider_that_was_added_by_settings_is_a_platform() -> None:
    for provider in ("acme", "wevionads", "zeta"):
        assert kind_of(provider) is AD


def weighed(**given: Any) -> list[tuple[dict[TokenKind, float], Verdict | None]]:
    return [(item.weights, item.problem) for item in places.observe(read(**given)) if item.weights]


@pytest.mark.parametrize(
    ("text", "kind", "weight", "problem"),
    [
        ("i was signed out", SE, 5.5, P.SIGN_IN),
        ("my session", SE, 3.0, P.SIGN_IN),
        ("the jwt", SE, 6.0, P.SIGN_IN),
        ("acting as ann", SE, 5.0, P.SIGN_IN),
        ("my password", SE, 1.5, None),
        ("my account expired", SE, 1.5, P.SIGN_IN),
        ("/start", TG, 5.0, P.NEW_LINK),
        ("the link has expired", TG, 2.0, P.NEW_LINK),
        ("an integration", IN, 3.0, P.REAUTHORIZE),
        ("an invoice", IN, 1.5, None),
        ("a spreadsheet", IN, 1.5, None),
        ("an ad account", AD, 2.0, P.REAUTHORIZE),
        ("automation", AD, 2.5, P.REAUTHORIZE),
        ("no data", AD, 1.5, None),
        ("oauth", AD, 1.5, P.REAUTHORIZE),
        ("a connection", AD, 1.0, None),
        ("a dashboard", AD, 1.5, None),
        ("consent renewal", AD, 3.0, P.REAUTHORIZE),
        ("not logged in", SE, 3.0, P.SIGN_IN),
        ("www-authenticate", SE, 3.0, P.SIGN_IN),
        ("in the chat", SE, 1.5, None),
        ("unauthorized", SE, 1.0, None),
        ("a link code", TG, 1.5, P.NEW_LINK),
        ("my subscription", IN, 1.0, None),
    ],
)
def test_what_an_everyday_wording_weighs(text: str, kind: TokenKind, weight: float, problem: Verdict | None) -> None:
    assert weighed(text=text) == [({kind: weight}, problem)]


def test_a_token_that_is_dead_may_be_any_and_is_likeliest_a_connections() -> None:
    assert weighed(text="unknown token") == [({AD: 1.0, SE: 0.7, IN: 0.6, TG: pytest.approx(0.2)}, None)]


@pytest.mark.parametrize(
    ("provider", "kind", "named"),
    [
        ("meta", AD, 3.5),
        ("stripe", IN, 3.5),
        ("google-drive", IN, 3.5),
        ("my-network", AD, None),
    ],
)
def test_a_provider_weighs_more_when_it_was_given_than_when_it_is_named(
    provider: str, kind: TokenKind, named: float | None
) -> None:
    assert weighed(provider=provider) == [({kind: STRONG}, None)]
    assert weighed(text=provider) == ([] if named is None else [({kind: named}, None)])


def test_telegram_is_named_by_its_own_word_too() -> None:
    assert weighed(text="telegram") == [({TG: 3.0}, None), ({TG: STRONG}, P.NEW_LINK)]
    assert weighed(provider="wevion") == [({SE: STRONG}, None)]


@pytest.mark.parametrize(
    ("given", "weights", "problem"),
    [
        ({"path": "/connect/stripe"}, {IN: FAIR}, P.REAUTHORIZE),
        ({"path": "/settings/integrations"}, {IN: FAIR}, P.REAUTHORIZE),
        ({"path": "/settings/notifications"}, {TG: FAIR}, P.NEW_LINK),
        ({"path": "/chat"}, {SE: FAIR}, P.SIGN_IN),
        ({"path": "/connect/meta"}, {AD: FAIR}, P.REAUTHORIZE),
        ({"path": "/analytics"}, {AD: FAIR}, P.REAUTHORIZE),
        ({"area": "integrations"}, {IN: FAIR}, P.REAUTHORIZE),
        ({"area": "telegram"}, {TG: FAIR}, P.NEW_LINK),
        ({"area": "chat"}, {SE: FAIR}, P.SIGN_IN),
        ({"area": "campaign"}, {AD: FAIR}, P.REAUTHORIZE),
        ({"text": "session_expired"}, {SE: STRONG}, P.SIGN_IN),
        ({"text": "token_dead"}, {AD: STRONG}, P.REAUTHORIZE),
        ({"text": "token_expiring"}, {AD: FAIR, IN: 1.5}, P.EXPIRING),
        ({"body": {"token_kind": "telegram_link"}}, {TG: CERTAIN}, P.NEW_LINK),
        ({"body": {"token_kind": "session"}}, {SE: CERTAIN}, P.SIGN_IN),
        ({"body": {"token_kind": "integration"}}, {IN: CERTAIN}, P.REAUTHORIZE),
        ({"body": {"token_kind": "session", "code": "user_disabled"}}, {SE: CERTAIN}, P.NOT_ALLOWED),
    ],
)
def test_what_a_place_or_a_code_of_ours_weighs(
    given: dict[str, Any], weights: dict[TokenKind, float], problem: Verdict
) -> None:
    assert weighed(**given)[0] == (weights, problem)


def test_our_own_answer_brings_its_cause_if_there_is_such_a_cause() -> None:
    body = {"token_kind": "platform_oauth", "cause": "compromise"}
    assert next(places.observe(read(body=body))).cause is C.COMPROMISE
    assert next(places.observe(read(body=body | {"cause": "nonsense"}))).cause is None
    assert list(places.observe(read(body={"token_kind": "nonsense"}))) == []


@pytest.mark.parametrize(
    ("given", "session"),
    [
        ({"path": "/api/v1/rules", "status": 401}, True),
        ({"path": "/api/v1/rules", "text": "expired token"}, True),
        ({"path": "/api/v1/rules", "status": 400}, False),
        ({"path": "/api/v1/rules", "status": 402}, False),
        ({"path": "/rules", "status": 401}, False),
        ({"status": 401}, False),
        ({"text": "get https://x.example/api/v1/rules: http 401"}, True),
    ],
)
def test_a_401_of_the_api_is_about_the_session(given: dict[str, Any], *, session: bool) -> None:
    assert (({SE: FAIR}, P.SIGN_IN) in weighed(**given)) is session


def test_kinds_are_ranked_by_powers_of_two_and_an_echo_counts_a_third() -> None:
    def item(weight: float) -> Evidence:
        return Evidence("", {AD: weight})

    (alone,) = rank([item(3.0)])
    assert alone.confidence == pytest.approx(8 / 11)
    (echoed,) = rank([item(1.0), item(3.0)])
    assert echoed.confidence == pytest.approx(2**3.35 / (2**3.35 + 3))
    assert [each.weight for each in echoed.evidence] == [3.0, 1.0]
    (dead,) = rank([], {IN: 1.5})
    assert dead.kind is IN
    assert dead.confidence == pytest.approx(2**1.5 / (2**1.5 + 3))
    assert rank([]) == []


@pytest.mark.parametrize(("confidence", "certainty"), [(0.8, "high"), (0.79, "medium"), (0.5, "medium"), (0.49, "low")])
def test_how_sure_it_is_in_a_word(confidence: float, certainty: str) -> None:
    assert Candidate(AD, confidence, ()).certainty == certainty


def test_weights_are_ordered_from_an_everyday_word_to_a_document_of_ours() -> None:
    assert (HINT, FAIR, STRONG, CERTAIN) == (1.5, 3.0, 5.0, 7.0)
    assert Evidence("", {}).weight == 0.0
    assert json.loads(json.dumps(Verdict.NEW_LINK)) == "new_link"
