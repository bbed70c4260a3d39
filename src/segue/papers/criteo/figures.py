"""Criteo's Figures 1 to 3: how clicks fall on items and sessions, and Recall@20 of each of the next five items.

The paper draws Figure 3 for a log of its own, twenty steps ahead; here it is YooChoose, whose sessions are short, five.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from segue.data.log import Log
from segue.evaluation.metrics import at_step
from segue.evaluation.ranks import Ranks
from segue.papers.criteo.common import AHEAD, NETWORKS, about, baseline, run, told
from segue.papers.methods import Line
from segue.papers.reproduction import Picture, Reproduction, Row
from segue.papers.run_cache import RunCache

METHODS = NETWORKS  # beside the best baseline and the sequential rules

LONGEST = 30  # of the sessions drawn
SHARES = 50  # points of a curve


def reproduce(*, runs: RunCache, quick: bool = False) -> Reproduction:
    """The runs of Table 4, step by step."""
    log, lines = run(runs, quick=quick)
    base = baseline(lines)
    names = [base.method.name, "Sequential rules", *(method.name for method in NETWORKS)]
    shown = [line for line in lines if line.method.name in names]
    recall = {line.method.name: [_recall(line, step) for step in range(1, AHEAD + 1)] for line in shown}
    rows = [
        Row(method=name, metric=f"recall@20, step {step}", ours=(value,))
        for name, values in recall.items()
        for step, value in enumerate(values, 1)
    ]
    return Reproduction(
        title="Criteo's study (2018), Figures 1 to 3, YooChoose: here its last 1/64",
        rows=tuple(rows),
        notes=(
            *told(quick),
            f"Figure 3: each future step alone, of the questions whose session goes so far; uplift over "
            f"{base.method.name}. The paper has it for a log of its own.",
        ),
        pictures=(*_log(log), *_steps(recall, base.method.name)),
        details={key: value for key, value in about(lines, quick=quick).items() if key != "cpu_seconds"},
    )


def _recall(line: Line, step: int) -> float:
    ranks = line.runs[0].ranks
    assert isinstance(ranks, Ranks)
    return float(np.nanmean(at_step(ranks, 20, step)))


def _log(log: Log) -> tuple[Picture, Picture]:
    """Figures 1 and 2."""
    counts = np.sort(log.counts()[1:])[::-1]
    reached = np.cumsum(counts) / counts.sum()
    place = np.unique(np.geomspace(1, len(counts), SHARES).astype(int))
    items = [{"share of items": float(p / len(counts)), "share of clicks": float(reached[p - 1])} for p in place]
    sizes = np.bincount(log.lengths[1:], minlength=LONGEST + 1)
    lengths = [{"clicks": n, "sessions": int(sizes[n])} for n in range(2, LONGEST + 1)]
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


def _steps(recall: dict[str, list[float]], base: str) -> tuple[Picture, Picture]:
    """Figure 3: recall, and uplift over the best baseline."""

    def rows(measure: str, values: dict[str, Sequence[float]]) -> tuple[dict[str, Any], ...]:
        return tuple(
            {"steps ahead": step, measure: value, "method": name}
            for name, listed in values.items()
            for step, value in enumerate(listed, 1)
        )

    over = {
        name: [100 * (value / least - 1) for value, least in zip(values, recall[base], strict=True)]
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
            rows=rows("uplift, %", dict(over)),
            encoding={"x": "steps ahead", "y": "uplift, %", "by": "method", "title": f"Uplift over {base}"},
        ),
    )
