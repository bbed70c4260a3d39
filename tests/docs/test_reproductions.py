"""The pages of results agree with the result files."""

from __future__ import annotations

import json
import math
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from importlib import import_module
from inspect import signature
from pathlib import Path
from typing import Any

import pytest

from segue.data.datasets import catalog
from segue.errors import DataError
from segue.evaluation.significance import holm
from segue.models.registry import find
from segue.papers import TABLES
from segue.papers.criteo import common as criteo_paper
from segue.papers.hcrnn import common as hcrnn_paper
from segue.papers.hcrnn import table3 as hcrnn_table3
from segue.papers.hgn import common as hgn_paper
from segue.papers.hgn.other_logs import OTHER_LOGS
from segue.papers.iarn.common import LOG_SETUPS
from segue.papers.methods import BlendedMethod, Method
from segue.papers.printed import AS_PRINTED, seeds_sentence
from segue.papers.report import read_result, update_page, write_pictures
from segue.papers.verdict import NO_FIGURE, ONE_SEED, verdicts

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "docs" / "results" / f"{paper}.md" for paper in ("hgn", "hcrnn", "criteo", "iarn")]
PAGES.append(ROOT / "docs" / "models" / "ensembles.md")
RESULTS = ROOT / "results"
COMPARISONS = ROOT / "docs" / "results" / "comparisons.md"
FILES = sorted(RESULTS.glob("*.json"))
files = pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)


COUNTED = ("criteo-table1", "criteo-table2-params", "hcrnn-table2", "hgn-table2")
GROWING = tuple(name for name, make in TABLES.items() if "methods" in signature(make).parameters)
PLACES = [*((page, RESULTS) for page in PAGES), (COMPARISONS, RESULTS / "comparisons")]


@pytest.mark.parametrize(("page", "results"), PLACES)
def test_pages_are_made_from_the_result_files(page: Path, results: Path) -> None:
    names = f"{page.relative_to(ROOT)} {results.relative_to(ROOT)}"
    assert page.read_text(encoding="utf-8") == update_page(page, results), f"run: python -m segue.papers.report {names}"


@pytest.mark.parametrize("page", sorted((ROOT / "docs" / "results").glob("*.md")), ids=lambda page: page.stem)
def test_no_page_calls_a_difference_significant(page: Path) -> None:
    """Generated sentences have the corrected p; the others say what is above what, in how many trainings."""
    found = re.findall(r"\bsignifican\w+|\b(?:is|are) real\b|\bprove[sn]?\b|\bwithin chance\b", page.read_text("utf-8"))
    assert not found, f"{page.name}: {found}"


def test_every_comparison_is_shown() -> None:
    shown = re.findall(r"<!-- results/(\S+)\.json -->", COMPARISONS.read_text(encoding="utf-8"))
    assert sorted(shown) == sorted(path.stem for path in (RESULTS / "comparisons").glob("*.json"))


def test_a_comparison_shows_the_figures_of_its_file() -> None:
    facts = json.loads((RESULTS / "comparisons" / "ml-100k.json").read_text(encoding="utf-8"))
    text = COMPARISONS.read_text(encoding="utf-8")
    for model in facts["models"]:
        mean = f"{model['metrics']['ndcg@10']['mean']:.4f}".removeprefix("0")
        assert re.search(rf"^\| {re.escape(model['model'])} \| .*\| {mean} \|", text, re.MULTILINE)


def test_every_table_has_a_result_and_is_shown() -> None:
    """But for those of logs that are not here: of these the page names the command alone."""
    text = "".join(page.read_text(encoding="utf-8") for page in PAGES)
    shown = re.findall(r"<!-- results/(\S+)\.json -->", text)
    other_logs = {other.name for other in OTHER_LOGS}
    assert sorted(shown) == sorted(TABLES.keys() - other_logs) == sorted(path.stem for path in FILES)
    assert other_logs == {name for name in other_logs if f"segue reproduce {name} " in text}


def test_the_sizes_of_the_logs_of_a_page_are_those_of_the_catalogue() -> None:
    text = (ROOT / "docs" / "results" / "hgn.md").read_text(encoding="utf-8")
    for other in OTHER_LOGS:
        assert f"| {other.figure} | `{other.log}` | {catalog.DATASETS[other.log].num_rows:,} |" in text


@pytest.mark.parametrize(
    ("name", "note"),
    [
        *((f"hgn-{name}", hgn_paper.PROTOCOL.describe()) for name in ("table3", "table4", "table6", "figures")),
        *(
            (f"criteo-{name}", criteo_paper.PROTOCOL.describe())
            for name in ("table4", "table5", "figures", "baselines")
        ),
        *((f"criteo-{name}", criteo_paper.PROTOCOL_NOTE) for name in ("table1", "table4", "table5", "figures")),
        ("criteo-table4-paper", criteo_paper.PAPER_PROTOCOL_NOTE),
        *((name, import_module(TABLES[name].__module__).TABLE.protocol.describe()) for name in GROWING),
    ],
)
def test_the_protocol_is_described_as_today(name: str, note: str) -> None:
    assert note in json.loads((RESULTS / f"{name}.json").read_text(encoding="utf-8"))["notes"]


