"""What is read out of an error at its limits, what each platform's numbers mean, and what each wording weighs."""

import json
from typing import Any

import pytest

from common.contracts import RevocationCause, TokenKind
from expiry_watcher.core.diagnosis import places, platforms
from expiry_watcher.core.diagnosis.evidence import CERTAIN, FAIR, HINT, STRONG, Evidence, Problem
from expiry_watcher.core.diagnosis.judge import Candidate, rank
from expiry_watcher.core.diagnosis.signals import read

P, C = Problem, RevocationCause
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


def seen(**given: Any) -> list[Evidence]:
    return list(platforms.observe(read(**given)))


def meta(code: int, subcode: int | None = None) -> tuple[Problem | None, RevocationCause | None]:
    error = {"type": "OAuthException", "code": code} | ({} if subcode is None else {"error_subcode": subcode})
    (found,) = seen(body={"error": error})
    assert (found.provider, found.weights) == ("meta", {AD: STRONG})
    return found.problem, found.cause


@pytest.mark.parametrize(
    ("problem", "codes"),
    [
        (P.REAUTHORIZE, [190, 102]),
        (P.RETRY_LATER, [1, 2, 104, 960]),
        (P.RATE_LIMITED, [4, 17, 32, 613, 80000, 80004, 80014]),
        (P.ACCOUNT_LOST_ACCESS, [3, 10, 100, 200, 250, 299, 368, 803]),
        (P.OUR_BUG, [2635]),
        (P.UNKNOWN, [0, 5, 101, 103, 189, 191, 199, 300, 612, 614, 2634, 79999, 80015]),
    ],
)
def test_what_metas_codes_mean(problem: Problem, codes: list[int]) -> None:
    assert {code: meta(code) for code in codes} == dict.fromkeys(codes, (problem, None))


def test_what_metas_subcodes_mean_under_190_only() -> None:
    causes = {
        458: C.USER_REVOKED,
        459: C.PLATFORM_ENFORCED,
        460: C.PASSWORD_CHANGED,
        461: C.USER_REVOKED,
        463: None,
        464: C.PLATFORM_ENFORCED,
        466: C.USER_REVOKED,
        467: C.USER_REVOKED,
        468: C.PLATFORM_ENFORCED,
        492: C.PERMISSION_CHANGED,
    }
    assert {code: meta(190, code) for code in causes} == {
        code: (P.REAUTHORIZE, cause) for code, cause in causes.items()
    }
    assert meta(190, 999) == (P.REAUTHORIZE, None)
    for code in (102, 200):
        assert meta(code, 458)[1] is None


@pytest.mark.parametrize(
    ("text", "problem", "cause", "weight"),
    [
        ("error validating access token", P.REAUTHORIZE, None, FAIR),
        ("the user has not authorized application 1", P.REAUTHORIZE, C.USER_REVOKED, FAIR),
        ("session has expired on friday", P.REAUTHORIZE, None, FAIR),
        ("changed the password", P.REAUTHORIZE, C.PASSWORD_CHANGED, FAIR),
        ("(#17) too much", P.RATE_LIMITED, None, STRONG),
        ("(#4) too much", P.RATE_LIMITED, None, STRONG),
        ("(#613) too much", P.RATE_LIMITED, None, STRONG),
        ("(#200) no", P.ACCOUNT_LOST_ACCESS, None, STRONG),
        ("(#190) no", P.REAUTHORIZE, None, STRONG),
        ("facebook code 190 subcode 458", P.REAUTHORIZE, C.USER_REVOKED, STRONG),
        ("facebook code 102", P.REAUTHORIZE, None, STRONG),
        ("oauthexception", P.REAUTHORIZE, None, STRONG),
    ],
)
def test_what_metas_texts_mean(text: str, problem: Problem, cause: RevocationCause | None, weight: float) -> None:
    found = seen(text=text)[0]
    assert (found.provider, found.problem, found.cause, found.weight) == ("meta", problem, cause, weight)


def test_texts_of_meta_mean_nothing_in_the_mouth_of_others() -> None:
    for provider in ("tiktok", "snapchat"):
        assert seen(text="access token is invalid", provider=provider) == []
    assert seen(text="code 190") == [], "nobody says whose code it is"
    assert len(seen(text="error validating access token: session has expired on friday", provider="meta")) == 1


