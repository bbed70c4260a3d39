"""`fit`: early stopping, reproducibility, micro-batches, and errors."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from training_runs import LOG, ScriptedValidation, assert_same_weights, build, copy_weights

from segue.batches.batch import Batch
from segue.config import Config
from segue.data import synthetic
from segue.data.log import Log
from segue.errors import ConfigError, TrainingError
from segue.models.base.model import Model, Sizes
from segue.models.factorization.bprmf import BPRMF
from segue.models.popularity.pop import Pop
from segue.models.sequential.hgn import HGN
from segue.training.loop import fit

# ---------------------------------------------------------------------------------------- early stopping


def test_model_ends_with_the_weights_of_the_best_epoch() -> None:
    model, script = build(), ScriptedValidation(0.1, 0.3, 0.2, 0.25, 0.3)
    training = fit(model, LOG, validate=script, patience=3)
    assert (training.best, training.metric, len(training.epochs)) == (2, 0.3, 5)
    assert_same_weights(copy_weights(model), script.weights[1])
    assert [epoch.metric for epoch in training.epochs] == [0.1, 0.3, 0.2, 0.25, 0.3]


def test_best_epoch_can_be_the_last() -> None:
    model, script = build(epochs=3), ScriptedValidation(0.1, 0.2, 0.3)
    training = fit(model, LOG, validate=script, patience=1)
    assert (training.best, len(training.epochs)) == (3, 3)
    assert_same_weights(copy_weights(model), script.weights[2])


@pytest.mark.parametrize(
    ("eval_every", "patience", "metrics", "epochs", "best"),
    [
        (1, 1, (0.2, 0.1), 2, 1),
        (1, 2, (0.2, 0.1, 0.3, 0.1, 0.1), 5, 3),
        (2, 1, (0.2, 0.3, 0.1), 6, 4),
        (2, 2, (0.2, 0.1, 0.1), 6, 2),
        (3, 5, (0.1, 0.2, 0.3), 8, 8),  # epochs 3 and 6, and the last one
        (3, 5, (0.3, 0.2, 0.1), 8, 3),
        (8, 1, (0.5,), 8, 8),
        (100, 1, (0.5,), 8, 8),
        (1, 1, (0.0, 0.0), 2, 1),
        (1, 2, (-0.5, -0.4, -0.6, -0.7), 4, 2),  # the metric may be negative
    ],
)
def test_early_stopping_by_eval_every_and_patience(
    eval_every: int, patience: int, metrics: tuple[float, ...], epochs: int, best: int
) -> None:
    script = ScriptedValidation(*metrics)
    training = fit(build(), LOG, validate=script, eval_every=eval_every, patience=patience)
    assert (len(training.epochs), training.best) == (epochs, best)
    assert len(script.weights) == len(metrics)
    validated = [epoch.epoch for epoch in training.epochs if epoch.metric is not None]
    assert validated == [e for e in range(1, epochs + 1) if e % eval_every == 0 or e == 8]


def test_all_epochs_are_trained_without_validation() -> None:
    training = fit(build(epochs=4), LOG)
    assert (training.best, training.metric, len(training.epochs)) == (4, None, 4)


def test_validation_does_not_change_the_training() -> None:
    """Neither its draws nor its mode reach the training."""

    def careless(model: Model) -> float:
        torch.randn(3)
        np.random.default_rng().random()
        model.eval()
        return 0.0

    one, two = build(epochs=3), build(epochs=3)
    fit(one, LOG, validate=careless)
    fit(two, LOG, validate=lambda model: 0.0)
    assert_same_weights(copy_weights(one), copy_weights(two))


def test_global_random_state_is_restored() -> None:
    torch.manual_seed(5)
    expected = torch.randn(3)
    torch.manual_seed(5)
    fit(build(epochs=1), LOG, seed=7)
    assert torch.equal(torch.randn(3), expected)


def test_seed_determines_the_weights() -> None:
    one, two, three = build(), build(), build()
    for model, seed in ((one, 1), (two, 1), (three, 2)):
        fit(model, LOG, seed=seed)
    assert_same_weights(copy_weights(one), copy_weights(two))
    assert not torch.equal(one.item_embedding, three.item_embedding)


def test_direct_model_is_fitted_in_one_call() -> None:
    model = Pop(Pop.configure(), Sizes(LOG.num_users, LOG.num_items))
    training = fit(model, LOG)
    assert (training.epochs, training.best, training.metric) == ([], 0, None)
    assert model.count.sum() == len(LOG)


@pytest.mark.parametrize(
    ("kind", "settings"),
    [
        (BPRMF, {}),
        (HGN, {}),
        (HGN, {"windows_per_row": 3}),
        (HGN, {"pooling": "max"}),
        (HGN, {"loss": "ce"}),
    ],
    ids=str,
)
def test_micro_batches_give_the_gradients_of_the_batch(kind: Any, settings: dict[str, Any]) -> None:
    reference, model = build(kind, epochs=2, **settings), build(kind, epochs=2, **settings)
    reference.micro_batch_size, model.micro_batch_size = 64, 7
    reference.double(), model.double()
    one, two = fit(reference, LOG), fit(model, LOG)
    assert [e.loss for e in one.epochs] == pytest.approx([e.loss for e in two.epochs], rel=1e-6)
    for key, value in copy_weights(model).items():
        torch.testing.assert_close(value, copy_weights(reference)[key], rtol=0, atol=1e-9)


@pytest.mark.parametrize("reduction", ["sum", "mean"])
def test_one_step_with_weight_decay_equals_torch_adam(reduction: str) -> None:
    """One step by hand: the gradient of the sum, or of the mean over the targets, plus the decay."""
    model = build(reduction=reduction, weight_decay=0.5, epochs=1, batch_size=10_000, l2=0.0)
    (batch,) = model.batches(LOG, np.random.default_rng((0, 1)))
    by_hand = build(reduction=reduction)
    optimizer = torch.optim.Adam(by_hand.parameters(), lr=0.01, weight_decay=0.5)
    by_hand.config = model.config
    (by_hand(batch) / (len(LOG) if reduction == "mean" else 1)).backward()
    optimizer.step()
    fit(model, LOG)
    for key, value in copy_weights(model).items():
        torch.testing.assert_close(value, copy_weights(by_hand)[key], rtol=0, atol=1e-5)


# ---------------------------------------------------------------------------------------- what goes wrong


class Breaks(BPRMF):
    """Its loss is not a number in one batch of one epoch."""

    wrong = (2, 3)  # epoch, batch
    count = (0, 0)

    def batches(self, log: Log, rng: np.random.Generator) -> Iterator[Batch]:
        self.count = (self.count[0] + 1, 0)
        return super().batches(log, rng)

    def forward(self, batch: Batch) -> Tensor:
        self.count = (self.count[0], self.count[1] + 1)
        return super().forward(batch) * (torch.nan if self.count == self.wrong else 1)


def test_non_finite_loss_raises_with_batch_and_epoch() -> None:
    with pytest.raises(
        TrainingError, match=r"bprmf: the loss is not finite from batch 3 of epoch 2 on; .*lr \(now 0\.01\)"
    ):
        fit(build(Breaks), LOG)


def test_too_large_learning_rate_raises() -> None:
    with pytest.raises(TrainingError, match="hgn: the loss is not finite from batch"):
        fit(build(HGN, lr=1e25), LOG)


def test_log_without_training_examples_raises() -> None:
    single = synthetic.from_sequences([[1], [2], [3]])
    model = HGN(HGN.configure({"embedding_dim": 4}), Sizes(3, 3))
    with pytest.raises(TrainingError, match="to train hgn on: of the 3 events that it is trained on, no user has two"):
        fit(model, single)


@pytest.mark.parametrize("wrong", [{"eval_every": 0}, {"patience": 0}])
def test_eval_every_and_patience_must_be_positive(wrong: dict[str, int]) -> None:
    with pytest.raises(ConfigError, match=r"every=\d and patience=\d+ must be at least 1"):
        fit(build(), LOG, **wrong)


def test_model_of_neither_kind_raises() -> None:
    class Neither(Model):
        def score(self, batch: Batch, items: Tensor | None = None) -> Tensor:
            raise NotImplementedError

    with pytest.raises(ConfigError, match="Neither is neither a DirectModel nor a GradientModel"):
        fit(Neither(Config(), Sizes(1, 1)), LOG)


def test_hgn_with_reg_weight_has_one_micro_batch() -> None:
    """The pair of `reg_weight` weighs lengths, which do not add up over slices: such a batch is worked off whole."""
    assert build(HGN, reg_weight=(0.1, 0.1), batch_size=6000).micro_batch_size == 6000
