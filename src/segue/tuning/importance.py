"""The importance of settings: how much of the variation of the trials each setting explains.

    setting          importance   best quarter
    lr                      .61   0.0012–0.0034
    embedding_dim           .12   64, 128
    dropout                 .00   0.02–0.41

Trials are ranked by their best validation metric; pruned trials are included. The importance of a setting is the share
of the variance of these ranks that groups of equal values explain: epsilon squared (Kelley, 1935), the correlation
ratio eta squared corrected for chance. Values of a continuous setting are grouped into thirds.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from segue.models.base.search_space import Choice, Domain, Space, format_setting
from segue.tuning.trial import Trial

NUM_GROUPS = 3  # of the values of a continuous setting
MIN_TRIALS = 4
MIN_RELIABLE_TRIALS = 10  # complete ones; the importance of fewer is mostly chance


def sort_trials(trials: Sequence[Trial]) -> list[Trial]:
    """The eligible trials, the best first; then the pruned and the failed ones."""
    return sorted(trials, key=lambda trial: (not trial.eligible, -trial.rank))


def setting_importance(trials: Sequence[Trial], space: Space) -> list[dict[str, Any]]:
    """Rows of setting, importance (0 to 1) and the values in the best quarter of the trials; most important first.

    Empty if fewer than four trials have a metric, or if all metrics are equal.
    """
    measured = [trial for trial in sort_trials(trials) if trial.metric is not None]
    metrics = np.array([trial.metric for trial in measured])
    if len(measured) < MIN_TRIALS or (metrics == metrics[0]).all():
        return []
    ordered = np.sort(metrics)
    ranks = np.searchsorted(ordered, metrics, "left") + np.searchsorted(ordered, metrics, "right")  # ties: the mean
    rows = []
    for name, domain in space.items():
        values = [trial.settings[name] for trial in measured]
        if len(set(values)) > 1:
            groups = [format_setting(v) for v in values] if isinstance(domain, Choice) else _group_numbers(values)
            best = _describe_values(values[: max(2, len(measured) // 4)], domain)
            rows.append({"setting": name, "importance": _epsilon_squared(ranks, groups), "best quarter": best})
    return sorted(rows, key=lambda row: -float(row["importance"]))


def importance_title(trials: Sequence[Trial]) -> str:
    """What the importance is, and a warning if few trials are complete."""
    title = "Importance of the settings: share of the variance of the trials' ranks"
    complete = sum(trial.state == "complete" for trial in trials)
    if complete >= MIN_RELIABLE_TRIALS:
        return title
    trials_are = "trial is" if complete == 1 else "trials are"
    return (
        f"{title}. Only {complete} {trials_are} complete, so this is mostly chance; it takes at least "
        f"{MIN_RELIABLE_TRIALS}, better 50"
    )


def _epsilon_squared(ranks: np.ndarray, groups: Sequence[Any]) -> float:
    """Epsilon squared of ranks by group; 0 if every trial is a group of its own."""
    group = np.unique(np.array(groups), return_inverse=True)[1]
    sizes = np.bincount(group)
    within = ((ranks - (np.bincount(group, ranks) / sizes)[group]) ** 2).sum()
    total = ((ranks - ranks.mean()) ** 2).sum()
    degrees_of_freedom = len(ranks) - len(sizes)
    if not degrees_of_freedom:
        return 0.0
    return float(max(0.0, 1 - within / total * (len(ranks) - 1) / degrees_of_freedom))


def _group_numbers(values: Sequence[float]) -> list[int]:
    """The group of each value: groups of equal size, by value."""
    boundaries = np.quantile(values, np.arange(1, NUM_GROUPS) / NUM_GROUPS)
    return [int(group) for group in np.searchsorted(boundaries, values, "left")]


def _describe_values(values: Sequence[Any], domain: Domain) -> str:
    if isinstance(domain, Choice):
        return ", ".join(dict.fromkeys(format_setting(value) for value in values))
    low, high = f"{min(values):.3g}", f"{max(values):.3g}"
    return low if low == high else f"{low}–{high}"
