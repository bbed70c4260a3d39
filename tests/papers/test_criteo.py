"""Criteo's tables on a small log: rows of all methods, uplifts over the best baseline, order of methods."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from stored_form import form_differences

from segue.data import synthetic
from segue.data.datasets import catalog
from segue.evaluation.metrics import at_step
from segue.evaluation.protocol import Protocol
from segue.evaluation.ranks import Ranks
from segue.evaluation.significance import uplift
from segue.models.registry import find
from segue.papers.criteo import baselines as criteo_baselines
from segue.papers.criteo import common as criteo_paper
from segue.papers.criteo import figures as criteo_figures
from segue.papers.criteo import figures_paper as criteo_figures_paper
from segue.papers.criteo import table2_params as criteo_table2_params
from segue.papers.criteo import table4 as criteo_table4
from segue.papers.criteo import table4_paper as criteo_table4_paper
from segue.papers.criteo import table5 as criteo_table5
from segue.papers.criteo import table5_paper as criteo_table5_paper
from segue.papers.criteo.printed import PRINTED, TABLE_2
from segue.papers.methods import BlendedMethod, Method
from segue.papers.printed import compare_with_paper
from segue.papers.printed_table import PrintedTable
from segue.papers.reproduction import Reproduction
from segue.papers.run_cache import RunCache

LOG = synthetic.markov(60, 40, 9, seed=3, shortest=3)  # of more items than the cut-off, so that methods differ
EASY = replace(Protocol.named("whole-users").with_cut_offs((3,)), horizon=5)  # the small log has no split of its own


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunCache]:
    """Where the runs of the small log are stored, which the tables read meanwhile."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(catalog, "load_log", lambda name: {"yoochoose-64": LOG}[name])
        patch.setattr(criteo_paper, "METHODS", tuple(small(method) for method in criteo_paper.METHODS))
        yield RunCache(tmp_path_factory.mktemp("runs"))


@pytest.fixture(scope="module")
def made(runs: RunCache) -> dict[ModuleType, Reproduction]:
    tables = (criteo_table4, criteo_table5, criteo_figures)
    return {module: module.reproduce(runs=runs, quick=True) for module in tables}


@pytest.fixture(scope="module")
def ranks(runs: RunCache) -> dict[str, Ranks]:
    """The ranks of the next items of each session, by method."""
    _, results = criteo_paper.run_on_yoochoose(runs, quick=True)
    return {r.method.name: Ranks.expect(r.runs[0].predictions, "ranks") for r in results}


def best_of_the_papers_baselines(ranks: dict[str, Ranks], metric: str) -> str:
    return max((m.name for m in criteo_paper.PAPER_BASELINES), key=lambda name: ranks[name].values(metric).mean())


def small(method: Method) -> Method:
    experiment = replace(method.experiment, protocol=replace(EASY, ks=(20,)))
    trained = {"embedding_dim": 8, "num_negatives": 8} if method.epochs else {}
    return replace(method, experiment=replace(experiment, settings={**experiment.settings, **trained}))


def test_every_method_has_a_row(made: dict[ModuleType, Reproduction]) -> None:
    table = made[criteo_table4]
    for method in criteo_paper.METHODS:
        for metric in (criteo_paper.NEXT_ITEM, criteo_paper.NEXT_FIVE):
            row = table.row(method.name, metric)
            assert 0 <= row.mean <= 1
            assert row.published == method.published.get(metric)
    assert table.notes[0].startswith("QUICK: ")


def test_every_table_has_the_form_of_its_result_file(made: dict[ModuleType, Reproduction]) -> None:
    for module, table in made.items():
        assert form_differences(table, f"criteo-{module.__name__.rpartition('.')[2]}") == []


