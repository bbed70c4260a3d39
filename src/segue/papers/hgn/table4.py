"""HGN's Table 4: what each part of the model is worth. The paper prints Comics and Books; the log here is CDs."""

from __future__ import annotations

from typing import Any

from segue.papers.hgn.common import ALIKE, RIVALS, run, table, variant
from segue.papers.reproduction import Reproduction
from segue.papers.run_cache import RunCache

METRICS = ("recall@10", "ndcg@10")
COLUMNS = ("Comics recall@10", "Comics ndcg@10", "Books recall@10", "Books ndcg@10")
PLAIN = {"item_item": False}
F = {**PLAIN, "instance_gate": False}
I = {**PLAIN, "feature_gate": False}
MAX = {"pooling": "max"}
ARCHITECTURES: dict[str, tuple[dict[str, Any], tuple[float, float, float, float]]] = {
    "(1) BPR": ({**PLAIN, "group": "none"}, (0.0911, 0.0802, 0.0310, 0.0177)),
    "(2) BPR+F+avg": (F, (0.1555, 0.1624, 0.0361, 0.0266)),
    "(3) BPR+F+max": (F | MAX, (0.1456, 0.1550, 0.0355, 0.0240)),
    "(4) BPR+I+avg": (I, (0.1538, 0.1591, 0.0351, 0.0254)),
    "(5) BPR+I+max": (I | MAX, (0.1489, 0.1585, 0.0329, 0.0241)),
    "(6) BPR+GRU": ({**PLAIN, "group": "gru"}, (0.1456, 0.1581, 0.0289, 0.0216)),
    "(7) BPR+CNN": ({**PLAIN, "group": "cnn"}, (0.1305, 0.1387, 0.0278, 0.0207)),
    "(8) BPR+F+I+avg": (PLAIN, (0.1635, 0.1791, 0.0391, 0.0250)),
    "(9) BPR+F+I+max": (PLAIN | MAX, (0.1569, 0.1658, 0.0355, 0.0234)),
    "(10) HGN": ({}, (0.1743, 0.1927, 0.0429, 0.0298)),
}
METHODS = tuple(
    variant(name, settings, elsewhere=dict(zip(COLUMNS, printed, strict=True)))
    for name, (settings, printed) in ARCHITECTURES.items()
)


def reproduce(*, runs: RunCache, quick: bool = False) -> Reproduction:
    """Ten trainings of HGN and of what is left of it, and the simple rivals beside them."""
    lines = run([*RIVALS, *METHODS], runs, quick=quick)
    notes = (
        "The paper prints this table for GoodReads-Comics and Amazon-Books; its figures stand here for orientation: "
        "they are of other logs.",
        ALIKE,
    )
    return table("HGN (KDD 2019), Table 4, here on Amazon-CDs", lines, METRICS, quick=quick, notes=notes)
