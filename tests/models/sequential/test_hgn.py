"""HGN against its equations written out in loops, for every combination of its switches."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from segue import testing
from segue.batches.batch import Batch, SequenceBatch
from segue.batches.sequences import SlidingWindows
from segue.data import synthetic
from segue.models.base.model import Sizes
from segue.models.sequential.hgn import HGN
from segue.nn.sliding_windows import positions_to_windows, windows_to_positions

SIZES = Sizes(num_users=5, num_items=9)
PARTS = ("feature_gate", "instance_gate", "item_item_product", "item_bias")


def build(seed: int = 0, **settings: Any) -> HGN:
    """A small HGN in double precision, with weights large enough for every part to matter."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = HGN(HGN.configure({"embedding_dim": 3, "window": 4, "num_targets": 2, **settings}), SIZES).double()
        with torch.no_grad():
            for name, weight in model.named_parameters():
                weight.normal_(0, 0.7)
                if name in ("user_embedding", "input_embedding", "output_embedding"):
                    weight[0] = 0
    return model


def combinations() -> list[dict[str, Any]]:
    """Every combination of pooling and parts that a config allows."""
    found = []
    for pooling, *parts in itertools.product(("avg", "max", "gate_avg"), *([True, False] for _ in PARTS)):
        chosen = dict(zip(PARTS, parts, strict=True))
        if chosen["instance_gate"] or pooling != "gate_avg":
            found.append({"pooling": pooling, **chosen})
    for group, item_item, item_bias in itertools.product(("gru", "cnn", "none"), [True, False], [True, False]):
        found.append(
            {"window_encoder": group, "cnn_dropout": 0.0, "item_item_product": item_item, "item_bias": item_bias}
        )
    return found


def draw_batch(
    rng: np.random.Generator, *, rows: int, per_row: int, window: int, targets: int, negatives: int
) -> Batch:
    """Random histories with padding before and after; some questions are not asked, some negatives not drawn."""
    places = window + per_row - 1
    history = rng.integers(1, SIZES.num_items + 1, (rows, places))
    begin = rng.integers(0, places, (rows, 1))
    end = np.maximum(places - rng.integers(0, per_row, (rows, 1)), begin + 1)
    place = np.arange(places)
    history[(place < begin) | (place >= end)] = 0
    target = rng.integers(1, SIZES.num_items + 1, (rows, per_row + targets - 1))
    target[rng.random(target.shape) < 0.2] = 0
    negative = rng.integers(1, SIZES.num_items + 1, (rows, per_row, targets, negatives))
    negative[rng.random(negative.shape) < 0.1] = 0
    asked = rng.random((rows, per_row)) < 0.8
    target[0, 0], asked[0, 0] = 1, True
    user = rng.integers(1, SIZES.num_users + 1, rows)
    return SequenceBatch(*(torch.from_numpy(array) for array in (user, history, target, asked, negative)))


def single(batch: Batch, window: int) -> Batch:
    """The same questions, each in a row of its own, row after row."""
    count = batch.target_mask.shape[1]
    targets = batch.target.shape[1] - count + 1

    def each(tensor: Tensor, width: int) -> Tensor:
        return torch.stack([tensor[:, c : c + width] for c in range(count)], 1).flatten(0, 1)

    user = batch.user.repeat_interleave(count)
    negative = batch.negatives.flatten(0, 1).unsqueeze(1)
    mask = each(batch.target_mask, 1)
    return SequenceBatch(user, each(batch.history, window), each(batch.target, targets), mask, negative)


# ---------------------------------------------------------------------------------------- the equations, in loops


def reference_query(weights: dict[str, Tensor], config: Any, user: int, window: list[int]) -> Tensor:
    """u + s + sum of s_l, the left side of (5) for one window; weights as a plain dict of tensors."""
    u = weights["user_embedding"][user]
    group = {
        "gates": reference_gates,
        "gru": reference_gru,
        "cnn": reference_convolutions,
        "none": lambda weights, *_: torch.zeros_like(u),
    }
    query = u + group[config.window_encoder](weights, config, u, window)
    if config.item_item_product:
        query = query + sum((weights["input_embedding"][item] for item in window if item), start=torch.zeros_like(u))
    return torch.cat([query, torch.ones(1, dtype=u.dtype)]) if config.item_bias else query


