"""Is the difference real? Intervals and paired tests of per-case values, from numpy alone.

    case        1     2     3    ...   C
    model a    1.0    0    .5
    model b    1.0   .5     0          the same cases in the same order: what is tested is a - b, case by case
    a - b       0   -.5    .5

A test answers one question; where several are asked at once, their p-values are corrected together (`holm`).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from segue.errors import ConfigError, did_you_mean
from segue.model import require

Values = np.ndarray[Any, np.dtype[np.float64]]
Test = Literal["t", "wilcoxon", "permutation"]

DRAWS_AT_ONCE = 1_000_000  # bounds the memory of resampling: some 20 MB


def interval(values: Values, *, confidence: float = 0.95, resamples: int = 2000, seed: int = 0) -> tuple[float, float]:
    """(low, high): a percentile bootstrap interval of the mean (Efron 1979).

    Cases are drawn with replacement; the ends are quantiles of the means of the draws. A mean only depends on how
    often each distinct value is drawn, which is multinomial: where distinct values are few (as those of hit@k always
    are) these counts are drawn in place of the cases, with the same distribution at a fraction of the cost.

    Raises:
        ConfigError: no values, a value that is not a number, or settings out of range.
    """
    values = _finite(values)
    require(0 < confidence < 1, f"confidence={confidence}: must be between 0 and 1")
    require(resamples >= 1, f"resamples={resamples}: must be at least 1")
    rng = np.random.default_rng(seed)
    n = len(values)
    distinct, count = np.unique(values, return_counts=True)
    if len(distinct) <= n // 32:
        drawn = (rng.multinomial(n, count / n, rows) @ distinct / n for rows in _blocks(resamples, len(distinct)))
    else:
        drawn = (values[rng.integers(0, n, (rows, n), dtype=np.int32)].mean(1) for rows in _blocks(resamples, n))
    low, high = np.quantile(np.concatenate(list(drawn)), [(1 - confidence) / 2, (1 + confidence) / 2])
    return float(low), float(high)


def t_test(a: Values, b: Values) -> float:
    """Two-sided p-value of Student's paired t test that the mean of a - b is 0."""
    difference = _paired(a, b)
    n, mean = len(difference), float(difference.mean())
    require(n >= 2, "a t test needs at least 2 cases; found 1")
    error = float(difference.std(ddof=1)) / math.sqrt(n)
    # differences that are all the same number have a spread of rounding error alone
    if error <= 1e-15 * abs(mean):
        return 1.0 if mean == 0 else 0.0
    return t_two_sided(mean / error, n - 1)


def wilcoxon(a: Values, b: Values) -> float:
    """Two-sided p-value of Wilcoxon's signed-rank test, by its normal approximation.

    Cases without a difference are left out, equal differences share the mean of their ranks and the variance is
    corrected for them; no continuity correction. 1.0 where nothing differs. Good from about 20 differing cases.
    """
    difference = _paired(a, b)
    difference = difference[difference != 0]
    n = len(difference)
    if n == 0:
        return 1.0
    _, which, count = np.unique(np.abs(difference), return_inverse=True, return_counts=True)
    shared = np.cumsum(count) - (count - 1) / 2
    positive = float(shared[which[difference > 0]].sum())
    count = count.astype(np.float64)
    variance = n * (n + 1) * (2 * n + 1) / 24 - float((count**3 - count).sum()) / 48
    z = (positive - n * (n + 1) / 4) / math.sqrt(variance)
    return math.erfc(abs(z) / math.sqrt(2))