def test_uplifts_are_over_the_best_baseline(made: dict[ModuleType, Reproduction]) -> None:
    table = made[criteo_table4]
    for metric, name in (
        (criteo_paper.NEXT_ITEM, criteo_table4.UPLIFT_NEXT_ITEM),
        (criteo_paper.NEXT_FIVE, criteo_table4.UPLIFT_NEXT_FIVE),
    ):
        baselines = [table.row(method.name, metric).mean for method in criteo_paper.PAPER_BASELINES]
        base = max(baselines)
        assert base > min(baselines), "the baselines of the small log differ"
        for method in criteo_paper.NETWORKS:
            found = table.row(method.name, f"{name}, %")
            assert found.mean == pytest.approx(100 * (table.row(method.name, metric).mean / base - 1))
            assert found.published == criteo_table4.PUBLISHED[method.name][metric == criteo_paper.NEXT_FIVE][0]
            assert table.row(method.name, f"± {name}").mean >= 0


def test_published_uplifts_agree_with_published_recall() -> None:
    """The paper's uplifts are relative to CoEvent MF + RE (0.447), up to rounding."""
    for method in criteo_paper.NETWORKS:
        published = method.published[criteo_paper.NEXT_FIVE]
        assert criteo_table4.PUBLISHED[method.name][1][0] == pytest.approx(100 * (published / 0.447 - 1), abs=0.3)


def test_the_order_of_methods_is_checked() -> None:
    means = {"POP": 0.1, "Item-KNN": 0.2, "CoEvent MF": 0.3, "GRU": 0.4, "GRU + RE": 0.6, "GRU + LN": 0.5}
    means |= {"GRU + RE + LN": 0.7, "Stacked GRU + RE + LN": 0.8}
    assert criteo_table4._check_order(means).endswith(" is kept")
    assert criteo_table4._check_order({**means, "GRU": 0.25}).endswith(
        "is not kept: GRU (0.2500) is below CoEvent MF (0.3000)"
    )


def test_table_5_measures_sessions_of_each_length_alone(
    made: dict[ModuleType, Reproduction], ranks: dict[str, Ranks]
) -> None:
    table, base = made[criteo_table5], best_of_the_papers_baselines(ranks, criteo_paper.NEXT_ITEM)
    for index, (low, high) in enumerate(((2, 5), (6, 25))):
        length = LOG.lengths[ranks[base].user]
        inside = (low <= length) & (length <= high)
        assert 0 < inside.sum() < len(inside)
        values = {name: r.values(criteo_paper.NEXT_ITEM)[inside] for name, r in ranks.items()}
        row = table.row(base, f"recall@20, {low}–{high}")
        assert (row.mean, row.published) == (pytest.approx(values[base].mean()), criteo_table5.BEST_BASELINE[index])
        for name in ("Sequential rules", *(method.name for method in criteo_paper.NETWORKS)):
            assert table.row(name, f"recall@20, {low}–{high}").mean == pytest.approx(values[name].mean())
            gain, half_width = table.row(name, f"uplift {low}–{high}, %"), table.row(name, f"± uplift {low}–{high}")
            assert gain.mean == pytest.approx(100 * (values[name].mean() / values[base].mean() - 1))
            drawn = uplift(values[name], values[base], ranks[base].user[inside])  # sessions, not instances
            assert half_width.mean == pytest.approx((drawn.high - drawn.low) / 2)
            printed = criteo_table5._PUBLISHED.get(name, [(None, None)] * 3)[index]
            assert (gain.published, half_width.published) == printed


def test_rows_by_session_length(made: dict[ModuleType, Reproduction]) -> None:
    rows = {row.metric for row in made[criteo_table5].rows}
    assert {"recall@20, 2–5", "recall@20, 6–25"} <= rows
    assert "recall@20, 26–200" not in rows, "the small log has no such sessions"


def test_the_ranges_of_session_lengths_follow_each_other() -> None:
    """None is left out between them, and none is in two; a session of one event has nothing to predict."""
    ranges = criteo_table5._LENGTHS
    assert ranges[0][0] == 2
    assert all(low <= high for low, high in ranges)
    assert all(low == before + 1 for (_, before), (low, _) in pairwise(ranges))


@pytest.fixture(scope="module")
def as_printed(runs: RunCache) -> dict[str, tuple[PrintedTable, Reproduction]]:
    """The tables as the study says, on the small log, with all of their methods."""
    tables = {
        "table 4": criteo_table4_paper.TABLE,
        "table 5": criteo_table5_paper.TABLE,
        "figures": criteo_figures_paper.TABLE,
    }
    small_tables = {name: replace(one, methods=tuple(map(small, one.methods))) for name, one in tables.items()}
    return {name: (one, one.reproduce(runs=runs, quick=True)) for name, one in small_tables.items()}


