"""Where the hits come from: a metric by the length of the sequence, of the history, by leak, by future step.

    by length    2-3   4-7   8-15  16-31  ...      questions of users with so many rows
    by history   1     2-3   4-7   8-15   ...      questions after so many rows
    by leak      clean  shared                     users whose test shares no event with training, and the others
    by step      1     2     3     4     5         the item so many steps ahead, alone (Criteo's Figure 3)

The ranks are those of the whole table: nothing is asked again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from segue.data.diagnostics.leakage import leaking_test_users
from segue.data.splits import Split
from segue.errors import ConfigError, require
from segue.evaluation.metrics import at_step, measure, parse
from segue.evaluation.ranks import Ids, Ranks
from segue.evaluation.significance import Values, interval
from segue.evaluation.table import CONFIDENCE, Result

By = Literal["length", "history", "leak", "step"]


@dataclass(frozen=True, eq=False)
class Groups:
    """Questions in groups.

    Attributes:
        names: of the groups, in order.
        which: (C,) the place of each question's group in `names`.
        at: (C,) the number by which questions are told apart; None where there is none.
    """

    names: tuple[str, ...]
    which: Ids
    at: Ids | None = None


def by_length(split: Split, ranks: Ranks, *, refit: bool = False) -> Groups:
    """By the rows of the user asked, doubling."""
    return _doubling(split.log.lengths[ranks.user])


def by_history(split: Split, ranks: Ranks, *, refit: bool = False) -> Groups:
    """By the rows before the question, doubling."""
    if ranks.row is None:
        raise ConfigError("these ranks do not say where questions were asked: they were kept by an earlier version")
    return _doubling(ranks.row - split.log.start[ranks.user])


def by_leak(split: Split, ranks: Ranks, *, refit: bool = False) -> Groups:
    """ "clean" where the user's test part shares no event (an item at a time) with what was learnt from."""
    return Groups(("clean", "shared"), leaking_test_users(split, refit=refit)[ranks.user].astype(np.int64))


GROUPS: dict[str, Callable[..., Groups]] = {"length": by_length, "history": by_history, "leak": by_leak}


def _doubling(number: Ids) -> Groups:
    power = np.frexp(number)[1] - 1
    low, high = int(power.min()), int(power.max())
    names = tuple(f"{2**p}-{2 ** (p + 1) - 1}" if p else "1" for p in range(low, high + 1))
    return Groups(names, power.astype(np.int64) - low, number)


def breakdown(
    results: Sequence[Result], metrics: Sequence[str], split: Split, *, by: By, refit: bool = False
) -> list[dict[str, Any]]:
    """One row a group, model and metric: `group`, `at` (mean of the number that makes the groups), `questions`,
    `users`, `model`, `metric`, `mean`, `low`, `high`. The interval is of the users of the group.

    Args:
        results: of the same questions.
        metrics: such as "recall@20"; by step, only their cut-offs count.
        split: that the questions are of.
        by: "length", "history", "leak" or "step".
        refit: whether validation was learnt from as well.

    Raises:
        ConfigError: unknown metric, or ranks that do not know what is needed.
    """
    require(by in (*GROUPS, "step"), f"by={by!r}: must be one of {', '.join(GROUPS)}, step")
    if by == "step":
        return [row for cut in dict.fromkeys(parse(metric)[1] for metric in metrics) for row in curve(results, cut)]
    groups = GROUPS[by](split, _ranks(results[0]), refit=refit)
    rows = []
    for place, name in enumerate(groups.names):
        inside = groups.which == place
        if inside.any():
            at = None if groups.at is None else float(groups.at[inside].mean())
            rows += [_row(name, at, r, m, measure(r.ranks, m), inside) for m in metrics for r in results]
    return rows


def curve(results: Sequence[Result], k: int) -> list[dict[str, Any]]:
    """Recall@k of the item at each future step alone, of the questions whose sequence goes so far; rows as `breakdown`.

    Raises:
        ConfigError: the next several items were not asked for.
    """
    ahead = _ranks(results[0]).ahead
    require(ahead is not None, "a curve over future steps needs a protocol with ahead of 2 or more")
    assert ahead is not None
    rows = []
    for step in range(1, ahead.asked + 1):
        for r in results:
            values = at_step(_ranks(r), k, step)
            inside = ~np.isnan(values)
            if inside.any():
                rows.append(_row(str(step), float(step), r, f"recall@{k}", values, inside))
    return rows


def _ranks(result: Result) -> Ranks:
    if not isinstance(result.ranks, Ranks):
        raise ConfigError(f"groups are of questions that rank items; {result.protocol.name} predicts ratings")
    return result.ranks


def _row(group: str, at: float | None, result: Result, metric: str, values: Values, inside: Ids) -> dict[str, Any]:
    some, users = values[inside], result.ranks.user[inside]
    low, high = interval(some, users, confidence=CONFIDENCE)
    row = {"group": group, "at": at, "questions": len(some), "users": len(np.unique(users))}
    return {**row, "model": result.model, "metric": metric, "mean": float(some.mean()), "low": low, "high": high}
