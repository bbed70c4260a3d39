"""HGN against its equations in loops, for every combination of its settings; batches; numbers of weights; laws."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from hgn_reference import (
    assert_equals_reference,
    build,
    combinations,
    one_query_per_row,
    random_batch,
    reference_query,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from segue import testing
from segue.batches.batch import Batch, SequenceBatch
from segue.batches.sequences import SlidingWindows
from segue.data import synthetic
from segue.errors import ConfigError
from segue.models.base.model import Sizes
from segue.models.sequential.hgn import HGN


@pytest.mark.parametrize("loss", ["bpr", "ce"])
@pytest.mark.parametrize("switches", combinations(), ids=lambda s: "-".join(str(v) for v in s.values()))
def test_loss_and_gradients_of_every_combination(switches: dict[str, Any], loss: str) -> None:
    rng = np.random.default_rng(3)
    for per_row, negatives, reg_weight in ((1, 1, (0, 0)), (3, 2, (0, 0)), (1, 2, (0.3, 0.2)), (2, 1, (0.3, 0.2))):
        model = build(**switches, loss=loss, windows_per_row=per_row, num_negatives=negatives, reg_weight=reg_weight)
        batch = random_batch(rng, rows=3, per_row=per_row, window=4, targets=2, negatives=negatives)
        assert_equals_reference(model, batch)


def test_recboles_first_regularisation_weight_covers_w1_to_w4_and_w3() -> None:
    model = build(reg_weight=(2.0, 0.0))
    batch = random_batch(np.random.default_rng(8), rows=2, per_row=1, window=4, targets=2, negatives=1)
    gates = ("feature_gate_item.weight", "feature_gate_user.weight", "instance_gate_item", "instance_gate_user")
    expected = 2 * sum(np.linalg.norm(model.get_parameter(name).detach().numpy().ravel()) for name in gates)
    assert model.regularisation(batch).item() == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("targets", [1, 3])
def test_loss_and_gradients_of_full_windows(targets: int) -> None:
    """A common batch: no padding, one negative for each target, and the settings of the paper."""
    rng = np.random.default_rng(4)
    model = build(num_targets=targets)
    history, target, negative = (rng.integers(1, 10, shape) for shape in ((6, 4), (6, targets), (6, 1, targets, 1)))
    user, target_mask = rng.integers(1, 6, 6), np.ones((6, 1), bool)
    batch = SequenceBatch(*(torch.from_numpy(array) for array in (user, history, target, target_mask, negative)))
    assert_equals_reference(model, batch)


@pytest.mark.parametrize("settings", [{}, {"windows_per_row": 3}, {"loss": "ce"}, {"pooling": "max"}], ids=str)
def test_gradients_of_two_batches_are_summed(settings: dict[str, Any]) -> None:
    rng = np.random.default_rng(5)
    per_row = settings.get("windows_per_row", 1)
    batches = [random_batch(rng, rows=3, per_row=per_row, window=4, targets=2, negatives=1) for _ in range(2)]
    model, together = build(**settings), {}
    for batch in batches:
        model.zero_grad(set_to_none=True)
        model(batch).backward()
        for name, weight in model.named_parameters():
            together[name] = together.get(name, 0) + weight.grad.clone()
    model.zero_grad(set_to_none=True)
    for batch in batches:
        model(batch).backward()
    for name, weight in model.named_parameters():
        torch.testing.assert_close(weight.grad, together[name], rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("settings", [{}, {"loss": "ce"}, {"reg_weight": (0.3, 0.2)}], ids=str)
def test_scaled_loss_scales_the_gradients(settings: dict[str, Any]) -> None:
    """`reduction="mean"` divides the loss before the backward pass."""
    batch = random_batch(np.random.default_rng(6), rows=3, per_row=1, window=4, targets=2, negatives=1)
    grads = []
    for factor in (1.0, 0.25):
        model = build(**settings)
        (model(batch) * factor).backward()
        grads.append([weight.grad for weight in model.parameters()])
    for whole, quarter in zip(*grads, strict=True):
        torch.testing.assert_close(whole * 0.25, quarter, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("settings", [{}, {"windows_per_row": 2}, {"loss": "ce"}, {"pooling": "max"}], ids=str)
def test_no_gradient_without_autograd(settings: dict[str, Any]) -> None:
    per_row = settings.get("windows_per_row", 1)
    batch = random_batch(np.random.default_rng(7), rows=3, per_row=per_row, window=4, targets=2, negatives=1)
    model = build(**settings)
    expected = model(batch)
    with torch.no_grad():
        loss = model(batch)
    assert not loss.requires_grad
    assert all(weight.grad is None or not weight.grad.any() for weight in model.parameters())
    torch.testing.assert_close(loss, expected.detach(), rtol=1e-12, atol=1e-12)


# ---------------------------------------------------------------------------------------- older items count less


@settings(max_examples=40)
@given(
    time=st.sampled_from(["none", "events", "request"]),
    decay=st.booleans(),
    encoder=st.sampled_from(["gates", "gru", "none"]),
    per_row=st.integers(1, 3),
    seed=st.integers(0, 10**6),
)
def test_products_are_weighed_by_place_and_time(time: str, decay: bool, encoder: str, per_row: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    model = build(seed % 1000, window_encoder=encoder, time=time, item_item_decay=decay, windows_per_row=per_row)
    batch = random_batch(rng, rows=3, per_row=per_row, window=4, targets=2, negatives=1)
    moments = np.sort(rng.integers(1, 10 ** rng.integers(1, 9), (3, batch.history.shape[1] + 1)))
    batch = replace(batch, times=torch.from_numpy(moments[:, :-1].copy()), time=torch.from_numpy(moments[:, -1].copy()))
    queries, weights = model.queries(batch), dict(model.named_parameters())
    for row, c in np.ndindex(3, per_row):
        now = moments[row, c + 3 if time == "events" else c + 4]
        durations = None if time == "none" else [int(now - moments[row, c + place]) for place in range(4)]
        window = batch.history[row, c : c + 4].tolist()
        expected = reference_query(weights, model.config, int(batch.user[row]), window, durations)
        torch.testing.assert_close(queries[row, c], expected, rtol=1e-10, atol=1e-10)


def test_settings_of_decay_need_the_products() -> None:
    for chosen in ({"time": "events"}, {"item_item_decay": True}):
        with pytest.raises(ConfigError, match="time and item_item_decay weigh the item-item products: they need"):
            HGN.configure({**chosen, "item_item_product": False})
    assert not {"time", "item_item_decay"} & HGN.configure().as_dict().keys(), "as in files of earlier versions"


@pytest.mark.parametrize("law", testing.LAWS)
@pytest.mark.parametrize("chosen", [{"time": "events"}, {"time": "request"}, {"item_item_decay": True}], ids=str)
def test_a_model_with_decay_obeys_law(chosen: dict[str, Any], law: str) -> None:
    testing.LAWS[law](testing.subject(HGN, **chosen))


# ---------------------------------------------------------------------------------------- windows that share a row


@settings(max_examples=60)
@given(
    switches=st.sampled_from(combinations()), per_row=st.integers(1, 4), window=st.integers(1, 5), seed=st.integers(0)
)
def test_queries_that_share_a_row_equal_single_queries(
    switches: dict[str, Any], per_row: int, window: int, seed: int
) -> None:
    batch = random_batch(np.random.default_rng(seed), rows=3, per_row=per_row, window=window, targets=2, negatives=2)
    single = one_query_per_row(batch, window)
    for loss in ("bpr", "ce"):
        options = {"loss": loss, "num_negatives": 2, "reg_weight": (0.3, 0.2)}
        model = build(seed % 1000, **switches, windows_per_row=per_row, window=window, **options)
        with torch.no_grad():
            together = model.queries(batch).flatten(0, 1)
            separate = torch.cat([model.queries(single.shard(row, len(single))) for row in range(len(single))])
            torch.testing.assert_close(together, separate.flatten(0, 1), rtol=1e-10, atol=1e-10)
            torch.testing.assert_close(model(batch), model(single), rtol=1e-10, atol=1e-10)


def test_query_reads_the_last_window() -> None:
    """A history longer than the window is cut, a shorter one padded."""
    model = build(window=3)
    user = torch.tensor([1, 2])
    long = torch.tensor([[4, 5, 6, 7, 8], [0, 0, 0, 0, 2]])
    torch.testing.assert_close(model.query(Batch(user, long)), model.query(Batch(user, long[:, 2:])))
    padded = torch.tensor([[0, 0, 7], [0, 0, 2]])
    torch.testing.assert_close(
        model.query(Batch(user, long[:, -1:] * 0 + padded[:, -1:])), model.query(Batch(user, padded))
    )


# ---------------------------------------------------------------------------------------- batches, weights, laws


def test_batches_have_the_windows_of_the_settings() -> None:
    log = synthetic.random(20, 9, 8, seed=1)
    model = build(window=3, num_targets=2, windows_per_row=2, num_negatives=3)
    actual = list(model.batches(log, np.random.default_rng(2)))
    windows = SlidingWindows(window=3, num_targets=2, windows_per_row=2, num_negatives=3)
    expected = list(windows.batches(log, model.config.batch_size, np.random.default_rng(2)))
    for one, two in zip(actual, expected, strict=True):
        for name in ("user", "history", "target", "negatives", "target_mask"):
            assert torch.equal(getattr(one, name), getattr(two, name))


def test_cross_entropy_needs_no_negatives() -> None:
    model = build(loss="ce")
    (batch,) = model.batches(synthetic.random(5, 9, 8, seed=1), np.random.default_rng(2))
    assert batch.negatives.shape[3] == 0
    assert model(batch).isfinite()


@pytest.mark.parametrize(
    ("settings", "gates"),
    [
        ({}, 5350),
        ({"item_bias": True}, 5350),
        ({"feature_gate": False}, 300),
        ({"instance_gate": False}, 5050),
        ({"feature_gate": False, "instance_gate": False}, 0),
        ({"window_encoder": "gru"}, 15300),
        ({"window_encoder": "cnn"}, 26154),
        ({"window_encoder": "none"}, 0),
        ({"embedding_dim": 64, "window": 50}, 2 * 64**2 + 64 + 64 + 64 * 50),
    ],
    ids=str,
)
def test_number_of_weights(settings: dict[str, Any], gates: int) -> None:
    model = HGN(HGN.configure(settings, "paper"), Sizes(num_users=11, num_items=7))
    dim = model.config.embedding_dim
    tables = 12 * dim + 8 * dim + 8 * (dim + model.config.item_bias)
    assert sum(weight.numel() for weight in model.parameters()) == tables + gates


VARIANTS: dict[str, dict[str, Any]] = {
    "windows sharing a row": {"windows_per_row": 4},
    "paper": HGN.presets["paper"],
    "max": {"pooling": "max"},
    "item bias": {"item_bias": True},
    "item with the largest gate": {"pooling": "gate_max"},
    "without gates": {"feature_gate": False, "instance_gate": False, "pooling": "avg", "item_item_product": False},
    "gru": {"window_encoder": "gru", "item_item_product": False, "windows_per_row": 2},
    "cnn": {"window_encoder": "cnn", "item_item_product": False, "windows_per_row": 2},
    "none": {"window_encoder": "none", "item_item_product": False},
    "cosine": {"tied": True, "temperature": 0.1, "loss": "ce", "dropout": 0.2},
}


@pytest.mark.parametrize("variant", VARIANTS)
def test_laws_hold_for_variants(variant: str) -> None:
    subject = testing.subject(HGN, **VARIANTS[variant])
    for law in set(testing.LAWS) - {"learns_a_cycle"}:
        testing.LAWS[law](subject)
