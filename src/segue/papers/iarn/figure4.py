"""IARN's Figure 4: the error with and without the item feature encoder.

The paper reports a reduction of 1.19% with features, on average over its logs, and gives no figures for single logs.
"""

from __future__ import annotations

from collections.abc import Sequence

from segue.papers.departures import departures
from segue.papers.differences import correct_together, difference_sentences, paired_difference
from segue.papers.iarn.common import (
    LOG_SETUPS,
    LogSetup,
    log_notes,
    quick_note,
    run_details_by_log,
)
from segue.papers.iarn.printed import FULL, PLAIN
from segue.papers.methods import Method
from segue.papers.reproduction import Picture, Reproduction, Row
from segue.papers.run_cache import RunCache

NOTE = "The paper reports 1.19% less error with features, on average over its logs, without single figures."


def methods_on(setup: LogSetup) -> tuple[Method, ...]:
    """IARN without features and with them, as in Table 2."""
    experiments = {
        PLAIN: setup.iarn_experiment(),
        FULL: setup.iarn_experiment(feature_encoder="flat", **setup.features),
    }
    return tuple(setup.method(name, experiment, seeds=setup.seeds) for name, experiment in experiments.items())


METHODS = methods_on(LOG_SETUPS[0])  # the same for every log


def reproduce(*, runs: RunCache, quick: bool = False) -> Reproduction:
    """Train with and without the encoder."""
    results = {setup.title: setup.run(methods_on(setup), runs, quick=quick) for setup in LOG_SETUPS}
    rows = [row for setup in LOG_SETUPS for row in setup.rows(results[setup.title])]
    tests = correct_together(
        paired_difference(encoded, plain, part=title) for title, (plain, encoded) in results.items()
    )
    return Reproduction(
        title="IARN (CIKM 2017), Figure 4: with and without the feature encoder",
        rows=tuple(rows),
        notes=(
            *quick_note(quick),
            NOTE,
            *(note for setup in LOG_SETUPS for note in log_notes(setup, results[setup.title])),
            f"P-values are corrected for the {len(tests)} tests of this figure (Holm).",
            *difference_sentences(tests),
        ),
        departures=departures({title: [one.method for one in of_log] for title, of_log in results.items()}),
        pictures=pictures(rows),
        details={**run_details_by_log(results, quick=quick), "tests": tests},
    )


def pictures(rows: Sequence[Row], log: str = "") -> tuple[Picture, ...]:
    """The error of each method on each log.

    Args:
        rows: with any metrics.
        log: the title of the log of rows that are no part of a table of several.
    """
    bars = tuple(
        {"log": row.part or log, "RMSE": row.mean, "encoder": row.method} for row in rows if row.metric == "rmse"
    )
    encoding = {"x": "RMSE", "y": "log", "by": "encoder", "title": "With and without the feature encoder"}
    return (Picture(name="iarn-figure4", kind="bar", rows=bars, encoding=encoding),)
