"""Metrics: pure functions from `Ranks` to one value a case.

    targets of a case at ranks 2 and 5, a third below; k = 5:      place    1    2    3    4    5
                                                                   hit      ·    ×    ·    ·    ×

    recall  2/3      precision  2/5      hit  1      mrr  1/2      map  (1/2 + 2/5) / 3
    ndcg    (1/log2 3 + 1/log2 6) / (1/log2 2 + 1/log2 3 + 1/log2 4)

With one target a case, recall equals hit. Beyond accuracy: `coverage`, `popularity` and `novelty` of the lists.

Where the next several items were asked for (`Protocol.ahead`), `recall@20,5` is recall of the set of the next 5, or of
those that are left (Criteo's Recall@K,N, equation 8), and `recall-list@20,5` counts an item as often as it comes.

Of `RatingPredictions`, the answers to a protocol of ratings, with e = predicted - rating:

    rmse  sqrt(mean of e^2)     mae  mean of |e|     (the lower the better)     auc  see `segue.evaluation.predictions`
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from segue.errors import ConfigError, did_you_mean
from segue.evaluation.predictions import RatingPredictions
from segue.evaluation.ranks import Ids, Mask, NextSteps, Ranks

Values = np.ndarray[Any, np.dtype[np.float64]]
Metric = Callable[[Ranks, int], Values]


def recall(ranks: Ranks, k: int) -> Values:
    """(C,) share of the targets that are among the first k. (Some programs divide by min(k, targets) instead.)"""
    return _hits(ranks, k) / ranks.sizes


def precision(ranks: Ranks, k: int) -> Values:
    """(C,) share of the first k places that hold a target; an empty place is a miss."""
    return _hits(ranks, k) / k


def hit(ranks: Ranks, k: int) -> Values:
    """(C,) 1 where a target is among the first k, otherwise 0."""
    return (_hits(ranks, k) > 0).astype(np.float64)


def mrr(ranks: Ranks, k: int) -> Values:
    """(C,) 1 / rank of the best target, 0 where that is below k."""
    first = ranks.rank[ranks.offsets[:-1]]
    return np.where(first <= k, 1 / first, 0.0)


def ndcg(ranks: Ranks, k: int) -> Values:
    """(C,) discounted gain with 1 / log2(rank + 1), over that of the best order of min(k, targets) targets."""
    gain = np.where(ranks.rank <= k, 1 / np.log2(ranks.rank + 1), 0.0)
    ideal = np.cumsum(1 / np.log2(np.arange(2, k + 2)))
    return _sum(ranks, gain) / ideal[np.minimum(ranks.sizes, k) - 1]


def average_precision(ranks: Ranks, k: int) -> Values:
    """(C,) sum over the hits of the precision at their ranks, over min(k, targets); its mean is called MAP."""
    number = np.arange(len(ranks.rank)) - np.repeat(ranks.offsets[:-1], ranks.sizes) + 1
    gain = np.where(ranks.rank <= k, number / ranks.rank, 0.0)
    return _sum(ranks, gain) / np.minimum(ranks.sizes, k)


METRICS: dict[str, Metric] = {
    "recall": recall,
    "precision": precision,
    "ndcg": ndcg,
    "map": average_precision,
    "hit": hit,
    "mrr": mrr,
}


def squared_error(rated: RatingPredictions) -> Values | None:
    """(N,) what the RMSE is the root of the mean of."""
    return None if rated.predicted is None else (rated.predicted - rated.rating) ** 2


def absolute_error(rated: RatingPredictions) -> Values | None:
    """(N,) how far each prediction is from the rating."""
    return None if rated.predicted is None else np.abs(rated.predicted - rated.rating)


def auc(rated: RatingPredictions) -> Values | None:
    """(M,) for each user the chance that an item to be rated stands before one that was not."""
    return rated.auc


RATED: dict[str, Callable[[RatingPredictions], Values | None]] = {
    "rmse": squared_error,
    "mae": absolute_error,
    "auc": auc,
}
LOWER = ("rmse", "mae")  # the lower the better


def value(mean: float, metric: str) -> float:
    """The figure of a metric, from the mean of its values over the cases."""
    return math.sqrt(mean) if metric == "rmse" else mean


def parse(metric: str) -> tuple[str, int]:
    """Name and cut-off of a metric such as "recall@10", or "recall@10,5" of the next 5 items; the metrics of ratings
    have the cut-off 0."""
    if metric in RATED:
        return metric, 0
    name, at, cut = metric.partition("@")
    k, comma, steps = cut.partition(",")
    known = AHEAD if comma else METRICS
    if name not in known:
        after = "@k,n" if comma else "@k"
        raise ConfigError(
            f"unknown metric {metric!r}{did_you_mean(name, known)}; known: {', '.join(known)}, each with {after}; "
            f"of ratings {', '.join(RATED)}"
        )
    if not at or not k.isdecimal() or int(k) < 1:
        raise ConfigError(f"metric {metric!r} needs a cut-off of at least 1, such as {name}@10")
    if comma and not (steps.isdecimal() and int(steps) >= 1):
        raise ConfigError(f"metric {metric!r} needs a number of steps of at least 1, such as {name}@{k},5")
    return name, int(k)


def answers(given: Ranks | RatingPredictions, metric: str) -> bool:
    """Whether these answers have a value of a metric: errors need predictions, recall needs ranks."""
    return _values(given, metric) is not None


def measure(given: Ranks | RatingPredictions, metric: str) -> Values:
    """(C,) values of a metric such as "recall@10", one a case; those of "rmse" are squared errors.

    Raises:
        ConfigError: the metric is unknown, or these are no answers to it.
    """
    values = _values(given, metric)
    if values is None:
        raise ConfigError(
            f"{metric}: nothing here answers to it; ranks give {', '.join(METRICS)}, ratings {', '.join(RATED)}"
        )
    return values


def asked(given: Ranks | RatingPredictions, metric: str) -> Ids:
    """(C,) the user of each value that `measure` gives."""
    if isinstance(given, RatingPredictions) and metric == "auc" and given.ranked is not None:
        return given.ranked
    return given.user


def _values(given: Ranks | RatingPredictions, metric: str) -> Values | None:
    name, k = parse(metric)
    if isinstance(given, RatingPredictions):
        return RATED[name](given) if name in RATED else None
    if name in RATED:
        return None
    _within(given, k, metric)
    _, comma, steps = metric.partition(",")
    return AHEAD[name](given, k, int(steps)) if comma else METRICS[name](given, k)


def recall_ahead(ranks: Ranks, k: int, steps: int) -> Values:
    """(C,) share of the different items of the next `steps` steps that are among the first k."""
    ahead = _ahead(ranks, steps)
    return _share(ahead, ahead.rank <= k, ahead.new & (ahead.steps() <= steps))


def list_recall_ahead(ranks: Ranks, k: int, steps: int) -> Values:
    """(C,) share of the next `steps` steps whose item is among the first k: one that comes twice counts twice."""
    ahead = _ahead(ranks, steps)
    return _share(ahead, ahead.rank <= k, ahead.steps() <= steps)


def mrr_ahead(ranks: Ranks, k: int, steps: int) -> Values:
    """(C,) 1 / rank of the best item of the next `steps` steps, 0 where that is below k."""
    ahead = _ahead(ranks, steps)
    best = np.minimum.reduceat(np.where(ahead.steps() <= steps, ahead.rank, ranks.depth + 1), ahead.offsets[:-1])
    return np.where(best <= k, 1 / best, 0.0)


AHEAD: dict[str, Callable[[Ranks, int, int], Values]] = {
    "recall": recall_ahead,
    "recall-list": list_recall_ahead,
    "mrr": mrr_ahead,
}


def at_step(ranks: Ranks, k: int, step: int) -> Values:
    """(C,) 1 where the item `step` steps ahead is among the first k, otherwise 0; NaN where a case ends before it."""
    ahead = _ahead(ranks, step)
    _within(ranks, k, "this measure")
    there = np.diff(ahead.offsets) >= step
    place = np.where(there, ahead.offsets[:-1] + step - 1, 0)
    return np.where(there, (ahead.rank[place] <= k).astype(np.float64), np.nan)


def coverage(ranks: Ranks, k: int, items: int) -> float:
    """Share of the catalogue of `items` that is recommended to anybody among the first k."""
    _within(ranks, k, "coverage")
    shown = np.bincount(ranks.top[:, :k].ravel(), minlength=1)
    return int((shown[1:] > 0).sum()) / items


def popularity(ranks: Ranks, counts: Ids, k: int) -> Values:
    """(C,) how popular the first k are: their mean percentile (0 to 1) among the items 1..I by training count.

    Args:
        ranks: what was recommended; NaN where nothing was.
        counts: (I + 1,) how often each item occurs in the training log; 0 for item 0.
        k: cut-off.
    """
    ordered = np.sort(counts[1:])
    below, upto = np.searchsorted(ordered, counts, "left"), np.searchsorted(ordered, counts, "right")
    return _list_mean(ranks, (below + upto) / (2 * len(ordered)), k)


def novelty(ranks: Ranks, counts: Ids, k: int) -> Values:
    """(C,) how surprising the first k are: their mean self-information -log2 p, in bits.

    p is an item's share of the training events with one more for every item, so that unseen items stay finite.

    Args:
        ranks: what was recommended; NaN where nothing was.
        counts: (I + 1,) how often each item occurs in the training log; 0 for item 0.
        k: cut-off.
    """
    share = (counts + 1) / (counts[1:] + 1).sum()
    return _list_mean(ranks, -np.log2(share), k)


def _ahead(ranks: Ranks, steps: int) -> NextSteps:
    asked = 1 if ranks.ahead is None else ranks.ahead.asked
    if ranks.ahead is None or steps > asked:
        raise ConfigError(
            f"{steps} steps ahead: these ranks are of the next {asked}; rank again by a protocol with ahead={steps}"
        )
    return ranks.ahead


def _share(ahead: NextSteps, hit: Mask, counted: Mask) -> Values:
    """(C,) share of what counts that is a hit; the next step always counts."""
    first = ahead.offsets[:-1]
    return np.add.reduceat((hit & counted).astype(np.float64), first) / np.add.reduceat(counted, first, dtype=np.int64)


def _hits(ranks: Ranks, k: int) -> Values:
    return _sum(ranks, (ranks.rank <= k).astype(np.float64))


def _sum(ranks: Ranks, gain: Values) -> Values:
    """(C,) sum over the targets of each case; there is at least one."""
    return np.add.reduceat(gain, ranks.offsets[:-1])


def _list_mean(ranks: Ranks, value: Values, k: int) -> Values:
    _within(ranks, k, "this measure")
    top = ranks.top[:, :k]
    there = top > 0
    size = there.sum(1)
    total = np.where(there, value[top], 0.0).sum(1)
    return np.where(size > 0, total / np.maximum(size, 1), np.nan)


def _within(ranks: Ranks, k: int, what: str) -> None:
    if not 1 <= k <= ranks.depth:
        raise ConfigError(
            f"{what}: k={k}, but these ranks were taken to depth {ranks.depth}; rank again with depth={k}"
        )