def reference_gates(weights: dict[str, Tensor], config: Any, u: Tensor, window: list[int]) -> Tensor:
    """s of (3) or (4)."""
    gated, weight = [], []
    for place, item in enumerate(window):
        if item == 0:
            continue
        s = weights["input_embedding"][item]
        if config.feature_gate:  # (1)
            logit = (
                weights["feature_gate_item.weight"] @ s
                + weights["feature_gate_user.weight"] @ u
                + weights["feature_gate_user.bias"]
            )
            s = s * torch.sigmoid(logit)
        gate = torch.ones((), dtype=s.dtype)
        if config.instance_gate:  # (2)
            gate = torch.sigmoid(
                weights["instance_gate_item"].flatten() @ s + u @ weights["instance_gate_user"][:, place]
            )
        gated.append(s * gate)
        weight.append(gate)
    if not gated:
        return torch.zeros_like(u)
    if config.pooling == "max":  # (4)
        return torch.stack(gated).max(0).values
    return sum(gated) / (sum(weight) if config.pooling == "gate_avg" else len(gated))  # (3), or the authors' mean


def reference_gru(weights: dict[str, Tensor], config: Any, u: Tensor, window: list[int]) -> Tensor:
    """torch's own cell, over the items that there are."""
    cell = nn.GRUCell(config.embedding_dim, config.embedding_dim).double()
    own = {name: weights[f"window_encoder.cell.{name}"] for name, _ in cell.named_parameters()}
    state = torch.zeros(1, config.embedding_dim, dtype=u.dtype)
    for item in filter(None, window):
        state = torch.func.functional_call(cell, own, (weights["input_embedding"][item][None], state))
    return state[0]


def reference_convolutions(weights: dict[str, Tensor], config: Any, u: Tensor, window: list[int]) -> Tensor:
    """Caser's features, filter by filter and place by place; padding is a picture's black rows."""
    picture = torch.stack([weights["input_embedding"][item] if item else torch.zeros_like(u) for item in window])
    w, b = weights["window_encoder.vertical.weight"], weights["window_encoder.vertical.bias"]
    features = [sum(w[k, place] * picture[place] for place in range(len(window))) + b[k] for k in range(len(w))]
    for height in range(1, len(window) + 1):
        w, b = (weights[f"window_encoder.horizontal.{height - 1}.{kind}"] for kind in ("weight", "bias"))
        for k in range(len(w)):
            found = [(w[k].T * picture[i : i + height]).sum() + b[k] for i in range(len(window) - height + 1)]
            features.append(torch.stack(found).max().relu()[None])
    return torch.relu(
        weights["window_encoder.dense.weight"] @ torch.cat(features) + weights["window_encoder.dense.bias"]
    )


def reference_loss(weights: dict[str, Tensor], config: Any, batch: Batch) -> Tensor:
    """(6) without its penalty, or cross-entropy, question by question; then RecBole's regulariser."""
    total, terms = torch.zeros((), dtype=torch.double), 0
    for row, question in batch.target_mask.nonzero().tolist():
        window = batch.history[row, question : question + config.window].tolist()
        scores = weights["output_embedding"] @ reference_query(weights, config, int(batch.user[row]), window)
        for place in range(config.num_targets):
            if target := int(batch.target[row, question + place]):
                terms += 1
                drawn = batch.negatives[row, question, place].tolist()
                total = total + reference_term(scores, target, drawn, config.loss)
    return total + reference_penalty(weights, config, batch) * terms


def reference_term(scores: Tensor, target: int, negatives: list[int], loss: str) -> Tensor:
    """What one target adds to the loss."""
    if loss == "ce":
        return scores[1:].logsumexp(0) - scores[target]
    apart = [scores[target] - scores[negative] for negative in negatives if negative]
    return sum((-torch.log(torch.sigmoid(x)) for x in apart), start=torch.zeros((), dtype=torch.double)) / max(
        len(apart), 1
    )


