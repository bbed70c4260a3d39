"""Student's t distribution, from the standard library alone."""

from __future__ import annotations

import math


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
