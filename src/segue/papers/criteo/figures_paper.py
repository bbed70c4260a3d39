"""Criteo's Figure 3 as the study says: the runs of its Table 4, evaluated for each future step.

See `segue.papers.criteo.table4_paper`. Best here is `segue.papers.criteo.figures`, where Figures 1 and 2 are too: they
show the log alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from segue.papers.criteo import table4_paper, table5_paper
from segue.papers.criteo.common import PAPER_PROTOCOL_NOTE
from segue.papers.criteo.figures import STEPS_NOTE, step_pictures, step_rows
from segue.papers.reproduction import Reproduction
from segue.papers.run_cache import RunCache

METHODS = table5_paper.METHODS
TABLE = replace(
    table4_paper.TABLE,
    title="Criteo's study (2018), Figure 3, YooChoose: here its last 1/64, as the study says",
    methods=METHODS,
    metrics=(),
    more_rows=step_rows,
    beside_baselines=None,
    draw=step_pictures,
    notes=(
        PAPER_PROTOCOL_NOTE,
        f"{STEPS_NOTE}. Uplifts are over the best of the study's baselines that the table has. The study shows it for "
        "an internal log.",
    ),
)


def reproduce(*, runs: RunCache, quick: bool = False, methods: Sequence[str] = ()) -> Reproduction:
    """Train and test the named methods, by default all of them."""
    return TABLE.reproduce(runs=runs, quick=quick, methods=methods)