@pytest.mark.parametrize("name", ["table 4", "table 5", "figures"])
def test_a_method_alone_has_the_rows_of_the_whole_table(
    as_printed: dict[str, tuple[PrintedTable, Reproduction]], runs: RunCache, name: str
) -> None:
    table, whole = as_printed[name]
    for method in ("GRU + RE", "Sequential rules", "POP"):
        alone = table.reproduce(runs=runs, quick=True, methods=[method])
        shown = {row.method for row in alone.rows}
        assert {row.as_dict()["metric"]: row for row in alone.rows} == {
            row.metric: row for row in whole.rows if row.method in shown
        }
        assert (len(shown), len(alone.details["runs"])) == (1, 1)


def test_uplifts_as_the_study_says_are_over_its_best_baseline_in_this_form(
    as_printed: dict[str, tuple[PrintedTable, Reproduction]],
) -> None:
    (_, table4), (_, table5) = as_printed["table 4"], as_printed["table 5"]
    names = [f"{method.name}, as the paper says" for method in criteo_paper.PAPER_BASELINES]
    recall = {name: table4.row(name, criteo_paper.NEXT_ITEM).mean for name in names}
    base = max(names, key=recall.__getitem__)
    for network in criteo_paper.NETWORKS:
        name = f"{network.name}, as the paper says"
        gain = table4.row(name, "uplift N=1, %")
        assert gain.mean == pytest.approx(100 * (table4.row(name, criteo_paper.NEXT_ITEM).mean / recall[base] - 1))
        assert gain.published == criteo_table4.PUBLISHED[network.name][0][0]
        of_length = table5.row(name, "uplift 6–25, %")
        one, other = (table5.row(of, "recall@20, 6–25") for of in (name, base))
        assert of_length.mean == pytest.approx(100 * (one.mean / other.mean - 1))
        assert of_length.published == criteo_table5._PUBLISHED[network.name][1][0]
        assert (one.published, other.published) == (None, criteo_table5.BEST_BASELINE[1])


def test_a_baseline_of_table_4_is_run_alone(
    as_printed: dict[str, tuple[PrintedTable, Reproduction]], tmp_path: Path
) -> None:
    as_printed["table 4"][0].reproduce(runs=RunCache(tmp_path), quick=True, methods=["POP"])
    assert len([*tmp_path.glob("*.json")]) == 1


def test_figures_show_five_future_steps(made: dict[ModuleType, Reproduction]) -> None:
    found = made[criteo_figures]
    assert [picture.name for picture in found.pictures] == [
        "criteo-figure1",
        "criteo-figure2",
        "criteo-figure3-recall",
        "criteo-figure3-uplift",
    ]
    shares = [row["share of clicks"] for row in found.pictures[0].rows]
    assert shares == sorted(shares)
    assert shares[-1] == pytest.approx(1)
    first = found.row("GRU", "recall@20, step 1").mean
    assert first == pytest.approx(made[criteo_table4].row("GRU", criteo_paper.NEXT_ITEM).mean)


def test_figure_3_is_of_each_step_alone_and_relative_to_the_best_baseline(
    made: dict[ModuleType, Reproduction], ranks: dict[str, Ranks]
) -> None:
    found = made[criteo_figures]
    base = best_of_the_papers_baselines(ranks, criteo_paper.NEXT_ITEM)
    uplifts = {(row["method"], row["steps ahead"]): row["uplift, %"] for row in found.pictures[3].rows}
    assert {name for name, _ in uplifts} == {"Sequential rules", *(method.name for method in criteo_paper.NETWORKS)}
    assert {step for _, step in uplifts} == set(range(1, criteo_paper.HORIZON + 1))
    for (name, step), measured in uplifts.items():
        one, other = (float(np.nanmean(at_step(ranks[n], 20, step))) for n in (name, base))
        assert found.row(name, f"recall@20, step {step}").mean == pytest.approx(one)
        assert measured == pytest.approx(100 * (one / other - 1))


