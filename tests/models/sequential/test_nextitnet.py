"""NextItNet against its equations written out position by position."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from small_sequences import padded_items
from torch import Tensor

from segue.batches.batch import Batch, SequenceBatch
from segue.data import synthetic
from segue.errors import ConfigError
from segue.models.base.model import Sizes
from segue.models.sequential.nextitnet import NextItNet
from segue.training.loop import fit

SIZES = Sizes(num_users=5, num_items=9)
LOG = synthetic.markov(30, 9, 12, seed=1, shortest=3)


def build(seed: int = 0, **chosen: Any) -> NextItNet:
    """A small NextItNet in double precision, with weights large enough for every part to matter."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = NextItNet(NextItNet.configure({"embedding_dim": 3, "window": 8, **chosen}), SIZES).double()
        with torch.no_grad():
            for name, weight in model.named_parameters():
                weight.normal_(0, 0.7)
                if name.endswith("embedding"):
                    weight[0] = 0
    return model.eval()


def random_batch(seed: int, rows: int = 4, length: int = 8) -> Batch:
    """Left-padded histories; every position but padding has a target."""
    rng = np.random.default_rng(seed)
    history = padded_items(rng, rows, length)
    parts = (rng.integers(1, SIZES.num_users + 1, rows), history)
    user, history = (torch.from_numpy(part) for part in parts)
    return SequenceBatch(user, history, history, history > 0)


def norm(layer: torch.nn.LayerNorm, x: Tensor) -> Tensor:
    centred = x - x.mean()
    return layer.weight * centred / torch.sqrt(centred.square().mean() + 1e-8) + layer.bias


def convolve(layer: torch.nn.Conv1d, xs: list[Tensor], step: int) -> list[Tensor]:
    taps = layer.weight.unbind(2)
    out = []
    for t in range(len(xs)):
        total = layer.bias
        for back, weight in enumerate(reversed(taps)):
            if t - back * step >= 0:
                total = total + weight @ xs[t - back * step]
        out.append(total)
    return out


def reference_queries(model: NextItNet, items: Tensor) -> Tensor:
    """(n, d): the queries after each of n items without padding."""
    config = model.config
    xs = list(model.output_embedding[items] if config.tied else model.input_embedding[items])
    for block, dilation in zip(model.blocks, config.dilations * config.num_repeats, strict=True):
        ys = [norm(block.norm1, y).clamp(min=0) for y in convolve(block.conv1, xs, dilation)]
        ys = [norm(block.norm2, y).clamp(min=0) for y in convolve(block.conv2, ys, 2 * dilation)]
        xs = [x + y for x, y in zip(xs, ys, strict=True)]
    return torch.stack(xs)


@settings(max_examples=25)
@given(
    st.integers(0, 10**6),
    st.integers(1, 4),
    st.lists(st.integers(1, 9), min_size=1, max_size=3),
    st.integers(1, 2),
    st.booleans(),
)
def test_queries_equal_the_equations(seed: int, kernel: int, dilations: list[int], repeats: int, tied: bool) -> None:
    model = build(seed, kernel_size=kernel, dilations=dilations, num_repeats=repeats, tied=tied)
    batch = random_batch(seed)
    queries = model.queries(batch)
    for row, history in enumerate(batch.history):
        begin = int((history == 0).sum())
        torch.testing.assert_close(queries[row, begin:], reference_queries(model, history[begin:]), rtol=0, atol=1e-9)


def test_receptive_field() -> None:
    """With kernel size 3 and dilation 1 the first layer reads two positions back, and the second four."""
    model, batch = build(dilations=[1], embedding_dim=16), random_batch(1, rows=1)
    history = torch.arange(1, 9)[None]
    for position in range(8):
        changed = history.clone()
        changed[0, position] = 9
        one, two = (model.query(Batch(batch.user, items)) for items in (history, changed))
        assert torch.equal(one, two) == (position == 0)


def test_item_biases_are_added_to_the_scores() -> None:
    model, batch = build(item_bias=True), random_batch(2)
    scores = model.score(Batch(batch.user, batch.history))[:, 1:]
    query = torch.stack([reference_queries(model, history[history > 0])[-1] for history in batch.history])
    torch.testing.assert_close(
        scores, query @ model.output_embedding[1:, :3].T + model.output_embedding[1:, 3], rtol=0, atol=1e-9
    )


@pytest.mark.parametrize(
    "chosen",
    [
        {"loss": "ce"},
        {"loss": "bce", "coverage": "last"},
        {"loss": "sampled-ce", "num_negatives": 6, "negative_sampling": "shared", "tied": True, "dropout": 0.2},
    ],
    ids=lambda chosen: "-".join(map(str, chosen.values())),
)
def test_training_reduces_the_loss(chosen: dict[str, Any]) -> None:
    settings = {"embedding_dim": 8, "window": 6, "epochs": 6, "lr": 0.01, "batch_size": 8, **chosen}
    model = NextItNet(NextItNet.configure(settings), SIZES)
    losses = [epoch.loss for epoch in fit(model, LOG).epochs]
    assert losses[-1] < losses[0] - 0.01


def test_presets_of_the_programs() -> None:
    author = NextItNet(NextItNet.configure(preset="author"), SIZES)
    assert [block.conv1.dilation[0] for block in author.blocks] == [1, 2] * 4
    assert author.output_embedding.shape == (SIZES.num_items + 1, 101)
    assert len(NextItNet(NextItNet.configure(preset="hgn"), SIZES).blocks) == 2


@pytest.mark.parametrize(
    ("chosen", "message"),
    [
        ({"kernel_size": 0}, "kernel_size=0: must be at least 1"),
        ({"num_repeats": 0}, "num_repeats=0: must be between 1 and 100"),
        ({"dilations": "1,0"}, r"dilations=\(1, 0\): must be numbers from 1 up"),
        ({"dilations": ""}, "dilations='': must be whole numbers, separated by commas"),
        ({"dilations": []}, r"dilations=\(\): must be numbers from 1 up"),
        ({"dropout": -0.1}, "dropout=-0.1: must be at least 0 and below 1"),
        ({"item_bias": True, "tied": True}, "cannot be combined with tied=true"),
    ],
)
def test_invalid_settings_are_rejected(chosen: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        NextItNet.configure(chosen)


def test_dilations_from_text() -> None:
    assert NextItNet.configure({"dilations": "1,4,2"}).dilations == (1, 4, 2)
    assert NextItNet.configure({"dilations": "(1,)"}).dilations == (1,)
    assert NextItNet.configure({"dilations": 3}).dilations == (3,)
