"""The vectors of event features: one a category, one a range of numbers."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from segue.data import synthetic
from segue.data.event_features import EventFeature
from segue.nn.event_features import NUM_RANGES, EventFeatureEmbedding

NONE = float("nan")


def made(prices: list[float]) -> EventFeatureEmbedding:
    log = synthetic.from_sequences([[1] * len(prices)], num_items=2)
    features = np.stack([np.ones(len(prices)), prices], 1).astype(np.float32)
    columns = EventFeature("device", ("a", "b", "c")), EventFeature("price")
    layer = EventFeatureEmbedding([3, 0], dim=4).double()
    layer.set_ranges(replace(log, event_features=features, event_feature_columns=columns))
    return layer


def test_vectors_are_added_up() -> None:
    layer = made([float(n) for n in range(160)])
    features = torch.tensor([[[2.0, 35.0], [NONE, 35.0], [3.0, NONE], [NONE, NONE]]])
    rows = layer.weight.detach()
    expected = [rows[2] + rows[4 + 3], rows[4 + 3], rows[3], torch.zeros(4)]  # 35 is in the fourth sixteenth
    torch.testing.assert_close(layer(features)[0].detach(), torch.stack(expected).double())


def test_ranges_have_equally_many_events_whatever_the_unit() -> None:
    prices = np.random.default_rng(0).lognormal(size=1600)
    layer = made(prices.tolist())
    features = torch.from_numpy(np.stack([np.full(1600, np.nan), prices], 1).astype(np.float32))[None]
    found = layer(features)[0].detach()
    rows = layer.weight.detach()[4:]
    counts = [(found == row).all(1).sum().item() for row in rows]
    assert sum(counts) == 1600
    assert min(counts) >= 99
    assert max(counts) <= 101
    far = layer(torch.tensor([[[NONE, -1e30], [NONE, 1e30]]]))[0].detach()
    torch.testing.assert_close(far, rows[[0, -1]])


def test_few_different_numbers_have_a_range_each() -> None:
    layer = made([float(n % 7) for n in range(700)])
    features = torch.tensor([[[NONE, float(n)] for n in range(7)]])
    assert len(layer(features)[0].unique(dim=0)) == 7
    assert len(layer.weight) == 1 + 3 + NUM_RANGES


def test_the_vector_of_nothing_stays_zero() -> None:
    layer = made([1.0, 2.0])
    features = torch.tensor([[[1.0, 1.0], [NONE, NONE]]])
    layer(features).square().sum().backward()
    assert layer.weight.grad is not None
    assert not layer.weight[0].any()
    assert not layer.weight.grad.to_dense()[0].any()
