"""Criteo's Figures 1 to 3: clicks by item and by session, and Recall@20 of each of the next five items.

The paper shows Figure 3 for an internal log and the next twenty items. Sessions of YooChoose are short; here it is the
next five items.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from segue.data.log import Log
from segue.evaluation.metrics import at_step
from segue.evaluation.ranks import Ranks
from segue.papers.criteo.common import (
    HORIZON,
    LOG,
    NETWORKS,
    PAPER_BASELINES,
    RULES,
    UPLIFTED,
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
STEPS_NOTE = "Figure 3: each future step by itself, for the evaluation instances whose session is long enough"
_METRICS = tuple(f"recall@20, step {step}" for step in range(1, HORIZON + 1))


def reproduce(*, runs: RunCache, quick: bool = False) -> Reproduction:
    """The runs of Table 4, evaluated for each future step."""
    log, results = run_on_yoochoose(runs, quick=quick)
    base = best_baseline(results)
    names = [base.method.name, RULES, *(method.name for method in NETWORKS)]
    shown = [result for result in results if result.method.name in names]
    rows = [row for result in shown for row in step_rows(result)]
    return Reproduction(
        title="Criteo's study (2018), Figures 1 to 3, YooChoose: here its last 1/64",
        rows=tuple(rows),
        notes=(
            *common_notes(quick),
            f"{STEPS_NOTE}; uplift over {base.method.name}. The paper shows it for an internal log.",
        ),
        pictures=(*_log_pictures(log), *step_pictures(rows)),
        departures=departures_of(shown),
        details={key: value for key, value in run_details(results, LOG, quick=quick).items() if key not in COSTS},
    )


def step_rows(result: MethodResult) -> list[Row]:
    """Recall@20 of the item that is 1, 2, ... steps ahead, averaged over seeds."""
    ranks = [Ranks.expect(run.predictions, "the figures need ranks") for run in result.runs]
    return [
        Row(
            method=result.method.name,
            metric=metric,
            measured=(float(np.mean([np.nanmean(at_step(of_seed, 20, step)) for of_seed in ranks])),),
        )
        for step, metric in enumerate(_METRICS, 1)
    ]


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


def step_pictures(rows: Sequence[Row]) -> tuple[Picture, ...]:
    """Figure 3: recall by future step, and the uplift over the best of the study's baselines, if the rows have one."""
    recall = {row.method: dict[int, float]() for row in rows}
    for row in rows:
        if row.metric in _METRICS:
            recall[row.method][_METRICS.index(row.metric) + 1] = row.mean
    baselines = [method.name for method in PAPER_BASELINES if method.name in recall]
    base = max(baselines, key=lambda name: recall[name][1], default="")
    shown = {name: values for name, values in recall.items() if name in (base, *UPLIFTED)}
    uplifts = {
        name: {step: 100 * (value / recall[base][step] - 1) for step, value in values.items()}
        for name, values in shown.items()
        if base not in ("", name)
    }
    return (
        _step_picture("criteo-figure3-recall", "recall@20", shown, "Recall@20 on future steps"),
        _step_picture("criteo-figure3-uplift", "uplift, %", uplifts, f"Uplift over {base}"),
    )


def _step_picture(name: str, measure: str, values: Mapping[str, Mapping[int, float]], title: str) -> Picture:
    """A measure of each method by future step."""
    rows: list[dict[str, Any]] = [
        {"steps ahead": step, measure: value, "method": method}
        for method, by_step in values.items()
        for step, value in by_step.items()
    ]
    encoding = {"x": "steps ahead", "y": measure, "by": "method", "title": title}
    return Picture(name=name, kind="line", rows=tuple(rows), encoding=encoding)
