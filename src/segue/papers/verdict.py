"""Where a measured figure is beside the published one: a word that comes from an interval, never from one training.

    measured     .0474  .0476  .0478    three seeds; standard error over the users .0011
    interval     .0454 to .0498         of one more training
    published    .0426                  printed with four decimals: .04255 to .04265
    word         above                  the measured figure is above the published one

The published figure is that of one training, whose seed no paper prints. So the interval is that of one more training,
not that of the mean: mean +- t sqrt(s^2 (1 + 1/n) + e^2), with the standard deviation s over n seeds and the standard
error e over the users. The degrees of freedom of t are those of a sum of two variances (Satterthwaite 1946).

e counts once. If a paper tested on the same users, both figures share their error, and e need not count; if it tested
on others, e counts for each of the two. No paper says which users it had.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from statistics import NormalDist, fmean, variance
from typing import Any

Interval = tuple[float, float]

AGREES, ABOVE, BELOW = SAID = "agrees", "above", "below"
ONE_SEED, NO_INTERVAL, NO_FIGURE = "one seed", "no interval", "no figure"  # of a row that has none of the words
MOST_DECIMALS = 6  # of a published figure; further ones are rounding errors of a division, as by 100


def figure_interval(
    by_seed: Sequence[float], error: float | None, *, depends_on_seed: bool, confidence: float = 0.95
) -> Interval | None:
    """(low, high): the interval of the figure of one more training.

    Args:
        by_seed: the figure of each seed.
        error: its standard error over the users; None if it is unknown.
        depends_on_seed: whether another seed could give another figure.
        confidence: confidence level.

    Returns:
        None if nothing is known of the spread: of one seed of a method that depends on it, or without `error` of a
        method that does not. Without `error`, the interval of several seeds is of the seeds alone.
    """
    n = len(by_seed)
    if (n < 2) if depends_on_seed else (error is None):
        return None
    of_seeds = variance(by_seed) * (1 + 1 / n) if depends_on_seed else 0.0
    total = of_seeds + (error or 0.0) ** 2
    if of_seeds > 0:
        from scipy.special import stdtrit  # not at the top: most of the package runs without scipy's functions

        t = float(stdtrit((n - 1) * (total / of_seeds) ** 2, (1 + confidence) / 2))
    else:
        t = NormalDist().inv_cdf((1 + confidence) / 2)
    half = t * math.sqrt(total)
    return fmean(by_seed) - half, fmean(by_seed) + half


def verdicts(rows: Iterable[Mapping[str, Any]]) -> list[str]:
    """The word of each row of a table.

    A figure is published with as many decimals as any of its metric: .086 beside .0921 is .0860. Counted figures, whose
    interval is a single value, have decimals of their own.

    Args:
        rows: with the keys `metric`, `published`, `seeds` and `interval`; see `segue.papers.reproduction.Row`.
    """
    listed = list(rows)
    decimals: dict[str, int] = {}
    for row in listed:
        decimals[row["metric"]] = max(decimals.get(row["metric"], 0), num_decimals(row["published"]))
    return [
        _verdict(row, num_decimals(row["published"]) if is_counted(row) else decimals[row["metric"]]) for row in listed
    ]


def num_decimals(figure: float | None) -> int:
    """The number of decimals of a published figure, without zeros at the end; 0 without a figure.

    >>> num_decimals(0.0921), num_decimals(0.0860), num_decimals(7.07 / 100), num_decimals(38724)
    (4, 3, 4, 0)
    """
    if figure is None:
        return 0
    exponent = Decimal(f"{figure:.{MOST_DECIMALS}f}").normalize().as_tuple().exponent
    assert isinstance(exponent, int)
    return max(0, -exponent)


def _verdict(row: Mapping[str, Any], decimals: int) -> str:
    published, interval = row["published"], row["interval"]
    if published is None:
        return NO_FIGURE
    if interval is None:
        return ONE_SEED if len(row["seeds"]) == 1 else NO_INTERVAL
    low, high = interval
    half_unit = 0.5 * 10.0**-decimals * (1 + 1e-9)  # so that a figure in the middle between two printed ones has both
    if published + half_unit < low:
        return ABOVE
    return BELOW if published - half_unit > high else AGREES


def is_counted(row: Mapping[str, Any]) -> bool:
    """Whether the figure of a row is exact, such as the number of users: its interval is a point."""
    return row["interval"] is not None and row["interval"][0] == row["interval"][1]
