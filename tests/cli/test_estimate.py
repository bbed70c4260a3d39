"""`--estimate`: a table and JSON of what a command would take, with all its options, and nothing else."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest

from segue.cli.options.reading import ReadingOptions

from .logs import BASELINES

SMALL = "--set embedding_dim=4 epochs=6 batch_size=64"


def test_a_run_is_estimated_with_its_options_and_nothing_is_saved(segue: Any, here: Path) -> None:
    before = sorted(here.rglob("*"))
    words = f"run bprmf events.csv {SMALL} --patience 2 --seeds 2 --final --minutes 3 --estimate"
    code, out, _ = segue(f"{words} --json cost.json")
    assert code == 0
    assert sorted(path for path in here.rglob("*") if path.name != "cost.json") == before
    found = json.loads((here / "cost.json").read_text())
    parts = {part["part"]: (part["least"], part["most"]) for part in found["parts"]}
    assert parts["epoch"] == (6, 12)
    assert parts["fit on the whole log"] == (1, 6)  # of the kept model alone
    assert (parts["loading code"], parts["split, checks"]) == ((1, 1), (2, 2))
    assert {name for name in parts if name.startswith("baseline")} == {f"baseline {name}" for name in BASELINES}
    assert found["least"]["cpu_seconds"] <= found["most"]["cpu_seconds"]
    for text in ("epoch", "6–12", "total", "Peak memory", "Most of the time goes to", "--minutes 3"):
        assert text in out


def test_waiting_for_the_log_is_wall_time(segue: Any, here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock, load = time.perf_counter, ReadingOptions.load
    waited = [0.0]

    def slow(self: ReadingOptions, *args: Any) -> Any:
        waited[0] += 1000.0
        return load(self, *args)

    monkeypatch.setattr(time, "perf_counter", lambda: clock() + waited[0])
    monkeypatch.setattr(ReadingOptions, "load", slow)
    segue("fit pop events.csv --estimate --json cost.json")
    start = json.loads((here / "cost.json").read_text())["parts"][0]
    assert start["part"] == "start, reading the log"
    assert start["seconds"] >= 1000.0
    assert start["cpu_seconds"] == pytest.approx(time.process_time(), abs=60)


def test_a_fit_is_estimated(segue: Any, here: Path) -> None:
    before = sorted(here.rglob("*"))
    code, out, _ = segue(f"fit bprmf events.csv {SMALL} --estimate")
    assert code == 0
    assert sorted(here.rglob("*")) == before
    assert "epoch" in out
    assert "range" not in out  # no validation: all epochs are trained


@pytest.mark.parametrize("command", ["run", "fit"])
def test_two_stages_are_estimated_one_by_one(segue: Any, here: Path, command: str) -> None:
    code, _, err = segue(f"{command} bprmf events.csv --rerank pop --estimate")
    assert code == 2
    assert "--estimate: not with --rerank; estimate each of the two models by itself" in err
