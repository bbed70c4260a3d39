"""IARN's Table 2 as the paper says, on its own log of Amazon Clothing: its methods with the settings that it prints.

On MovieLens 100K they are in `segue.papers.iarn.table2_paper_movielens`. Learning rate, weight of the penalty and
dropout are chosen on validation, from the printed values where their number allows it. The number of epochs is chosen
on validation as well. Best here is `segue.papers.iarn.table2`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from segue.experiments.experiment import Experiment
from segue.papers.iarn.common import CLOTHING_SETUP, METRICS, LogSetup
from segue.papers.iarn.printed import FULL
from segue.papers.iarn.table2 import EXTRA_BASELINES, UNSAID, methods_on, published_on
from segue.papers.methods import Method, printed_method, seeds_of
from segue.papers.printed import grid
from segue.papers.printed_table import PrintedTable
from segue.papers.reproduction import Reproduction
from segue.papers.run_cache import RunCache

PAIRS: Mapping[str, Any] = {
    "num_negatives": 15,
    "subsample_threshold": 1e-3,
    "sample_alpha": 0.75,
    "passes_per_epoch": 1,
    "batch_size": 4096,
    "epochs": 20,
}
IARN_SETTINGS: Mapping[str, Any] = {  # one of each printed grid, since an epoch takes minutes
    "weight_decay": 1e-5,
    "dropout": 0.25,
    "lr_decay_steps": 0,
    "epochs": 2,
}
IARN_NOTE = (
    f"An epoch of {FULL} takes minutes. So its number of epochs is not chosen on validation, and of the learning rate, "
    "the penalty and the dropout one printed value each was tried."
)


def methods_as_printed(setup: LogSetup, *, iarn_lr: float) -> tuple[Method, ...]:
    """The methods of the paper on a log, and baselines that need no training.

    Args:
        setup: the log and the settings for it.
        iarn_lr: the one learning rate that is tried with IARN.
    """
    printed, published, features = setup.printed.settings(), published_on(setup), setup.features

    def method(name: str, model: str, settings: Mapping[str, Any], monitor: str, **more: Any) -> Method:
        experiment = Experiment(
            model=model, protocol=setup.protocol, settings=settings, refit=True, patience=2, monitor=monitor
        )
        figures = setup.columns_of(published[name])
        return printed_method(name, experiment, printed[name], seeds=seeds_of(model), **figures, **more)

    return (
        *(one for one in methods_on(setup) if one.name in EXTRA_BASELINES),
        method(
            "MF", "mf", {"bias": True, "l2_bias": 5.0, "iterations": 20}, "rmse", trials=grid(l2=(1.0, 10.0, 100.0))
        ),
        method("BPR", "bprmf", {"item_bias": False, "optimizer": "adam", "batch_size": 1024, "epochs": 20}, "auc"),
        method(
            "TimeSVD++",
            "timesvd++",
            {"days_per_user": 2, "l2": 10.0, "l2_time": 50.0, "l2_day": 20.0, "batch_size": 4096, "epochs": 50},
            "rmse",
        ),
        method(
            "HieVH", "hievh", {**features, "l2": 20.0, "l2_feature": 20.0, "batch_size": 4096, "epochs": 50}, "rmse"
        ),
        method("Item2Vec", "item2vec", PAIRS, "auc"),
        method(
            "NCF",
            "neumf",
            {
                "mlp_embedding_dim": setup.printed.dim,
                "num_negatives": 4,
                "pretrain_epochs": 0,
                "batch_size": 1024,
                "epochs": 10,
            },
            "auc",
            trials=grid(lr=(1e-4, 1e-3, 1e-2), weight_decay=(1e-5, 1e-3), dropout=(0.0, 0.5)),
        ),
        method("MP2Vec", "mp2vec", {**PAIRS, **features, "epochs": 6}, "auc"),
        replace(iarn_as_printed(setup, FULL, lr=iarn_lr), **setup.columns_of(published[FULL])),
    )


def iarn_as_printed(setup: LogSetup, name: str, *, lr: float) -> Method:
    """IARN or a variant of it on a log, as the paper says, without published figures.

    Args:
        setup: the log and the settings for it.
        name: of the variant.
        lr: the one learning rate that is tried.
    """
    printed = setup.printed.settings()[name]
    encoder = printed["feature_encoder"]
    features = {} if encoder == "none" else {**setup.features, "feature_encoder": encoder}
    settings = {**features, "lr": lr, **IARN_SETTINGS}
    experiment = Experiment(model="iarn", protocol=setup.protocol, settings=settings, refit=True, patience=2)
    return printed_method(name, experiment, printed, trials=(), choose_epochs=False, seeds=setup.seeds)


METHODS = methods_as_printed(CLOTHING_SETUP, iarn_lr=1e-3)
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
