"""`retrain`: trains a saved model anew on everything that a store holds, and compares the two on what neither has seen.

    store ──► log ──► the experiment of the old model ──► new model ──┐
                                                                      ├──► the newest part of the log ──► no worse?
                                                        old model ────┘

Both rank the same items for the same instances of the protocol's test, without those whose target the old model was
trained on. An item that the old model does not know is a miss for it, as it was for the users. Sessions that were
joined to a user after the old training count as this user in the old log, too: their events are not new.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import polars as pl

from segue.data.item_values import common_column
from segue.data.log import Log, Mask, Vocab
from segue.data.readers.store_items import with_store_items
from segue.data.time_units import in_microseconds
from segue.errors import ConfigError
from segue.evaluation.protocol import Protocol
from segue.evaluation.ranking_protocol import RankingProtocol
from segue.evaluation.significance import interval
from segue.event_store.item_table import Item
from segue.experiments.experiment import Experiment
from segue.experiments.outcome import Outcome
from segue.experiments.saved_models import stored_protocol
from segue.models.registry import ENSEMBLES
from segue.service.users.history_import import event_times
from segue.serving.saved_model import SavedModel
from segue.serving.vocabulary_adapter import VocabularyAdapter

ABSOLUTE = ("date", "after")  # arguments of splits that are times
MARGIN = 0.05  # share of the old model's figure that a new one may lose for certain
MIN_INSTANCES, MIN_USERS = 100, 20  # before a comparison says anything


@dataclass(frozen=True)
class Comparison:
    """The old and the new model on the same instances.

    A model that is trained anew every night is usually about as good as the old one, and knows newer items. So it is
    accepted when it is at least as good, or when it is certain to lose little. With few instances neither says
    anything; the instances of the next nights are added to them, since the old model does not know them either.

    Attributes:
        metric: that chose the epoch, such as "ndcg@10".
        instances: number of instances.
        users: number of their users.
        old: figure of the old model.
        new: figure of the new one.
        low: lower end of the 95% interval of the difference new - old, over users.
        high: its upper end.
    """

    metric: str
    instances: int
    users: int
    old: float
    new: float
    low: float
    high: float

    @property
    def is_no_worse(self) -> bool:
        """Whether there are enough instances, and the new model is as good on them or loses at most `MARGIN`."""
        return self.is_enough and (self.new >= self.old or self.low >= -MARGIN * self.old)

    @property
    def is_enough(self) -> bool:
        """Whether there are enough instances of enough users to tell."""
        return self.instances >= MIN_INSTANCES and self.users >= MIN_USERS

    def describe(self) -> str:
        """Both figures, the difference and its interval, in words."""
        return (
            f"{self.metric} {self.new:.4f} against {self.old:.4f} of the old model on {self.instances:,} instances "
            f"that neither has seen; difference {self.new - self.old:+.4f} ({self.low:+.4f} to {self.high:+.4f}): "
            f"{self._verdict()}"
        )

    def _verdict(self) -> str:
        if not self.is_enough:
            return f"too few to tell, at least {MIN_INSTANCES} of {MIN_USERS} users are needed"
        if self.new >= self.old:
            return "at least as good"
        return f"{'at most' if self.is_no_worse else 'perhaps more than'} {MARGIN:.0%} worse"


@dataclass(frozen=True, eq=False)
class Retrained:
    """A model that was trained anew.

    Attributes:
        outcome: of the experiment.
        comparison: with the old model; None if every instance of the test was in the training of the old one.
    """

    outcome: Outcome
    comparison: Comparison | None

    @property
    def is_no_worse(self) -> bool:
        """Whether it may take the place of the old model; see `Comparison`."""
        return self.comparison is not None and self.comparison.is_no_worse


def retrain(
    saved: SavedModel, log: Log, joined: Mapping[str, str], *, reference: str = "", folder: Path | None = None
) -> Retrained:
    """Train a saved model anew.

    Args:
        saved: the old model.
        log: all events of a store.
        joined: the user of each session that was joined to one in the store.
        reference: of the class of a model outside segue, such as ./fmc.py:FMC.
        folder: where the state of an interrupted training is kept; the same call resumes it.

    Raises:
        ConfigError: the model does not say how it was trained, is of two parts, or ranks nothing.
        DataError: the log is too short for the protocol.
    """
    experiment = retraining_experiment(saved, log, reference)
    outcome = experiment.train_and_test(log, folder=folder)
    comparison = compare_models(saved, outcome, joined)
    return Retrained(outcome.add_final(log, folder=folder) if experiment.final else outcome, comparison)


def retraining_experiment(saved: SavedModel, log: Log, reference: str = "") -> Experiment:
    """The experiment of a saved model, for a log whose times are in microseconds; errors as in `retrain`."""
    facts = saved.about.get("experiment")
    if saved.model.name in ENSEMBLES:
        raise ConfigError(f"{saved.name}: combines two models; retrain both, and combine them anew")
    if facts is None:
        raise ConfigError(f"{saved.name}: does not say how it was trained; train it with `segue run MODEL STORE`")
    if getattr(saved.model.config, "draws_from_shown", False):
        raise ConfigError(
            f"{saved.name}: was trained on impressions, and a store keeps none; train it on a log that has them with "
            f"`segue run {saved.model.name} --impressions-col`, or with another negative_sampling"
        )
    protocol = stored_protocol(saved)
    if not isinstance(protocol, RankingProtocol):
        raise ConfigError(f"{saved.name}: predicts ratings; a service recommends by models that rank items")
    if protocol.by == "given":
        raise ConfigError(
            f"{saved.name}: its data set says which rows are the test, and a store does not; train it under another "
            f"protocol with `segue run {saved.model.name} STORE --protocol leave-one-out`"
        )
    return Experiment(
        model=reference or saved.model.name,
        protocol=_in_microseconds(protocol, saved.log),
        settings=facts.get("settings", saved.model.config.as_dict()),
        **{name: facts[name] for name in ("preset", "seed", "monitor", "eval_every", "patience") if name in facts},
        refit=facts["refit"],
        final=bool(facts.get("final")),
    )


def _in_microseconds(protocol: Protocol, old: Log) -> Protocol:
    """The protocol with times in the unit of a store."""
    moved = {
        name: in_microseconds(int(value), old.time_unit)
        for name, value in protocol.arguments.items()
        if name in ABSOLUTE and value is not None
    }
    return replace(protocol, arguments={**protocol.arguments, **moved}) if moved else protocol


def compare_models(saved: SavedModel, outcome: Outcome, joined: Mapping[str, str]) -> Comparison | None:
    """The old model beside the tested one of an outcome, on the test instances that the old one was not trained on."""
    protocol, split, metric = outcome.experiment.protocol, outcome.split, outcome.experiment.monitor
    assert isinstance(protocol, RankingProtocol)
    instances = protocol.instances(split, "test")
    trained = np.concatenate([[0], np.cumsum(trained_rows(saved, split.log, joined))])
    instances = instances.take(np.flatnonzero(trained[instances.stop] == trained[instances.row]))
    if not len(instances):
        return None
    log = split.log
    adapter = VocabularyAdapter(
        saved.model,
        saved.log,
        log.users,
        log.items,
        event_types=log.event_types,
        event_features=log.event_feature_columns,
    )
    ranks = {
        name: protocol.rank_instances(model, instances) for name, model in (("old", adapter), ("new", outcome.model))
    }
    old, new = (ranks[name].values(metric) for name in ("old", "new"))
    users = ranks["new"].users(metric)
    low, high = interval(new - old, users)
    num_users = len(np.unique(users))
    return Comparison(metric, len(ranks["new"]), num_users, float(old.mean()), float(new.mean()), low, high)


def trained_rows(saved: SavedModel, log: Log, joined: Mapping[str, str]) -> Mask:
    """(rows of `log`,) whether a saved model was trained on each row; of events that it cannot date, on user and item.

    If it does not say what it was trained on, it is taken to have been trained on all that it was saved with.
    """
    known = saved.trained_rows()
    rows = saved.log if known is None else known
    key = ["user", "item", "time"] if rows.time is not None and log.time is not None else ["user", "item"]
    new, old = _events(log, joined), _events(rows, joined)
    marked = new.with_row_index("row").join(old.select(key).unique(), on=key, how="semi")
    mask = np.zeros(len(new), np.bool_)
    mask[marked["row"].to_numpy()] = True
    return mask


def num_missing(saved: SavedModel, log: Log, joined: Mapping[str, str]) -> int:
    """The number of events of a saved model's log that another log does not have."""
    key = ["user", "item", "time"] if saved.log.time is not None and log.time is not None else ["user", "item"]
    present = _events(log, joined).select(key).unique()
    return _events(saved.log, joined).join(present, on=key, how="anti").height


