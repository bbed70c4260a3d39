"""HGN's Table 6 as the paper says: nine sizes of its window and targets, all else as for its Table 3.

The number of epochs of each is chosen on validation. Best here is `segue.papers.hgn.table6`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from segue.papers.hgn import table3_paper, table6
from segue.papers.hgn.common import EXTRA_BASELINES, as_printed
from segue.papers.reproduction import Reproduction
from segue.papers.run_cache import RunCache

METHODS = (*EXTRA_BASELINES, *map(as_printed, table6.METHODS))
TABLE = replace(
    table3_paper.TABLE,
    title="HGN (KDD 2019), Table 6, Amazon-CDs, as the paper says",
    methods=METHODS,
    metrics=table6.METRICS,
    notes=("L=5 T=3 is HGN as in Table 3, with its three seeds. Each other variant has one.",),
)


def reproduce(*, runs: RunCache, quick: bool = False, methods: Sequence[str] = ()) -> Reproduction:
    """Train and test the named methods, by default all of them."""
    return TABLE.reproduce(runs=runs, quick=quick, methods=methods)
