"""Criteo's Table 5: uplifts over the best baseline by the length of the session."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from segue.data.datasets import catalog
from segue.data.log import Mask
from segue.papers.criteo.common import (
    LOG,
    NETWORKS,
    NEXT_ITEM,
    best_baseline,
    common_notes,
    departures_of,
    run_on_yoochoose,
    uplift_of,
    uplift_rows,
    uplifted,
)
from segue.papers.methods import MethodResult, run_details
from segue.papers.printed import name_in_paper
from segue.papers.reproduction import Reproduction, Row
from segue.papers.run_cache import RunCache

METHODS = NETWORKS  # and the best baseline and the sequential rules

_LENGTHS = ((2, 5), (6, 25), (26, 200))
# name -> uplift in percent and half the width of its 95% interval, by length
_PUBLISHED: Mapping[str, tuple[tuple[float, float], ...]] = {
    "GRU": ((0.3, 1.6), (1.4, 1.9), (0.2, 7.3)),
    "GRU + RE": ((2.7, 1.6), (4.5, 2.0), (6.6, 7.7)),
    "GRU + LN": ((3.7, 1.5), (7.2, 1.7), (10.6, 9.0)),
    "GRU + RE + LN": ((4.0, 1.5), (7.5, 1.9), (11.0, 8.6)),
    "Stacked GRU + RE + LN": ((3.6, 1.6), (8.4, 1.9), (12.2, 8.7)),
    "HM-LSTM + RE + LN": ((3.0, 1.5), (6.2, 2.0), (9.4, 8.8)),
}
BEST_BASELINE = (0.671, 0.641, 0.575)  # published Recall@20 of the best baseline, by length


def reproduce(*, runs: RunCache, quick: bool = False) -> Reproduction:
    """The runs of Table 4, evaluated by the length of the session."""
    _, results = run_on_yoochoose(runs, quick=quick)
    base = best_baseline(results)
    to_show = uplifted(results)
    shown = [result for result in results if result is base or result in to_show]
    counts = [f"{name}: {int(instances.sum()):,}" for _, name, instances in _by_length(base)]
    return Reproduction(
        title="Criteo's study (2018), Table 5, YooChoose: here its last 1/64",
        rows=tuple(rows_by_length(shown, results)),
        notes=(
            *common_notes(quick),
            f"By the number of clicks of a session; evaluation instances: {'; '.join(counts)}. Uplifts are relative to "
            f"{base.method.name}. Their 95% intervals are bootstrapped over sessions; ± is half their width.",
        ),
        departures=departures_of(shown),
        details=run_details(results, LOG, quick=quick),
    )


def rows_by_length(results: Sequence[MethodResult], baselines: Sequence[MethodResult]) -> list[Row]:
    """The recall of each method by the length of the session, and its uplift over the best of the paper's baselines."""
    base = best_baseline(baselines)
    rows: list[Row] = []
    for index, name, instances in _by_length(base):
        for result in results:
            row, figure = result.row(NEXT_ITEM, instances), BEST_BASELINE[index] if result is base else None
            rows.append(replace(row, metric=f"recall@20, {name}", published=figure))
        for result in uplifted(results):
            uplift = uplift_of(result, base, NEXT_ITEM, instances)
            published = _PUBLISHED.get(name_in_paper(result.method.name))
            rows += uplift_rows(result, uplift, f"uplift {name}", published[index] if published else None)
    return rows


def _by_length(result: MethodResult) -> Iterator[tuple[int, str, Mask]]:
    """The number, the name and the evaluation instances of each range of lengths that has any."""
    length = catalog.load_log(LOG).lengths[result.runs[0].predictions.user]
    for index, (low, high) in enumerate(_LENGTHS):
        instances = (length >= low) & (length <= high)
        if instances.any():
            yield index, f"{low}–{high}", instances
