"""What the table and the ratios say is what was measured."""

import json
from pathlib import Path

import pytest

from bench.load import get
from bench.results import Result, paired_ratio, table, write
from bench.token_endpoint import Ledger


def result(name: str, **changes: float | bool) -> Result:
    values: dict[str, float | bool] = {"ours": 90.0, "met": True} | changes
    return Result(id=name, measure="m", unit="req/s", must=">= 0.85", **values)  # type: ignore[arg-type]


def test_a_drift_of_the_machine_cancels_out_in_the_pairs() -> None:
    assert paired_ratio([50, 100, 25], [100, 200, 50]) == 0.5


def test_pairs_must_be_pairs() -> None:
    with pytest.raises(ValueError, match="shorter"):
        paired_ratio([1, 2], [1])


def test_the_table_says_what_was_missed() -> None:
    said = table([result("P1"), result("P3", met=False, ratio=0.34, ceiling=200.0)])
    assert "P3" in said
    assert "0.34" in said
    assert said.count("MISSED") == 1


def test_results_of_other_runs_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    write([result("P1", ours=1.0)], path)
    write([result("P3", ours=2.0)], path)
    write([result("P1", ours=3.0)], path)
    assert {row["id"]: row["ours"] for row in json.loads(path.read_text())} == {"P1": 3.0, "P3": 2.0}


def test_a_request_is_whole() -> None:
    assert get("/x", "h:1", {"A": "b"}) == b"GET /x HTTP/1.1\r\nHost: h:1\r\nA: b\r\n\r\n"


def test_the_provider_notices_a_token_that_comes_twice() -> None:
    ledger = Ledger()
    form = {"grant_type": ["refresh_token"], "refresh_token": ["grant-1.0"]}
    assert b'"refresh_token": "grant-1.1"' in ledger.answer(form)
    assert b"invalid_grant" in ledger.answer(form)
    assert ledger.presented_twice == 1


def test_the_provider_refuses_what_is_no_refresh() -> None:
    ledger = Ledger()
    assert b"invalid_request" in ledger.answer({"grant_type": ["password"], "refresh_token": ["x.0"]})
    assert ledger.refused == 1