def reference_penalty(weights: dict[str, Tensor], config: Any, batch: Batch) -> Tensor:
    """The lengths (not squared) of the gates' matrices and of the batch's embeddings."""
    gates, embeddings = config.reg_weight
    used = {"user_embedding": batch.user, "input_embedding": batch.history, "output_embedding": batch.target}
    penalty = torch.zeros((), dtype=torch.double)
    for name, weight in weights.items():
        if name in used and embeddings:
            penalty = penalty + embeddings * weight[used[name].flatten()].square().sum().sqrt()
        elif name not in used and gates and weight.ndim > 1:
            penalty = penalty + gates * weight.square().sum().sqrt()
    return penalty


def assert_as_reference(model: HGN, batch: Batch) -> None:
    """Loss and every gradient of `model` are those of the loops."""
    weights = {name: weight.detach().clone().requires_grad_() for name, weight in model.named_parameters()}
    expected = reference_loss(weights, model.config, batch)
    expected.backward()
    loss = model(batch)
    loss.backward()
    torch.testing.assert_close(loss, expected, rtol=1e-10, atol=1e-10)
    for name, weight in model.named_parameters():
        slow = weights[name].grad
        wanted = torch.zeros_like(weight) if slow is None else slow.clone()
        if name in ("user_embedding", "input_embedding", "output_embedding"):
            assert weight.grad is not None
            assert not weight.grad[0].any(), f"{name}: padding gets a gradient"
            wanted[0] = 0
        found = torch.zeros_like(weight) if weight.grad is None else weight.grad
        torch.testing.assert_close(found, wanted, rtol=1e-8, atol=1e-8, msg=lambda text, name=name: f"{name}: {text}")


@pytest.mark.parametrize("loss", ["bpr", "ce"])
@pytest.mark.parametrize("switches", combinations(), ids=lambda s: "-".join(str(v) for v in s.values()))
def test_loss_and_gradients_of_every_combination(switches: dict[str, Any], loss: str) -> None:
    rng = np.random.default_rng(3)
    for per_row, negatives, reg_weight in ((1, 1, (0, 0)), (3, 2, (0, 0)), (1, 2, (0.3, 0.2)), (2, 1, (0.3, 0.2))):
        model = build(**switches, loss=loss, windows_per_row=per_row, num_negatives=negatives, reg_weight=reg_weight)
        batch = draw_batch(rng, rows=3, per_row=per_row, window=4, targets=2, negatives=negatives)
        assert_as_reference(model, batch)


@pytest.mark.parametrize("targets", [1, 3])
def test_loss_and_gradients_of_full_windows(targets: int) -> None:
    """The everyday batch: no padding anywhere, one negative a target, the paper's settings."""
    rng = np.random.default_rng(4)
    model = build(num_targets=targets)
    history, target, negative = (rng.integers(1, 10, shape) for shape in ((6, 4), (6, targets), (6, 1, targets, 1)))
    user, asked = rng.integers(1, 6, 6), np.ones((6, 1), bool)
    batch = SequenceBatch(*(torch.from_numpy(array) for array in (user, history, target, asked, negative)))
    assert_as_reference(model, batch)


