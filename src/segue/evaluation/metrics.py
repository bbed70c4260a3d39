"""Ranking metrics: pure functions from `Ranks` to one value per evaluation instance.

    targets of an instance at ranks 2 and 5, a third one below; k = 5:     position    1    2    3    4    5
                                                                           hit         ·    ×    ·    ·    ×

    recall  2/3      precision  2/5      hit  1      mrr  1/2      map  (1/2 + 2/5) / 3
    ndcg    (1/log2 3 + 1/log2 6) / (1/log2 2 + 1/log2 3 + 1/log2 4)          ndcg-full: the latter sum is of 5 terms

With one target per instance, recall equals hit. Beyond accuracy: `coverage`, `popularity` and `novelty` of the
recommended lists.

With a horizon of several items, `recall@20,5` is the recall of the set of the next 5 items, or of those that are left
(Criteo's Recall@K,N, equation 8), and `recall-list@20,5` counts an item as often as it occurs.

The metrics of ratings are in `segue.evaluation.rating_predictions`; `segue.evaluation.task.measure` computes both.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from segue.data.log import Floats, Ids, Mask
from segue.errors import ConfigError, did_you_mean

if TYPE_CHECKING:
    from segue.evaluation.ranks import NextSteps, Ranks

Metric = Callable[["Ranks", int], Floats]


def recall(ranks: Ranks, k: int) -> Floats:
    """(C,) share of the targets that are among the first k. (Some programs divide by min(k, targets) instead.)"""
    return _hits(ranks, k) / ranks.num_targets


def precision(ranks: Ranks, k: int) -> Floats:
    """(C,) share of the first k positions that hold a target; an empty position is a miss."""
    return _hits(ranks, k) / k


def hit(ranks: Ranks, k: int) -> Floats:
    """(C,) 1 where a target is among the first k, otherwise 0."""
    return (_hits(ranks, k) > 0).astype(np.float64)


def mrr(ranks: Ranks, k: int) -> Floats:
    """(C,) 1 / rank of the best target; 0 where that rank is below k."""
    first = ranks.rank[ranks.offsets[:-1]]
    return np.where(first <= k, 1 / first, 0.0)


def ndcg(ranks: Ranks, k: int) -> Floats:
    """(C,) discounted gain with 1 / log2(rank + 1), divided by that of the best order of min(k, targets) targets."""
    return _gain(ranks, k) / _ideal_gains(k)[np.minimum(ranks.num_targets, k) - 1]


def ndcg_full(ranks: Ranks, k: int) -> Floats:
    """(C,) the same gain, divided by that of k targets in the first k, however few targets there are.

    With fewer than k targets it cannot reach 1. The HGN paper prints this NDCG.
    """
    return _gain(ranks, k) / _ideal_gains(k)[-1]


def average_precision(ranks: Ranks, k: int) -> Floats:
    """(C,) sum over the hits of the precision at their ranks, divided by min(k, targets). Its mean is called MAP."""
    number = np.arange(len(ranks.rank)) - np.repeat(ranks.offsets[:-1], ranks.num_targets) + 1
    gain = np.where(ranks.rank <= k, number / ranks.rank, 0.0)
    return _sum(ranks, gain) / np.minimum(ranks.num_targets, k)


_CUTOFF = "[0-9]{1,9}"
METRICS: dict[str, Metric] = {
    "recall": recall,
    "precision": precision,
    "ndcg": ndcg,
    "ndcg-full": ndcg_full,
    "map": average_precision,
    "hit": hit,
    "mrr": mrr,
}


def horizon_recall(ranks: Ranks, k: int, horizon: int) -> Floats:
    """(C,) share of the distinct items of the next `horizon` steps that are among the first k."""
    steps = _next_steps(ranks, horizon)
    return _share(steps, steps.rank <= k, steps.new & (steps.step_numbers() <= horizon))


def horizon_list_recall(ranks: Ranks, k: int, horizon: int) -> Floats:
    """(C,) share of the next `horizon` steps whose item is among the first k; repeated items count repeatedly."""
    steps = _next_steps(ranks, horizon)
    return _share(steps, steps.rank <= k, steps.step_numbers() <= horizon)


def horizon_mrr(ranks: Ranks, k: int, horizon: int) -> Floats:
    """(C,) 1 / rank of the best item of the next `horizon` steps; 0 where that rank is below k."""
    steps = _next_steps(ranks, horizon)
    inside = np.where(steps.step_numbers() <= horizon, steps.rank, ranks.depth + 1)
    best = np.minimum.reduceat(inside, steps.offsets[:-1])
    return np.where(best <= k, 1 / best, 0.0)


HORIZON_METRICS: dict[str, Callable[[Ranks, int, int], Floats]] = {
    "recall": horizon_recall,
    "recall-list": horizon_list_recall,
    "mrr": horizon_mrr,
}


def parse(metric: str) -> tuple[str, int]:
    """Name and cut-off of a metric such as "recall@10", or "recall@10,5" of the next 5 items.

    Raises:
        ConfigError: there is no such metric, or its cut-off or number of steps is missing or below 1.
    """
    name, at, cut = metric.partition("@")
    k, comma, steps = cut.partition(",")
    known = HORIZON_METRICS if comma else METRICS
    if name not in known:
        form = "@k,n" if comma else "@k"
        raise ConfigError(
            f"unknown metric {metric!r}{did_you_mean(name, known)}; known: {', '.join(known)}, each with {form}"
        )
    if not at or not re.fullmatch(_CUTOFF, k) or int(k) < 1:
        raise ConfigError(f"metric {metric!r} needs a cut-off of at least 1, such as {name}@10")
    if comma and not (re.fullmatch(_CUTOFF, steps) and int(steps) >= 1):
        raise ConfigError(f"metric {metric!r} needs a number of steps of at least 1, such as {name}@{k},5")
    return name, int(k)


def ranking_values(ranks: Ranks, metric: str) -> Floats:
    """(C,) the values of a metric such as "recall@10", one per instance.

    Raises:
        ConfigError: the metric is unknown, or the ranks are not deep enough for it.
    """
    name, k = parse(metric)
    _check_depth(ranks, k, metric)
    _, comma, steps = metric.partition(",")
    return HORIZON_METRICS[name](ranks, k, int(steps)) if comma else METRICS[name](ranks, k)


def at_step(ranks: Ranks, k: int, step: int) -> Floats:
    """(C,) 1 where the item `step` steps ahead is among the first k, otherwise 0; NaN where an instance ends before."""
    steps = _next_steps(ranks, step)
    _check_depth(ranks, k, "at_step")
    exists = np.diff(steps.offsets) >= step
    index = np.where(exists, steps.offsets[:-1] + step - 1, 0)
    return np.where(exists, (steps.rank[index] <= k).astype(np.float64), np.nan)


def coverage(ranks: Ranks, k: int, num_items: int) -> float:
    """Share of the `num_items` items of the catalogue that are among the first k of any instance."""
    _check_depth(ranks, k, "coverage")
    recommended = np.bincount(ranks.top[:, :k].ravel(), minlength=1)
    return int((recommended[1:] > 0).sum()) / num_items


def popularity(ranks: Ranks, counts: Ids, k: int) -> Floats:
    """(C,) popularity of the first k: their mean percentile (0 to 1) among the items 1..I by training count.

    Args:
        ranks: the recommended lists; the value is NaN where a list is empty.
        counts: (I + 1,) training events of each item; 0 for item 0.
        k: cut-off.
    """
    ordered = np.sort(counts[1:])
    below, up_to = np.searchsorted(ordered, counts, "left"), np.searchsorted(ordered, counts, "right")
    return _list_mean(ranks, (below + up_to) / (2 * len(ordered)), k)


def novelty(ranks: Ranks, counts: Ids, k: int) -> Floats:
    """(C,) novelty of the first k: their mean self-information -log2 p, in bits.

    p is an item's share of the training events, with one event added to every item so that unseen items stay finite.

    Args:
        ranks: the recommended lists; the value is NaN where a list is empty.
        counts: (I + 1,) training events of each item; 0 for item 0.
        k: cut-off.
    """
    share = (counts + 1) / (counts[1:] + 1).sum()
    return _list_mean(ranks, -np.log2(share), k)


def _next_steps(ranks: Ranks, horizon: int) -> NextSteps:
    known = 1 if ranks.next_steps is None else ranks.next_steps.horizon
    if ranks.next_steps is None or horizon > known:
        raise ConfigError(
            f"{horizon} steps ahead: these ranks have a horizon of {known}; evaluate again with a protocol of "
            f"horizon={horizon}"
        )
    return ranks.next_steps


def _share(steps: NextSteps, hit: Mask, counted: Mask) -> Floats:
    """(C,) share of the counted steps that are hits; the next step is always counted."""
    first = steps.offsets[:-1]
    return np.add.reduceat((hit & counted).astype(np.float64), first) / np.add.reduceat(counted, first, dtype=np.int64)


def _hits(ranks: Ranks, k: int) -> Floats:
    return _sum(ranks, (ranks.rank <= k).astype(np.float64))


def _gain(ranks: Ranks, k: int) -> Floats:
    """(C,) discounted gain of the targets among the first k."""
    return _sum(ranks, np.where(ranks.rank <= k, 1 / np.log2(ranks.rank + 1), 0.0))


def _ideal_gains(k: int) -> Floats:
    """(k,) discounted gain of 1, 2, ..., k targets at the first ranks."""
    return np.cumsum(1 / np.log2(np.arange(2, k + 2)))


def _sum(ranks: Ranks, gain: Floats) -> Floats:
    """(C,) sum over the targets of each instance; there is at least one."""
    return np.add.reduceat(gain, ranks.offsets[:-1])


def _list_mean(ranks: Ranks, value: Floats, k: int) -> Floats:
    _check_depth(ranks, k, "a mean over the list")
    top = ranks.top[:, :k]
    filled = top > 0
    length = filled.sum(1)
    total = np.where(filled, value[top], 0.0).sum(1)
    return np.where(length > 0, total / np.maximum(length, 1), np.nan)


def _check_depth(ranks: Ranks, k: int, what: str) -> None:
    if not 1 <= k <= ranks.depth:
        raise ConfigError(f"{what}: k={k}, but these ranks have a depth of {ranks.depth}; rank again with depth={k}")
