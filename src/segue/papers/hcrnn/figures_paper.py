"""What HCRNN's paper measures on CiteULike, and its Figure 6 there, as the paper says: contexts, gates and attention.

HCRNN-3 + Bi and NARM are trained once, as in `segue.papers.hcrnn.table3_paper`. Best here, with the genres of
MovieLens, is `segue.papers.hcrnn.figures`: it has `hcrnn-running`, whose theta changes with each step. Here theta is
that of the whole sequence.
"""

from __future__ import annotations

from dataclasses import replace

from segue.experiments.experiment import Experiment
from segue.papers.hcrnn import figures, table3_paper
from segue.papers.hcrnn.common import BEST_VARIANT
from segue.papers.methods import QUICK_EPOCHS
from segue.papers.printed import AS_PRINTED, name_in_paper
from segue.papers.printed_table import picture_as_printed
from segue.papers.reproduction import Reproduction
from segue.papers.run_cache import RunCache

TITLE = "CiteULike"
METHODS = {f"{name}, {AS_PRINTED}": published for name, published in figures.METHODS.items()}
TRAINED = {"HCRNN": BEST_VARIANT, "NARM": "NARM"}  # as what they are shown, and the methods of Table 3
_NOTES = (
    "HCRNN is HCRNN-3 + Bi. It and NARM have the settings of Table 3 as the paper says, which lists what departs from "
    "the paper and what is open. Both were trained once. Gates are recorded for the whole sequences of the test users, "
    "and theta of a sequence is that of all its items.",
    figures.CHANGE_NOTE,
    figures.ATTENTION_NOTE,
)


def experiments(*, quick: bool) -> dict[str, Experiment]:
    """The experiments of both models in Table 3, with the cut-offs of the figures."""
    in_table = {name_in_paper(method.name): method.experiment for method in table3_paper.METHODS}
    found = {name: replace(in_table[method], protocol=figures.PROTOCOL) for name, method in TRAINED.items()}
    if not quick:
        return found
    return {name: replace(one, settings={**one.settings, "epochs": QUICK_EPOCHS}) for name, one in found.items()}


def reproduce(*, runs: RunCache, quick: bool = False) -> Reproduction:
    """Train both models on CiteULike and measure their contexts, gates and attention step by step."""
    analysis = figures.analyse(TITLE, experiments(quick=quick), runs)
    rows = (
        *figures.accuracy_rows(analysis),
        *figures.mean_rows(analysis),
        *figures.newest_rows(analysis),
    )
    return Reproduction(
        title="HCRNN (AAAI 2019), Figure 6 and the changes of contexts, CiteULike, as the paper says",
        rows=tuple(replace(row, method=f"{row.method}, {AS_PRINTED}") for row in rows),
        notes=(*figures.quick_note(quick), *_NOTES, figures.training_note(analysis)),
        pictures=(picture_as_printed(figures.attention_picture(analysis)),),
        details={"quick": quick, "log": figures.LOGS[TITLE], "runs": {TITLE: figures.run_details(analysis)}},
    )
