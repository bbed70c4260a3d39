"""Figures of the pages come from stored results: those of commands agree with them, and few are written by hand."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path
from typing import Any

import pytest
from docs.generate import refresh, stored_figure

from segue.cli import app
from segue.cli.options.protocol import ProtocolOptions
from segue.cli.options.training import ModelOptions, RunTrainingOptions, make_experiment

ROOT = Path(__file__).parents[2]
RUNS = sorted((ROOT / "results" / "runs").glob("*.json"))
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
FIGURE = re.compile(r"(?<![\w.])\.\d{4}(?!\d)")  # such as .0931
NOT_BY_HAND = re.compile(r"<!-- [^>]+? -->.*?<!-- end -->|^( *)```.*?^\1```$|`[^`]*`", re.MULTILINE | re.DOTALL)
# Pages with figures that were written by hand, and how many: printed ones, and measured ones that no stored result has.
# A new figure comes from a stored result (see docs/stored_runs.py), so that a number here only becomes smaller.
BY_HAND = {
    "docs/concepts/glossary": 1,
    "docs/concepts/leakage": 27,
    "docs/concepts/why-counting-wins": 67,
    "docs/models/bprmf": 13,
    "docs/models/caser": 2,
    "docs/models/gru": 2,
    "docs/models/gru4rec": 34,
    "docs/models/hcrnn": 8,
    "docs/models/hgn": 36,
    "docs/models/timesvd": 2,
    "docs/results/comparisons": 8,
    "docs/results/hcrnn": 1,
    "docs/results/hgn": 2,
}

runs = pytest.mark.parametrize("path", RUNS, ids=lambda path: path.stem)


def rows(path: Path) -> list[dict[str, Any]]:
    return json.loads(path.read_text(encoding="utf-8"))["rows"]


@runs
def test_a_figure_is_that_of_its_command(path: Path) -> None:
    """The stored experiment is the one that the command describes."""
    for row in rows(path):
        _, bound, _ = app.parse_args(shlex.split(row["command"])[1:], exit_on_error=False, print_error=False)
        given = bound.arguments
        options = given.get("settings", ModelOptions())
        training = given.get("training", RunTrainingOptions())
        protocol = given.get("protocol", ProtocolOptions()).without_log()
        expected = json.loads(json.dumps(make_experiment(given["model"], protocol, options, training).as_dict()))
        *_, stored = row["experiment"].get("parts", [row["experiment"]])  # of two stages the second one
        for name in ("model", "settings", "preset", "refit", "eval_every", "monitor"):
            assert stored[name] == expected[name], f"{row['command']}: {name}"
        assert row["seeds"] == list(training.all_seeds)


@runs
def test_every_stored_run_is_complete_and_shown(path: Path) -> None:
    assert any(f"<!-- runs: {path.stem} -->" in page.read_text(encoding="utf-8") for page in PAGES)
    stored = json.loads(path.read_text(encoding="utf-8"))
    names = [row["name"] for row in stored["rows"]]
    assert len(set(names)) == len(names)
    for row in stored["rows"]:
        assert {"version", "log", "instances", "training", "cpu_seconds"} <= row.keys()
        assert set(row["figures"]) <= set(stored["metrics"])
        for figure in row["figures"].values():
            assert figure["low"] <= figure["mean"] <= figure["high"]
            assert len(figure.get("runs", [figure["mean"]])) == len(row["seeds"])


def test_a_figure_in_a_line_is_that_of_its_file() -> None:
    stored = stored_figure("hgn-table3", "SASRec", "recall@10")
    text = "It has <!-- figure: hgn-table3; SASRec; recall@10 -->.9999<!-- end -->, and more."
    shown = f"{stored:.4f}".removeprefix("0")
    assert refresh(text) == text.replace(".9999", shown)
    assert stored_figure("comparisons/ml-1m", "seq-knn", "ndcg@10") > 0
    with pytest.raises(LookupError, match=r"results/hgn-table3\.json has 0 figures for SASREC; recall@10; any part"):
        refresh(text.replace("SASRec", "SASREC"))
    parted = "<!-- figure: hcrnn-table3; POP; recall@20{} -->0<!-- end -->"
    with pytest.raises(LookupError, match="has 4 figures for POP"):
        refresh(parted.format(""))
    assert refresh(parted.format("; MovieLens")) != parted.format("; MovieLens")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).with_suffix("").as_posix())
def test_figures_by_hand_become_no_more(page: Path) -> None:
    name = page.relative_to(ROOT).with_suffix("").as_posix()
    found = FIGURE.findall(NOT_BY_HAND.sub("", page.read_text(encoding="utf-8")))
    assert len(found) <= BY_HAND.get(name, 0), f"{name}: {found}; take figures from a stored result"
