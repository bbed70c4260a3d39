"""HGN's Table 3 as the paper says: its seven methods with the settings that it prints, beside simple baselines.

What the paper leaves open is as in the sources of the methods, or in their authors' programs. The number of epochs is
chosen on validation. Best here is `segue.papers.hgn.table3`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from segue.papers.hgn.common import EXTRA_BASELINES, LOG, LOG_TITLE, OPEN_SETTINGS, PROTOCOL, gradient_experiment
from segue.papers.hgn.printed import PRINTED
from segue.papers.hgn.table3 import METRICS, PAPER, PUBLISHED_METRICS
from segue.papers.methods import SEEDS, Method, printed_method
from segue.papers.printed import grid
from segue.papers.printed_table import PrintedTable
from segue.papers.reproduction import Reproduction
from segue.papers.run_cache import RunCache

CASER: Mapping[str, Any] = {"dropout": 0.5, "weight_decay": 1e-6, "lr": 1e-3, "batch_size": 512, "num_negatives": 1}
SESSIONS: Mapping[str, Any] = {"dropout": 0.0, "item_bias": True}
GRU4REC: Mapping[str, Any] = {**SESSIONS, "hidden_dropout": 0.5, "momentum": 0.0}
GRU4REC_PLUS: Mapping[str, Any] = {
    **SESSIONS,
    "hidden_dropout": 0.2,
    "momentum": 0.2,
    "sample_alpha": 0.2,
    "bpreg": 0.5,
    "input_embedding": "tied",
}
SASREC: Mapping[str, Any] = {"dropout": 0.5, "lr": 1e-3, "activation": "relu", "ffn_dim": 0, "constant_lr_steps": 0}


def _method(
    name: str,
    model: str,
    settings: Mapping[str, Any],
    *,
    eval_every: int,
    patience: int = 3,
    **more: Any,
) -> Method:
    experiment = gradient_experiment(model, settings, eval_every=eval_every, patience=patience)
    published = dict(zip(PUBLISHED_METRICS, PAPER[name][0], strict=True))
    return printed_method(name, experiment, PRINTED[name], published=published, **more)


METHODS = (
    *EXTRA_BASELINES,
    _method(
        "BPRMF",
        "bprmf",
        {"epochs": 300},
        eval_every=20,
        trials=grid(lr=(0.05, 0.1), l2=(0.001, 0.01, 0.03)),
        seeds=SEEDS,
    ),
    _method("GRU4Rec", "gru4rec", {**GRU4REC, "epochs": 40}, eval_every=4),
    _method("GRU4Rec+", "gru4rec+", {**GRU4REC_PLUS, "epochs": 20}, eval_every=4),
    _method(
        "NextItNet", "nextitnet", {"coverage": "all", "dropout": 0.0, "item_bias": False, "epochs": 20}, eval_every=2
    ),
    _method("Caser", "caser", {**CASER, "epochs": 50}, eval_every=5),
    _method("SASRec", "sasrec", {**SASREC, "epochs": 200}, eval_every=10),
    _method("HGN", "hgn", OPEN_SETTINGS, eval_every=10, seeds=SEEDS),
)
TABLE = PrintedTable(
    title="HGN (KDD 2019), Table 3, Amazon-CDs, as the paper says",
    log=LOG,
    log_title=LOG_TITLE,
    protocol=PROTOCOL,
    methods=METHODS,
    metrics=(*METRICS, PUBLISHED_METRICS[1]),
    notes=(
        "What the paper leaves open is as in the sources of the methods, or in their authors' programs. The learning "
        "rate of BPRMF and the weight of its penalty are chosen on validation.",
        "The paper's NDCG@10 is ndcg-full@10: its ideal is ten targets, however few a user has.",
    ),
)


def reproduce(*, runs: RunCache, quick: bool = False, methods: Sequence[str] = ()) -> Reproduction:
    """Train and test the named methods, by default all of them."""
    return TABLE.reproduce(runs=runs, quick=quick, methods=methods)
