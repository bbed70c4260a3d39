"""The base classes of all models.

Model             has settings (`Config`) and scores items for histories (`score`)
DirectModel       is fitted in closed form: it implements `fit(log)`
GradientModel     is trained by gradient descent: it implements `batches` and the loss `forward`
DotProductModel   scores with a dot product: it implements `query` and `item_vectors`
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from segue.batches.batch import AnyBatch, Batch
from segue.config import Config
from segue.data.impressions import known_impressions
from segue.data.log import Log
from segue.data.sessions import SessionRule
from segue.errors import ConfigError, did_you_mean, require
from segue.json_files import Count, read_strictly
from segue.models.base.gradient_config import EpochsConfig, GradientModelConfig
from segue.models.base.search_space import Space
from segue.nn.optim import Adam, Optimizer


@read_strictly
@dataclass(frozen=True)
class Sizes:
    """The numbers of users, items and item features that a model is built for.

    Attributes:
        num_users: number of users; their ids run from 1 to it, and 0 is padding.
        num_items: number of items, with ids like those of users.
        num_features: number of categories of item features, with ids like those of users; 0 for models without.
        categories_per_item: largest number of categories of an item; 0 for models that take it from their settings.
        values_per_item: number of numbers, those of vectors included, that are features of each item.
        num_event_types: number of types of events, with ids like those of users; 0 for models that read none.
        event_features: the number of categories of each event feature, 0 for numbers; empty for models that read none.
    """

    num_users: Count
    num_items: Count
    num_features: Count = 0
    categories_per_item: Count = 0
    values_per_item: Count = 0
    num_event_types: Count = 0
    event_features: tuple[Count, ...] = ()

    @classmethod
    def of(cls, log: Log, config: Config | None = None) -> Sizes:
        """The sizes of a log, with the features that `config` names.

        Raises:
            DataError: the log has no column of that name, or one that cannot be a feature; or no types, features,
                sessions or impressions of events.
        """
        features = config.feature_sizes(log) if isinstance(config, EpochsConfig) else {}
        num_event_types = log.num_event_types if getattr(config, "event_types", False) else 0
        event_features: tuple[int, ...] = ()
        if getattr(config, "event_features", False):
            _ = log.known_event_features  # or the error
            event_features = tuple(len(one.categories) for one in log.event_feature_columns)
        if getattr(config, "draws_from_shown", False):
            _ = known_impressions(log)  # or the error
        rule: SessionRule | None = getattr(config, "session_rule", None)
        if rule is not None:
            _ = rule.numbers(log)  # or the error
        counts = {**features, "num_event_types": num_event_types}
        return cls(log.num_users, log.num_items, event_features=event_features, **counts)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Sizes:
        """The sizes that are stored as plain values; absent ones have their defaults."""
        return cls(**{**values, "event_features": tuple(values.get("event_features", ()))})


class Model(nn.Module, ABC):
    """Base class of all models: all that evaluation, saved models and serving know of a model.

    Class attributes:
        name: its name on the command line.
        Config: the class of its settings.
        presets: named sets of settings that differ from the defaults.
        space: default search space: the settings that a search tries, and their ranges.
        task: the name of the task that the model is made for, "ranking" or "rating"; see `segue.evaluation.task`.
        training_cost: "low", "medium" or "high" among the models that are fitted in one step, or among those that are
            trained in epochs. `segue compare` begins with the cheap ones.
        trained_by_gradient: True if the model is trained in epochs; False if it has `fit`.
        depends_on_seed: whether another seed gives another model, because it begins at random or draws examples.
        scores_pairs: True if the cost of `score` grows with the number of items, because each (user, item) pair is
            scored by itself; re-ranking then scores the candidates alone.
        skips_padding: where in a history padding is no item: on the "left" alone; "inside", which is anywhere before
            the newest item; or "anywhere". Where it is skipped, the other items keep their positions.
        additive: whether a score is a "sum", or a "mean", over the items of the history, of terms that depend on one
            item and its position, plus a term without any item; "no" for every other model.
        keeps_state: whether a session can be read one item at a time: `advance(state, item)` returns the state after
            an item (the first state is None), and `state_query(state)` the query vector.
        can_update: whether `update` learns new events at once. A model whose events count by their types cannot: it is
            told items alone.
        update_window: number of most recent items before an event that `update` reads; None reads the whole history.
        item_similarity: what `item_similarities` returns, in words; empty if the model does not compare items.

    Attributes:
        window: number of most recent items that `score` reads; None reads the whole history.
        exclude_seen: whether the model was evaluated without the items of the history, and so recommends none of them;
            None if it is unknown.
    """

    name: ClassVar[str]
    Config: ClassVar[type[Config]]
    presets: ClassVar[dict[str, dict[str, Any]]] = {}
    space: ClassVar[Space] = {}
    task: ClassVar[str] = "ranking"
    training_cost: ClassVar[Literal["low", "medium", "high"]] = "medium"
    trained_by_gradient: ClassVar[bool] = False
    depends_on_seed: ClassVar[bool] = True
    scores_pairs: ClassVar[bool] = False
    skips_padding: ClassVar[Literal["left", "inside", "anywhere"]] = "left"
    additive: Literal["no", "sum", "mean"] = "no"
    keeps_state: ClassVar[bool] = False
    can_update: bool = False
    update_window: int | None = None
    item_similarity: ClassVar[str] = ""
    window: int | None
    exclude_seen: bool | None = None

    def __init__(self, config: Any, sizes: Sizes) -> None:
        super().__init__()
        self.config = config
        self.sizes = sizes

    @property
    def reads_times(self) -> bool:
        """Whether `score` reads the times of the events of a history."""
        return any(part.reads_times for part in self.parts)

    @property
    def reads_event_types(self) -> bool:
        """Whether `score` reads the types of the events of a history."""
        return any(part.reads_event_types for part in self.parts)

    @property
    def reads_event_features(self) -> bool:
        """Whether `score` reads the features of the events of a history."""
        return any(part.reads_event_features for part in self.parts)

    @property
    def session_rule(self) -> SessionRule | None:
        """How the sessions are told apart that `score` reads of a history; None if it reads none.

        Raises:
            ConfigError: the parts of the model tell them apart in different ways.
        """
        rules = {part.session_rule for part in self.parts} - {None}
        require(
            len(rules) < 2, f"{self.name}: its models read sessions with another session_gap each; give both the same"
        )
        return next(iter(rules), None)

    @property
    def reads_request_time(self) -> bool:
        """Whether `score` reads when the next item is requested."""
        return any(part.reads_request_time for part in self.parts)

    @property
    def num_candidates(self) -> int | None:
        """How many items the model ranks for a query, if all others share one score below them; None if it ranks all.

        Items that are not ranked are not recommended.
        """
        return None

    @property
    def parts(self) -> tuple[Model, ...]:
        """The models that this one combines; none by default."""
        return ()

    def part_shares(self, batch: Batch) -> Float[Tensor, "B K"] | None:
        """How much each of K parts counts for each row, from 0 to 1; None where parts have no shares, by default."""
        return None

    @property
    def scored_window(self) -> int | None:
        """Number of most recent items that scores depend on, the largest of all parts; None for the whole history."""
        windows = [part.scored_window for part in self.parts] or [self.window]
        return None if None in windows else max(window or 0 for window in windows)

    @abstractmethod
    def score(self, batch: Batch, items: Int[Tensor, "K"] | None = None) -> Float[Tensor, "B K"]:
        """Scores of `items` as the next item; without `items`, of the items 0..I in order. Item 0 scores -inf."""

    def item_similarities(self, items: Int[Tensor, "K"]) -> Float[Tensor, "K I"]:
        """The similarity of each of `items` to the items 0..I; -inf where the model knows of none.

        Raises:
            ConfigError: the model does not compare items (`item_similarity` is empty).
        """
        raise ConfigError(f"{self.name}: has neither item vectors nor a table of similar items")

    def update(self, histories: Sequence[Sequence[int]], items: Sequence[int], *, count: int = 1) -> None:
        """Learn one more event of each of some users at once.

        Args:
            histories: the items of each user so far, oldest first; empty for a new user.
            items: the item of the event of each of them.
            count: how often the events count; -1 takes out events that were learnt, with the same histories.

        Raises:
            ConfigError: the model has to be trained anew (`can_update` is false), or an id is not that of an item.
        """
        raise ConfigError(f"{self.name}: cannot learn single events; train it anew on the longer log")

    def _check_events(self, histories: Sequence[Sequence[int]], items: Sequence[int]) -> None:
        """Raise `ConfigError` if events that are to be learnt have other ids than those of items."""
        require(
            len(histories) == len(items), f"{self.name}: {len(histories)} histories of the events of {len(items)} items"
        )
        for history, item in zip(histories, items, strict=True):
            ids = np.asarray([*history, item])
            whole = ids.dtype.kind in "iu" and ids.ndim == 1
            require(
                whole and ids.min() > 0 and ids.max() <= self.sizes.num_items,
                f"{self.name}: an event to learn, {item!r} after {list(history)[-5:]}, needs ids of items from 1 to "
                f"{self.sizes.num_items:,}; `log.items.ids(names)` gives them",
            )

    def readable(self, batch: AnyBatch) -> AnyBatch:
        """A batch with padding anywhere in its histories, in the form that `score` reads.

        Histories are cut to the window first. Then padding that the model would read as an item moves to the left. A
        model with parts returns the batch as it is, and does this for each part.
        """
        if self.parts:
            return batch
        if self.window is not None and batch.history.shape[1] > self.window:
            batch = batch.last_events(self.window)
        if self.skips_padding == "anywhere":
            return batch
        return batch.without_gaps(keep_inner=self.skips_padding == "inside")

    @classmethod
    def configure(cls, settings: dict[str, Any] | None = None, preset: str | None = None) -> Any:
        """The config of a preset (None: the defaults), overridden by `settings`."""
        base: dict[str, Any] = {}
        if preset is not None:
            if preset not in cls.presets:
                known = ", ".join(cls.presets) or "none"
                raise ConfigError(
                    f"{cls.name} has no preset {preset!r}{did_you_mean(preset, cls.presets)}; it has: {known}"
                )
            base = cls.presets[preset]
        return cls.Config.make({**base, **(settings or {})})

    @classmethod
    def space_for(cls, config: Any) -> Space:
        """The default search space where the other settings are those of `config`."""
        return cls.space


class DirectModel(Model):
    """Base class of models that are fitted in closed form, for example by counting."""

    @abstractmethod
    def fit(self, log: Log) -> None:
        """Fit the model to `log`."""

    def learning(self, log: Log) -> tuple[Callable[[int], None], int] | None:
        """The first part of `fit` of a model that counts and then learns weights from examples.

        None, by default, for other models, whose `fit` takes as long as there are events.

        Returns:
            What learns from a number of examples, and from how many `fit` learns.
        """
        return None


class GradientModel(Model):
    """Base class of models trained by gradient descent. `forward` returns the loss of a batch.

    Attributes:
        micro_batch_size: number of rows whose gradients are computed at a time; the gradients of all parts of a batch
            are added up. Small parts fit into the processor's cache.
        fixed_shapes: whether the matrix products have few different shapes. Kernels that are compiled for one shape
            are faster only then.
    """

    trained_by_gradient = True
    config: GradientModelConfig
    micro_batch_size: int = 4096
    fixed_shapes: bool = True

    @abstractmethod
    def batches(self, log: Log, rng: np.random.Generator) -> Iterator[Batch]:
        """One epoch of training batches of `log`."""

    def optimizer(self) -> Optimizer:
        """The optimiser of the parameters; Adam by default."""
        return Adam(self.parameters(), lr=self.config.schedule, weight_decay=self.config.weight_decay)

    def compiled_step(self, optimizer: Optimizer) -> Callable[[Any], Float[Tensor, ""]] | None:
        """A whole training step as compiled loops: it updates the weights for a batch, and returns the mean loss.

        None, by default, if `forward`, its gradients and the optimiser are to make the step. Both ways make the same
        step but for rounding.
        """
        return None

    def loss_divisor(self, batch: Any) -> Int[Tensor, ""] | int:
        """What the sum of the losses of a whole batch is divided by with reduction=mean; by default its targets."""
        divisor: Tensor = batch.num_targets
        return divisor

    def own_epoch(self) -> Callable[[Log, np.random.Generator], Float[Tensor, "n"]] | None:
        """What trains for one epoch in the model's own way, and returns the mean loss of a target in each part of it.

        None, by default, if `batches`, `forward` and `optimizer` are to make the epoch.
        """
        return None

    def end_epoch(self, log: Log) -> None:
        """What is fitted to the training log otherwise, after the steps of each epoch; nothing by default."""

    def fitted_once(self) -> Sequence[DirectModel]:
        """The models that `end_epoch` fits to the training log, in the first epoch alone; none by default."""
        return ()

    def learnt_each_epoch(self, log: Log) -> tuple[Callable[[int], None], int] | None:
        """What `end_epoch` learns in each epoch, once these are fitted; None, by default, if it learns nothing.

        Returns:
            What learns from a number of examples, and from how many it learns.
        """
        return None

    @abstractmethod
    def forward(self, batch: Any) -> Float[Tensor, ""]:
        """The loss, summed over the targets of the batch, so that the losses of parts of a batch add up."""


class DotProductModel(Model):
    """Base class of models whose score is the dot product of a query and an item vector."""

    item_similarity = "cosine of the item vectors"

    @abstractmethod
    def query(self, batch: Batch) -> Float[Tensor, "B d"]:
        """The query vector of each row of the batch."""

    @abstractmethod
    def item_vectors(self) -> Float[Tensor, "I d"]:
        """The vectors of items 0..I (I + 1 rows). An item bias is one more column; the query has a 1 in its place."""

    @property
    def num_item_biases(self) -> int:
        """Number of last columns of `item_vectors` that hold biases or constants; the setting `item_bias` adds one."""
        return int(getattr(self.config, "item_bias", False))

    def item_similarities(self, items: Int[Tensor, "K"]) -> Float[Tensor, "K I"]:
        vectors = self.item_vectors()
        vectors = nn.functional.normalize(vectors[:, : vectors.shape[1] - self.num_item_biases], dim=1)
        similarities = vectors[items] @ vectors.T  # (K, I)
        similarities[:, vectors.square().sum(1) == 0] = -torch.inf  # a vector of zeros has no direction
        return similarities

    def score(self, batch: Batch, items: Int[Tensor, "K"] | None = None) -> Float[Tensor, "B K"]:
        vectors = self.item_vectors()
        if items is not None:
            vectors = vectors[items]
        scores = self.query(batch) @ vectors.T  # (B, K)
        padding = slice(0, 1) if items is None else items == 0
        scores[:, padding] = -torch.inf
        return scores
