"""HGN's Table 4: an ablation of the model.

The paper reports GoodReads-Comics and Amazon-Books; here it is Amazon-CDs.
"""

from __future__ import annotations

from typing import Any

from segue.papers.hgn.common import EXTRA_BASELINES, TRAINING_NOTE, make_table, run_all, variant
from segue.papers.reproduction import Reproduction
from segue.papers.run_cache import RunCache

METRICS = ("recall@10", "ndcg@10")
OTHER_LOGS_NOTE = (
    "The paper reports this table for GoodReads-Comics and Amazon-Books. Its figures are shown for orientation: "
    "they are of other logs."
)
OTHER_LOG_COLUMNS = ("Comics recall@10", "Comics ndcg-full@10", "Books recall@10", "Books ndcg-full@10")
WITHOUT_ITEM_ITEM = {"item_item_product": False}
FEATURE_GATE_ONLY = {**WITHOUT_ITEM_ITEM, "instance_gate": False}
INSTANCE_GATE_ONLY = {**WITHOUT_ITEM_ITEM, "feature_gate": False}
MAX_POOLING = {"pooling": "max"}
ARCHITECTURES: dict[str, tuple[dict[str, Any], tuple[float, float, float, float]]] = {
    "(1) BPR": ({**WITHOUT_ITEM_ITEM, "window_encoder": "none"}, (0.0911, 0.0802, 0.0310, 0.0177)),
    "(2) BPR+F+avg": (FEATURE_GATE_ONLY, (0.1555, 0.1624, 0.0361, 0.0266)),
    "(3) BPR+F+max": (FEATURE_GATE_ONLY | MAX_POOLING, (0.1456, 0.1550, 0.0355, 0.0240)),
    "(4) BPR+I+avg": (INSTANCE_GATE_ONLY, (0.1538, 0.1591, 0.0351, 0.0254)),
    "(5) BPR+I+max": (INSTANCE_GATE_ONLY | MAX_POOLING, (0.1489, 0.1585, 0.0329, 0.0241)),
    "(6) BPR+GRU": ({**WITHOUT_ITEM_ITEM, "window_encoder": "gru"}, (0.1456, 0.1581, 0.0289, 0.0216)),
    "(7) BPR+CNN": ({**WITHOUT_ITEM_ITEM, "window_encoder": "cnn"}, (0.1305, 0.1387, 0.0278, 0.0207)),
    "(8) BPR+F+I+avg": (WITHOUT_ITEM_ITEM, (0.1635, 0.1791, 0.0391, 0.0250)),
    "(9) BPR+F+I+max": (WITHOUT_ITEM_ITEM | MAX_POOLING, (0.1569, 0.1658, 0.0355, 0.0234)),
    "(10) HGN": ({}, (0.1743, 0.1927, 0.0429, 0.0298)),
}
METHODS = tuple(
    variant(name, settings, other_logs=dict(zip(OTHER_LOG_COLUMNS, published, strict=True)))
    for name, (settings, published) in ARCHITECTURES.items()
)


def reproduce(*, runs: RunCache, quick: bool = False) -> Reproduction:
    """Ten variants of HGN, and the simple baselines."""
    results = run_all([*EXTRA_BASELINES, *METHODS], runs, quick=quick)
    notes = (OTHER_LOGS_NOTE, TRAINING_NOTE)
    return make_table("HGN (KDD 2019), Table 4, here on Amazon-CDs", results, METRICS, quick=quick, notes=notes)
