"""What a model is: it is *fed* (`batches`), *taught* (`forward` is the loss) and *asked* (`score`).

Two ways to learn share one face. A model that is trained by gradient derives from `GradientModel`; one that learns by
counting derives from `DirectModel` and writes `fit(log)`. A model whose score is a dot product of a query and an item
vector derives from `DotProductModel` as well, and writes `query` and `item_vectors`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from segue.batches.batch import Batch
from segue.config import Config
from segue.data.log import Log
from segue.errors import ConfigError, did_you_mean, require
from segue.models.base.search_space import Space
from segue.nn.optim import Adam, Optimizer, Schedule, constant, polynomial


@dataclass(frozen=True)
class Sizes:
    """How many users and items a model is built for: ids run from 1 to these, and 0 is padding."""

    num_users: int
    num_items: int


class Model(nn.Module, ABC):
    """What evaluation, the artefact and the service know of a model.

    Class attributes:
        name: how people call it on the command line.
        Config: its settings.
        presets: named departures from the default settings.
        space: which settings a search tries, and in which ranges, where it is given no other.

    Attributes:
        window: how many of a user's last items `score` reads; None means all of them.
    """

    name: ClassVar[str]
    Config: ClassVar[type[Config]]
    presets: ClassVar[dict[str, dict[str, Any]]] = {}
    space: ClassVar[Space] = {}
    window: int | None

    def __init__(self, config: Any, sizes: Sizes) -> None:
        super().__init__()
        self.config = config
        self.sizes = sizes

    @abstractmethod
    def score(self, batch: Batch, items: Int[Tensor, "K"] | None = None) -> Float[Tensor, "B K"]:
        """How likely each of `items` comes next; with None, each of 0..I in order. Item 0 scores -inf."""

    @classmethod
    def configure(cls, settings: dict[str, Any] | None = None, preset: str | None = None) -> Any:
        """The config of a preset (None: the defaults) with `settings` on top."""
        base: dict[str, Any] = {}
        if preset is not None:
            if preset not in cls.presets:
                known = ", ".join(cls.presets) or "none"
                raise ConfigError(
                    f"{cls.name} has no preset {preset!r}{did_you_mean(preset, cls.presets)}; it has: {known}"
                )
            base = cls.presets[preset]
        return cls.Config.make({**base, **(settings or {})})


class DirectModel(Model):
    """A model that learns by counting."""

    @abstractmethod
    def fit(self, log: Log) -> None:
        """Learn from the whole of `log`."""


@dataclass(frozen=True, kw_only=True)
class GradientModelConfig(Config):
    """Settings that every model trained by gradient has.

    Attributes:
        epochs: passes over the training log, at most; early stopping may end sooner.
        batch_size: training examples of one step.
        lr: learning rate.
        weight_decay: L2 penalty on every weight, added to the gradient as in Adam's paper.
        reduction: whether a step follows the sum of its targets' losses or their mean. Adam forgets the scale of the
            loss, so this matters only beside a penalty: with the sum, weight_decay is weaker by the targets of a batch.
        decay_steps: steps in which lr falls to last_lr, where it stays; 0 for no fall.
        last_lr: learning rate after the fall.
        decay_power: of the fall: at step s lr is (lr - last_lr) (1 - s / decay_steps)^decay_power + last_lr.
    """

    epochs: int = 50
    batch_size: int = 4096
    lr: float = 1e-3
    weight_decay: float = 0.0
    reduction: Literal["sum", "mean"] = "mean"
    decay_steps: int = 0
    last_lr: float = 0.0
    decay_power: float = 1.0

    def __post_init__(self) -> None:
        require(self.epochs >= 1, f"epochs={self.epochs}: must be at least 1")
        require(self.batch_size >= 1, f"batch_size={self.batch_size}: must be at least 1")
        require(self.lr > 0, f"lr={self.lr}: must be above 0")
        require(self.weight_decay >= 0, f"weight_decay={self.weight_decay}: must not be negative")
        require(self.decay_steps >= 0, f"decay_steps={self.decay_steps}: must not be negative")
        rises = self.decay_steps and self.last_lr > self.lr
        require(self.last_lr >= 0 and not rises, f"last_lr={self.last_lr}: must lie between 0 and lr={self.lr}")
        require(self.decay_power > 0, f"decay_power={self.decay_power}: must be above 0")

    @property
    def schedule(self) -> Schedule:
        """The learning rate of each step."""
        if self.decay_steps == 0:
            return constant(self.lr)
        return polynomial(self.lr, self.last_lr, self.decay_steps, self.decay_power)


@dataclass(frozen=True, kw_only=True)
class FeaturedConfig(GradientModelConfig):
    """Settings of trained models that may read features of the items.

    Attributes:
        column: the column of the log's items that holds their features: lists, or paths such as "Home > Bed".
        features: how many features there is room for.
        levels: how many an item may have.
    """

    column: str = ""
    features: int = 0
    levels: int = 8

    def __post_init__(self) -> None:
        super().__post_init__()
        both = f"column={self.column!r}, features={self.features}"
        require((self.features > 0) == bool(self.column), f"{both}: name a column and how many it holds, or neither")
        require(self.levels >= 1, f"levels={self.levels}: must be at least 1")


class GradientModel(Model):
    """A model trained by gradient descent on `forward`, its loss.

    Attributes:
        rows_at_once: a batch is worked off in slices of so many rows, whose gradients add up: small enough for the
            processor's cache, and for its memory.
        few_shapes: whether its matrix products come in few shapes; kernels that are made for a shape pay only then.
    """

    config: GradientModelConfig
    rows_at_once: int = 4096
    few_shapes: bool = True

    @abstractmethod
    def batches(self, log: Log, rng: np.random.Generator) -> Iterator[Batch]:
        """One epoch of batches over `log`."""

    def optimizer(self) -> Optimizer:
        """What follows the gradients."""
        return Adam(self.parameters(), lr=self.config.schedule, weight_decay=self.config.weight_decay)

    @abstractmethod
    def forward(self, batch: Batch) -> Float[Tensor, ""]:
        """The loss: summed over the targets of the batch, so that parts of a batch add up to the whole."""


class DotProductModel(Model):
    """A model whose score is query . item vector: the dot product is written here, once."""

    @abstractmethod
    def query(self, batch: Batch) -> Float[Tensor, "B d"]:
        """What each row of the batch looks for."""

    @abstractmethod
    def item_vectors(self) -> Float[Tensor, "I d"]:
        """The vectors of items 0..I (I + 1 rows). A bias is one more column, met by a 1 in the query."""

    def score(self, batch: Batch, items: Int[Tensor, "K"] | None = None) -> Float[Tensor, "B K"]:
        vectors = self.item_vectors()
        if items is not None:
            vectors = vectors[items]
        scores = self.query(batch) @ vectors.T
        nothing = slice(0, 1) if items is None else items == 0
        scores[:, nothing] = -torch.inf
        return scores