def _events(log: Log, joined: Mapping[str, str]) -> pl.DataFrame:
    """Names of user and item, and time in microseconds, of each event; the rows are those of the log."""
    user, item = log.events()
    names = {
        name: tokens.gather(ids.astype(np.int64) - 1)
        for name, tokens, ids in (
            ("user", _owners(log.users, joined), user),
            ("item", log.items.tokens.cast(pl.String), item),
        )
    }
    return pl.DataFrame({**names, "time": event_times(log)})


def _owners(users: Vocab, joined: Mapping[str, str]) -> pl.Series:
    """(U,) the name of each user; of a session that was joined, that of its user."""
    names = users.tokens.cast(pl.String)
    return names.replace(dict(joined)) if joined else names


def with_old_metadata(log: Log, old: Log, joined: Mapping[str, str], items: Mapping[str, Item]) -> Log:
    """The log of a store with what the old log knew of its users and items, where the store says nothing else.

    A user gets the metadata of the old log, or those of the first session that was joined to this user since.

    Args:
        log: of the store.
        old: that of the old model.
        joined: the user of each session that was joined to one in the store.
        items: what the store says of the items, by name; what it took away does not come back from the old log.
    """
    known = _merged(log.items.tokens, log.item_metadata, old.items.tokens, old.item_metadata)
    known = with_store_items(log.items.tokens, known, items)
    owners = pl.DataFrame({"name": old.users.tokens.cast(pl.String), "owner": _owners(old.users, joined)})
    rows = owners.with_row_index("row").sort(pl.col("name") != pl.col("owner"), "row").unique("owner", keep="first")
    old_users = None if old.user_metadata is None else old.user_metadata[rows["row"]]
    users = _merged(log.users.tokens, log.user_metadata, rows["owner"], old_users)
    users = None if users is None else users.drop("split", strict=False)
    return replace(log, item_metadata=known, user_metadata=users)


def _merged(
    names: pl.Series, new: pl.DataFrame | None, old_names: pl.Series, old: pl.DataFrame | None
) -> pl.DataFrame | None:
    if old is None:
        return new
    keys = pl.DataFrame({"\0name": names.cast(pl.String)})
    known = old.with_columns(old_names.cast(pl.String).alias("\0name"))
    merged = keys.join(known, on="\0name", how="left", maintain_order="left").drop("\0name")
    for column in [] if new is None else new.get_columns():
        value = column
        if column.name == "title":  # an item without a title has its name in this place
            value = column.set(column == keys["\0name"], None)
        if column.name in merged.columns:
            pairs = zip(value.to_list(), merged[column.name].to_list(), strict=True)
            value = common_column([before if now is None else now for now, before in pairs])
        merged = merged.with_columns(value.alias(column.name))
    if "title" in merged.columns:
        title = merged["title"]
        merged = merged.with_columns(title.zip_with(title.is_not_null(), keys["\0name"]).alias("title"))
    return merged
