"""Criteo's Table 4 as the study says: its methods with the settings of its Table 2, trained on the training part alone.

The study does not print the number of epochs: validation chooses it. Best here is `segue.papers.criteo.table4`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from segue.experiments.experiment import Experiment
from segue.papers.criteo.common import EXTRA_BASELINES, LOG, NEXT_FIVE, NEXT_ITEM, PAPER_PROTOCOL_NOTE, PROTOCOL, TITLE
from segue.papers.criteo.common import METHODS as BEST_HERE
from segue.papers.criteo.printed import PRINTED
from segue.papers.methods import Method, printed_method
from segue.papers.printed_table import PrintedTable
from segue.papers.reproduction import Reproduction
from segue.papers.run_cache import RunCache

EPOCHS, PATIENCE = 10, 1  # the best epoch of a full softmax without dropout is an early one
_PUBLISHED = {method.name: method.published for method in BEST_HERE}


def _method(name: str, model: str, **settings: Any) -> Method:
    experiment = Experiment(model=model, protocol=PROTOCOL, settings=settings, monitor=NEXT_ITEM, patience=PATIENCE)
    return printed_method(name, experiment, PRINTED[name], published=_PUBLISHED[name])


METHODS = (
    *(replace(method, experiment=replace(method.experiment, refit=False)) for method in EXTRA_BASELINES),
    _method("POP", "pop"),
    _method("Item-KNN", "item-knn", num_neighbours=100),
    *(_method(name, "coevent-mf", epochs=EPOCHS) for name in ("CoEvent MF", "CoEvent MF + RE")),
    *(
        _method(name, "gru", epochs=EPOCHS)
        for name in ("GRU", "GRU + RE", "GRU + LN", "GRU + RE + LN", "Stacked GRU + RE + LN")
    ),
    _method("HM-LSTM + RE + LN", "hm-lstm", num_layers=2, epochs=EPOCHS),
)
TABLE = PrintedTable(
    title="Criteo's study (2018), Table 4, YooChoose: here its last 1/64, as the study says",
    log=LOG,
    log_title=TITLE,
    protocol=PROTOCOL,
    methods=METHODS,
    metrics=(NEXT_ITEM, NEXT_FIVE, "mrr@20,1"),
    notes=(PAPER_PROTOCOL_NOTE,),
)


def reproduce(*, runs: RunCache, quick: bool = False, methods: Sequence[str] = ()) -> Reproduction:
    """Train and test the named methods, by default all of them."""
    return TABLE.reproduce(runs=runs, quick=quick, methods=methods)
