"""The benchmark of estimates: its medians, and that what its page says holds for the stored figures."""

from __future__ import annotations

import json

import pytest
from benchmarks.estimates import STORED, medians

FOUND = json.loads(STORED.read_text(encoding="utf-8"))
ROWS = FOUND["rows"]
PAGE = " ".join((STORED.parents[2] / "docs" / "how-to" / "estimate-a-run.md").read_text(encoding="utf-8").split())
FACTOR = 1.5


def test_medians_are_taken_figure_by_figure() -> None:
    repeats = [{"test": {"estimate": float(one), "real": 10.0 * one}} for one in (3, 1, 2)]
    assert medians(repeats) == {"test": {"estimate": 2.0, "real": 20.0}}


def test_the_page_says_how_many_runs_a_figure_is_of() -> None:
    fewest = min(about["repeats"] for about in FOUND["measured"].values())
    assert ("A figure is that of one run." in PAGE) == (fewest == 1)
    assert (f"A figure is the median of {fewest} runs or more." in PAGE) == (fewest > 1)


def test_every_stored_run_has_a_date_and_a_machine() -> None:
    assert FOUND["measured"].keys() == ROWS.keys()
    assert all({"date", "machine"} <= about.keys() for about in FOUND["measured"].values())


def test_the_page_promises_the_factor() -> None:
    assert f"The whole run and its peak memory are within a factor of {FACTOR} of the real ones." in PAGE


@pytest.mark.parametrize("what", ["whole run", "peak MB"])
@pytest.mark.parametrize("run", ROWS)
def test_the_stored_estimates_are_within_the_factor(run: str, what: str) -> None:
    figures = ROWS[run][what]
    assert 1 / FACTOR <= figures["estimate"] / figures["real"] <= FACTOR


def test_at_least_five_models_are_measured() -> None:
    assert len({run.split(",")[0] for run in ROWS}) >= 5
