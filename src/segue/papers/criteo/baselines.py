"""Baselines that Criteo's tables omit, on the same evaluation instances of YooChoose 1/64.

They are NARM, STAMP, and a blend of sequential rules with a GRU. All networks are trained for 6 epochs on train and
validation together. The settings were chosen on validation with GRU + RE + LN: Recall@20 is .7038 and MRR@20 is .3147.
With the settings of the tables (5 epochs, a hidden_dropout of .25) they are .7000 and .3123. The weight of the blend is
chosen on validation as well.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from segue.data.datasets import catalog
from segue.papers.criteo.common import (
    LOG,
    NEXT_FIVE,
    NEXT_ITEM,
    PROTOCOL,
    PROTOCOL_NOTE,
    SHARED_SETTINGS,
    direct_experiment,
    gradient_experiment,
    method,
)
from segue.papers.methods import QUICK_EPOCHS, BlendedMethod, run_details, run_methods
from segue.papers.reproduction import Reproduction
from segue.papers.run_cache import RunCache

SIX_EPOCHS: Mapping[str, Any] = {
    **SHARED_SETTINGS,
    "epochs": 6,
    "window": 20,
    "batch_size": 256,
    "lr_decay_steps": 2720,
}
_RULES = method("Sequential rules", direct_experiment("seq-knn", "rules"))
_GRU = method("GRU + RE + LN", gradient_experiment("gru", "paper", {**SIX_EPOCHS, "hidden_dropout": 0.1}))
METHODS = (
    method("POP", direct_experiment("pop")),
    method("S-POP", direct_experiment("s-pop")),
    method("Item-KNN, cosine", direct_experiment("item-knn", "gru4rec")),
    _RULES,
    method("NARM", gradient_experiment("narm", "author", {**SIX_EPOCHS, "embedding_dim": 100})),
    method("STAMP", gradient_experiment("stamp", "author", SIX_EPOCHS)),
    _GRU,
    BlendedMethod(name="Sequential rules with GRU + RE + LN", parts=(_RULES, _GRU)),
)


def reproduce(*, runs: RunCache, quick: bool = False) -> Reproduction:
    """Train and test eight methods, one training each; two for the blend."""
    results = run_methods(METHODS, catalog.load_log(LOG), runs, epochs=QUICK_EPOCHS if quick else None)
    notes = [
        PROTOCOL.describe(),
        PROTOCOL_NOTE,
        "Networks have 6 epochs of a sampled softmax with 2,048 shared negatives per batch, on train and validation, "
        "and one seed. Their settings were chosen on validation with GRU + RE + LN.",
        f"Weight of the GRU in the blend, chosen on validation: {results[-1].selection.weight:g}.",
    ]
    if quick:
        notes.insert(0, f"QUICK: at most {QUICK_EPOCHS} epoch of each network.")
    return Reproduction(
        title="Baselines that Criteo's study (2018) omits, YooChoose 1/64",
        rows=tuple(result.row(metric) for result in results for metric in (NEXT_ITEM, NEXT_FIVE, "mrr@20,1")),
        notes=tuple(notes),
        details=run_details(results, LOG, quick=quick),
    )
