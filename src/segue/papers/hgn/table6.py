"""HGN's Table 6, column CDs: the window |L| and the number of targets |T|."""

from __future__ import annotations

from segue.papers.hgn.common import EXTRA_BASELINES, TRAINING_NOTE, make_table, run_all, variant
from segue.papers.reproduction import Reproduction
from segue.papers.run_cache import RunCache

METRICS = ("recall@5", "recall@10")
_PAPER = {
    (3, 1): (0.0260, 0.0415),
    (3, 2): (0.0291, 0.0448),
    (3, 3): (0.0289, 0.0450),
    (5, 1): (0.0254, 0.0417),
    (5, 2): (0.0261, 0.0432),
    (5, 3): (0.0290, 0.0456),
    (8, 1): (0.0220, 0.0372),
    (8, 2): (0.0248, 0.0401),
    (8, 3): (0.0260, 0.0413),
}
METHODS = tuple(
    variant(
        f"HGN L={window} T={targets}",
        {"window": window, "num_targets": targets},
        published=dict(zip(METRICS, published, strict=True)),
    )
    for (window, targets), published in _PAPER.items()
)


def reproduce(*, runs: RunCache, quick: bool = False) -> Reproduction:
    """Nine variants of HGN, and the simple baselines."""
    results = run_all([*EXTRA_BASELINES, *METHODS], runs, quick=quick)
    return make_table("HGN (KDD 2019), Table 6, Amazon-CDs", results, METRICS, quick=quick, notes=[TRAINING_NOTE])
