"""Criteo's Figures 1 to 3: clicks by item and by session, and Recall@20 of each of the next five items.

The paper shows Figure 3 for an internal log and the next twenty items. Sessions of YooChoose are short; here it is the
next five items.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from segue.data.log import Log
from segue.evaluation.metrics import at_step
from segue.evaluation.ranks import Ranks
from segue.papers.criteo.common import (
    HORIZON,
    LOG,
    NETWORKS,
    best_baseline,
    common_notes,
    departures_of,
    run_on_yoochoose,
)
from segue.papers.methods import MethodResult, run_details
from segue.papers.reproduction import COSTS, Picture, Reproduction, Row
from segue.papers.run_cache import RunCache

METHODS = NETWORKS  # and the best baseline and the sequential rules

_MAX_LENGTH = 30  # of the sessions in Figure 2
NUM_POINTS = 50  # of a curve


def reproduce(*, runs: RunCache, quick: bool = False) -> Reproduction:
    """The runs of Table 4, evaluated for each future step."""
    log, results = run_on_yoochoose(runs, quick=quick)
    base = best_baseline(results)
    names = [base.method.name, "Sequential rules", *(method.name for method in NETWORKS)]
    shown = [result for result in results if result.method.name in names]
    recall = {result.method.name: [_recall(result, step) for step in range(1, HORIZON + 1)] for result in shown}
    rows = [
        Row(method=name, metric=f"recall@20, step {step}", measured=(value,))
        for name, values in recall.items()
        for step, value in enumerate(values, 1)
    ]
    return Reproduction(
        title="Criteo's study (2018), Figures 1 to 3, YooChoose: here its last 1/64",
        rows=tuple(rows),
        notes=(
            *common_notes(quick),
            "Figure 3: each future step by itself, for the evaluation instances whose session is long enough; uplift "
            f"over {base.method.name}. The paper shows it for an internal log.",
        ),
        pictures=(*_log_pictures(log), *_step_pictures(recall, base.method.name)),
        departures=departures_of(shown),
        details={key: value for key, value in run_details(results, LOG, quick=quick).items() if key not in COSTS},
    )


def _recall(result: MethodResult, step: int) -> float:
    """Recall@20 of the item `step` steps ahead, averaged over seeds."""
    ranks = [Ranks.expect(run.predictions, "the figures need ranks") for run in result.runs]
    return float(np.mean([np.nanmean(at_step(of_seed, 20, step)) for of_seed in ranks]))


def _log_pictures(log: Log) -> tuple[Picture, Picture]:
    """Figures 1 and 2."""
    counts = np.sort(log.counts()[1:])[::-1]
    cumulative = np.cumsum(counts) / counts.sum()
    positions = np.unique(np.geomspace(1, len(counts), NUM_POINTS).astype(int))
    items = [{"share of items": float(p / len(counts)), "share of clicks": float(cumulative[p - 1])} for p in positions]
    sizes = np.bincount(log.lengths[1:], minlength=_MAX_LENGTH + 1)
    lengths = [{"clicks": n, "sessions": int(sizes[n])} for n in range(2, _MAX_LENGTH + 1)]
    return (
        Picture(
            name="criteo-figure1",
            kind="line",
            rows=tuple(items),
            encoding={
                "x": "share of items",
                "y": "share of clicks",
                "log": "x",
                "title": "YooChoose 1/64: clicks by item, the most clicked first",
            },
        ),
        Picture(
            name="criteo-figure2",
            kind="line",
            rows=tuple(lengths),
            encoding={"x": "clicks", "y": "sessions", "title": "YooChoose 1/64: sessions by length"},
        ),
    )


def _step_pictures(recall: dict[str, list[float]], base: str) -> tuple[Picture, Picture]:
    """Figure 3: recall and uplift over the best baseline, by future step."""

    def rows(measure: str, values: dict[str, Sequence[float]]) -> tuple[dict[str, Any], ...]:
        return tuple(
            {"steps ahead": step, measure: value, "method": name}
            for name, listed in values.items()
            for step, value in enumerate(listed, 1)
        )

    uplifts = {
        name: [100 * (value / base_value - 1) for value, base_value in zip(values, recall[base], strict=True)]
        for name, values in recall.items()
        if name != base
    }
    return (
        Picture(
            name="criteo-figure3-recall",
            kind="line",
            rows=rows("recall@20", dict(recall)),
            encoding={"x": "steps ahead", "y": "recall@20", "by": "method", "title": "Recall@20 on future steps"},
        ),
        Picture(
            name="criteo-figure3-uplift",
            kind="line",
            rows=rows("uplift, %", dict(uplifts)),
            encoding={"x": "steps ahead", "y": "uplift, %", "by": "method", "title": f"Uplift over {base}"},
        ),
    )
