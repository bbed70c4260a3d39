"""Criteo's Table 5: uplifts over the best baseline by the length of the session."""

from __future__ import annotations

from collections.abc import Mapping

from segue.papers.criteo.common import NETWORKS, NEXT, about, baseline, gain, gains, run, steps, told
from segue.papers.reproduction import Reproduction, Row
from segue.papers.run_cache import RunCache

METHODS = NETWORKS  # beside the best baseline and the sequential rules

LENGTHS = ((2, 5), (6, 25), (26, 200))
# name -> uplift in percent and half the width of its 95% interval, by length
PRINTED: Mapping[str, tuple[tuple[float, float], ...]] = {
    "GRU": ((0.3, 1.6), (1.4, 1.9), (0.2, 7.3)),
    "GRU + RE": ((2.7, 1.6), (4.5, 2.0), (6.6, 7.7)),
    "GRU + LN": ((3.7, 1.5), (7.2, 1.7), (10.6, 9.0)),
    "GRU + RE + LN": ((4.0, 1.5), (7.5, 1.9), (11.0, 8.6)),
    "Stacked GRU + RE + LN": ((3.6, 1.6), (8.4, 1.9), (12.2, 8.7)),
    "HM-LSTM + RE + LN": ((3.0, 1.5), (6.2, 2.0), (9.4, 8.8)),
}
BEST = (0.671, 0.641, 0.575)  # Recall@20 printed of the best baseline


def reproduce(*, runs: RunCache, quick: bool = False) -> Reproduction:
    """The runs of Table 4, by length."""
    log, lines = run(runs, quick=quick)
    base = baseline(lines)
    length = log.lengths[base.runs[0].ranks.user]
    shown = [line for line in lines if line is base or line.method.name in ("Sequential rules", *_names())]
    rows: list[Row] = []
    counted = []
    for place, (low, high) in enumerate(LENGTHS):
        inside = (length >= low) & (length <= high)
        if not inside.any():
            continue
        counted.append(f"{low}–{high}: {int(inside.sum()):,}")
        for line in shown:
            mean = float(steps(line, NEXT)[inside].mean())
            paper = BEST[place] if line is base else None
            rows.append(Row(method=line.method.name, metric=f"recall@20, {low}–{high}", ours=(mean,), paper=paper))
        for line in shown:
            if line is not base:
                found = gain(line, base, (steps(line, NEXT), steps(base, NEXT)), inside)
                printed = PRINTED.get(line.method.name)
                rows += gains(line, found, f"uplift {low}–{high}", printed[place] if printed else None)
    return Reproduction(
        title="Criteo's study (2018), Table 5, YooChoose: here its last 1/64",
        rows=tuple(rows),
        notes=(
            *told(quick),
            f"By the clicks of a session; questions: {'; '.join(counted)}. Uplifts over {base.method.name}, 95% "
            "intervals (±: half the width) bootstrapped over sessions.",
        ),
        details=about(lines, quick=quick),
    )


def _names() -> list[str]:
    return [method.name for method in NETWORKS]
