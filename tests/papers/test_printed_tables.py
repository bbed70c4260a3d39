"""The tables as the papers say: all methods, the figures of best here, and every printed setting that can be had."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from segue.papers.criteo import common as criteo_paper
from segue.papers.criteo import table4_paper as criteo_table4_paper
from segue.papers.hgn import table3 as hgn_table3
from segue.papers.hgn import table3_paper as hgn_table3_paper
from segue.papers.iarn import table2 as iarn_table2
from segue.papers.iarn import table2_paper as iarn_table2_paper
from segue.papers.iarn.printed import FULL
from segue.papers.methods import Method
from segue.papers.printed import AS_PRINTED
from segue.papers.printed_table import PrintedTable

Methods = tuple[Method, ...]
TABLES: Mapping[str, tuple[PrintedTable, Methods, set[str]]] = {
    # the table, best here, and the methods for which not all combinations of the printed values are tried
    "hgn": (hgn_table3_paper.TABLE, hgn_table3.METHODS, set()),
    "iarn": (iarn_table2_paper.TABLE, iarn_table2.METHODS, {"NCF", FULL}),
    "criteo": (criteo_table4_paper.TABLE, criteo_paper.METHODS, set()),
}
tables = pytest.mark.parametrize(("table", "best_here", "partly"), TABLES.values(), ids=TABLES)


def by_name(table: PrintedTable) -> dict[str, Method]:
    return {one.name.removesuffix(f", {AS_PRINTED}"): one for one in table.methods if one.name.endswith(AS_PRINTED)}


@tables
def test_every_method_of_the_paper_is_there_with_its_figures(
    table: PrintedTable, best_here: Methods, partly: set[str]
) -> None:
    published = {name: method.published for name, method in by_name(table).items()}
    assert published == {method.name: method.published for method in best_here if method.published}
    simple = {method.name for method in table.methods} - {method.name for method in by_name(table).values()}
    assert simple
    assert simple <= {method.name for method in best_here if not method.published}


@tables
def test_nothing_departs_where_every_printed_value_is_tried(
    table: PrintedTable, best_here: Methods, partly: set[str]
) -> None:
    departs = {name: method.comparison.departs for name, method in by_name(table).items() if method.comparison}
    assert departs.keys() == by_name(table).keys()
    assert {name for name, settings in departs.items() if settings} == partly
    for name in partly:
        assert set(departs[name]) == {"lr", "weight_decay", "dropout"}


@tables
def test_epochs_are_chosen_on_validation(table: PrintedTable, best_here: Methods, partly: set[str]) -> None:
    for name, method in by_name(table).items():
        if method.epochs:
            assert method.comparison is not None
            assert "epochs" in method.comparison.open, name
            assert method.choose_epochs == (name != FULL), name  # too dear
            assert method.experiment.protocol == table.protocol, name
