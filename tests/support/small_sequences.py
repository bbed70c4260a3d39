"""Small models with large weights, a small log, random batches, and layers written out, for tests of equations."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor

from segue.batches.batch import SequenceBatch
from segue.data import synthetic
from segue.models.base.model import Sizes

SIZES = Sizes(num_users=5, num_items=9)
LOG = synthetic.markov(30, 9, 12, seed=1, shortest=3)


def with_large_weights(kind: Any, sizes: Sizes = SIZES, seed: int = 0, **settings: Any) -> Any:
    """A small model in double precision, with weights large enough for every part to matter; row 0 of items is 0."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = kind(kind.configure({"embedding_dim": 4, "window": 6, **settings}), sizes).double()
        with torch.no_grad():
            for weight in model.parameters():
                weight.normal_(0, 0.7)
            model.item_embedding[0] = 0
    return model.eval()


def padded_items(rng: np.random.Generator, rows: int, length: int, num_items: int = SIZES.num_items) -> np.ndarray:
    """(rows, length) random items, with padding on the left."""
    history = rng.integers(1, num_items + 1, (rows, length))
    history[np.arange(length) < rng.integers(0, length, (rows, 1))] = 0
    return history


def random_batch(seed: int, rows: int = 4, length: int = 6) -> SequenceBatch:
    """Left-padded histories; every position but padding has a target."""
    rng = np.random.default_rng(seed)
    history = padded_items(rng, rows, length)
    target = np.where(history > 0, rng.integers(1, SIZES.num_items + 1, history.shape), 0)
    parts = (rng.integers(1, SIZES.num_users + 1, rows), history, target)
    user, history, target = (torch.from_numpy(part) for part in parts)
    return SequenceBatch(user, history, target, target > 0)


def layer_norm(layer: torch.nn.LayerNorm, x: Tensor, eps: float) -> Tensor:
    """Layer normalisation of one vector; `eps` is that of the equations."""
    centred = x - x.mean()
    scaled = layer.weight * centred / torch.sqrt(centred.square().mean() + eps)
    return scaled if layer.bias is None else scaled + layer.bias


def affine(layer: torch.nn.Linear, x: Tensor) -> Tensor:
    """A linear layer of one vector."""
    return layer.weight @ x + (0 if layer.bias is None else layer.bias)


def sigmoid(x: Tensor) -> Tensor:
    """The logistic function."""
    return 1 / (1 + torch.exp(-x))


def gelu(x: Tensor) -> Tensor:
    """The Gaussian error linear unit."""
    return x * (1 + torch.erf(x / math.sqrt(2))) / 2


def attention_logit(model: Any, query: Tensor, key: Tensor, at: tuple[int, int, int]) -> Tensor:
    """The score of a query and a key of head h, at the positions t and s of (h, t, s), as `positions` says."""
    head, t, s = at
    if model.config.positions == "rotary":
        query, key = _turned(query, t), _turned(key, s)
    logit = query @ key / math.sqrt(len(query))
    return logit + model.position_bias.weight[t - s, head] if model.config.positions == "relative" else logit


def _turned(vector: Tensor, position: int) -> Tensor:
    """Each pair of numbers as a complex number, times e^(i position 10000^(-2 pair / size))."""
    turned = vector.clone()
    for pair in range(len(vector) // 2):
        angle = position * 10_000 ** (-2 * pair / len(vector))
        number = complex(*vector[2 * pair : 2 * pair + 2].tolist()) * complex(math.cos(angle), math.sin(angle))
        turned[2 * pair], turned[2 * pair + 1] = number.real, number.imag
    return turned


def input_positions(model: Any, count: int) -> Tensor:
    """(count, d): what is added to the vectors of `count` items for their positions."""
    if model.config.positions != "absolute":
        return torch.zeros(count, model.config.embedding_dim, dtype=torch.float64)
    positions: Tensor = model.position_embedding[len(model.position_embedding) - count :]
    return positions