def test_figure_3_as_the_study_says_is_of_its_own_runs_and_best_baseline(
    as_printed: dict[str, tuple[PrintedTable, Reproduction]], made: dict[ModuleType, Reproduction], runs: RunCache
) -> None:
    table, found = as_printed["figures"]
    assert form_differences(found, "criteo-figures-paper") == []
    recall, gains = found.pictures
    best_here = [picture.name for picture in made[criteo_figures].pictures[2:]]
    assert [recall.name, gains.name] == [f"{name}-paper" for name in best_here]
    names = [f"{method.name}, as the paper says" for method in criteo_paper.PAPER_BASELINES]
    first = {name: found.row(name, "recall@20, step 1").mean for name in names}
    assert first == {name: as_printed["table 4"][1].row(name, criteo_paper.NEXT_ITEM).mean for name in names}
    base = max(first, key=first.__getitem__)
    networks = {network.name for network in criteo_paper.NETWORKS}
    assert {one["method"] for one in gains.rows} == {"Sequential rules", *networks}
    assert {one["method"] for one in recall.rows} == {"Sequential rules", *networks, base.partition(",")[0]}
    for one in gains.rows:
        name = f"{one['method']}, as the paper says" if one["method"] in networks else one["method"]
        gru, other = (found.row(of, f"recall@20, step {one['steps ahead']}").mean for of in (name, base))
        assert one["uplift, %"] == pytest.approx(100 * (gru / other - 1))
    alone = table.reproduce(runs=runs, quick=True, methods=["GRU"])
    assert [picture.name for picture in alone.pictures] == [recall.name], "without a baseline there is no uplift"


def test_parameter_counts_agree_with_the_published_ones(tmp_path: Path) -> None:
    table = criteo_table2_params.reproduce(runs=RunCache(tmp_path))
    rows = table.as_dict()["rows"]
    apart = [(row["method"], row["metric"], row["verdict"]) for row in rows if row["verdict"] != "agrees"]
    assert apart == [("CoEvent MF", "Internal, M", "above")]  # 41.68, printed as 41.6
    assert table.row("CoEvent MF", "YooChoose, M").mean == pytest.approx(2 * 37_483 * 100 / 1e6)


def test_the_printed_settings_are_those_of_the_presets() -> None:
    """Table 2 and the names of the models: with them alone, nothing but the training part would depart."""
    config = find("gru").configure().as_dict()
    assert {name: config[name] for name in TABLE_2} == TABLE_2
    for name, (model, preset, _) in criteo_table2_params.METHODS.items():
        settings = {**find(model).configure(preset=preset).as_dict(), "refit": False}
        allowed = {"window"} | ({"batch_size"} if model == "coevent-mf" else set())
        assert set(compare_with_paper(settings, PRINTED[name]).departs) <= allowed, name


def test_departures_are_listed(made: dict[ModuleType, Reproduction]) -> None:
    for table in made.values():
        listed = {entry["methods"]: entry["departs"] for entry in table.departures}
        gru = next(departs for methods, departs in listed.items() if "GRU + RE + LN" in methods.split("; "))
        for setting in ("loss sampled-ce (paper ce)", "dropout 0.25 (paper 0)", "lr 0.004 (paper 0.01)"):
            assert setting in gru


def test_extra_baselines_and_a_blend(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    *alone, blended = criteo_baselines.METHODS
    assert isinstance(blended, BlendedMethod)
    results = [small(method) for method in alone if isinstance(method, Method)]
    parts = (small(blended.parts[0]), small(blended.parts[1]))
    monkeypatch.setattr(catalog, "load_log", lambda name: {"yoochoose-64": LOG}[name])
    monkeypatch.setattr(criteo_baselines, "METHODS", (*results, replace(blended, parts=parts)))
    table = criteo_baselines.reproduce(runs=RunCache(tmp_path), quick=True)
    assert [row.method for row in table.rows[::3]] == [method.name for method in criteo_baselines.METHODS]
    assert table.row("Sequential rules", "mrr@20,1").mean > table.row("POP", "mrr@20,1").mean
    assert any(note.startswith("Weight of the GRU in the blend") for note in table.notes)
