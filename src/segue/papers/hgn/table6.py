"""HGN's Table 6, column CDs: how many items are read (|L|) and how many are to be ranked (|T|)."""

from __future__ import annotations

from segue.papers.hgn.common import ALIKE, RIVALS, run, table, variant
from segue.papers.reproduction import Reproduction
from segue.papers.run_cache import RunCache

METRICS = ("recall@5", "recall@10")
PAPER = {
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
        {"window": window, "targets": targets},
        paper=dict(zip(METRICS, printed, strict=True)),
    )
    for (window, targets), printed in PAPER.items()
)


def reproduce(*, runs: RunCache, quick: bool = False) -> Reproduction:
    """Nine trainings of HGN, and the simple rivals beside them."""
    lines = run([*RIVALS, *METHODS], runs, quick=quick)
    return table("HGN (KDD 2019), Table 6, Amazon-CDs", lines, METRICS, quick=quick, notes=[ALIKE])
