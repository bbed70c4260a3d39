"""IARN's Figure 3: the error of its backbones by the minimal length of both histories.

The paper filters its logs by the length of histories before training. Here each backbone is trained once. The error is
measured on the test ratings whose user and item both have at least that many ratings before the date of the split.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from segue.papers.departures import departures
from segue.papers.differences import correct_together, difference_sentences, paired_difference
from segue.papers.iarn.common import (
    ML_1M,
    ML_100K,
    LogSetup,
    log_notes,
    quick_note,
    run_details_by_log,
    shorter_history_lengths,
)
from segue.papers.iarn.printed import BACKBONES
from segue.papers.methods import Method, MethodResult
from segue.papers.reproduction import Picture, Reproduction, Row
from segue.papers.run_cache import RunCache

_LENGTHS = (3, 10, 20, 30, 50, 100)
_FROM_LENGTH = "rmse, {} or more"
MIN_RATINGS = 100  # for which an error is reported
MOVIELENS_SETUPS = (ML_100K, ML_1M)
NOTE = (
    "RMSE of the test ratings whose user and item both have at least so many ratings before the date of the split; all "
    "from the same trainings. The paper draws its figures, and prints that IARN-Plain has 2.54% less error than the "
    "second best from 50 ratings on, and 11.65% less from 100 on, on average. It filters its logs before training."
)


def methods_on(setup: LogSetup) -> tuple[Method, ...]:
    """The backbones, with all other settings equal."""
    experiments = {name: setup.iarn_experiment(backbone=backbone) for name, backbone in BACKBONES.items()}
    return tuple(setup.method(name, experiment, seeds=setup.seeds) for name, experiment in experiments.items())


METHODS = methods_on(ML_100K)


def reproduce(*, runs: RunCache, quick: bool = False) -> Reproduction:
    """Train every backbone, and measure its error by the length of histories."""
    results = {setup.title: setup.run(methods_on(setup), runs, quick=quick) for setup in MOVIELENS_SETUPS}
    rows = [
        replace(row, part=setup.title)
        for setup in MOVIELENS_SETUPS
        for result in results[setup.title]
        for row in length_rows(result, setup)
    ]
    tests = correct_together(
        paired_difference(of_log[-1], other, part=title) for title, of_log in results.items() for other in of_log[:-1]
    )
    return Reproduction(
        title="IARN (CIKM 2017), Figure 3: the backbones, by the length of histories",
        rows=tuple(rows),
        notes=(
            *quick_note(quick),
            NOTE,
            *(note for setup in MOVIELENS_SETUPS for note in log_notes(setup, results[setup.title])),
            f"P-values are corrected for the {len(tests)} tests of this figure (Holm).",
            *difference_sentences(tests),
        ),
        departures=departures({title: [one.method for one in of_log] for title, of_log in results.items()}),
        pictures=tuple(
            picture
            for setup in MOVIELENS_SETUPS
            for picture in pictures([row for row in rows if row.part == setup.title], setup)
        ),
        details={**run_details_by_log(results, quick=quick), "tests": tests},
    )


def length_rows(result: MethodResult, setup: LogSetup) -> list[Row]:
    """The RMSE by the minimal length of both histories; lengths with few ratings are left out."""
    shortest = shorter_history_lengths(setup)
    reported = [minimum for minimum in _LENGTHS if (shortest >= minimum).sum() >= MIN_RATINGS]
    return [
        replace(result.row("rmse", shortest >= minimum), metric=_FROM_LENGTH.format(minimum)) for minimum in reported
    ]


def pictures(rows: Sequence[Row], setup: LogSetup) -> tuple[Picture, ...]:
    """The error of each backbone on a log by the minimal length of histories."""
    lengths = {_FROM_LENGTH.format(minimum): minimum for minimum in _LENGTHS}
    points = tuple(
        {"minimal history length": lengths[row.metric], "RMSE": row.mean, "backbone": row.method}
        for row in rows
        if row.metric in lengths
    )
    encoding = {"x": "minimal history length", "y": "RMSE", "by": "backbone", "title": f"Backbones, {setup.title}"}
    return (Picture(name=f"iarn-figure3-{setup.log}", kind="line", rows=points, encoding=encoding),)
