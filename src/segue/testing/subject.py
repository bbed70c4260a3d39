"""`Subject`: a model class with small settings and a small log, on which the laws are tested."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from segue.batches.batch import Batch
from segue.data import synthetic
from segue.data.event_features import EventFeature
from segue.data.log import Log
from segue.data.splits import leave_last_out
from segue.models.base.model import GradientModel, Model, Sizes
from segue.models.base.score_buffer import instance_batch
from segue.training.loop import fit

SMALL_SETTINGS = {
    "embedding_dim": 8,
    "hidden_dim": 8,
    "context_dim": 8,
    "num_contexts": 4,
    "batch_size": 64,
    "epochs": 3,
    "lr": 0.01,
}
ROUNDING = 1e-6  # of a score in float32, after a few operations


@dataclass(frozen=True)
class Subject:
    """A model class under test.

    Attributes:
        model_class: the class.
        settings: its settings.
        log: a small log with ratings and item features.
    """

    model_class: type[Model]
    settings: dict[str, Any]
    log: Log

    def build(self, log: Log | None = None, *, seed: int = 0, **settings: Any) -> Model:
        """An untrained model for the users and items of a log, by default the subject's own.

        Args:
            log: the log.
            seed: seed of the initial weights.
            settings: settings that differ from the subject's.
        """
        log = self.log if log is None else log
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            config = self.model_class.configure({**self.settings, **settings})
            return self.model_class(config, Sizes.of(log, config))

    def train(self, log: Log | None = None, *, seed: int = 0, **settings: Any) -> Model:
        """A model that is trained on a log, by default the subject's own, in evaluation mode."""
        log = self.log if log is None else log
        model = self.build(log, seed=seed, **settings)
        fit(model, log, seed=seed)
        return model.eval()


def subject(model_class: type[Model], **settings: Any) -> Subject:
    """A class with small values for those of `SMALL_SETTINGS` that it has; `settings` replace or extend them."""
    fields = model_class.Config.model_fields
    small = {key: value for key, value in SMALL_SETTINGS.items() if key in fields}
    return Subject(model_class, {**small, **settings}, small_log())


def small_log() -> Log:
    """40 users, 17 items and histories of 3 to 12 items from a Markov chain, with ratings, types and features of events
    and item features."""
    return with_metadata(synthetic.markov(40, 17, 12, seed=1, shortest=3))


def with_metadata(log: Log) -> Log:
    """The log with ratings, types and features of events and item features.

    Users with odd ids rate items with odd ids highly, and users with even ids rate items with even ids highly.
    """
    types = 1 + (log.item + np.arange(len(log.item))) % 2
    rows = np.arange(len(log.item))
    features = np.stack([np.where(rows % 5, 1 + rows % 3, np.nan), np.where(rows % 7, rows % 11, np.nan)], 1)
    log = replace(
        log,
        event_type=types.astype(np.int8),
        event_types=("view", "buy"),
        event_features=features.astype(np.float32),
        event_feature_columns=(EventFeature("device", ("desktop", "mobile", "tablet")), EventFeature("price")),
    )
    return synthetic.with_features(synthetic.with_ratings(log))


def evaluation_batch(log: Log, model: Model) -> Batch:
    """Users and histories of the test instances of a leave-one-out split."""
    return instance_batch(model, leave_last_out(log).instances("test"))


def training_batch(model: GradientModel, log: Log) -> Batch:
    """The first training batch of the model."""
    return next(iter(model.batches(log, np.random.default_rng(0))))


def assert_same_scores(one: Tensor, two: Tensor, law: str, atol: float = 1e-5) -> None:
    """Two score tensors are infinite at the same places, and equal elsewhere within `atol` and what rounding leaves."""
    finite = one.isfinite() & two.isfinite()
    assert torch.equal(one.isfinite(), two.isfinite()), f"{law}: different scores are infinite"
    assert finite.any(), f"{law}: no score is finite"
    difference = float((one[finite] - two[finite]).abs().max())
    allowed = atol + ROUNDING * float(one[finite].abs().max())
    assert difference <= allowed, f"{law}: scores differ by {difference:.3g}"
