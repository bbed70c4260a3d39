"""Confidence intervals and paired significance tests of per-instance values.

    instance    1     2     3    ...   C
    user        7     7     9
    model a    1.0    0    .5
    model b    1.0   .5     0          the same instances in the same order: the differences a - b are tested
    a - b       0   -.5    .5

Instances of the same user (or session) are not independent. If the user of each instance is given, intervals therefore
resample whole users, and tests treat a user as one observation. With one instance per user this changes nothing.

The p-values of several tests are corrected together (`holm`).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from segue.data.log import Floats, Ids
from segue.errors import ConfigError, did_you_mean, require

Test = Literal["t", "wilcoxon", "permutation"]

MAX_DRAWS = 1_000_000  # drawn at a time, which bounds the memory of resampling to some 20 MB


def interval(
    values: Floats, users: Ids | None = None, *, confidence: float = 0.95, resamples: int = 2000, seed: int = 0
) -> tuple[float, float]:
    """(low, high): a percentile bootstrap interval of the mean (Efron 1979).

    Users are drawn with replacement, each with all their instances; without `users` (C,), instances are drawn. The ends
    are quantiles of the means of the draws.

    Raises:
        ConfigError: no values, a value that is not a number, or settings out of range.
    """
    total, size = _by_user(_finite(values), users)
    return _quantiles(_bootstrap_ratios(total, size, resamples, seed), confidence)


@dataclass(frozen=True)
class Uplift:
    """How far one mean is above another, in percent of the other.

    Attributes:
        percent: 100 (mean of a / mean of b - 1).
        low: lower end of its interval.
        high: upper end.
    """

    percent: float
    low: float
    high: float


def uplift(
    a: Floats,
    b: Floats,
    users: Ids | None = None,
    *,
    confidence: float = 0.95,
    resamples: int = 2000,
    seed: int = 0,
) -> Uplift:
    """How far the mean of a is above that of b, with a paired bootstrap interval: users are drawn, as in `interval`.

    Raises:
        ConfigError: values of different instances, or a baseline b whose mean is 0.
    """
    _paired(a, b)
    gain, base = _by_user(np.asarray(a, np.float64), users)[0], _by_user(np.asarray(b, np.float64), users)[0]
    require(bool(base.sum() > 0), "an uplift needs a baseline above 0")
    low, high = _quantiles(100 * (_bootstrap_ratios(gain, base, resamples, seed) - 1), confidence)
    return Uplift(100 * float(gain.sum() / base.sum() - 1), low, high)


def _bootstrap_ratios(first: Floats, second: Floats, resamples: int, seed: int) -> Floats:
    """(resamples,) the sum of `first` divided by the sum of `second` over users drawn with replacement.

    A ratio depends only on how often each distinct pair of values is drawn, which is multinomial. If there are few
    distinct pairs (as for hit@k), these counts are drawn instead of the users, which is much faster and has the same
    distribution.
    """
    require(resamples >= 1, f"resamples={resamples}: must be at least 1")
    rng = np.random.default_rng(seed)
    n = len(first)
    pair, count = np.unique(first + 1j * second, return_counts=True)
    ratios = []
    if len(pair) <= n // 32:
        for rows in _blocks(resamples, len(pair)):
            times = rng.multinomial(n, count / n, rows)
            ratios.append(times @ pair.real / (times @ pair.imag))
    else:
        for rows in _blocks(resamples, n):
            drawn = rng.integers(0, n, (rows, n), dtype=np.int32)
            ratios.append(first[drawn].sum(1) / second[drawn].sum(1))
    return np.concatenate(ratios)


def _quantiles(ratios: Floats, confidence: float) -> tuple[float, float]:
    require(0 < confidence < 1, f"confidence={confidence}: must be between 0 and 1")
    low, high = np.quantile(ratios, [(1 - confidence) / 2, (1 + confidence) / 2])
    return float(low), float(high)


def t_test(a: Floats, b: Floats, users: Ids | None = None) -> float:
    """Two-sided p-value of Student's paired t test that the mean of a - b is 0.

    With `users` (C,) the standard error is that of a mean of clusters: the sum of each user's deviations from the mean
    counts once (Liang and Zeger 1986), and the degrees of freedom are the number of users less one.
    """
    difference = _paired(a, b)
    mean, (error, n) = float(difference.mean()), _error_of_mean(difference, users)
    # if all differences are the same number, their spread is only rounding error
    if error <= 1e-15 * abs(mean):
        return 1.0 if mean == 0 else 0.0
    from scipy.special import stdtr  # not at the top: a service that starts makes no tests

    return float(2 * stdtr(n - 1, -abs(mean) / error))


def mean_error(values: Floats, users: Ids | None = None) -> float:
    """The standard error of a mean; with `users` (C,) that of a mean of clusters, as in `t_test`.

    Raises:
        ConfigError: values of fewer than two users.
    """
    return _error_of_mean(_finite(values), users)[0]


def wilcoxon(a: Floats, b: Floats, users: Ids | None = None) -> float:
    """Two-sided p-value of Wilcoxon's signed-rank test, by its normal approximation.

    Instances without a difference are left out; equal differences share the mean of their ranks, and the variance is
    corrected for them; there is no continuity correction. The p-value is 1.0 if nothing differs. The approximation is
    good from about 20 differing instances. With `users` (C,) the sum of each user's differences replaces them.
    """
    difference, _ = _by_user(_paired(a, b), users)
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


def permutation(a: Floats, b: Floats, users: Ids | None = None, *, resamples: int = 9999, seed: int = 0) -> float:
    """Two-sided p-value of a sign-flip permutation test that a and b are exchangeable instance by instance.

    It is the share of (resamples + 1) random exchanges, including the observed one, whose mean difference is at least
    as far from 0 (Phipson & Smyth 2010), so it is never 0. With `users` (C,) all instances of a user are exchanged
    together.
    """
    require(resamples >= 1, f"resamples={resamples}: must be at least 1")
    difference, _ = _by_user(_paired(a, b), users)
    size = np.abs(difference[difference != 0])  # exchanging equal values changes nothing
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
    """P-values corrected for multiple testing (Holm 1979): the probability of any false positive is at most alpha."""
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
class PairedComparison:
    """One model compared with a baseline on the same instances.

    Attributes:
        model: the name of the model.
        baseline: the name of the baseline.
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
        """The stars of the corrected p-value."""
        return stars(self.p_holm)


