"""The benchmark of estimates: its medians, and that its stored figures are within the factor that is promised."""

from __future__ import annotations

import json

import pytest
from benchmarks.estimates import STORED, medians

FACTOR = 1.5
ROWS = json.loads(STORED.read_text(encoding="utf-8"))["rows"]


def test_medians_are_taken_figure_by_figure() -> None:
    repeats = [{"test": {"estimate": float(one), "real": 10.0 * one}} for one in (3, 1, 2)]
    assert medians(repeats) == {"test": {"estimate": 2.0, "real": 20.0}}


@pytest.mark.parametrize("what", ["whole run", "peak MB"])
@pytest.mark.parametrize("run", ROWS)
def test_the_stored_estimates_are_within_the_factor(run: str, what: str) -> None:
    figures = ROWS[run][what]
    assert 1 / FACTOR <= figures["estimate"] / figures["real"] <= FACTOR


def test_at_least_five_models_are_measured() -> None:
    assert len({run.split(",")[0] for run in ROWS}) >= 5
