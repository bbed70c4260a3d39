"""HCRNN's Table 3 as the paper says, on MovieLens: see `segue.papers.hcrnn.table3_paper`.

The tested models are trained on train and validation. The paper does not say so, but the printed figures of POP are
those of counting both.
HCRNN-3 + Bi also has a line in the form of the authors' program, with the settings of `segue.papers.hcrnn.table3`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from segue.papers.hcrnn import table3_paper
from segue.papers.hcrnn.common import BEST_VARIANT, METHOD_SPECS, PROTOCOL
from segue.papers.methods import SEEDS
from segue.papers.printed import RELEASED
from segue.papers.reproduction import Reproduction
from segue.papers.run_cache import RunCache

LOG = "hcrnn-movielens"
_PROGRAM = METHOD_SPECS[BEST_VARIANT].method(f"{BEST_VARIANT}, {RELEASED}", LOG, PROTOCOL, SEEDS[:1])
METHODS = (
    *(replace(method, seeds=SEEDS[:1]) for method in table3_paper.methods_as_printed(LOG, refit=True)),
    replace(_PROGRAM, experiment=replace(_PROGRAM.experiment, refit=True)),
)
TABLE = replace(
    table3_paper.TABLE,
    title="HCRNN (AAAI 2019), Table 3, MovieLens, reconstructed, as the paper says",
    log=LOG,
    log_title="MovieLens",
    methods=METHODS,
    notes=(
        table3_paper.BATCH_NOTE,
        "Tested models are trained on train and validation: the printed figures of POP are those of counting both.",
    ),
)


def reproduce(*, runs: RunCache, quick: bool = False, methods: Sequence[str] = ()) -> Reproduction:
    """Train and test the named methods, by default all of them."""
    return TABLE.reproduce(runs=runs, quick=quick, methods=methods)