@pytest.mark.parametrize("settings", [{}, {"windows_per_row": 3}, {"loss": "ce"}, {"pooling": "max"}], ids=str)
def test_gradients_of_two_batches_add_up(settings: dict[str, Any]) -> None:
    rng = np.random.default_rng(5)
    per_row = settings.get("windows_per_row", 1)
    batches = [draw_batch(rng, rows=3, per_row=per_row, window=4, targets=2, negatives=1) for _ in range(2)]
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
def test_a_scaled_loss_scales_the_gradients(settings: dict[str, Any]) -> None:
    """`reduction="mean"` divides the loss before the backward pass."""
    batch = draw_batch(np.random.default_rng(6), rows=3, per_row=1, window=4, targets=2, negatives=1)
    gradients = []
    for factor in (1.0, 0.25):
        model = build(**settings)
        (model(batch) * factor).backward()
        gradients.append([weight.grad for weight in model.parameters()])
    for whole, quarter in zip(*gradients, strict=True):
        torch.testing.assert_close(whole * 0.25, quarter, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("settings", [{}, {"windows_per_row": 2}, {"loss": "ce"}, {"pooling": "max"}], ids=str)
def test_no_gradient_where_none_is_wanted(settings: dict[str, Any]) -> None:
    per_row = settings.get("windows_per_row", 1)
    batch = draw_batch(np.random.default_rng(7), rows=3, per_row=per_row, window=4, targets=2, negatives=1)
    model = build(**settings)
    wanted = model(batch)
    with torch.no_grad():
        loss = model(batch)
    assert not loss.requires_grad
    assert all(weight.grad is None or not weight.grad.any() for weight in model.parameters())
    torch.testing.assert_close(loss, wanted.detach(), rtol=1e-12, atol=1e-12)


# ---------------------------------------------------------------------------------------- chunks


@settings(max_examples=60, deadline=None)
@given(
    switches=st.sampled_from(combinations()), per_row=st.integers(1, 4), window=st.integers(1, 5), seed=st.integers(0)
)
def test_chunks_are_windows(switches: dict[str, Any], per_row: int, window: int, seed: int) -> None:
    """Questions that share a row have the queries, and the summed loss, that they have alone."""
    batch = draw_batch(np.random.default_rng(seed), rows=3, per_row=per_row, window=window, targets=2, negatives=2)
    alone = single(batch, window)
    for loss in ("bpr", "ce"):
        model = build(seed % 1000, **switches, windows_per_row=per_row, window=window, loss=loss, num_negatives=2)
        with torch.no_grad():
            together = model.queries(batch).flatten(0, 1)
            apart = torch.cat([model.queries(alone.shard(row, len(alone))) for row in range(len(alone))]).flatten(0, 1)
            torch.testing.assert_close(together, apart, rtol=1e-10, atol=1e-10)
            torch.testing.assert_close(model(batch), model(alone), rtol=1e-10, atol=1e-10)


def test_query_is_that_of_the_last_window() -> None:
    """A history longer than the window is cut, a shorter one padded."""
    model = build(window=3)
    user = torch.tensor([1, 2])
    long = torch.tensor([[4, 5, 6, 7, 8], [0, 0, 0, 0, 2]])
    torch.testing.assert_close(model.query(Batch(user, long)), model.query(Batch(user, long[:, 2:])))
    padded = torch.tensor([[0, 0, 7], [0, 0, 2]])
    torch.testing.assert_close(
        model.query(Batch(user, long[:, -1:] * 0 + padded[:, -1:])), model.query(Batch(user, padded))
    )


def test_slide_moves_each_row_by_one() -> None:
    weight = torch.arange(1.0, 13.0).view(2, 3, 2)
    expected = torch.zeros(2, 3, 4)
    for row, count, place in itertools.product(range(2), range(3), range(2)):
        expected[row, count, count + place] = weight[row, count, place]
    assert torch.equal(windows_to_positions(weight), expected)


@pytest.mark.parametrize("count", [1, 2, 4])
@pytest.mark.parametrize("each", [1, 3])
def test_unslide_takes_each_row_from_its_own_column_on(count: int, each: int) -> None:
    table = torch.arange(2.0 * count * (count + each - 1)).view(2, count, -1)
    expected = torch.stack([table[:, row, row : row + each] for row in range(count)], 1)
    assert torch.equal(positions_to_windows(table), expected)
    assert torch.equal(positions_to_windows(windows_to_positions(expected)), expected)


# ---------------------------------------------------------------------------------------- what it is fed, sizes, laws


def test_batches_are_the_windows_of_its_settings() -> None:
    log = synthetic.random(20, 9, 8, seed=1)
    model = build(window=3, num_targets=2, windows_per_row=2, num_negatives=3)
    ours = list(model.batches(log, np.random.default_rng(2)))
    windows = SlidingWindows(window=3, num_targets=2, windows_per_row=2, num_negatives=3)
    theirs = list(windows.batches(log, model.config.batch_size, np.random.default_rng(2)))
    for one, two in zip(ours, theirs, strict=True):
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
    model = HGN(HGN.configure(settings), Sizes(num_users=11, num_items=7))
    dim = model.config.embedding_dim
    tables = 12 * dim + 8 * dim + 8 * (dim + model.config.item_bias)
    assert sum(weight.numel() for weight in model.parameters()) == tables + gates


VARIANTS: dict[str, dict[str, Any]] = {
    "chunks": {"windows_per_row": 4},
    "ce": {"loss": "ce", "training_windows": "every", "num_targets": 1},
    "max": {"pooling": "max"},
    "author": {"pooling": "gate_avg", "item_bias": True},
    "bare": {"feature_gate": False, "instance_gate": False, "item_item_product": False},
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
