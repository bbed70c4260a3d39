"""Criteo's Table 4: the next item and the next five items; uplifts over the best of the paper's baselines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from segue.papers.criteo.common import (
    LOG,
    METHODS,
    NEXT_FIVE,
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

__all__ = ["METHODS", "reproduce"]

UPLIFT_NEXT_ITEM = "uplift N=1"
UPLIFT_NEXT_FIVE = "uplift N=5"
# name -> uplift in percent and half the width of its 95% interval, for N = 1 and N = 5
PUBLISHED = {
    "GRU": ((1.1, 1.4), (3.6, 3.0)),
    "GRU + RE": ((4.3, 1.2), (7.6, 3.2)),
    "GRU + LN": ((6.2, 1.3), (9.6, 3.2)),
    "GRU + RE + LN": ((6.5, 1.3), (10.3, 3.4)),
    "Stacked GRU + RE + LN": ((6.8, 1.3), (10.7, 3.4)),
    "HM-LSTM + RE + LN": ((5.4, 1.4), (9.4, 3.6)),
}
# pairs: the first method is worse than the second
ORDER = (
    ("POP", "Item-KNN"),
    ("Item-KNN", "CoEvent MF"),
    ("CoEvent MF", "GRU"),
    ("GRU", "GRU + RE"),
    ("GRU", "GRU + LN"),
    ("GRU + RE", "GRU + RE + LN"),
    ("GRU + LN", "GRU + RE + LN"),
    ("GRU + RE + LN", "Stacked GRU + RE + LN"),
)


def reproduce(*, runs: RunCache, quick: bool = False) -> Reproduction:
    """Train and test twelve methods, one training each."""
    _, results = run_on_yoochoose(runs, quick=quick)
    rows: list[Row] = [result.row(metric) for result in results for metric in (NEXT_ITEM, NEXT_FIVE, "mrr@20,1")]
    rows += rows_of_uplifts(results, results)
    means = {result.method.name: float(result.values(NEXT_ITEM).mean()) for result in results}
    return Reproduction(
        title="Criteo's study (2018), Table 4, YooChoose: here its last 1/64",
        rows=tuple(rows),
        notes=(
            *common_notes(quick),
            f"Uplifts are relative to {best_baseline(results, NEXT_ITEM).method.name} (next item) and "
            f"{best_baseline(results, NEXT_FIVE).method.name} (next five), the best of the paper's baselines. "
            "Their 95% intervals are bootstrapped over sessions; ± is half their width.",
            f"With one training of each network, the paper's order for the next item {_check_order(means)}.",
        ),
        departures=departures_of(results),
        details=run_details(results, LOG, quick=quick),
    )


def rows_of_uplifts(results: Sequence[MethodResult], baselines: Sequence[MethodResult]) -> list[Row]:
    """The uplifts of the networks and the sequential rules over the best of the paper's baselines."""
    rows = []
    for name, metric, column in ((UPLIFT_NEXT_ITEM, NEXT_ITEM, 0), (UPLIFT_NEXT_FIVE, NEXT_FIVE, 1)):
        base = best_baseline(baselines, metric)
        for result in uplifted(results):
            uplift = uplift_of(result, base, metric)
            published = PUBLISHED.get(name_in_paper(result.method.name))
            rows += uplift_rows(result, uplift, name, published[column] if published else None)
    return rows


def _check_order(means: Mapping[str, float]) -> str:
    """The paper's order of methods, and where the measured order differs."""
    exceptions = [
        f"{better} ({means[better]:.4f}) is below {worse} ({means[worse]:.4f})"
        for worse, better in ORDER
        if means[better] < means[worse]
    ]
    chain = "POP < Item-KNN < CoEvent MF < GRU < GRU + RE, GRU + LN < GRU + RE + LN < stacked"
    return f"({chain}) {'is not kept: ' + '; '.join(exceptions) if exceptions else 'is kept'}"
