"""The tables of papers, on a small log: every line is there, beside the printed figures and the simple rivals."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from segue.data import synthetic
from segue.data.datasets import catalog
from segue.errors import ConfigError, DataError
from segue.evaluation.significance import stars, t_test
from segue.papers import TABLES, find
from segue.papers.hgn import common as hgn_paper
from segue.papers.hgn import figures as hgn_figures
from segue.papers.hgn import table3 as hgn_table3
from segue.papers.hgn import table4 as hgn_table4
from segue.papers.hgn import table5 as hgn_table5
from segue.papers.hgn import table6 as hgn_table6
from segue.papers.methods import Method
from segue.papers.reproduction import Picture, Reproduction, Row, grid, markdown
from segue.papers.run_cache import RunCache

LOG = synthetic.markov(40, 30, 20, seed=1, shortest=12)
Make = Callable[..., Reproduction]
HGN = [name for name in TABLES if name.startswith("hgn-")]


@pytest.fixture(scope="module")
def make(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """`make("hgn-table4")`: the quick version on a small log; runs are shared by the tests of this file."""
    runs = RunCache(tmp_path_factory.mktemp("runs"))
    made: dict[str, Reproduction] = {}

    def one(name: str) -> Reproduction:
        if name not in made:
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(catalog, "load", lambda asked: {"hgn-cds": LOG}[asked])
                made[name] = find(name)(runs=runs, quick=True)
        return made[name]

    return one


@pytest.mark.parametrize("name", HGN)
def test_every_table_says_what_it_is(name: str, make: Make) -> None:
    made = make(name)
    assert made.title.startswith("HGN (KDD 2019), ")
    assert any(note.startswith("QUICK: ") for note in made.notes)
    assert json.loads(json.dumps(made.as_dict()))["quick"] is True
    assert all(len(row.ours) == 1 for row in made.rows)


@pytest.mark.parametrize("name", [name for name in HGN if name != "hgn-table5"])
def test_hgn_never_stands_without_the_rivals(name: str, make: Make) -> None:
    methods = {row.method for row in make(name).rows}
    assert {method.name for method in hgn_paper.RIVALS} <= methods
    assert {"POP", "Item-KNN"} <= methods
    assert any("HGN" in method for method in methods)


@pytest.mark.parametrize(
    ("name", "table"), [("hgn-table3", hgn_table3), ("hgn-table4", hgn_table4), ("hgn-table6", hgn_table6)]
)
def test_every_method_has_its_line(name: str, table: ModuleType, make: Make) -> None:
    made = make(name)
    for method in table.METHODS:
        for metric in table.METRICS:
            row = made.row(method.name, metric)
            assert 0 < row.mean <= 1
            assert row.paper == method.paper.get(metric)


def test_printed_figures_of_table_3_agree_with_its_column_of_improvements() -> None:
    """The paper prints 19.66% and 20.73% over the best baseline."""
    printed = [dict(zip(hgn_table3.METRICS, figures, strict=True)) for figures, _ in hgn_table3.PAPER.values()]
    assert len(printed) == 7
    for metric, improvement in zip(hgn_table3.METRICS, (0.1966, 0.2073), strict=True):
        hgn, best = sorted((row[metric] for row in printed), reverse=True)[:2]
        assert hgn / best - 1 == pytest.approx(improvement, abs=1e-4)


def test_table_3_holds_hgn_against_the_best_baselines(make: Make) -> None:
    made = make("hgn-table3")
    tests = made.details["tests"]
    assert [(t["metric"], t["of the paper"]) for t in tests] == [
        *(("recall@10", True), ("recall@10", False), ("ndcg@10", True), ("ndcg@10", False))
    ]
    for tested in tests:
        left_out = [method.name for method in hgn_paper.RIVALS]
        rivals = [name for name in hgn_table3.PAPER if name != "HGN"] if tested["of the paper"] else left_out
        best = max(rivals, key=lambda name: made.row(name, tested["metric"]).mean)
        assert tested["against"] == best
        gap = made.row("HGN", tested["metric"]).mean - made.row(best, tested["metric"]).mean
        assert tested["difference"] == pytest.approx(gap)
    marks = {row.metric: row.stars for row in made.rows if row.method == "HGN"}
    for tested in (t for t in tests if t["of the paper"]):
        worse = tested["difference"] < 0
        assert marks[tested["metric"]] == stars(tested["p"]).replace("*", "▾" if worse else "*")
    assert not any(row.stars for row in made.rows if row.method != "HGN")


def test_table_3_tests_question_by_question(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catalog, "load", lambda asked: LOG)
    lines = hgn_paper.run(hgn_table3.METHODS, RunCache(tmp_path), quick=True)
    values = {line.method.name: line.values("ndcg@10") for line in lines}
    tested = hgn_table3._tests(lines, "ndcg@10")[1]
    assert tested["p"] == t_test(values["HGN"], values[tested["against"]])


def test_table_4_leaves_out_what_it_says() -> None:
    configs = {
        name: {**settings}
        for name, (settings, _) in hgn_table4.ARCHITECTURES.items()
        if name.startswith(("(4)", "(9)"))
    }
    assert configs == {
        "(4) BPR+I+avg": {"item_item": False, "feature_gate": False},
        "(9) BPR+F+I+max": {"item_item": False, "pooling": "max"},
    }
    assert [name.partition(" ")[0] for name in hgn_table4.ARCHITECTURES] == [f"({n})" for n in range(1, 11)]


def test_table_4_shows_other_logs_as_such(make: Make) -> None:
    head, *body = grid(make("hgn-table4").as_dict())
    assert head[:7] == ["method", "recall@10", "ndcg@10", *hgn_table4.COLUMNS]
    assert body[-1][3:7] == [".1743", ".1927", ".0429", ".0298"]
    assert any("they are of other logs" in note for note in make("hgn-table4").notes)


def test_table_5_times_training_apart_from_batches(make: Make) -> None:
    made = make("hgn-table5")
    for name, (printed, _) in hgn_table5.METHODS.items():
        assert made.row(name, hgn_table5.TRAINING).paper == printed
        for metric in (hgn_table5.TRAINING, hgn_table5.CPU, hgn_table5.MAKING):
            assert 0 <= made.row(name, metric).mean < 60
    assert "thread" in made.notes[0]


def test_table_5_refuses_a_device_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match=r"--device gpu: cannot be used here .*; take --device cpu"):
        hgn_table5.reproduce(runs=RunCache(Path("nowhere")), device="gpu")


def test_figures_draw_every_method_and_every_size(make: Make) -> None:
    made = make("hgn-figures")
    recall, ndcg, sizes = made.pictures
    for picture, metric in ((recall, "recall"), (ndcg, "ndcg")):
        assert {row["method"] for row in picture.rows} == {method.name for method in hgn_table3.METHODS}
        for row in picture.rows:
            assert row[f"{metric}@k"] == made.row(row["method"], f"{metric}@{row['k']}").mean
    assert {row["d"] for row in sizes.rows} == set(hgn_figures.DIMS)
    for row in sizes.rows:
        assert row["recall@k"] == made.row(f"HGN d={row['d']}", row["cut-off"].lower()).mean


def test_figures_are_written(make: Make, tmp_path: Path) -> None:
    pytest.importorskip("altair")
    made = make("hgn-figures").write(tmp_path / "new", "hgn-figures")
    assert [path.name for path in made] == [
        *("hgn-figure5-recall.svg", "hgn-figure5-ndcg.svg", "hgn-figure8.svg", "hgn-figures.html")
    ]
    assert made[-1].read_text().count("<img ") == 3
    assert "HGN d=40" in made[-1].read_text()


def test_unknown_tables_are_named() -> None:
    with pytest.raises(ConfigError, match="no table 'hgn-table33', did you mean 'hgn-table3'"):
        find("hgn-table33")


# ---------------------------------------------------------------------------------------- how it is shown

ROWS = (
    Row(method="POP", metric="recall@10", ours=(0.01,)),
    Row(method="HGN", metric="recall@10", ours=(0.04, 0.06), paper=0.04, stars="**"),
    Row(method="HGN", metric="seconds", ours=(12.34,), paper=24.0, lower=True, elsewhere={"Books": 7.0}),
)


def test_the_grid_leaves_out_what_is_empty() -> None:
    facts = Reproduction(title="T", rows=ROWS, details={"cpu_seconds": {"HGN": 1234.4}}).as_dict()
    assert grid(facts) == [
        [
            *("method", "recall@10", "recall@10 seeds", "recall@10 paper", "recall@10 ratio"),
            *("seconds", "seconds paper", "seconds ratio", "Books", "train CPU s"),
        ],
        ["POP", ".0100", "", "", "", "", "", "", "", ""],
        ["HGN", ".0500 **", ".0400–.0600", ".0400", "1.25", "12.34", "24", "0.51", "7", "1,234"],
    ]


def test_markdown_is_the_grid() -> None:
    facts = Reproduction(title="T", rows=(Row(method="|L| = 3", metric="ndcg@5", ours=(0.5,)),)).as_dict()
    assert markdown(facts) == "| method | ndcg@5 |\n| --- | ---: |\n| \\|L\\| = 3 | .5000 |\n"


@pytest.mark.parametrize(
    ("ours", "paper", "lower", "verdict"),
    [
        (0.5, None, False, "no figure"),
        (0.53, 0.5, False, "better"),
        (0.51, 0.5, False, "agrees"),
        (0.48, 0.5, False, "agrees"),
        (0.47, 0.5, False, "worse"),
        (0.47, 0.5, True, "better"),
        (0.53, 0.5, True, "worse"),
    ],
)
def test_verdicts(ours: float, paper: float | None, lower: bool, verdict: str) -> None:
    assert Row(method="A", metric="m", ours=(ours,), paper=paper, lower=lower).verdict == verdict


def test_a_figure_that_is_not_there() -> None:
    with pytest.raises(DataError, match="T has no ndcg@10 of HGN"):
        Reproduction(title="T", rows=ROWS).row("HGN", "ndcg@10")


def test_a_picture_is_a_chart() -> None:
    pytest.importorskip("altair")
    picture = Picture(name="p", kind="bar", rows=({"a": "x", "b": 1.0},), encoding={"x": "b", "y": "a", "title": "T"})
    assert Picture(**picture.as_dict()).chart().to_dict()["title"] == "T"


def test_a_method_knows_its_epochs() -> None:
    assert [method.epochs for method in hgn_paper.RIVALS] == [0] * len(hgn_paper.RIVALS)
    assert Method(name="HGN", recipe=hgn_paper.network("hgn", hgn_paper.HGN)).epochs == 120
