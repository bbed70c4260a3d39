"""The settings of models that are trained in epochs.

EpochsConfig          how many, and what a training reads of the settings of any such model
GradientModelConfig   the settings of the optimiser as well
FeaturedConfig        those of models that can use one column of item features as well
"""

from __future__ import annotations

from typing import ClassVar, Literal

import numpy as np

from segue.config import Config, Field
from segue.data.item_features import feature_ids
from segue.data.log import Ids, Log
from segue.errors import require
from segue.nn.optim import Schedule, constant_lr, polynomial_lr


class EpochsConfig(Config):
    """The setting of every model that is trained in epochs, and what a training reads of its settings."""

    epochs: int = Field(
        50, ge=1, description="The largest number of passes over the training log; early stopping may end sooner."
    )

    def feature_sizes(self, log: Log) -> dict[str, int]:
        """The numbers of item features that a model of these settings is built for, by their names in `Sizes`."""
        return {}

    def draw_targets(self, log: Log, rng: np.random.Generator) -> Log:
        """The training log of an epoch: `log`, in which other events may be targets."""
        return log


class GradientModelConfig(EpochsConfig):
    """Settings that every model trained by gradient has."""

    renamed: ClassVar[dict[str, str]] = {
        "dim": "embedding_dim",
        "decay_steps": "lr_decay_steps",
        "last_lr": "final_lr",
        "decay_power": "lr_decay_power",
    }
    removed: ClassVar[dict[str, str]] = {
        "reproducibility": "the same seed always gives the same weights on one machine, so there is no such switch"
    }
    batch_size: int = Field(4096, ge=1, description="Number of training examples in one optimisation step.")
    lr: float = Field(1e-3, gt=0, description="Learning rate of the optimiser.")
    weight_decay: float = Field(
        0.0, ge=0, description="L2 penalty on every weight, added to the gradient as in the paper on Adam."
    )
    reduction: Literal["sum", "mean"] = Field(
        "mean",
        description=(
            "Whether the loss of a batch is the sum or the mean over its targets (over the slots with bptt=one). Adam "
            "does not depend on the scale of the loss, so this changes only the weight of weight_decay: it is weaker "
            "with the sum."
        ),
    )
    lr_decay_steps: int = Field(
        0,
        ge=0,
        description="Number of steps in which the learning rate falls from lr to final_lr; 0 keeps it constant.",
    )
    final_lr: float = Field(0.0, description="Learning rate after lr_decay_steps steps; between 0 and lr.")
    lr_decay_power: float = Field(
        1.0,
        gt=0,
        description=(
            "Shape of the fall, 1 for a straight line. The learning rate of step s is "
            "(lr - final_lr) (1 - s / lr_decay_steps)^lr_decay_power + final_lr."
        ),
    )

    def check(self) -> None:
        super().check()
        rises = self.lr_decay_steps and self.final_lr > self.lr
        require(self.final_lr >= 0 and not rises, f"final_lr={self.final_lr}: must be between 0 and lr={self.lr}")

    @property
    def schedule(self) -> Schedule:
        """The learning rate of each step."""
        if self.lr_decay_steps == 0:
            return constant_lr(self.lr)
        return polynomial_lr(self.lr, self.final_lr, self.lr_decay_steps, self.lr_decay_power)


class FeaturedConfig(GradientModelConfig):
    """Settings of models that can use features of the items."""

    renamed: ClassVar[dict[str, str]] = {"column": "feature_column", "levels": "max_features_per_item"}
    removed: ClassVar[dict[str, str]] = {"features": "the number of features is taken from the log"}
    feature_column: str = Field(
        "",
        description=(
            "Column of the item metadata that holds the features of each item: lists, or paths such as 'Home > Bed'. "
            "By default no features are used."
        ),
    )
    max_features_per_item: int = Field(8, ge=1, description="Largest number of features that an item may have.")

    def item_features(self, log: Log) -> tuple[Ids, list[str]]:
        """The features of every item of a log.

        Returns:
            (I + 1, F) feature ids from 1, with 0 on the right for none, and the names of the features in order of
            their ids. Without a `feature_column`, F = 0 and there are no names.

        Raises:
            DataError: the log has no such column.
        """
        if not self.feature_column:
            return np.zeros((log.num_items + 1, 0), np.int64), []
        return feature_ids(log, self.feature_column)

    def feature_sizes(self, log: Log) -> dict[str, int]:
        return {"num_features": len(self.item_features(log)[1])}
