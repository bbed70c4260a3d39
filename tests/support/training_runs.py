"""Small models, a small log and a scripted validation, for the tests of the training loop."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from segue.data import synthetic
from segue.models.base.model import Model, Sizes
from segue.models.factorization.bprmf import BPRMF

LOG = synthetic.markov(40, 17, 12, seed=1, shortest=3)
Weights = dict[str, Tensor]


def build(kind: Any = BPRMF, seed: int = 0, *, preset: str | None = None, **settings: Any) -> Any:
    """A small untrained model for `LOG`."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        config = kind.configure({"embedding_dim": 4, "batch_size": 64, "lr": 0.01, "epochs": 8, **settings}, preset)
        return kind(config, Sizes(LOG.num_users, LOG.num_items))


def copy_weights(model: Model) -> Weights:
    """A copy of the state of a model."""
    return {key: value.clone() for key, value in model.state_dict().items()}


def assert_same_weights(one: Weights, two: Weights) -> None:
    """Equal keys, and tensors that are equal to the bit."""
    assert one.keys() == two.keys()
    for key, value in one.items():
        assert torch.equal(value, two[key]), key


class ScriptedValidation:
    """A validation that returns given metrics in turn, and keeps a copy of the weights at each call.

    Attributes:
        metrics: what the calls return.
        interrupt: the number of the call, from 1, that raises `KeyboardInterrupt`.
        weights: the weights at each call.
    """

    def __init__(self, *metrics: float, interrupt: int | None = None) -> None:
        self.metrics, self.interrupt = metrics, interrupt
        self.weights: list[Weights] = []

    def __call__(self, model: Model) -> float:
        self.weights.append(copy_weights(model))
        if len(self.weights) == self.interrupt:
            raise KeyboardInterrupt
        return self.metrics[len(self.weights) - 1]