def permutation(a: Values, b: Values, *, resamples: int = 9999, seed: int = 0) -> float:
    """Two-sided p-value of a sign-flip permutation test that a and b are exchangeable case by case.

    The share of (resamples + 1) random exchanges, the one that happened among them, whose mean difference is at least
    as far from 0 (Phipson & Smyth 2010): never 0.
    """
    require(resamples >= 1, f"resamples={resamples}: must be at least 1")
    difference = _paired(a, b)
    size = np.abs(difference[difference != 0])  # an exchange of equals changes nothing
    total, n = float(size.sum()), len(size)
    # the sum of signed sizes is 2 * (sum of those with a plus) - total; equal sums may differ by rounding
    extreme = abs(float(difference.sum())) - 1e-12 * total
    rng = np.random.default_rng(seed)
    beyond = 0
    for rows in _blocks(resamples, n):
        bits = np.frombuffer(rng.bytes(rows * (n // 8 + 1)), np.uint8).reshape(rows, -1)
        plus = np.unpackbits(bits, axis=1, count=n) @ size
        beyond += int((np.abs(2 * plus - total) >= extreme).sum())
    return (beyond + 1) / (resamples + 1)


TESTS = {"t": t_test, "wilcoxon": wilcoxon, "permutation": permutation}


def holm(p: Sequence[float]) -> list[float]:
    """P-values corrected for being several (Holm 1979): the chance of any false alarm among them stays below alpha."""
    raw = np.asarray(p, np.float64)
    order = np.argsort(raw, kind="stable")
    steps = np.maximum.accumulate(raw[order] * np.arange(len(raw), 0, -1))
    corrected = np.empty_like(raw)
    corrected[order] = np.minimum(steps, 1.0)
    return [float(value) for value in corrected]


def stars(p: float) -> str:
    """`***` for p below .001, `**` below .01, `*` below .05."""
    return "*" * sum(p < level for level in (0.05, 0.01, 0.001))


@dataclass(frozen=True)
class Comparison:
    """One model against a baseline on the same cases.

    Attributes:
        model: who is compared.
        baseline: with whom.
        difference: mean of model - baseline.
        low: lower end of the interval of the difference.
        high: upper end.
        p: p-value of the test on its own.
        p_holm: corrected for all comparisons made together.
    """

    model: str
    baseline: str
    difference: float
    low: float
    high: float
    p: float
    p_holm: float

    @property
    def stars(self) -> str:
        """Of the corrected p-value."""
        return stars(self.p_holm)


def compare(
    values: Mapping[str, Values], *, baseline: str = "best", test: Test = "t", confidence: float = 0.95
) -> list[Comparison]:
    """Every other model against the baseline, in the order given.

    Args:
        values: per-case values by model, of the same cases in the same order.
        baseline: the name of a model, or "best": the one with the highest mean.
        test: "t", "wilcoxon" or "permutation".
        confidence: of the interval of the difference.

    Raises:
        ConfigError: unknown baseline or test, or values of different cases.
    """
    require(test in TESTS, f"unknown test {test!r}{did_you_mean(test, TESTS)}; known: {', '.join(TESTS)}")
    base = best(values) if baseline == "best" else baseline
    if base not in values:
        raise ConfigError(f"no model {base!r} to compare with{did_you_mean(base, values)}; have: {', '.join(values)}")
    others = [name for name in values if name != base]
    p = [TESTS[test](values[name], values[base]) for name in others]
    ends = [interval(_paired(values[name], values[base]), confidence=confidence) for name in others]
    return [
        Comparison(name, base, float(np.mean(values[name] - values[base])), *end, raw, corrected)
        for name, end, raw, corrected in zip(others, ends, p, holm(p), strict=True)
    ]


def best(values: Mapping[str, Values]) -> str:
    """The model with the highest mean; of equals the first."""
    require(bool(values), "no values to compare")
    return max(values, key=lambda name: float(np.mean(values[name])))


def t_two_sided(t: float, df: float) -> float:
    """P(|T| >= |t|) of Student's t with `df` degrees of freedom: I_x(df / 2, 1 / 2) at x = df / (df + t^2)."""
    return _beta_share(df / 2, 0.5, df / (df + t * t), t * t / (df + t * t))


def _beta_share(a: float, b: float, x: float, y: float) -> float:
    """The regularised incomplete beta function I_x(a, b) where a or b is 1/2 and the other no smaller.

    y is 1 - x, given to keep the digits that the subtraction would lose. The continued fraction of DLMF 8.17.22, on
    the side of the mean where it needs about sqrt(a + b) terms.
    """
    if x <= 0 or y <= 0:
        return 0.0 if x <= 0 else 1.0
    if x > (a + 1) / (a + b + 2):
        return 1.0 - _beta_share(b, a, y, x)
    fraction = 1.0
    for m in range(100 + 2 * math.isqrt(int(a + b)), -1, -1):
        even = (m + 1) * (b - m - 1) * x / ((a + 2 * m + 1) * (a + 2 * m + 2))
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        fraction = 1 + odd / (1 + even / fraction)
    log_x, log_y = (math.log(x), math.log1p(-x)) if x < y else (math.log1p(-y), math.log(y))
    front = a * log_x + b * log_y + _log_gamma_step(max(a, b)) - math.log(math.pi) / 2
    return math.exp(front) / (a * fraction)


def _log_gamma_step(z: float) -> float:
    """ln gamma(z + 1/2) - ln gamma(z); for large z by its asymptotic series, as the difference would lose digits."""
    if z < 50:
        return math.lgamma(z + 0.5) - math.lgamma(z)
    return math.log(z) / 2 - 1 / (8 * z) + 1 / (192 * z**3) - 1 / (640 * z**5)


def _finite(values: Values) -> Values:
    values = np.asarray(values, np.float64)
    require(values.ndim == 1 and len(values) > 0, f"values of shape {values.shape}: one value a case is needed")
    bad = np.flatnonzero(~np.isfinite(values))
    if len(bad):
        raise ConfigError(f"{len(bad)} of {len(values)} values are not numbers, the first at case {bad[0]}")
    return values


def _paired(a: Values, b: Values) -> Values:
    a, b = _finite(a), _finite(b)
    require(len(a) == len(b), f"a paired test needs the same cases on both sides; found {len(a)} and {len(b)}")
    return a - b


def _blocks(rows: int, columns: int) -> Iterator[int]:
    """How many rows to draw at a time."""
    step = max(1, DRAWS_AT_ONCE // max(columns, 1))
    for first in range(0, rows, step):
        yield min(step, rows - first)
