"""Criteo's Table 5 as the study says: the runs of its Table 4, evaluated by the length of the session.

See `segue.papers.criteo.table4_paper`. Best here is `segue.papers.criteo.table5`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from segue.papers.criteo import table4_paper
from segue.papers.criteo.common import PAPER_PROTOCOL_NOTE, RULES
from segue.papers.criteo.table5 import rows_by_length
from segue.papers.printed_table import BaselineRows
from segue.papers.reproduction import Reproduction
from segue.papers.run_cache import RunCache

METHODS = tuple(method for method in table4_paper.METHODS if method.printed is not None or method.name == RULES)
TABLE = replace(
    table4_paper.TABLE,
    title="Criteo's study (2018), Table 5, YooChoose: here its last 1/64, as the study says",
    methods=METHODS,
    metrics=(),
    beside_baselines=BaselineRows(
        baselines=table4_paper.BASELINES, methods=tuple(method.name for method in METHODS), make=rows_by_length
    ),
    notes=(
        PAPER_PROTOCOL_NOTE,
        f"By the number of clicks of a session. {table4_paper.UPLIFT_NOTE} The printed recall is beside this baseline.",
    ),
)


def reproduce(*, runs: RunCache, quick: bool = False, methods: Sequence[str] = ()) -> Reproduction:
    """Train and test the named methods, by default all of them."""
    return TABLE.reproduce(runs=runs, quick=quick, methods=methods)
