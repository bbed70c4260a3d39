"""IARN's Figure 4 as the paper says, on its own log of Amazon Clothing: IARN of Table 2, and IARN without features.

See `segue.papers.iarn.table2_paper`. Best here, on MovieLens too, is `segue.papers.iarn.figure4`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

from segue.papers.iarn import figure4, table2_paper
from segue.papers.iarn.common import CLOTHING_SETUP, LogSetup
from segue.papers.iarn.printed import FULL, PLAIN
from segue.papers.methods import Method
from segue.papers.reproduction import Reproduction
from segue.papers.run_cache import RunCache


def methods_as_printed(setup: LogSetup) -> tuple[Method, ...]:
    """IARN without features and with them, each with the learning rate of Table 2 on Amazon Clothing."""
    return tuple(table2_paper.iarn_as_printed(setup, name, lr=1e-3) for name in (PLAIN, FULL))


METHODS = methods_as_printed(CLOTHING_SETUP)
TABLE = replace(
    table2_paper.TABLE,
    title="IARN (CIKM 2017), Figure 4, Amazon Clothing: with and without the feature encoder, as the paper says",
    methods=METHODS,
    draw=partial(figure4.pictures, log=CLOTHING_SETUP.title),
    notes=(figure4.NOTE, table2_paper.IARN_NOTE),
)


def reproduce(*, runs: RunCache, quick: bool = False, methods: Sequence[str] = ()) -> Reproduction:
    """Train and test the named methods, by default all of them."""
    return TABLE.reproduce(runs=runs, quick=quick, methods=methods)
