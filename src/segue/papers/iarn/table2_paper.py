"""IARN's Table 2 as the paper says, on its own log of Amazon Clothing: its methods with the settings that it prints.

Learning rate, weight of the penalty and dropout are chosen on validation, from the printed values where their number
allows it. The number of epochs is chosen on validation as well. Best here is `segue.papers.iarn.table2`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from segue.experiments.experiment import Experiment
from segue.papers.iarn.common import CLOTHING_SETUP, METRICS
from segue.papers.iarn.printed import FULL
from segue.papers.iarn.table2 import CLOTHING_FIGURES, EXTRA_BASELINES, UNSAID
from segue.papers.iarn.table2 import METHODS as BEST_HERE
from segue.papers.methods import Method, printed_method
from segue.papers.printed import grid
from segue.papers.printed_table import PrintedTable
from segue.papers.reproduction import Reproduction
from segue.papers.run_cache import RunCache

FEATURES, PRINTED = CLOTHING_SETUP.features, CLOTHING_SETUP.printed.settings()
PAIRS: Mapping[str, Any] = {
    "num_negatives": 15,
    "subsample_threshold": 1e-3,
    "sample_alpha": 0.75,
    "passes_per_epoch": 1,
    "batch_size": 4096,
    "epochs": 20,
}
IARN_SETTINGS: Mapping[str, Any] = {  # one of each printed grid, since an epoch takes minutes
    "lr": 1e-3,
    "weight_decay": 1e-5,
    "dropout": 0.25,
    "lr_decay_steps": 0,
    "epochs": 2,
}
IARN_NOTE = (
    f"An epoch of {FULL} takes minutes. So its number of epochs is not chosen on validation, and of the learning rate, "
    "the penalty and the dropout one printed value each was tried."
)


def _method(name: str, model: str, settings: Mapping[str, Any], monitor: str, **more: Any) -> Method:
    experiment = Experiment(
        model=model, protocol=CLOTHING_SETUP.protocol, settings=settings, refit=True, patience=2, monitor=monitor
    )
    published = {
        metric: value for metric, value in zip(METRICS, CLOTHING_FIGURES[name], strict=True) if value is not None
    }
    return printed_method(name, experiment, PRINTED[name], published=published, **more)


METHODS = (
    *(method for method in BEST_HERE if method.name in EXTRA_BASELINES),
    _method("MF", "mf", {"bias": True, "l2_bias": 5.0, "iterations": 20}, "rmse", trials=grid(l2=(1.0, 10.0, 100.0))),
    _method(
        "BPR",
        "bprmf",
        {"item_bias": False, "optimizer": "adam", "batch_size": 1024, "epochs": 20},
        "auc",
    ),
    _method(
        "TimeSVD++",
        "timesvd++",
        {"days_per_user": 2, "l2": 10.0, "l2_time": 50.0, "l2_day": 20.0, "batch_size": 4096, "epochs": 50},
        "rmse",
    ),
    _method("HieVH", "hievh", {**FEATURES, "l2": 20.0, "l2_feature": 20.0, "batch_size": 4096, "epochs": 50}, "rmse"),
    _method("Item2Vec", "item2vec", PAIRS, "auc"),
    _method(
        "NCF",
        "neumf",
        {"mlp_embedding_dim": 50, "num_negatives": 4, "pretrain_epochs": 0, "batch_size": 1024, "epochs": 10},
        "auc",
        trials=grid(lr=(1e-4, 1e-3, 1e-2), weight_decay=(1e-5, 1e-3), dropout=(0.0, 0.5)),
    ),
    _method("MP2Vec", "mp2vec", {**PAIRS, **FEATURES, "epochs": 6}, "auc"),
    _method(
        FULL,
        "iarn",
        {**FEATURES, "feature_encoder": CLOTHING_SETUP.printed.encoder, **IARN_SETTINGS},
        "rmse",
        trials=(),
        choose_epochs=False,
    ),
)
TABLE = PrintedTable(
    title="IARN (CIKM 2017), Table 2, Amazon Clothing, as the paper says",
    log=CLOTHING_SETUP.log,
    log_title=CLOTHING_SETUP.title,
    protocol=CLOTHING_SETUP.protocol,
    methods=METHODS,
    metrics=METRICS,
    notes=(*UNSAID, IARN_NOTE),
)


def reproduce(*, runs: RunCache, quick: bool = False, methods: Sequence[str] = ()) -> Reproduction:
    """Train and test the named methods, by default all of them."""
    return TABLE.reproduce(runs=runs, quick=quick, methods=methods)
