"""What Criteo's tables leave out, on the same questions of YooChoose 1/64: NARM, STAMP, and a blend with counting.

All are trained alike, 6 epochs, on train and validation; the settings were chosen on validation with the GRU + RE + LN,
which has Recall@20 = .7038 and MRR@20 = .3147 there, where those of the tables (5 epochs, a hidden_dropout of .25) have
.7000 and .3123. The weight of the blend is chosen on validation too.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from segue.data.datasets import catalog
from segue.papers.criteo.common import ALIKE, LATER, NEXT, PROTOCOL, QUICK, about, counted, method, network
from segue.papers.methods import Blended, carry_out
from segue.papers.reproduction import Reproduction
from segue.papers.run_cache import RunCache

LONGER: Mapping[str, Any] = {**ALIKE, "epochs": 6, "window": 20, "batch_size": 256, "lr_decay_steps": 2720}
RULES = method("Sequential rules", counted("seq-knn", "rules"))
GRU = method("GRU + RE + LN", network("gru", "paper", {**LONGER, "hidden_dropout": 0.1}))
METHODS = (
    method("POP", counted("pop")),
    method("S-POP", counted("s-pop")),
    method("Item-KNN, cosine", counted("item-knn", "gru4rec")),
    RULES,
    method("NARM", network("narm", "author", {**LONGER, "embedding_dim": 100})),
    method("STAMP", network("stamp", "author", LONGER)),
    GRU,
    Blended(name="Sequential rules with GRU + RE + LN", parts=(RULES, GRU)),
)


def reproduce(*, runs: RunCache, quick: bool = False) -> Reproduction:
    """Eight methods, one training each; two for the blend."""
    lines = carry_out(METHODS, catalog.load("yoochoose-64"), runs, epochs=QUICK if quick else None)
    notes = [
        PROTOCOL.describe(),
        "Networks have 6 epochs of a softmax over 2,048 items drawn for each batch, on train and validation, one seed; "
        "their settings were chosen on validation with the GRU + RE + LN.",
        f"Share of the GRU in the blend, chosen on validation: {lines[-1].choice.weight:g}.",
    ]
    if quick:
        notes.insert(0, f"QUICK: at most {QUICK} epoch of each network.")
    return Reproduction(
        title="What Criteo's study (2018) leaves out, YooChoose 1/64",
        rows=tuple(line.row(metric) for line in lines for metric in (NEXT, LATER, "mrr@20,1")),
        notes=tuple(notes),
        details=about(lines, quick=quick),
    )
