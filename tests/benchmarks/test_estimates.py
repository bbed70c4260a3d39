"""The benchmark of estimates: its medians, and that what its page says holds for the stored figures."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from benchmarks.estimates import EPOCHS, STORED, compare, medians
from benchmarks.process import Cost

from benchmarks import estimates

FOUND = json.loads(STORED.read_text(encoding="utf-8"))
ROWS = FOUND["rows"]
PAGE = " ".join((STORED.parents[2] / "docs" / "how-to" / "estimate-a-run.md").read_text(encoding="utf-8").split())
FACTOR = 1.5


def test_medians_are_taken_figure_by_figure() -> None:
    repeats = [{"test": {"estimate": float(one), "real": 10.0 * one}} for one in (3, 1, 2)]
    assert medians(repeats) == {"test": {"estimate": 2.0, "real": 20.0}}


def test_an_estimate_is_compared_with_an_epoch_the_test_and_the_whole_process(monkeypatch: pytest.MonkeyPatch) -> None:
    parts = [{"part": "epoch", "cpu_seconds": 2.0}, {"part": "test", "cpu_seconds": 1.0}]
    guess = {"parts": parts, "most": {"cpu_seconds": 12.0}, "peak_mb": 500}
    real = {"models": [{"test_cpu_seconds": 1.5}], "training": {"cpu_seconds": 20.0}}

    def measure(words: list[str], folder: Path) -> tuple[dict[str, Any], Cost]:
        assert words[:4] == ["hgn", "ml-100k", "--set", f"epochs={EPOCHS['hgn']}"]
        return (guess if "--estimate" in words else real), Cost(cpu_s=14.0, wall_s=15.0, peak_mb=520.0)

    monkeypatch.setattr(estimates, "measure", measure)
    assert compare("hgn", "ml-100k") == {
        "epoch or fit": {"estimate": 2.0, "real": 20.0 / EPOCHS["hgn"]},
        "test": {"estimate": 1.0, "real": 1.5},
        "whole run": {"estimate": 12.0, "real": 14.0},
        "peak MB": {"estimate": 500, "real": 520.0},
    }


def test_the_page_says_how_many_runs_a_figure_is_of() -> None:
    repeats = {run: about["repeats"] for run, about in FOUND["measured"].items()}
    assert f"Medians of {max(repeats.values())} runs" in PAGE
    assert all((f"; {run}: of {count}" in PAGE) == (count < max(repeats.values())) for run, count in repeats.items())


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
