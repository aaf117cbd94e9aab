"""The pieces that need no server: tokens, ledger, limits, PKCE, text rules."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from provider_simulator.clock import SimClock
from provider_simulator.faults import Fault, Faults
from provider_simulator.grants import KEEP_TOKENS_PER_GRANT, Grants
from provider_simulator.ledger import Ledger
from provider_simulator.limits import Limits
from provider_simulator.people import make_person, seeded
from provider_simulator.pkce import verifies
from provider_simulator.platforms.telegram_text import ParseError, check_markup, plain
from provider_simulator.randomness import Randomness
from provider_simulator.settings import parse
from provider_simulator.testing import CHALLENGE, VERIFIER

NOW = 1_800_000_000.0


def test_spent_and_old_tokens_are_forgotten_but_never_a_living_refresh_token() -> None:
    grants = Grants()
    grant = grants.open("rfc6749", "wevion", "avery", now=NOW)
    lasting = grants.issue(grant, "refresh", "lasting", now=NOW, lifetime_s=None)
    for n in range(10 * KEEP_TOKENS_PER_GRANT):
        grants.issue(grant, "refresh", f"t{n}", now=NOW, lifetime_s=None, single_use=True).spent_at = NOW
    assert len(grant.tokens) <= KEEP_TOKENS_PER_GRANT
    assert grants.find("lasting") is lasting
    assert grants.find("t0") is None
    assert grants.find(f"t{10 * KEEP_TOKENS_PER_GRANT - 1}") is not None


def test_a_grant_ends_once_and_takes_its_tokens_along() -> None:
    grants = Grants()
    grant = grants.open("meta", "1", "avery", now=NOW)
    token = grants.issue(grant, "access", "t", now=NOW, lifetime_s=10)
    assert token.usable(NOW + 9)
    assert not token.usable(NOW + 10)
    assert grants.end(grant, "user_revoked", NOW)
    assert not grants.end(grant, "compromise", NOW + 1)
    assert (grant.cause, token.usable(NOW)) == ("user_revoked", False)
    assert grants.alive("meta", person="avery") == []


def test_grants_come_back_from_their_data() -> None:
    grants, again = Grants(), Grants()
    grant = grants.open("meta", "1", "avery", now=NOW, scopes=["a"], accounts=["act_1"], extra={"x": 1})
    grants.issue(grant, "code", "c", now=NOW, lifetime_s=5, single_use=True, extra={"redirect_uri": "u"})
    again.load(grants.dump(grant))
    found = again.find("c")
    assert found is not None
    assert again.dump(found.grant) == grants.dump(grant)
    assert again.open("meta", "1", "avery", now=NOW).id == "meta-avery-2"


def test_ledger_is_bounded_and_its_counts_are_not() -> None:
    ledger = Ledger(keep=10)
    grants = Grants()
    grant = grants.open("rfc6749", "wevion", "avery", now=NOW)
    for n in range(25):
        ledger.write("rfc6749", "refresh", now=NOW + n / 10, outcome="rotated", grant=grant, twice=n % 5 == 0)
    assert (ledger.written, ledger.forgotten, len(ledger.lines(limit=100))) == (25, 15, 10)
    assert (ledger.presented_twice[grant.id], grant.presented_twice) == (5, 5)
    assert ledger.outcomes == {"rfc6749": {"rotated": 25}}
    assert ledger.peak_per_second == {"rfc6749": 10}


@settings(max_examples=40, deadline=None)
@given(st.lists(st.floats(0, 3), min_size=1, max_size=100))
def test_a_bucket_never_lets_more_through_than_burst_plus_rate(gaps: list[float]) -> None:
    limits, now, taken = Limits(), NOW, 0
    for gap in gaps:
        now += gap
        wait_s = limits.average("x", 2.0, 5.0, now)
        taken += wait_s == 0
        assert 0 <= wait_s <= 0.5
    assert taken <= 5 + 2 * (now - NOW) + 1e-6


@settings(max_examples=40, deadline=None)
@given(st.lists(st.floats(0, 2000), min_size=1, max_size=50))
def test_a_window_never_lets_a_third_through(gaps: list[float]) -> None:
    limits, now = Limits(), NOW
    taken: list[float] = []
    for gap in gaps:
        now += gap
        if limits.window("login", 2, 3600, now) == 0:
            taken.append(now)
        assert len([t for t in taken if t > now - 3600]) <= 2


def test_the_seed_alone_decides_and_a_later_boot_repeats_nothing() -> None:
    one, two, later = Randomness(3), Randomness(3), Randomness(3, boot=1)
    first = [one.token("x") for _ in range(5)]
    assert first == [two.token("x") for _ in range(5)]
    assert not set(first) & {later.token("x") for _ in range(5)}
    assert all(t.isalnum() for t in first)


@pytest.mark.parametrize(
    ("challenge", "verifier", "holds"),
    [
        (None, None, True),
        (None, VERIFIER, False),
        (["S256", CHALLENGE], VERIFIER, True),
        (["S256", CHALLENGE], "w" * 64, False),
        (["S256", CHALLENGE], None, False),
        (["plain", VERIFIER], VERIFIER, True),
        (["plain", "short"], "short", False),
        (["S512", CHALLENGE], VERIFIER, False),
    ],
)
def test_pkce(challenge: list[str] | None, verifier: str | None, holds: bool) -> None:
    assert verifies(challenge, verifier) is holds


def test_pkce_appendix_b_of_the_rfc() -> None:
    verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
    assert verifies(["S256", "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"], verifier)


def test_faults_are_picked_in_order_and_end_by_their_count() -> None:
    faults = Faults(Randomness(1))
    faults.order(Fault(provider="meta", endpoint="token", kind="hang", count=2))
    faults.order(Fault(kind="reset"))
    assert [getattr(faults.pick("meta", "token", None), "kind", None) for _ in range(3)] == ["hang", "hang", "reset"]
    assert getattr(faults.pick("tiktok", "api", None), "kind", None) == "reset"
    assert faults.lift() == 1
    assert faults.pick("meta", "token", None) is None


@pytest.mark.parametrize(
    ("text", "mode"),
    [("<b>", "HTML"), ("</b>", "HTML"), ("<b><i></b></i>", "HTML"), ("a-b", "MarkdownV2"), ("x", "RTF")],
)
def test_texts_that_telegram_cannot_read(text: str, mode: str) -> None:
    with pytest.raises(ParseError):
        plain(text, mode)


@pytest.mark.parametrize("markup", ["x", {"inline_keyboard": "x"}, {"inline_keyboard": ["x"]}])
def test_keyboards_that_are_none(markup: object) -> None:
    with pytest.raises(ParseError):
        check_markup(markup)


def test_people_have_ids_of_their_own_that_never_change() -> None:
    people = seeded()
    ids = [a.id for p in people.values() for listed in p.accounts.values() for a in listed]
    assert len(ids) == len(set(ids))
    assert people["avery"].accounts["meta"][0].id == "act_983447396102653"
    assert len(people["agency"].accounts["meta"]) == 20
    giant = make_person("giant", "G", "g@x.example", "G", {"meta": 5000})
    assert len({a.id for a in giant.accounts["meta"]}) == 5000


def test_the_clock_only_moves_forward() -> None:
    clock = SimClock(lambda: NOW)
    clock.advance(5)
    assert clock.now() == NOW + 5
    with pytest.raises(ValueError, match="forward"):
        clock.advance(-1)


def test_command_line() -> None:
    chosen = parse(["run", "--port", "0", "--seed", "9", "--public-url", "http://x.example/"])
    assert (chosen.port, chosen.seed, chosen.public_url) == (0, 9, "http://x.example")
    with pytest.raises(SystemExit):
        parse(["run", "--port", "many"])
