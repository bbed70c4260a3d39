"""The tables of the HGN paper on a small log: every method has a row, with published figures and simple baselines."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
from stored_form import RESULTS, form_differences

from segue.data import synthetic
from segue.data.datasets import catalog
from segue.errors import ConfigError, DataError
from segue.evaluation.significance import holm, stars, t_test
from segue.models.registry import find
from segue.papers import TABLES, find_table
from segue.papers.hgn import common as hgn_paper
from segue.papers.hgn import figures as hgn_figures
from segue.papers.hgn import figures_paper as hgn_figures_paper
from segue.papers.hgn import table3 as hgn_table3
from segue.papers.hgn import table3_paper as hgn_table3_paper
from segue.papers.hgn import table4 as hgn_table4
from segue.papers.hgn import table5 as hgn_table5
from segue.papers.hgn import table6 as hgn_table6
from segue.papers.hgn.printed import PRINTED
from segue.papers.methods import Method
from segue.papers.printed import AS_PRINTED, compare_with_paper, name_in_paper
from segue.papers.reproduction import Picture, Reproduction, Row, text_table, to_markdown
from segue.papers.run_cache import RunCache
from segue.training.state import Epoch, Training

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
                patch.setattr(catalog, "load_log", lambda name: LOG)
                made[name] = find_table(name)(runs=runs, quick=True)
        return made[name]

    return one


def test_blends_stand_beside_their_neighbour_models(make: Make) -> None:
    made = make("cds-blends").as_dict()
    blends = ["Sequential KNN with VS-KNN", "Sequential KNN with SASRec"]
    assert [row["method"] for row in made["rows"][::2]] == ["Sequential KNN", "VS-KNN", *blends]
    assert [name for name, run in made["runs"].items() if "weight" in run] == blends
    assert made["runs"]["Sequential KNN with SASRec"]["blend of"] == ["Sequential KNN", "SASRec"]


@pytest.mark.parametrize("name", HGN)
def test_every_table_has_a_title_and_notes(name: str, make: Make) -> None:
    made = make(name)
    assert made.title.startswith("HGN (KDD 2019), ")
    assert any(note.startswith("QUICK: ") for note in made.notes)
    assert json.loads(json.dumps(made.as_dict()))["quick"] is True
    assert all(len(row.measured) == 1 for row in made.rows)


@pytest.mark.parametrize("name", [name for name in HGN if name != "hgn-table2" and (RESULTS / f"{name}.json").exists()])
def test_every_table_has_the_form_of_its_result_file(name: str, make: Make) -> None:
    assert form_differences(make(name), name) == []


@pytest.mark.parametrize("name", [name for name in HGN if name not in ("hgn-table2", "hgn-table5")])
def test_every_table_shows_the_simple_baselines(name: str, make: Make) -> None:
    methods = {row.method for row in make(name).rows}
    assert {method.name for method in hgn_paper.EXTRA_BASELINES} <= methods
    assert {"POP", "Item-KNN"} <= methods
    assert any("HGN" in method for method in methods)


@pytest.mark.parametrize(
    ("name", "table"), [("hgn-table3", hgn_table3), ("hgn-table4", hgn_table4), ("hgn-table6", hgn_table6)]
)
def test_every_method_has_a_row(name: str, table: ModuleType, make: Make) -> None:
    made = make(name)
    for method in table.METHODS:
        for metric in table.METRICS:
            row = made.row(method.name, metric)
            assert 0 < row.mean <= 1
            assert row.published == method.published.get(metric)


@pytest.mark.parametrize(
    ("name", "model", "preset", "set_by_hgns_authors"),
    [
        ("HGN", "hgn", "paper", set()),
        ("BPRMF", "bprmf", "learnbpr", {"embedding_dim", "item_bias"}),  # the bias is an addition of this library
        ("GRU4Rec", "gru4rec", "paper", {"embedding_dim", "lr"}),
        ("GRU4Rec+", "gru4rec+", "paper", {"embedding_dim", "lr", "batch_size"}),
        ("NextItNet", "nextitnet", "hgn", set()),
        ("Caser", "caser", "author", set()),
        ("SASRec", "sasrec", "paper", set()),
    ],
)
def test_the_printed_settings_are_those_of_a_preset(
    name: str, model: str, preset: str, set_by_hgns_authors: set[str]
) -> None:
    """But for what the paper prints of the method itself, and its own paper has otherwise."""
    settings = find(model).configure(preset=preset).as_dict()
    assert set(compare_with_paper(settings, PRINTED[name]).departs) == set_by_hgns_authors


@pytest.mark.parametrize("name", ["hgn-table3", "hgn-table4", "hgn-table6", "hgn-figures"])
def test_tables_list_what_departs_from_the_paper(name: str, make: Make) -> None:
    entry = next(entry for entry in make(name).departures if "HGN" in entry["methods"])
    assert "weight_decay 0.01 (paper 0.001)" in entry["departs"]
    assert entry["parts"] == "Amazon-CDs"


def test_published_figures_of_table_3_agree_with_the_published_improvements() -> None:
    """The paper reports 19.66% and 20.73% over the best baseline."""
    metrics = hgn_table3.PUBLISHED_METRICS
    published = [dict(zip(metrics, figures, strict=True)) for figures, _ in hgn_table3.PAPER.values()]
    assert len(published) == 7
    for metric, improvement in zip(metrics, (0.1966, 0.2073), strict=True):
        hgn, best = sorted((row[metric] for row in published), reverse=True)[:2]
        assert hgn / best - 1 == pytest.approx(improvement, abs=1e-4)


def test_table_3_tests_hgn_against_the_best_baselines(make: Make) -> None:
    made = make("hgn-table3")
    assert (made.row("HGN", "ndcg-full@10").published, made.row("HGN", "ndcg@10").published) == (0.0233, None)
    tests = made.details["tests"]
    assert [(t["metric"], t["paper_baseline"]) for t in tests] == [
        *(("recall@10", True), ("recall@10", False), ("ndcg@10", True), ("ndcg@10", False))
    ]
    for tested in tests:
        simple = [method.name for method in hgn_paper.EXTRA_BASELINES]
        baselines = [name for name in hgn_table3.PAPER if name != "HGN"] if tested["paper_baseline"] else simple
        best = max(baselines, key=lambda name: made.row(name, tested["metric"]).mean)
        assert tested["against"] == best
        gap = made.row("HGN", tested["metric"]).mean - made.row(best, tested["metric"]).mean
        assert tested["difference"] == pytest.approx(gap)
    marks = {row.metric: row.stars for row in made.rows if row.method == "HGN"}
    for tested in (t for t in tests if t["paper_baseline"]):
        worse = tested["difference"] < 0
        assert marks[tested["metric"]] == stars(tested["p_holm"]).replace("*", "▾" if worse else "*")
    assert [tested["p_holm"] for tested in tests] == holm([tested["p"] for tested in tests])
    assert not any(row.stars for row in made.rows if row.method != "HGN")


@pytest.mark.parametrize(
    ("p", "difference", "marks"),
    [(0.0005, 0.01, "***"), (0.0005, -0.01, "▾▾▾"), (0.03, -0.01, "▾"), (0.03, 0.01, "*"), (0.2, -0.01, "")],
)
def test_a_star_is_for_better_and_a_triangle_for_worse(p: float, difference: float, marks: str) -> None:
    test = {"metric": "ndcg@10", "paper_baseline": True, "against": "SASRec", "difference": difference}
    test |= {"p": p / 4, "p_holm": p}
    assert hgn_table3._marks(test) == marks
    assert ("below" if difference < 0 else "above") in hgn_table3._sentence(test)


def test_table_3_uses_a_paired_test_over_instances(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catalog, "load_log", lambda name: LOG)
    lines = hgn_paper.run_all(hgn_table3.METHODS, RunCache(tmp_path), quick=True)
    values = {line.method.name: line.values("ndcg@10") for line in lines}
    tested = hgn_table3._tests(lines, "ndcg@10")[1]
    assert tested["p"] == t_test(values["HGN"], values[tested["against"]])


def test_table_4_ablates_what_its_names_say() -> None:
    configs = {
        name: {**settings}
        for name, (settings, _) in hgn_table4.ARCHITECTURES.items()
        if name.startswith(("(4)", "(9)"))
    }
    assert configs == {
        "(4) BPR+I+avg": {"item_item_product": False, "feature_gate": False},
        "(9) BPR+F+I+max": {"item_item_product": False, "pooling": "max"},
    }
    assert [name.partition(" ")[0] for name in hgn_table4.ARCHITECTURES] == [f"({n})" for n in range(1, 11)]


def test_table_4_shows_figures_of_other_logs_in_their_own_columns(make: Make) -> None:
    head, *body = text_table(make("hgn-table4").as_dict())
    assert head[:7] == ["method", "recall@10", "ndcg@10", *hgn_table4.OTHER_LOG_COLUMNS]
    assert body[-1][3:7] == [".1743", ".1927", ".0429", ".0298"]
    assert any("they are of other logs" in note for note in make("hgn-table4").notes)


def test_table_5_times_training_and_batches_separately(make: Make) -> None:
    made = make("hgn-table5")
    for name, (published, _) in hgn_table5.METHODS.items():
        row = made.row(name, hgn_table5.TRAINING)
        assert (row.published, [*row.other_logs.values()]) == (None, [published] if published else [])
        for metric in (hgn_table5.TRAINING, hgn_table5.CPU, hgn_table5.BATCHES):
            assert 0 <= made.row(name, metric).mean < 60
    assert "thread" in made.notes[0]


def test_table_5_leaves_out_the_warm_up_epoch(monkeypatch: pytest.MonkeyPatch) -> None:
    def fit(model: Any, log: Any, *, seed: int) -> Training:
        assert model.config.epochs == 3
        for _ in range(3):
            assert list(model.batches(log, np.random.default_rng(seed)))
        wall, cpu = (100.0, 40.0, 50.0), (90.0, 30.0, 35.0)
        return Training([Epoch(n + 1, 0.5, None, wall[n], cpu[n]) for n in range(3)], best=3)

    monkeypatch.setattr(hgn_table5, "fit", fit)
    _, experiment = hgn_table5.METHODS["HGN"]
    costs = hgn_table5.epoch_costs(experiment, LOG, device="cpu", epochs=2)
    assert [cost.training + cost.batches for cost in costs] == pytest.approx([40.0, 50.0])
    assert all(0 < cost.batches < 10 for cost in costs)
    assert [cost.cpu for cost in costs] == pytest.approx([30.0, 35.0], abs=10)


def test_table_5_refuses_an_unavailable_device(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match=r"--device gpu: cannot be used here .*; take --device cpu"):
        hgn_table5.reproduce(runs=RunCache(Path("nowhere")), device="gpu")


def test_figures_show_every_method_and_every_embedding_dim(make: Make) -> None:
    made = make("hgn-figures")
    recall, ndcg, sizes = made.pictures
    for picture, metric in ((recall, "recall"), (ndcg, "ndcg")):
        assert {row["method"] for row in picture.rows} == {method.name for method in hgn_table3.METHODS}
        for row in picture.rows:
            assert row[f"{metric}@k"] == made.row(row["method"], f"{metric}@{row['k']}").mean
    assert {row["d"] for row in sizes.rows} == set(hgn_figures.EMBEDDING_DIMS)
    for row in sizes.rows:
        assert row["recall@k"] == made.row(f"HGN d={row['d']}", row["cut-off"].lower()).mean


def test_the_figures_show_the_mean_over_seeds() -> None:
    row = Row(method="HGN", metric="recall@10", measured=(0.1, 0.3))
    result: Any = SimpleNamespace(row=lambda metric: replace(row, metric=metric, published=0.4))
    rows = hgn_figures.mean_rows(result)
    assert [(one.metric, one.measured, one.published) for one in rows] == [
        (metric, (pytest.approx(0.2),), None) for metric in hgn_figures.METRICS
    ]


def test_the_figures_as_the_paper_says_are_of_its_own_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catalog, "load_log", lambda name: LOG)
    runs, names = RunCache(tmp_path), ["POP", "BPRMF", "HGN", "HGN d=10", "HGN d=50"]
    made = hgn_figures_paper.reproduce(runs=runs, quick=True, methods=names)
    recall, ndcg, sizes = made.pictures
    assert [picture.name for picture in made.pictures] == [
        *("hgn-figure5-recall-paper", "hgn-figure5-ndcg-paper", "hgn-figure8-paper")
    ]
    table = hgn_table3_paper.reproduce(runs=runs, quick=True, methods=names[:3])
    for picture, metric in ((recall, "recall"), (ndcg, "ndcg")):
        assert {point["method"] for point in picture.rows} == {*names[:3]}
        ten = {point["method"]: point[f"{metric}@k"] for point in picture.rows if point["k"] == 10}
        assert ten == {name_in_paper(row.method): row.mean for row in table.rows if row.metric == f"{metric}@10"}
    assert {point["d"] for point in sizes.rows} == {10, 50}
    assert not any(row.published for row in made.rows), "a drawn figure has no numbers"
    hgn, d_50 = (made.row(f"{name}, {AS_PRINTED}", "recall@20") for name in ("HGN", "HGN d=50"))
    assert hgn.mean == d_50.mean


def test_figures_are_written(make: Make, tmp_path: Path) -> None:
    pytest.importorskip("altair")
    made = make("hgn-figures").write(tmp_path / "new", "hgn-figures")
    assert [path.name for path in made] == [
        *("hgn-figure5-recall.svg", "hgn-figure5-ndcg.svg", "hgn-figure8.svg", "hgn-figures.html")
    ]
    assert made[-1].read_text().count("<img ") == 3
    assert "HGN d=40" in made[-1].read_text()


def test_unknown_and_renamed_tables() -> None:
    with pytest.raises(ConfigError, match="no table 'hgn-table33', did you mean 'hgn-table3'"):
        find_table("hgn-table33")
    with pytest.raises(ConfigError, match="no table 'criteo-rivals': it is now called 'criteo-baselines'"):
        find_table("criteo-rivals")


# ---------------------------------------------------------------------------------------- output

ROWS = (
    Row(method="POP", metric="recall@10", measured=(0.01,)),
    Row(
        method="HGN",
        metric="recall@10",
        measured=(0.04, 0.06),
        interval=(0.046, 0.054),
        published=0.04,
        stars="**",
    ),
    Row(
        method="HGN",
        metric="seconds",
        measured=(12.34,),
        published=24.0,
        other_logs={"Books": 7.0},
    ),
)


def test_the_text_table_leaves_out_empty_columns() -> None:
    facts = Reproduction(
        title="T", rows=ROWS, details={"cpu_seconds": {"HGN": 1234.4}, "peak_mb": {"HGN": 512}}
    ).as_dict()
    assert text_table(facts) == [
        [
            *("method", "recall@10", "recall@10 seeds", "recall@10 published", "recall@10 ratio"),
            *("seconds", "seconds published", "seconds ratio", "Books", "train CPU s", "peak MB"),
        ],
        ["POP", ".0100", "", "", "", "", "", "", "", "", ""],
        ["HGN", ".0500 **", ".0400–.0600", ".0400", "1.25 above", "12.34", "24", "0.51", "7", "1,234", "512"],
    ]


def test_markdown_tables() -> None:
    facts = Reproduction(title="T", rows=(Row(method="|L| = 3", metric="ndcg@5", measured=(0.5,)),)).as_dict()
    assert to_markdown(facts) == "| method | ndcg@5 |\n| --- | ---: |\n| \\|L\\| = 3 | .5000 |\n"


def test_a_missing_figure() -> None:
    with pytest.raises(DataError, match="T has no ndcg@10 of HGN"):
        Reproduction(title="T", rows=ROWS).row("HGN", "ndcg@10")


def test_a_picture_is_drawn_as_a_chart() -> None:
    pytest.importorskip("altair")
    picture = Picture(name="p", kind="bar", rows=({"a": "x", "b": 1.0},), encoding={"x": "b", "y": "a", "title": "T"})
    assert Picture(**picture.as_dict()).chart().to_dict()["title"] == "T"


def test_the_epochs_of_a_method() -> None:
    assert [method.epochs for method in hgn_paper.EXTRA_BASELINES] == [0] * len(hgn_paper.EXTRA_BASELINES)
    assert Method(name="HGN", experiment=hgn_paper.gradient_experiment("hgn", hgn_paper.HGN_SETTINGS)).epochs == 120
