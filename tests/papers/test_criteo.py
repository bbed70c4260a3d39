"""Criteo's tables on a small log: every method has its line, uplifts are over the best baseline, order is told."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest

from segue.data import synthetic
from segue.data.datasets import catalog
from segue.evaluation.protocol import Protocol
from segue.papers.criteo import common as criteo_paper
from segue.papers.criteo import figures as criteo_figures
from segue.papers.criteo import rivals as criteo_rivals
from segue.papers.criteo import table2_params as criteo_table2_params
from segue.papers.criteo import table4 as criteo_table4
from segue.papers.criteo import table5 as criteo_table5
from segue.papers.methods import Blended, Method
from segue.papers.reproduction import Reproduction
from segue.papers.run_cache import RunCache

LOG = synthetic.markov(60, 12, 9, seed=3, shortest=3)
EASY = replace(Protocol.named("whole-users").at((3,)), ahead=5)  # the small log brings no split of its own


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[ModuleType, Reproduction]:
    runs = RunCache(tmp_path_factory.mktemp("runs"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(catalog, "load", lambda name: {"yoochoose-64": LOG}[name])
        patch.setattr(criteo_paper, "METHODS", tuple(small(method) for method in criteo_paper.METHODS))
        return {
            module: module.reproduce(runs=runs, quick=True) for module in (criteo_table4, criteo_table5, criteo_figures)
        }


def small(method: Method) -> Method:
    recipe = replace(method.recipe, protocol=replace(EASY, ks=(20,)))
    trained = {"embedding_dim": 8, "num_negatives": 8} if recipe.settings else {}
    return replace(method, recipe=replace(recipe, settings={**recipe.settings, **trained}))


def test_every_method_has_its_line(made: dict[ModuleType, Reproduction]) -> None:
    table = made[criteo_table4]
    for method in criteo_paper.METHODS:
        for metric in (criteo_paper.NEXT, criteo_paper.LATER):
            row = table.row(method.name, metric)
            assert 0 <= row.mean <= 1
            assert row.paper == method.paper.get(metric)
    assert table.notes[0].startswith("QUICK: ")


def test_uplifts_are_over_the_best_baseline(made: dict[ModuleType, Reproduction]) -> None:
    table = made[criteo_table4]
    for metric, name in ((criteo_paper.NEXT, criteo_table4.UPLIFT), (criteo_paper.LATER, criteo_table4.LATER_UPLIFT)):
        base = max(table.row(method.name, metric).mean for method in criteo_paper.BASELINES)
        for method in criteo_paper.NETWORKS:
            found = table.row(method.name, f"{name}, %")
            assert found.mean == pytest.approx(100 * (table.row(method.name, metric).mean / base - 1))
            assert found.paper == criteo_table4.PRINTED[method.name][metric == criteo_paper.LATER][0]
            assert table.row(method.name, f"± {name}").mean >= 0


def test_printed_uplifts_agree_with_the_printed_recall() -> None:
    """The paper's percents are over CoEvent MF: 0.645 and 0.447 come to them within the digits printed."""
    for method in criteo_paper.NETWORKS:
        printed = method.paper[criteo_paper.LATER]
        assert criteo_table4.PRINTED[method.name][1][0] == pytest.approx(100 * (printed / 0.447 - 1), abs=0.3)


def test_the_order_is_told() -> None:
    means = {"POP": 0.1, "Item-KNN": 0.2, "CoEvent MF": 0.3, "GRU": 0.4, "GRU + RE": 0.6, "GRU + LN": 0.5}
    means |= {"GRU + RE + LN": 0.7, "Stacked GRU + RE + LN": 0.8}
    assert criteo_table4._order(means).endswith(" holds")
    assert criteo_table4._order({**means, "GRU": 0.25}).endswith(
        "does not hold: GRU (0.2500) is below CoEvent MF (0.3000)"
    )


def test_lengths_cover_their_questions(made: dict[ModuleType, Reproduction]) -> None:
    rows = {row.metric for row in made[criteo_table5].rows}
    assert {"recall@20, 2–5", "recall@20, 6–25"} <= rows
    assert "recall@20, 26–200" not in rows, "the small log has no such sessions"


def test_figures_go_five_steps_ahead(made: dict[ModuleType, Reproduction]) -> None:
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
    assert first == pytest.approx(made[criteo_table4].row("GRU", criteo_paper.NEXT).mean)


def test_counts_are_the_printed_ones(tmp_path: Path) -> None:
    table = criteo_table2_params.reproduce(runs=RunCache(tmp_path))
    assert {row.verdict for row in table.rows} == {"agrees"}
    assert table.row("CoEvent MF", "YooChoose, M").mean == pytest.approx(2 * 37_483 * 100 / 1e6)


def test_what_is_left_out_has_its_lines_and_a_blend(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    *alone, blended = criteo_rivals.METHODS
    assert isinstance(blended, Blended)
    lines = [small(method) for method in alone if isinstance(method, Method)]
    parts = (small(blended.parts[0]), small(blended.parts[1]))
    monkeypatch.setattr(catalog, "load", lambda name: {"yoochoose-64": LOG}[name])
    monkeypatch.setattr(criteo_rivals, "METHODS", (*lines, replace(blended, parts=parts)))
    table = criteo_rivals.reproduce(runs=RunCache(tmp_path), quick=True)
    assert [row.method for row in table.rows[::3]] == [method.name for method in criteo_rivals.METHODS]
    assert table.row("Sequential rules", "mrr@20,1").mean > table.row("POP", "mrr@20,1").mean
    assert any(note.startswith("Share of the GRU in the blend") for note in table.notes)
