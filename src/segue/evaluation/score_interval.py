"""`score_interval`: a confidence interval of a mean between 0 and 1 from sums alone, also for few observations.

It is Wilson's score interval (1927) with an effective number of observations (Korn and Graubard 1998): the number of
independent observations that would have the same standard error. With no hit among 3 it is (0, .56) and not (0, 0).
"""

from __future__ import annotations

import math
from statistics import NormalDist

from segue.errors import require


def score_interval(mean: float, error: float, clusters: int, *, confidence: float = 0.95) -> tuple[float, float]:
    """(low, high): the interval of a mean.

    Args:
        mean: between 0 and 1.
        error: its standard error; of clusters where observations of one user are not independent.
        clusters: number of independent observations, such as users; it is used where the error is 0.
        confidence: confidence level.

    Raises:
        ConfigError: the mean is not between 0 and 1, or there are no observations.

    >>> low, high = score_interval(0.5, 0.05, 100)
    >>> f"{low:.3f} {high:.3f}"
    '0.404 0.596'
    """
    require(0 <= mean <= 1, f"mean={mean}: must be between 0 and 1")
    require(clusters >= 1, f"clusters={clusters}: must be at least 1")
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    n = mean * (1 - mean) / error**2 if error > 0 else float(clusters)
    n = max(n, 1.0)
    centre = (mean + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(mean * (1 - mean) / n + z * z / (4 * n * n))
    return max(0.0, centre - half), min(1.0, centre + half)


def ratio_error(total: float, count: float, squares: tuple[float, float, float], clusters: int) -> float:
    """The standard error of total / count, a ratio of sums over clusters, by linearisation.

    Args:
        total: the sum of the values.
        count: the number of values.
        squares: over the clusters, the sums of (sum of the cluster)^2, of (sum x size), and of size^2.
        clusters: number of clusters; with one the error is unknown, and 0 is returned.

    >>> ratio_error(1, 2, (1, 1, 2), 2)  # two users with the values 0 and 1
    0.5
    """
    if clusters < 2:
        return 0.0
    mean = total / count
    of_sums, of_products, of_sizes = squares
    deviations = of_sums - 2 * mean * of_products + mean * mean * of_sizes
    return math.sqrt(max(0.0, clusters / (clusters - 1) * deviations)) / count
