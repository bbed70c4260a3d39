"""Caser against its equations, window by window: scores, loss and numbers of weights."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from segue import testing
from segue.batches.batch import Batch
from segue.data import synthetic
from segue.errors import ConfigError
from segue.models.base.model import Sizes
from segue.models.sequential.caser import Caser

LOG = synthetic.random(6, 9, 12, seed=1)


def build(**settings: Any) -> Caser:
    """A small Caser in double precision, with weights large enough for every part to matter."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        chosen = {
            "embedding_dim": 3,
            "window": 4,
            "num_targets": 2,
            "num_vertical_filters": 2,
            "num_horizontal_filters": 3,
            "dropout": 0.0,
            **settings,
        }
        model = Caser(Caser.configure(chosen, "author"), Sizes(LOG.num_users, LOG.num_items)).double()
        with torch.no_grad():
            for name, weight in model.named_parameters():
                weight.normal_(0, 0.7)
                if name in ("user_embedding", "input_embedding", "output_embedding"):
                    weight[0] = 0
    return model


def score(model: Caser, user: int, window: list[int]) -> Tensor:
    """r_j of all items, by the two-dimensional convolutions of the authors' program."""
    layer = model.convolutions
    image = model.input_embedding[window][None, None]  # (1, 1, L, d)
    vertical = nn.functional.conv2d(image, layer.vertical.weight[:, None, :, None], layer.vertical.bias)
    features = [vertical.flatten()]
    for convolution in layer.horizontal:
        output = nn.functional.conv2d(image, convolution.weight.transpose(1, 2).unsqueeze(1), convolution.bias)
        features.append(output.relu().amax((0, 2, 3)))
    z = torch.relu(layer.dense(torch.cat(features)))
    x = torch.cat([z, model.user_embedding[user]])
    if not model.config.item_bias:
        return model.output_embedding @ x
    return model.output_embedding[:, :-1] @ x + model.output_embedding[:, -1]


@pytest.mark.parametrize("item_bias", [True, False])
@pytest.mark.parametrize("per_row", [1, 3])
@pytest.mark.parametrize("training_windows", ["full", "every"])
def test_loss_is_binary_cross_entropy_of_each_target(item_bias: bool, per_row: int, training_windows: str) -> None:
    model = build(item_bias=item_bias, windows_per_row=per_row, training_windows=training_windows, num_negatives=2)
    for batch in model.batches(LOG, np.random.default_rng(1)):
        expected, terms = torch.zeros((), dtype=torch.double), 0
        for row, query in batch.target_mask.nonzero().tolist():
            scores = score(model, int(batch.user[row]), batch.history[row, query : query + 4].tolist())
            for position in range(2):
                if target := int(batch.target[row, query + position]):
                    negatives = batch.negatives[row, query, position]
                    expected = expected - torch.log(torch.sigmoid(scores[target]))
                    expected = expected - torch.log(1 - torch.sigmoid(scores[negatives])).sum()
                    terms += 1
        assert terms
        torch.testing.assert_close(model(batch), expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("length", [1, 3, 4, 7])
def test_histories_are_cut_to_the_window_or_padded_on_the_left(length: int) -> None:
    model = build().eval()
    items = [3, 1, 4, 1, 5, 9, 2][:length]
    scores = model.score(Batch(torch.tensor([2]), torch.tensor([items])))[0, 1:]
    torch.testing.assert_close(scores, score(model, 2, ([0] * 4 + items)[-4:])[1:])


def test_dropout_in_training_only() -> None:
    model, batch = build(dropout=0.5), Batch(torch.tensor([1]), torch.tensor([[1, 2, 3, 4]]))
    torch.manual_seed(0)
    assert len({float(model.query(batch).detach().sum()) for _ in range(9)}) > 1
    model.eval()
    assert torch.equal(model.query(batch), model.query(batch))


def test_number_of_weights() -> None:
    """The convolutions and the dense layer have 26,154 weights, as in Table 4 of HGN's paper."""
    model = Caser(Caser.configure(), Sizes(num_users=10, num_items=20))
    tables = 11 * 50 + 21 * 50 + 21 * 101
    assert sum(weight.numel() for weight in model.parameters()) == tables + 26_154


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"window": 0}, "window=0: must be at least 1"),
        ({"num_vertical_filters": 0}, "num_vertical_filters=0: must be at least 1"),
        ({"num_horizontal_filters": 0}, "num_horizontal_filters=0: must be at least 1"),
        ({"windows_per_row": 0}, "windows_per_row=0: must be at least 1"),
        ({"dropout": 1.0}, "dropout=1.0: must be at least 0 and below 1"),
        ({"temperature": 0.1}, "item_bias=true cannot be combined with temperature"),
    ],
    ids=str,
)
def test_settings_out_of_range(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Caser.configure(settings)


VARIANTS: dict[str, dict[str, Any]] = {
    "windows sharing a row": {"windows_per_row": 4},
    "paper": {"num_negatives": 3},
    "cosine": {"loss": "ce", "item_bias": False, "temperature": 0.1, "training_windows": "every", "num_targets": 1},
    "shared": {"loss": "sampled-ce", "negative_sampling": "shared", "num_negatives": 5},
}


@pytest.mark.parametrize("variant", VARIANTS)
def test_laws_hold_for_variants(variant: str) -> None:
    subject = testing.subject(Caser, **VARIANTS[variant])
    for law in set(testing.LAWS) - {"learns_a_cycle"}:
        testing.LAWS[law](subject)
