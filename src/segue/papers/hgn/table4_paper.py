"""HGN's Table 4 as the paper says, but on Amazon-CDs: ten architectures, all else as for its Table 3.

The number of epochs of each is chosen on validation. Best here is `segue.papers.hgn.table4`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from segue.papers.hgn import table3_paper, table4
from segue.papers.hgn.common import EXTRA_BASELINES, as_printed
from segue.papers.reproduction import Reproduction
from segue.papers.run_cache import RunCache

METHODS = (*EXTRA_BASELINES, *map(as_printed, table4.METHODS))
TABLE = replace(
    table3_paper.TABLE,
    title="HGN (KDD 2019), Table 4, here on Amazon-CDs, as the paper says",
    methods=METHODS,
    metrics=table4.METRICS,
    notes=(table4.OTHER_LOGS_NOTE, "HGN itself has the three seeds of Table 3, each variant one."),
)


def reproduce(*, runs: RunCache, quick: bool = False, methods: Sequence[str] = ()) -> Reproduction:
    """Train and test the named methods, by default all of them."""
    return TABLE.reproduce(runs=runs, quick=quick, methods=methods)