@files
def test_a_result_names_its_command_and_version(path: Path) -> None:
    content = json.loads(path.read_text(encoding="utf-8"))
    if path.stem in GROWING:  # of the methods that it has
        listed = [name.removesuffix(f", {AS_PRINTED}") for name in content["runs"]]
        methods = [] if len(listed) == len(content["methods"]) else ["--methods", *listed]
        assert shlex.split(content["command"]) == ["segue", "reproduce", path.stem, *methods]
        assert all(run["version"] for run in content["runs"].values())
    else:
        assert content["command"] == f"segue reproduce {path.stem}"
    assert content["version"]


@files
def test_stored_runs_are_those_of_the_code(path: Path) -> None:
    """The same models, settings, seeds and departures from the paper, and no more epochs; every departure is listed."""
    content = json.loads(path.read_text(encoding="utf-8"))
    departs = set()
    for log, runs in _runs_by_log(content).items():
        methods = [_with_best_trial(method, runs[method.name]) for method in _methods(path.stem, log, runs)]
        for method in methods:
            run, expected = runs[method.name], json.loads(json.dumps(method.as_dict()))
            assert {key: run.get(key) for key in expected} == expected, f"{method.name}: segue reproduce {path.stem}"
            assert run["seeds"] == list(method.seeds if isinstance(method, Method) else method.parts[0].seeds)
            assert not isinstance(method, Method) or run["epochs"] <= method.epochs
        entries = [entry for entry in content.get("departures", ()) if log.partition(":")[0] in entry["parts"]]
        listed = {name for entry in entries for name in entry["methods"].split("; ")}
        printed = {one.name for one in methods if isinstance(one, Method) and one.printed is not None}
        assert listed == printed if log else listed >= printed
        comparisons = (one.comparison for one in methods if isinstance(one, Method))
        departs |= {one.describe() or "nothing that it prints" for one in comparisons if one is not None}
    assert {entry["departs"] for entry in content.get("departures", ())} >= departs


def _with_best_trial(method: Method | BlendedMethod, run: Mapping[str, Any]) -> Method | BlendedMethod:
    """The method with the trial that is the best on validation in the file, whose trials are those of the code."""
    if not isinstance(method, Method) or not method.trials:
        return method
    trials = run.get("trials", [])
    assert [one["trial"] for one in trials] == json.loads(json.dumps([dict(trial) for trial in method.trials]))
    best = max(trials, key=lambda one: -math.inf if one["validation"] is None else one["validation"])
    experiment = replace(method.experiment, settings={**method.experiment.settings, **best["trial"]})
    return replace(method, experiment=experiment)