@pytest.mark.parametrize(
    ("problem", "codes"),
    [
        (P.REAUTHORIZE, [40102, 40103, 40105, 40106, 40107, 40110, 40114, 40309]),
        (P.MISSING_PERMISSION, [40130]),
        (P.RATE_LIMITED, [40100, 40132, 40016, 61000]),
        (P.ACCOUNT_LOST_ACCESS, [40001, 40003, 40113, 40300, 40301]),
        (P.OUR_BUG, [40101, 40104]),
        (P.RETRY_LATER, [50000, 50002, 60001]),
    ],
)
def test_what_tiktoks_codes_mean(problem: Problem, codes: list[int]) -> None:
    revoked = {40105, 40114}
    for code in codes:
        for given in ({"body": {"code": code}}, {"body": {"code": str(code)}}, {"text": f"tiktok says {code}"}):
            (found,) = seen(**given)
            assert (found.provider, found.problem, found.weights) == ("tiktok", problem, {AD: STRONG})
            assert found.cause is (C.USER_REVOKED if code in revoked else None)
    for code in set(range(40000, 40320)) - TIKTOK:
        assert seen(body={"code": code}) == []


TIKTOK = {
    *(40102, 40103, 40105, 40106, 40107, 40110, 40114, 40130, 40309, 40100, 40132, 40016),
    *(40001, 40003, 40113, 40300, 40301, 40101, 40104),
}


def test_a_truth_value_is_no_code() -> None:
    assert seen(body={"code": True}) == []
    assert seen(body={"error": {"type": "OAuthException", "code": True}})[0].problem is P.UNKNOWN


@pytest.mark.parametrize(
    ("given", "problem", "words"),
    [
        ({"status": 401}, P.REAUTHORIZE, "401"),
        ({"status": 403}, P.ACCOUNT_LOST_ACCESS, "403"),
        ({"text": "e3002"}, P.REAUTHORIZE, "401"),
        ({"text": "e3003"}, P.ACCOUNT_LOST_ACCESS, "403"),
        ({"body": {"error_code": "E3002"}}, P.REAUTHORIZE, "E3002"),
        ({"body": {"error_code": "E3003"}}, P.ACCOUNT_LOST_ACCESS, "E3003"),
        ({"body": {"request_status": "ERROR"}}, P.UNKNOWN, "request_status"),
        ({"body": {"request_status": "ERROR"}, "status": 400}, P.UNKNOWN, "request_status"),
        ({"text": "invalid_grant"}, P.REAUTHORIZE, "invalid_grant"),
    ],
)
def test_what_snapchat_means(given: dict[str, Any], problem: Problem, words: str) -> None:
    found = seen(provider="snapchat", **given)[0]
    assert (found.provider, found.problem, found.weight) == ("snapchat", problem, STRONG)
    assert found.words.startswith(f"{words} is Snapchat's way to say: ")


@pytest.mark.parametrize("status", [400, 402, 404, None])
def test_snapchat_says_nothing_with_another_status(status: int | None) -> None:
    assert seen(provider="snapchat", status=status) == []


@pytest.mark.parametrize(
    ("given", "provider", "problem", "weight"),
    [
        ({"text": "Access token is incorrect or has been revoked"}, "tiktok", P.REAUTHORIZE, STRONG),
        ({"text": "App reaches the QPS limit"}, "tiktok", P.RATE_LIMITED, STRONG),
        ({"text": "BadClientCredentialsException"}, "taboola", P.REAUTHORIZE, STRONG),
        ({"text": "taboola: invalid_client"}, "taboola", P.REAUTHORIZE, STRONG),
        ({"body": {"http_status": 401, "message": "no"}}, "taboola", P.REAUTHORIZE, FAIR),
        ({"text": "OB-TOKEN-V1 is wrong"}, "outbrain", P.REAUTHORIZE, STRONG),
        ({"text": "rate-limit-msec-left: 5"}, "outbrain", P.RATE_LIMITED, STRONG),
        ({"text": "account_invalid"}, "stripe", P.REAUTHORIZE, STRONG),
        ({"text": "bot was blocked by the user"}, "telegram", P.NEW_LINK, STRONG),
        ({"text": "oauth_token_revoked"}, "google-ads", P.REAUTHORIZE, STRONG),
        ({"text": "resource_exhausted"}, "google-ads", P.RATE_LIMITED, STRONG),
        ({"text": "userratelimitexceeded"}, "google-drive", P.RATE_LIMITED, STRONG),
        ({"text": "domainpolicy"}, "google-drive", P.ACCOUNT_LOST_ACCESS, STRONG),
        ({"text": "google ads: invalid_rapt"}, "google-ads", P.REAUTHORIZE, STRONG),
        ({"text": "google drive: invalid_grant"}, "google-drive", P.REAUTHORIZE, STRONG),
    ],
)
def test_what_the_others_mean(given: dict[str, Any], provider: str, problem: Problem, weight: float) -> None:
    (found,) = seen(**given)
    assert (found.provider, found.problem, found.weight) == (provider, problem, weight)


