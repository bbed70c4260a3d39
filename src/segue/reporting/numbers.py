"""Numbers as text, with as many digits as their meaning has; every table of the terminal and of HTML pages uses this.

    a metric              .0458   1.0625   four decimals; no zero before the point
    a time in seconds     <0.1   2.1   1,024
    a share               31.2%
    a count               100,000
    a setting             0.00123   64       three significant digits
    anything else         1.23   45.7   12,300

JSON files and saved models hold every number in full.
"""

from __future__ import annotations

import math
from typing import Any

MISSING = "–"
METRICS = ("rmse", "mae", "auc")  # those whose names have no cut-off
SHARES = ("share", "importance")
SECONDS = ("seconds", "train s", "tuning s", "train CPU s", "test CPU s", "CPU s", "wall s", "training, CPU s")
SIGNIFICANT = 3  # digits of a setting, and of a number whose meaning is unknown


def metric_text(value: float | None) -> str:
    """A metric with four decimals, such as .0931 or 1.0625."""
    return MISSING if value is None else f"{value:.4f}".removeprefix("0")


def validation_figure(metric: float | None) -> float | None:
    """The figure of a validation metric as it is maximised: an error, such as RMSE, is maximised with a minus sign."""
    return None if metric is None else abs(metric)  # no metric is negative by itself


def seconds_text(value: float | None) -> str:
    """Seconds with one decimal below ten: <0.1, 2.1, 1,024."""
    if value is None:
        return MISSING
    if 0 < value < 0.05:
        return "<0.1"
    return f"{value:,.1f}" if value < 9.95 else f"{value:,.0f}"


def percent_text(share: float | None) -> str:
    """A share in percent with one decimal, such as 31.2%."""
    return MISSING if share is None else f"{100 * share:.1f}%"


def number_text(value: float | None) -> str:
    """A number with three significant digits; whole digits are kept and get thousands separators."""
    if value is None or not math.isfinite(value):
        return MISSING if value is None else str(value)
    if isinstance(value, int):
        return f"{value:,}"
    if value and not 1e-4 <= abs(value) < 1e15:
        return f"{value:.{SIGNIFICANT}g}"
    decimals = SIGNIFICANT - 1 - math.floor(math.log10(abs(value))) if value else 1
    return f"{value:,.{max(0, decimals)}f}"


def setting_text(value: Any) -> str:
    """A setting: floats with three significant digits, several values with commas, others as `--set` takes them."""
    if isinstance(value, (tuple, list)):
        return ",".join(map(setting_text, value))
    if isinstance(value, float):
        return f"{value:.0f}" if 1000 <= abs(value) < 1e15 else f"{value:.{SIGNIFICANT}g}"
    return str(value).lower() if value is None or isinstance(value, bool) else str(value)


def is_metric(column: str) -> bool:
    """Whether a column holds a metric, such as recall@10, rmse or validation ndcg@10."""
    return "@" in column or column.startswith("validation ") or column in METRICS


def cut_off(column: str) -> str:
    """The cut-off of a column that holds a metric, such as @10; "" for another column."""
    _, at, number = column.partition("@")
    return at + number


def cell_text(column: str, value: Any) -> str:
    """The value of a cell as text, with the digits that the name of its column asks for."""
    if value is None or isinstance(value, (bool, str)):
        return MISSING if value is None else str(value)
    if not isinstance(value, (int, float)):
        return str(value)
    if isinstance(value, float) and is_metric(column):
        return metric_text(value)
    if column in SHARES:
        return percent_text(value)
    if column in SECONDS:
        return seconds_text(value)
    return number_text(value)
