"""Criteo's Table 4: the next item, and the next five; uplifts over the best of the paper's baselines."""

from __future__ import annotations

from collections.abc import Mapping

from segue.papers.criteo.common import LATER, METHODS, NETWORKS, NEXT, about, baseline, gain, gains, run, steps, told
from segue.papers.reproduction import Reproduction, Row
from segue.papers.run_cache import RunCache

__all__ = ["METHODS", "reproduce"]

UPLIFT = "uplift N=1"
LATER_UPLIFT = "uplift N=5"
# name -> uplift in percent and half the width of its 95% interval, N = 1 and N = 5
PRINTED = {
    "GRU": ((1.1, 1.4), (3.6, 3.0)),
    "GRU + RE": ((4.3, 1.2), (7.6, 3.2)),
    "GRU + LN": ((6.2, 1.3), (9.6, 3.2)),
    "GRU + RE + LN": ((6.5, 1.3), (10.3, 3.4)),
    "Stacked GRU + RE + LN": ((6.8, 1.3), (10.7, 3.4)),
    "HM-LSTM + RE + LN": ((5.4, 1.4), (9.4, 3.6)),
}
# first below later
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
    """Twelve methods, one training each."""
    _, lines = run(runs, quick=quick)
    rows: list[Row] = [line.row(metric) for line in lines for metric in (NEXT, LATER, "mrr@20,1")]
    networks = [method.name for method in NETWORKS]
    for name, metric, place in ((UPLIFT, NEXT, 0), (LATER_UPLIFT, LATER, 1)):
        base = baseline(lines, metric)
        for line in lines:
            if line.method.name in networks or line.method.name == "Sequential rules":
                found = gain(line, base, (steps(line, metric), steps(base, metric)))
                printed = PRINTED.get(line.method.name)
                rows += gains(line, found, name, printed[place] if printed else None)
    means = {line.method.name: float(steps(line, NEXT).mean()) for line in lines}
    return Reproduction(
        title="Criteo's study (2018), Table 4, YooChoose: here its last 1/64",
        rows=tuple(rows),
        notes=(
            *told(quick),
            f"Uplifts are over {baseline(lines, NEXT).method.name} (next item) and "
            f"{baseline(lines, LATER).method.name} (next five), the best of the paper's baselines; their 95% intervals "
            "(±: half the width) are bootstrapped over sessions.",
            f"The paper's order of the next item {_order(means)}.",
        ),
        details=about(lines, quick=quick),
    )


def _order(means: Mapping[str, float]) -> str:
    """Where the paper's order holds."""
    odd = [
        f"{later} ({means[later]:.4f}) is below {first} ({means[first]:.4f})"
        for first, later in ORDER
        if means[later] < means[first]
    ]
    chain = "POP < Item-KNN < CoEvent MF < GRU < GRU + RE, GRU + LN < GRU + RE + LN < stacked"
    return f"({chain}) {'does not hold: ' + '; '.join(odd) if odd else 'holds'}"
