"""Figures of the pages: measured ones are those of stored results and their commands, printed ones name a source."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from docs.generate import refresh
from stored_figures import stored_figure

from segue.cli import app
from segue.cli.options.protocol import ProtocolOptions
from segue.cli.options.training import ModelOptions, RunTrainingOptions, make_experiment
from segue.evaluation.protocol import Protocol
from segue.experiments.experiment import Experiment
from segue.reporting.numbers import SECONDS

ROOT = Path(__file__).parents[2]
RUNS = sorted((ROOT / "results" / "runs").glob("*.json"))
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
# Such as .0931 or 1.0625. Settings have a zero before the point, and times, sizes and shares have fewer decimals: those
# of the benchmarks come from their own files, and no pattern tells a measured second from a limit of the service.
FIGURE = re.compile(r"(?<![\w.,])(?:[1-9]\d*)?\.\d{4}(?!\d)")
PRINTED = re.compile(r"<!-- printed: (?P<source>[^>]+?) -->(?P<figure>[^<]*)<!-- end -->")
NOT_BY_HAND = re.compile(r"<!-- [^>]+? -->.*?<!-- end -->|^( *)```.*?^\1```$|`[^`]*`", re.MULTILINE | re.DOTALL)

runs = pytest.mark.parametrize("path", RUNS, ids=lambda path: path.stem)
pages = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).with_suffix("").as_posix())


def rows(path: Path) -> list[dict[str, Any]]:
    return json.loads(path.read_text(encoding="utf-8"))["rows"]


@runs
def test_a_figure_is_that_of_its_command(path: Path) -> None:
    """The stored experiment is the one that the command describes."""
    for row in rows(path):
        program, *words = shlex.split(row["command"])
        check = check_run if program == "segue" else check_trial
        check(row, words)


def check_run(row: dict[str, Any], words: list[str]) -> None:
    """Of `segue run ...`."""
    _, bound, _ = app.parse_args(words, exit_on_error=False, print_error=False)
    given = bound.arguments
    options = given.get("settings", ModelOptions())
    training = given.get("training", RunTrainingOptions())
    protocol = given.get("protocol", ProtocolOptions()).without_log()
    expected = json.loads(json.dumps(make_experiment(given["model"], protocol, options, training).as_dict()))
    *_, stored = row["experiment"].get("parts", [row["experiment"]])  # of two stages the second one
    for name in ("model", "settings", "preset", "refit", "eval_every", "monitor"):
        assert stored[name] == expected[name], f"{row['command']}: {name}"
    assert row["seeds"] == list(training.all_seeds)


def check_trial(row: dict[str, Any], words: list[str]) -> None:
    """Of `python -m benchmarks.NAME ...`."""
    option, module, *arguments = words
    assert option == "-m"
    parser, stored = import_module(module).parser(), row["experiment"]["settings"]
    given = vars(parser.parse_args(arguments))
    del given["json"]
    for name, value in given.items():  # older rows have no options that came later
        assert stored.get(name, parser.get_default(name)) == value, f"{row['command']}: {name}"
    assert stored.keys() <= given.keys()
    assert row["seeds"] == list(range(given.get("seeds", 1)))


def test_the_defaults_are_the_settings_that_were_chosen() -> None:
    """Where a row is not named "as before", its settings are the defaults of the model."""
    chosen = [
        row["experiment"] for row in rows(ROOT / "results" / "runs" / "defaults.json") if "before" not in row["name"]
    ]
    for experiment in chosen:
        given = experiment["settings"]
        default = Experiment(model=given["model"], protocol=Protocol.named("leave-one-out")).all_settings
        assert experiment["all settings"] == json.loads(json.dumps(default)), given
    assert chosen


@runs
def test_every_stored_run_is_complete_and_shown(path: Path) -> None:
    texts = [page.read_text(encoding="utf-8") for page in PAGES]
    stored = json.loads(path.read_text(encoding="utf-8"))
    names = [row["name"] for row in stored["rows"]]
    assert len(set(names)) == len(names)
    in_a_table = any(f"<!-- runs: {path.stem} -->" in text for text in texts)
    for row in stored["rows"]:
        assert in_a_table or any(f"<!-- figure: runs/{path.stem}; {row['name']}; " in text for text in texts)
        assert {"version", "log", "instances", "training", "cpu_seconds"} <= row.keys()
        assert row["figures"]
        assert set(row["figures"]) <= set(stored["metrics"])
        for metric, figure in row["figures"].items():
            assert figure.get("low", figure["mean"]) <= figure["mean"] <= figure.get("high", figure["mean"])
            # a group has the mean over the seeds, with an interval over users, and seconds have the mean alone
            alone = "group" in row or metric in SECONDS
            assert alone or len(figure.get("runs", [figure["mean"]])) == len(row["seeds"])


def test_one_command_has_one_figure() -> None:
    """However many files it is in."""
    found: dict[tuple[str, str, str], float] = {}
    for path in RUNS:
        for row in rows(path):
            for metric, figure in row["figures"].items():
                key = row["command"], row.get("group", ""), metric
                assert found.setdefault(key, figure["mean"]) == pytest.approx(figure["mean"]), f"{path.stem}: {key}"


def test_one_training_has_one_figure() -> None:
    """However many tables it is in."""
    found: dict[tuple[str, str], float] = {}
    for path in sorted((ROOT / "results").glob("*.json")):
        for training, metric, measured in trainings(json.loads(path.read_text(encoding="utf-8"))):
            assert found.setdefault((training, metric), measured) == pytest.approx(measured), f"{path.stem}: {training}"
    assert found


def trainings(stored: dict[str, Any]) -> Iterator[tuple[str, str, float]]:
    """(what determines a training, metric, measured figure) of every row of a table of one log."""
    if not isinstance(stored.get("log"), str):
        return
    for row in stored["rows"]:
        run = stored.get("runs", {}).get(row["method"], {})
        if "model" in run and not row["part"] and "CPU" not in row["metric"]:
            about = {name: run[name] for name in ("model", "preset", "settings", "seeds", "epochs")}
            about["refit"] = run.get("refit", True)  # in a file that does not say it, all are
            yield json.dumps({"log": stored["log"], **about}, sort_keys=True), row["metric"], row["measured"]


def test_a_figure_in_a_line_is_that_of_its_file() -> None:
    stored = stored_figure("hgn-table3", "SASRec", "recall@10")
    text = "It has <!-- figure: hgn-table3; SASRec; recall@10 -->.9999<!-- end -->, and more."
    shown = f"{stored:.4f}".removeprefix("0")
    assert refresh(text) == text.replace(".9999", shown)
    assert stored_figure("comparisons/ml-1m", "seq-knn", "ndcg@10") > 0
    assert stored_figure("hgn-table3", "HGN", "published recall@10") == 0.0426
    with pytest.raises(LookupError, match=r"results/hgn-table3\.json has 0 figures for SASREC; recall@10; any part"):
        refresh(text.replace("SASRec", "SASREC"))
    parted = "<!-- figure: hcrnn-table3; POP; recall@20{} -->0<!-- end -->"
    with pytest.raises(LookupError, match="has 4 figures for POP"):
        refresh(parted.format(""))
    assert refresh(parted.format("; MovieLens")) != parted.format("; MovieLens")


def by_hand(text: str) -> list[str]:
    """The figures that no block holds."""
    return FIGURE.findall(NOT_BY_HAND.sub("", text))


@pages
def test_no_figure_is_written_by_hand(page: Path) -> None:
    """A measured one comes from a stored result, and one that a paper prints is marked with its source."""
    found = by_hand(page.read_text(encoding="utf-8"))
    assert not found, f"{found}; see docs/stored_runs.py and docs/stored_figures.py"


@pages
def test_printed_figures_name_their_source(page: Path) -> None:
    for marked in PRINTED.finditer(page.read_text(encoding="utf-8")):
        assert len(marked["source"].split()) > 1, marked[0]
        assert FIGURE.fullmatch(marked["figure"]), marked[0]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("It has .0931, or 1.0625.", [".0931", "1.0625"]),
        ("lr 0.0015, 0.1 to 0.0001", []),
        ("`.0931` and <!-- printed: HGN, Table 3 -->.0426<!-- end -->", []),
        ("| .0931–.0940 | .0931 / 12.0625 |", [".0931", ".0940", ".0931", "12.0625"]),
    ],
)
def test_figures_by_hand_are_found(text: str, found: list[str]) -> None:
    assert by_hand(text) == found
