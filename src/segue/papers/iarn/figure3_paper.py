"""IARN's Figure 3 as the paper says, on MovieLens 100K: its backbones with the settings of IARN in Table 2.

See `segue.papers.iarn.table2_paper_movielens`. Best here, on MovieLens 1M too, is `segue.papers.iarn.figure3`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

from segue.papers.iarn import figure3, table2_paper, table2_paper_movielens
from segue.papers.iarn.common import ML_100K, LogSetup
from segue.papers.iarn.printed import BACKBONES
from segue.papers.methods import Method
from segue.papers.reproduction import Reproduction
from segue.papers.run_cache import RunCache


def methods_as_printed(setup: LogSetup) -> tuple[Method, ...]:
    """The backbones, with the learning rate that IARN has on MovieLens 100K."""
    lr = table2_paper_movielens.IARN_LR
    methods = (table2_paper.iarn_as_printed(setup, name, lr=lr) for name in BACKBONES)
    return tuple(replace(method, seeds=method.seeds[:1]) for method in methods)


METHODS = methods_as_printed(ML_100K)
TABLE = replace(
    table2_paper_movielens.TABLE,
    title="IARN (CIKM 2017), Figure 3, MovieLens 100K: the backbones, by the length of histories, as the paper says",
    methods=METHODS,
    metrics=(),
    more_rows=partial(figure3.length_rows, setup=ML_100K),
    draw=partial(figure3.pictures, setup=ML_100K),
    notes=(figure3.NOTE, "Each backbone was trained once.", table2_paper.IARN_NOTE),
)


def reproduce(*, runs: RunCache, quick: bool = False, methods: Sequence[str] = ()) -> Reproduction:
    """Train and test the named methods, by default all of them."""
    return TABLE.reproduce(runs=runs, quick=quick, methods=methods)