def _runs_by_log(content: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The stored runs by the title of the log and the method; the title is empty where the table has one log."""
    runs = content.get("runs", {})
    return {"": runs} if any("settings" in run for run in runs.values()) else runs


def _methods(table: str, log: str, runs: Mapping[str, Any]) -> Sequence[Method | BlendedMethod]:
    """The methods of a table on a log, of a table that grows those that were run; none where there are no methods."""
    module = import_module(TABLES[table].__module__)
    if table in GROWING:
        return [method for method in module.METHODS if method.name in runs]
    for setup in LOG_SETUPS:
        if setup.title == log:
            return module.methods_on(setup)
    if table == "hcrnn-table3":
        protocol = hcrnn_paper.PROTOCOL.with_settings({"leak": "drop"} if log == hcrnn_table3.WITHOUT_LEAK else {})
        return hcrnn_paper.methods_on("hcrnn-movielens" if log == hcrnn_table3.MOVIELENS else "citeulike", protocol)
    return module.METHODS if isinstance(module.METHODS, tuple) else ()


def test_the_notes_say_how_many_seeds_each_network_has() -> None:
    content = json.loads((RESULTS / "hgn-table3.json").read_text(encoding="utf-8"))
    seeds = {name: len(run["seeds"]) for name, run in content["runs"].items() if run["epochs"]}
    assert seeds_sentence(seeds) in content["notes"]
    assert set(seeds.values()) == {1, 3}


@pytest.mark.parametrize("name", ["criteo-table1", "hcrnn-table2", "hgn-table2"])
def test_published_sizes_are_shown(name: str) -> None:
    """Those of logs that are here beside the counts, and those of all others."""
    rows = json.loads((RESULTS / f"{name}.json").read_text(encoding="utf-8"))["rows"]
    for size, figures in import_module(TABLES[name].__module__).METHODS.items():
        of_size = [row for row in rows if row["method"] == size]
        shown = {figure for row in of_size for figure in (row["published"], *row["other_logs"].values())}
        assert shown - {None} == set(figures), size


@files
def test_results_are_complete(path: Path) -> None:
    facts = json.loads(path.read_text(encoding="utf-8"))
    assert facts["quick"] is False
    assert path.stat().st_size < 800_000
    for row in facts["rows"]:
        assert row["measured"] == pytest.approx(sum(row["seeds"]) / len(row["seeds"]))


@files
def test_words_follow_from_intervals_and_never_from_one_seed(path: Path) -> None:
    content = json.loads(path.read_text(encoding="utf-8"))
    rows = content["rows"]
    assert [row["verdict"] for row in rows] == verdicts(rows)
    for row in rows:
        runs = content.get("runs", {})
        model = runs.get(row["part"], runs).get(row["method"], {}).get("model")
        if len(row["seeds"]) == 1 and (model is None or find(model).depends_on_seed):
            is_counted = row["interval"] is not None and row["interval"][0] == row["interval"][1]
            assert is_counted == (path.stem in COUNTED), row
            assert is_counted or row["verdict"] in (ONE_SEED, NO_FIGURE), row


@files
def test_p_values_are_corrected_for_all_tests_of_the_table(path: Path) -> None:
    content = json.loads(path.read_text(encoding="utf-8"))
    tests = content.get("tests", [])
    assert [test["p_holm"] for test in tests] == holm([test["p"] for test in tests])
    for note in content["notes"]:
        assert len(re.findall(r"\bp = ", note)) == len(re.findall(r"\bp = \S+ after correction", note)), note


@files
def test_results_have_the_methods_of_the_code(path: Path) -> None:
    """The methods, in order; the settings of each run are in the file."""
    facts = json.loads(path.read_text(encoding="utf-8"))
    module = import_module(TABLES[path.stem].__module__)
    shown = list(dict.fromkeys(row["method"] for row in facts["rows"]))
    expected = [*module.METHODS] if isinstance(module.METHODS, dict) else [method.name for method in module.METHODS]
    if path.stem in GROWING:
        assert facts["methods"] == expected
        expected = [name for name in expected if name in facts["runs"]]
    assert [name for name in shown if name in expected] == expected


@pytest.mark.parametrize(
    "path", [*FILES, *sorted((RESULTS / "comparisons").glob("*.json"))], ids=lambda path: path.stem
)
def test_settings_of_results_are_valid(path: Path) -> None:
    """Every stored run can be configured again with the settings and the preset that its file names."""
    runs = list(_runs(json.loads(path.read_text(encoding="utf-8"))))
    for run in runs:
        find(run["model"]).configure(dict(run["settings"]), run.get("preset"))
    assert runs or path.stem in (*COUNTED, "hgn-table5", "iarn-figure5")


def _runs(content: Any) -> Iterator[dict[str, Any]]:
    """All dictionaries with a model and settings, at any depth."""
    if isinstance(content, dict):
        if {"model", "settings"} <= content.keys():
            yield content
        for value in content.values():
            yield from _runs(value)
    elif isinstance(content, list):
        for value in content:
            yield from _runs(value)


@files
def test_pictures_show_their_data(path: Path) -> None:
    for picture in json.loads(path.read_text(encoding="utf-8"))["pictures"]:
        drawn = (RESULTS / f"{picture['name']}.svg").read_text(encoding="utf-8")
        assert picture["encoding"]["title"] in drawn
        by = picture["encoding"].get("by")
        for name in {str(row[by]) for row in picture["rows"] if by}:
            assert f">{name}</text>" in drawn, f"{picture['name']}.svg: run segue.papers.report again"


def test_pictures_of_a_result_are_written(tmp_path: Path) -> None:
    pytest.importorskip("altair")
    rows = [{"k": k, "y": k / 7, "by": "one"} for k in (1, 2)]
    encoding = {"x": "k", "y": "y", "by": "by", "title": "T"}
    facts: dict[str, Any] = {"pictures": [{"name": "p", "kind": "line", "rows": rows, "encoding": encoding}]}
    assert [path.name for path in write_pictures(facts, tmp_path)] == ["p.svg"]


def test_only_blocks_are_replaced(tmp_path: Path) -> None:
    rows = [
        {
            "method": "A",
            "metric": "m@1",
            "measured": 0.5,
            "seeds": [0.5],
            "published": None,
            "stars": "",
            "other_logs": {},
        }
    ]
    pictures = [{"name": "p", "encoding": {"title": "T"}}]
    (tmp_path / "results").mkdir()
    (tmp_path / "results" / "t.json").write_text(json.dumps({"rows": rows, "notes": ["N."], "pictures": pictures}))
    (tmp_path / "docs").mkdir()
    page = tmp_path / "docs" / "page.md"
    page.write_text("before\n<!-- results/t.json -->\nold\n<!-- end -->\nafter\n")
    text = update_page(page, tmp_path / "results")
    assert text == (
        "before\n<!-- results/t.json -->\n\n| method | m@1 |\n| --- | ---: |\n| A | .5000 |\n\n* N.\n\n"
        "![T](../results/p.svg)\n\n<!-- end -->\nafter\n"
    )


def test_the_error_names_an_unreadable_result(tmp_path: Path) -> None:
    (tmp_path / "t.json").write_text("{")
    with pytest.raises(DataError, match=r"t\.json: is not a result of segue reproduce --json"):
        read_result(tmp_path / "t.json")