@pytest.mark.parametrize("body", [{"http_status": 401}, {"message": "no"}, {"http_status": "401", "message": "no"}])
def test_half_of_a_shape_is_nobodys(body: dict[str, Any]) -> None:
    assert seen(body=body) == []


@pytest.mark.parametrize("text", ["telegram: chat not found", "the bot was kicked"])
def test_telegrams_texts_are_read_where_it_or_its_bot_is_named(text: str) -> None:
    (found,) = seen(text=text)
    assert (found.provider, found.problem) == ("telegram", P.NEW_LINK)
    assert seen(text="chat not found") == []


def test_a_provider_that_was_added_by_settings_is_a_platform() -> None:
    for provider in ("acme", "wevionads", "zeta"):
        assert platforms.kind_of(provider) is AD


def test_a_quota_of_drive_is_not_taken_for_one_of_ads() -> None:
    assert seen(text="resource_exhausted", provider="google-drive") == []


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        ({"ok": False, "error_code": 401, "description": "Unauthorized"}, P.OUR_BUG),
        ({"ok": False, "error_code": 404, "description": "Not Found"}, P.OUR_BUG),
        ({"ok": False, "error_code": 400, "description": "Bad Request"}, P.UNKNOWN),
        ({"ok": False, "error_code": 403, "description": "Forbidden"}, P.UNKNOWN),
    ],
)
def test_what_telegrams_shape_means(body: dict[str, Any], problem: Problem) -> None:
    (found,) = seen(body=body)
    assert (found.provider, found.problem, found.weights) == ("telegram", problem, {TG: FAIR})
    assert seen(body=body | {"ok": True}) == []


def test_oauths_words_are_both_googles_and_nobodys_when_another_is_named() -> None:
    (found,) = seen(text="invalid_grant")
    assert (found.weights, found.provider, found.problem) == ({AD: 3.0, IN: 1.5}, None, P.REAUTHORIZE)
    (named,) = seen(text="google says no")
    assert (named.weights, named.problem) == ({AD: 3.0, IN: 2.0}, None)
    for other in ("meta", "tiktok", "taboola", "outbrain", "stripe"):
        assert seen(text="invalid_grant", provider=other) == []
        assert seen(text=f"{other} and google") == []


def weighed(**given: Any) -> list[tuple[dict[TokenKind, float], Problem | None]]:
    return [(item.weights, item.problem) for item in places.observe(read(**given))]


@pytest.mark.parametrize(
    ("text", "kind", "weight", "problem"),
    [
        ("i was signed out", SE, 3.0, P.SIGN_IN),
        ("my session", SE, 3.0, P.SIGN_IN),
        ("the jwt", SE, 3.0, P.SIGN_IN),
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
        ("consent renewal", AD, 3.0, None),
        ("not logged in", SE, 3.0, P.SIGN_IN),
        ("www-authenticate", SE, 3.0, P.SIGN_IN),
        ("in the chat", SE, 1.5, None),
        ("unauthorized", SE, 1.0, None),
        ("a link code", TG, 1.5, P.NEW_LINK),
        ("my subscription", IN, 1.0, None),
    ],
)
def test_what_an_everyday_wording_weighs(text: str, kind: TokenKind, weight: float, problem: Problem | None) -> None:
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
    given: dict[str, Any], weights: dict[TokenKind, float], problem: Problem
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
    assert json.loads(json.dumps(Problem.NEW_LINK)) == "new_link"
