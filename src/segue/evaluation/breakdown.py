"""Metrics by groups of evaluation instances: by length of the sequence or the history, by leak, by the popularity of
the target, by future step.

    by length    2-3   4-7   8-15  16-31  ...      instances of users with so many rows
    by history   1     2-3   4-7   8-15   ...      instances after so many rows
    by leak      clean  shared                     users whose test data shares no event with training, and the others
    by popularity  0  1-4  5-19  20-99  100+       targets with so many training events: cold, rare, ... popular items
    by step      1     2     3     4     5         the item so many steps ahead, alone (Criteo's Figure 3)

The ranks are those of the whole table; no model is evaluated again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal

import numpy as np

from segue.data.diagnostics.leakage import leaking_test_users
from segue.data.log import Floats, Ids, Mask
from segue.data.splits import Split
from segue.errors import ConfigError, require
from segue.evaluation.metrics import at_step, parse
from segue.evaluation.ranks import Ranks
from segue.evaluation.result import Result
from segue.evaluation.significance import interval
from segue.evaluation.summary import CONFIDENCE
from segue.evaluation.task import measure

By = Literal["length", "history", "leak", "popularity", "step"]
POPULARITY = (1, 5, 20, 100)  # the least training events of a group, but for the first


@dataclass(frozen=True, eq=False)
class Groups:
    """Groups of evaluation instances.

    Attributes:
        names: the names of the groups, in order.
        index: (C,) the index of each instance's group in `names`.
        number: (C,) the number that instances are grouped by; None if there is none.
    """

    names: tuple[str, ...]
    index: Ids
    number: Ids | None = None


def by_length(split: Split, ranks: Ranks, *, refit: bool = False) -> Groups:
    """By the number of rows of the user, in powers of two."""
    return _doubling(split.log.lengths[ranks.user])


def by_history(split: Split, ranks: Ranks, *, refit: bool = False) -> Groups:
    """By the number of rows before the instance, in powers of two."""
    if ranks.row is None:
        raise ConfigError("the rows of these instances are unknown: an earlier version stored them; evaluate again")
    return _doubling(ranks.row - split.log.start[ranks.user])


def by_leak(split: Split, ranks: Ranks, *, refit: bool = False) -> Groups:
    """ "clean" if the user's test data shares no event (an item at a time) with the training data, else "shared"."""
    require(split.log.time is not None, f"{split.log.name}: groups by leak compare times, and this log has none")
    return Groups(("clean", "shared"), leaking_test_users(split, refit=refit)[ranks.user].astype(np.int64))


def by_popularity(split: Split, ranks: Ranks, *, refit: bool = False) -> Groups:
    """By the number of training events of the target, for instances with one target each.

    Raises:
        ConfigError: an instance has several targets.
    """
    if ranks.row is None:
        raise ConfigError("the rows of these instances are unknown: an earlier version stored them; evaluate again")
    require(
        bool((np.diff(ranks.offsets) == 1).all()),
        "groups by popularity need one target at each instance; choose a protocol such as leave-one-out or session",
    )
    counts = (split.train_valid if refit else split.train).counts()[split.log.item[ranks.row]]
    names = ("0", *(f"{low}-{high - 1}" for low, high in pairwise(POPULARITY)), f"{POPULARITY[-1]}+")
    return Groups(names, np.searchsorted(POPULARITY, counts, side="right"), counts)


GROUPS: dict[str, Callable[..., Groups]] = {
    "length": by_length,
    "history": by_history,
    "leak": by_leak,
    "popularity": by_popularity,
}


def _doubling(number: Ids) -> Groups:
    power = np.frexp(number)[1] - 1
    low, high = int(power.min()), int(power.max())
    names = tuple(f"{2**p}-{2 ** (p + 1) - 1}" if p else "1" for p in range(low, high + 1))
    return Groups(names, power.astype(np.int64) - low, number)


def breakdown(
    results: Sequence[Result], metrics: Sequence[str], split: Split, *, by: By, refit: bool = False
) -> list[dict[str, Any]]:
    """One row per group, model and metric: `group`, `at` (mean of the number that instances are grouped by),
    `instances`, `users`, `model`, `metric`, `mean`, `low`, `high`. The interval is over the users of the group.

    Args:
        results: results of the same instances.
        metrics: such as "recall@20"; by step, only their cut-offs are used.
        split: the split of the instances.
        by: "length", "history", "leak", "popularity" or "step".
        refit: whether the models were trained on validation data as well.

    Raises:
        ConfigError: unknown metric, or ranks that lack what the groups need.
    """
    require(by in (*GROUPS, "step"), f"by={by!r}: must be one of {', '.join(GROUPS)}, step")
    if by == "step":
        return [row for k in dict.fromkeys(parse(metric)[1] for metric in metrics) for row in step_curve(results, k)]
    groups = GROUPS[by](split, _ranks(results[0]), refit=refit)
    rows = []
    for index, name in enumerate(groups.names):
        inside = groups.index == index
        if inside.any():
            at = None if groups.number is None else float(groups.number[inside].mean())
            rows += [_row(name, at, r, m, measure(r.predictions, m), inside) for m in metrics for r in results]
    return rows


def step_curve(results: Sequence[Result], k: int) -> list[dict[str, Any]]:
    """Recall@k of the item at each future step alone, over the instances that have it; rows as of `breakdown`.

    Raises:
        ConfigError: the protocol has a horizon of one item.
    """
    next_steps = _ranks(results[0]).next_steps
    if next_steps is None:
        raise ConfigError("a curve over future steps needs a protocol with a horizon of 2 or more")
    rows = []
    for step in range(1, next_steps.horizon + 1):
        for r in results:
            values = np.mean([at_step(_ranks(r, run), k, step) for run in range(len(r.predictions.runs))], axis=0)
            inside = ~np.isnan(values)
            if inside.any():
                rows.append(_row(str(step), float(step), r, f"recall@{k}", values, inside))
    return rows


def _ranks(result: Result, run: int = 0) -> Ranks:
    """The ranks of one training of a model."""
    predictions = result.predictions.runs[run]
    return Ranks.expect(predictions, f"groups need a protocol that ranks items; {result.protocol.name} does not")


def _row(group: str, at: float | None, result: Result, metric: str, values: Floats, inside: Mask) -> dict[str, Any]:
    values, users = values[inside], result.predictions.user[inside]
    low, high = interval(values, users, confidence=CONFIDENCE)
    row = {"group": group, "at": at, "instances": len(values), "users": len(np.unique(users))}
    return {**row, "model": result.model, "metric": metric, "mean": float(values.mean()), "low": low, "high": high}
