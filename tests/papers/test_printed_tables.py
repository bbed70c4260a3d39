"""The tables as the papers say: all methods, the figures of best here, and every printed setting that can be had."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from inspect import signature
from pathlib import Path

import pytest

from segue.papers import TABLES as TABLES_BY_NAME
from segue.papers.criteo import common as criteo_paper
from segue.papers.criteo import figures_paper as criteo_figures_paper
from segue.papers.criteo import table4_paper as criteo_table4_paper
from segue.papers.criteo import table5_paper as criteo_table5_paper
from segue.papers.hcrnn import table3_paper as hcrnn_table3_paper
from segue.papers.hcrnn import table3_paper_movielens as hcrnn_table3_paper_movielens
from segue.papers.hcrnn.common import METHOD_SPECS, PROTOCOL
from segue.papers.hgn import figures as hgn_figures
from segue.papers.hgn import figures_paper as hgn_figures_paper
from segue.papers.hgn import table3 as hgn_table3
from segue.papers.hgn import table3_paper as hgn_table3_paper
from segue.papers.hgn import table4 as hgn_table4
from segue.papers.hgn import table4_paper as hgn_table4_paper
from segue.papers.hgn import table6 as hgn_table6
from segue.papers.hgn import table6_paper as hgn_table6_paper
from segue.papers.hgn.common import EXTRA_BASELINES
from segue.papers.iarn import figure3 as iarn_figure3
from segue.papers.iarn import figure3_paper as iarn_figure3_paper
from segue.papers.iarn import figure4 as iarn_figure4
from segue.papers.iarn import figure4_paper as iarn_figure4_paper
from segue.papers.iarn import table2 as iarn_table2
from segue.papers.iarn import table2_paper as iarn_table2_paper
from segue.papers.iarn import table2_paper_movielens as iarn_table2_paper_movielens
from segue.papers.iarn.common import ML_100K
from segue.papers.iarn.printed import BACKBONES, FULL, PLAIN
from segue.papers.methods import Method
from segue.papers.printed import AS_PRINTED, RELEASED
from segue.papers.printed_table import PrintedTable
from segue.papers.run_cache import RunCache

Methods = tuple[Method, ...]
Departures = Mapping[str, set[str]]


def hcrnn_best_here(log: str) -> Methods:
    return tuple(spec.method(name, log, PROTOCOL, (0,)) for name, spec in METHOD_SPECS.items())


PARTS_OF_A_GRID = {"lr", "weight_decay", "dropout"}
BATCHES_OF_SEQUENCES = {name: {"batch_size"} for name in ("LSTM4REC", "GRU4REC", "NARM", "STAMP")}
TABLES: Mapping[str, tuple[PrintedTable, Methods, Departures]] = {
    # the table, best here, and the settings in which a method departs from the paper
    "hgn": (hgn_table3_paper.TABLE, hgn_table3.METHODS, {}),
    "hgn-table4": (hgn_table4_paper.TABLE, (*EXTRA_BASELINES, *hgn_table4.METHODS), {}),
    "hgn-table6": (hgn_table6_paper.TABLE, (*EXTRA_BASELINES, *hgn_table6.METHODS), {}),
    "hgn-figures": (hgn_figures_paper.TABLE, hgn_figures.METHODS, {}),
    "iarn": (iarn_table2_paper.TABLE, iarn_table2.METHODS, dict.fromkeys(("NCF", FULL), PARTS_OF_A_GRID)),
    "iarn-movielens": (
        iarn_table2_paper_movielens.TABLE,
        iarn_table2.methods_on(ML_100K),
        dict.fromkeys(("NCF", FULL), PARTS_OF_A_GRID),
    ),
    "iarn-figure3": (iarn_figure3_paper.TABLE, iarn_figure3.METHODS, dict.fromkeys(BACKBONES, PARTS_OF_A_GRID)),
    "iarn-figure4": (
        iarn_figure4_paper.TABLE,
        iarn_figure4.METHODS,
        dict.fromkeys((PLAIN, FULL), PARTS_OF_A_GRID),
    ),
    "criteo": (criteo_table4_paper.TABLE, criteo_paper.METHODS, {}),
    "criteo-table5": (criteo_table5_paper.TABLE, criteo_paper.METHODS, {}),
    "criteo-figures": (criteo_figures_paper.TABLE, criteo_paper.METHODS, {}),
    "hcrnn": (hcrnn_table3_paper.TABLE, hcrnn_best_here("citeulike"), BATCHES_OF_SEQUENCES),
    "hcrnn-movielens": (
        hcrnn_table3_paper_movielens.TABLE,
        hcrnn_best_here("hcrnn-movielens"),
        BATCHES_OF_SEQUENCES,
    ),
}
tables = pytest.mark.parametrize(("table", "best_here", "expected"), TABLES.values(), ids=TABLES)


def by_name(table: PrintedTable) -> dict[str, Method]:
    return {one.name.removesuffix(f", {AS_PRINTED}"): one for one in table.methods if one.name.endswith(AS_PRINTED)}


@tables
def test_every_method_of_the_paper_is_there_with_its_figures(
    table: PrintedTable, best_here: Methods, expected: Departures
) -> None:
    figures = {name: (method.published, method.other_logs) for name, method in by_name(table).items()}
    assert figures == {
        one.name: (one.published, one.other_logs)
        for one in best_here
        if one.published or one.other_logs or one.name in figures  # a drawn figure has no numbers
    }
    released = {one.name: one for one in table.methods if one.name.endswith(RELEASED)}
    for name, method in released.items():
        assert method.published == figures[name.removesuffix(f", {RELEASED}")][0]
    printed = {method.name for method in by_name(table).values()}
    simple = {method.name for method in table.methods} - printed - released.keys()
    others = {method.name for method in best_here} - figures.keys()
    assert simple <= others
    assert simple or not others


@tables
def test_methods_depart_from_the_paper_in_nothing_else(
    table: PrintedTable, best_here: Methods, expected: Departures
) -> None:
    departs = {name: method.comparison.departs for name, method in by_name(table).items() if method.comparison}
    assert departs.keys() == by_name(table).keys()
    assert {name: set(settings) for name, settings in departs.items() if settings} == expected


@pytest.mark.parametrize(
    "name", [name for name, make in TABLES_BY_NAME.items() if "methods" in signature(make).parameters]
)
def test_the_command_hands_its_options_to_the_table(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The named methods alone, and a quick version of them."""
    given = {"runs": RunCache(tmp_path), "quick": True, "methods": ["POP"]}
    monkeypatch.setattr(PrintedTable, "reproduce", lambda table, **options: (table, options))
    make = TABLES_BY_NAME[name]
    assert make(**given) == (sys.modules[make.__module__].TABLE, given)


@tables
def test_epochs_are_chosen_on_validation(table: PrintedTable, best_here: Methods, expected: Departures) -> None:
    for name, method in by_name(table).items():
        if method.epochs:
            assert method.comparison is not None
            assert "epochs" in method.comparison.open, name
            assert method.choose_epochs == (name not in (FULL, *BACKBONES)), name  # too dear
            assert method.experiment.protocol == table.protocol, name
