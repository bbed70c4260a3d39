"""`tie_ranges`: how much figures hang on the order of events with the same time, which a log cannot know.

order of the file   a@10  b@20  c@20        leave-one-out has the target c, and b for validation
another order       a@10  c@20  b@20        the target is b

Events of a user with the same time are put into random orders, and the log is split again each time. Models that count
are trained again. Other models keep their weights, so they may know some of the new targets from training: `trained_on`
says how many.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from segue.data.baskets import basket_starts
from segue.data.log import Ids, Log, ranges
from segue.data.splits import Split
from segue.errors import DataError, require
from segue.evaluation.protocol import Protocol
from segue.evaluation.task import mean_metric
from segue.models.base.model import DirectModel, Model, Sizes
from segue.training.loop import fit


@dataclass(frozen=True)
class TieRange:
    """The figures of a model over random orders of the events with the same time.

    Attributes:
        low: the lowest figure of each metric.
        high: the highest.
        trained_on: share of the test targets of these orders that the model knows from its training, with the order of
            the file; None if it was trained again for each order.
    """

    low: Mapping[str, float]
    high: Mapping[str, float]
    trained_on: float | None


def reordered(log: Log, seed: int) -> tuple[Log, Ids]:
    """The log with the events of each user and time in a random order, and the row that each of its rows was.

    Events of one time that the log's own split puts into different parts keep their order.

    Raises:
        DataError: the log has no times.
    """
    rows = log.rows()
    new = np.zeros(len(log.item), np.int64)
    new[basket_starts(log)] = 1
    if log.part is not None:
        new[1:] |= np.diff(log.part) != 0
    group = np.cumsum(new[rows])
    source = np.arange(len(log.item))
    source[rows] = rows[np.lexsort((np.random.default_rng(seed).random(len(rows)), group))]
    if log.session is not None:
        new[1:] |= np.diff(log.session) != 0
    columns = {
        name: getattr(log, name) for name in ("rating", "event_type", "event_features", "impressions", "is_target")
    }
    moved = {name: values[source] for name, values in columns.items() if values is not None}
    return replace(log, item=log.item[source], **moved), source


def has_ties(log: Log) -> bool:
    """Whether two events of a user have the same time; False without times."""
    return log.time is not None and len(basket_starts(log)) < len(log)


def tie_ranges(
    models: Mapping[str, Model],
    protocol: Protocol,
    log: Log,
    metrics: Sequence[str],
    *,
    orders: int,
    refit: bool = False,
) -> dict[str, TieRange]:
    """The lowest and the highest figure of each model over random orders of the events with the same time.

    Args:
        models: by name; trained, apart from models that count, which are trained again for each order.
        protocol: one that ranks items.
        log: the log, with times.
        metrics: such as "recall@10".
        orders: number of orders, drawn with the seeds 0, 1, 2 and so on.
        refit: whether the models are trained on the validation data as well.

    Raises:
        ConfigError: fewer than 2 orders, or a protocol that trains models anew during the test.
        DataError: the log has no times.
    """
    require(orders >= 2, f"tie_range={orders}: needs at least 2 orders")
    if log.time is None:
        raise DataError(f"{log.name}: has an order and no times, so it has no ties to put into another order")
    require(
        not protocol.trains_anew,
        f"tie_range={orders}: models are not trained anew in each of the orders, as the protocol {protocol.name} asks "
        "for; use retrain=never",
    )
    original = protocol.split(log)
    known_until = original.test if refit else original.valid
    figures: dict[str, list[list[float]]] = {name: [] for name in models}
    known = []
    for seed in range(orders):
        other, source = reordered(log, seed)
        split = protocol.split(other)
        known.append(_share_trained_on(protocol, split, source, known_until))
        for name, model in models.items():
            candidate = _trained_again(model, split, refit=refit) if isinstance(model, DirectModel) else model
            predictions = protocol.evaluate(candidate, split, "test")
            figures[name].append([mean_metric(predictions, metric) for metric in metrics])
    return {
        name: TieRange(
            dict(zip(metrics, np.min(values, axis=0).tolist(), strict=True)),
            dict(zip(metrics, np.max(values, axis=0).tolist(), strict=True)),
            None if isinstance(models[name], DirectModel) else float(np.mean(known)),
        )
        for name, values in figures.items()
    }


def _trained_again(model: DirectModel, split: Split, *, refit: bool) -> Model:
    fresh = type(model)(model.config, Sizes.of(split.log, model.config))
    fit(fresh, split.train_valid if refit else split.train)
    return fresh


def _share_trained_on(protocol: Protocol, split: Split, source: Ids, known_until: Ids) -> float:
    """The share of the test targets that were training rows in the order of the file."""
    instances = protocol.instances(split, "test")
    row = ranges(instances.row, instances.stop)
    user = np.repeat(instances.user, instances.num_targets)
    return float((source[row] < known_until[user]).mean()) if len(row) else 0.0