def compare_with_baseline(
    values: Mapping[str, Floats],
    users: Ids | None = None,
    *,
    baseline: str = "best",
    test: Test = "t",
    confidence: float = 0.95,
) -> list[PairedComparison]:
    """Compare every other model with the baseline, in the order given.

    Args:
        values: per-instance values by model, of the same instances in the same order.
        users: (C,) the user of each instance; None if each instance has another user.
        baseline: the name of a model, or "best": the one with the highest mean.
        test: "t", "wilcoxon" or "permutation".
        confidence: confidence level of the interval of the difference.

    Raises:
        ConfigError: unknown baseline or test, or values of different instances.
    """
    require(test in TESTS, f"unknown test {test!r}{did_you_mean(test, TESTS)}; known: {', '.join(TESTS)}")
    base = best(values) if baseline == "best" else baseline
    if base not in values:
        raise ConfigError(f"no model {base!r} to compare with{did_you_mean(base, values)}; have: {', '.join(values)}")
    others = [name for name in values if name != base]
    p = [TESTS[test](values[name], values[base], users) for name in others]
    ends = [interval(_paired(values[name], values[base]), users, confidence=confidence) for name in others]
    return [
        PairedComparison(name, base, float(np.mean(values[name] - values[base])), *end, raw, corrected)
        for name, end, raw, corrected in zip(others, ends, p, holm(p), strict=True)
    ]


def best(values: Mapping[str, Floats]) -> str:
    """The name of the model with the highest mean; the first of equal ones."""
    require(bool(values), "no values to compare")
    return max(values, key=lambda name: float(np.mean(values[name])))


def _finite(values: Floats) -> Floats:
    values = np.asarray(values, np.float64)
    require(values.ndim == 1 and len(values) > 0, f"values of shape {values.shape}: one value per instance is needed")
    bad = np.flatnonzero(~np.isfinite(values))
    if len(bad):
        raise ConfigError(f"{len(bad)} of {len(values)} values are not numbers, the first at instance {bad[0]}")
    return values


def _error_of_mean(values: Floats, users: Ids | None) -> tuple[float, int]:
    """The standard error of the mean, and the number of users; without `users`, each instance has its own."""
    total, size = _by_user(values, users)
    n = len(total)
    require(n >= 2, "a standard error needs at least 2 instances (users, if a user has several); found 1")
    deviation = total - float(values.mean()) * size
    return math.sqrt(n / (n - 1) * float(deviation @ deviation)) / len(values), n


def _paired(a: Floats, b: Floats) -> Floats:
    a, b = _finite(a), _finite(b)
    require(len(a) == len(b), f"a paired test needs the same instances on both sides; found {len(a)} and {len(b)}")
    return a - b


def _by_user(values: Floats, users: Ids | None) -> tuple[Floats, Floats]:
    """(sum of the values, number of values) of every user, in ascending order of users."""
    if users is None:
        return values, np.ones(len(values))
    require(
        len(users) == len(values), f"{len(users)} users of {len(values)} instances: one user per instance is needed"
    )
    _, index = np.unique(users, return_inverse=True)
    return np.bincount(index, values).astype(np.float64), np.bincount(index).astype(np.float64)


def _blocks(rows: int, columns: int) -> Iterator[int]:
    """Numbers of rows to draw at a time."""
    step = max(1, MAX_DRAWS // max(columns, 1))
    for first in range(0, rows, step):
        yield min(step, rows - first)
