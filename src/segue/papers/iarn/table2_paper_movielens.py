"""IARN's Table 2 as the paper says, on MovieLens 100K: see `segue.papers.iarn.table2_paper`.

The paper's MovieLens is another release.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from segue.papers.iarn import table2_paper
from segue.papers.iarn.common import ML_100K
from segue.papers.reproduction import Reproduction
from segue.papers.run_cache import RunCache

IARN_LR = 1e-4  # .001 diverges within the first 2% of a pass
METHODS = table2_paper.methods_as_printed(ML_100K, iarn_lr=IARN_LR)
TABLE = replace(
    table2_paper.TABLE,
    title="IARN (CIKM 2017), Table 2, MovieLens: here MovieLens 100K, as the paper says",
    log=ML_100K.log,
    log_title=ML_100K.title,
    protocol=ML_100K.protocol,
    methods=METHODS,
    notes=("The published figures are of another release of MovieLens.", *table2_paper.TABLE.notes),
)


def reproduce(*, runs: RunCache, quick: bool = False, methods: Sequence[str] = ()) -> Reproduction:
    """Train and test the named methods, by default all of them."""
    return TABLE.reproduce(runs=runs, quick=quick, methods=methods)
