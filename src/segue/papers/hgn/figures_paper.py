"""HGN's Figures 5 and 8 as the paper says: the runs of its Table 3, and HGN with eight sizes of the embeddings.

See `segue.papers.hgn.table3_paper`. Best here is `segue.papers.hgn.figures`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from segue.papers.hgn import figures, table3_paper
from segue.papers.hgn.common import as_printed
from segue.papers.reproduction import Reproduction
from segue.papers.run_cache import RunCache

METHODS = (*table3_paper.METHODS, *map(as_printed, figures.VARIANTS))
TABLE = replace(
    table3_paper.TABLE,
    title="HGN (KDD 2019), Figures 5 and 8, Amazon-CDs, as the paper says",
    methods=METHODS,
    metrics=(),
    more_rows=figures.mean_rows,
    draw=figures.pictures,
    notes=(*figures.NOTES, "d=50 is HGN as in Table 3, with its three seeds. Each other size has one."),
)


def reproduce(*, runs: RunCache, quick: bool = False, methods: Sequence[str] = ()) -> Reproduction:
    """Train and test the named methods, by default all of them."""
    return TABLE.reproduce(runs=runs, quick=quick, methods=methods)
