"""Criteo's Table 4 as the study says: its methods with the settings of its Table 2, trained on the training part alone.

The study does not print the number of epochs: validation chooses it. HM-LSTM, the longest training, has one seed. A
network is run with the study's four baselines, over the best of which its uplifts are. Best here is
`segue.papers.criteo.table4`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from segue.experiments.experiment import Experiment
from segue.papers.criteo.common import (
    EXTRA_BASELINES,
    LOG,
    NEXT_FIVE,
    NEXT_ITEM,
    PAPER_BASELINES,
    PAPER_PROTOCOL_NOTE,
    PROTOCOL,
    TITLE,
    UPLIFTED,
)
from segue.papers.criteo.common import METHODS as BEST_HERE
from segue.papers.criteo.printed import PRINTED
from segue.papers.criteo.table4 import rows_of_uplifts
from segue.papers.methods import SEEDS, Method, printed_method, seeds_of
from segue.papers.printed import name_in_paper
from segue.papers.printed_table import BaselineRows, PrintedTable
from segue.papers.reproduction import Reproduction
from segue.papers.run_cache import RunCache

EPOCHS, PATIENCE = 10, 1  # the best epoch of a full softmax without dropout is an early one
_PUBLISHED = {method.name: method.published for method in BEST_HERE}


def _method(name: str, model: str, **settings: Any) -> Method:
    experiment = Experiment(model=model, protocol=PROTOCOL, settings=settings, monitor=NEXT_ITEM, patience=PATIENCE)
    return printed_method(name, experiment, PRINTED[name], published=_PUBLISHED[name], seeds=seeds_of(model))


def _names(of_paper: Iterable[str]) -> tuple[str, ...]:
    """The names here of methods of the study."""
    wanted = {*of_paper}
    return tuple(method.name for method in METHODS if name_in_paper(method.name) in wanted)


METHODS = (
    *(replace(method, experiment=replace(method.experiment, refit=False)) for method in EXTRA_BASELINES),
    _method("POP", "pop"),
    _method("Item-KNN", "item-knn", num_neighbours=100),
    *(_method(name, "coevent-mf", epochs=EPOCHS) for name in ("CoEvent MF", "CoEvent MF + RE")),
    *(
        _method(name, "gru", epochs=EPOCHS)
        for name in ("GRU", "GRU + RE", "GRU + LN", "GRU + RE + LN", "Stacked GRU + RE + LN")
    ),
    replace(_method("HM-LSTM + RE + LN", "hm-lstm", num_layers=2, epochs=EPOCHS), seeds=SEEDS[:1]),
)
BASELINES = _names(method.name for method in PAPER_BASELINES)
UPLIFT_NOTE = (
    "Uplifts are relative to the best of the study's four baselines. Their 95% intervals are bootstrapped over "
    "sessions; ± is half their width."
)
TABLE = PrintedTable(
    title="Criteo's study (2018), Table 4, YooChoose: here its last 1/64, as the study says",
    log=LOG,
    log_title=TITLE,
    protocol=PROTOCOL,
    methods=METHODS,
    metrics=(NEXT_ITEM, NEXT_FIVE, "mrr@20,1"),
    beside_baselines=BaselineRows(baselines=BASELINES, methods=_names(UPLIFTED), make=rows_of_uplifts),
    notes=(PAPER_PROTOCOL_NOTE, UPLIFT_NOTE),
)


def reproduce(*, runs: RunCache, quick: bool = False, methods: Sequence[str] = ()) -> Reproduction:
    """Train and test the named methods, by default all of them."""
    return TABLE.reproduce(runs=runs, quick=quick, methods=methods)
