"""HGN by plain Python loops over its equations, and random batches to compare it with the model."""

from __future__ import annotations

import itertools
import math
import re
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from segue.batches.batch import SequenceBatch
from segue.models.base.model import Sizes
from segue.models.sequential.hgn import HGN

SIZES = Sizes(num_users=5, num_items=9)
PARTS = ("feature_gate", "instance_gate", "item_item_product", "item_bias")


def build(seed: int = 0, **settings: Any) -> HGN:
    """A small HGN in double precision, with weights large enough for every part to matter."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = HGN(
            HGN.configure({"embedding_dim": 3, "window": 4, "num_targets": 2, **settings}, "paper"), SIZES
        ).double()
        with torch.no_grad():
            for name, weight in model.named_parameters():
                weight.normal_(0, 0.7)
                if name in ("user_embedding", "input_embedding", "output_embedding"):
                    weight[0] = 0
    return model


def combinations() -> list[dict[str, Any]]:
    """Every combination of pooling and parts that a config allows."""
    configs = []
    for pooling, *parts in itertools.product(("avg", "max", "gate_avg", "gate_max"), *([True, False] for _ in PARTS)):
        chosen = dict(zip(PARTS, parts, strict=True))
        if chosen["instance_gate"] or not pooling.startswith("gate"):
            configs.append({"pooling": pooling, **chosen})
    for encoder, item_item, item_bias in itertools.product(("gru", "cnn", "none"), [True, False], [True, False]):
        configs.append(
            {"window_encoder": encoder, "cnn_dropout": 0.0, "item_item_product": item_item, "item_bias": item_bias}
        )
    return configs


def random_batch(
    rng: np.random.Generator, *, rows: int, per_row: int, window: int, targets: int, negatives: int
) -> SequenceBatch:
    """Random histories with padding before and after; some queries are masked out, some targets and negatives are 0."""
    length = window + per_row - 1
    history = rng.integers(1, SIZES.num_items + 1, (rows, length))
    begin = rng.integers(0, length, (rows, 1))
    end = np.maximum(length - rng.integers(0, per_row, (rows, 1)), begin + 1)
    position = np.arange(length)
    history[(position < begin) | (position >= end)] = 0
    target = rng.integers(1, SIZES.num_items + 1, (rows, per_row + targets - 1))
    target[rng.random(target.shape) < 0.2] = 0
    negative = rng.integers(1, SIZES.num_items + 1, (rows, per_row, targets, negatives))
    negative[rng.random(negative.shape) < 0.1] = 0
    target_mask = rng.random((rows, per_row)) < 0.8
    target[0, 0], target_mask[0, 0] = 1, True
    user = rng.integers(1, SIZES.num_users + 1, rows)
    return SequenceBatch(*(torch.from_numpy(array) for array in (user, history, target, target_mask, negative)))


def one_query_per_row(batch: SequenceBatch, window: int) -> SequenceBatch:
    """The same queries, each in a row of its own, row after row."""
    count = batch.target_mask.shape[1]
    targets = batch.target.shape[1] - count + 1

    def windows(tensor: Tensor, width: int) -> Tensor:
        return torch.stack([tensor[:, c : c + width] for c in range(count)], 1).flatten(0, 1)

    user = batch.user.repeat_interleave(count)
    negative = batch.negatives.flatten(0, 1).unsqueeze(1)
    mask = windows(batch.target_mask, 1)
    return SequenceBatch(user, windows(batch.history, window), windows(batch.target, targets), mask, negative)


# ---------------------------------------------------------------------------------------- the equations, in loops


def reference_query(
    weights: dict[str, Tensor], config: Any, user: int, window: list[int], durations: list[int] | None = None
) -> Tensor:
    """u + s + sum of s_l, the left side of (5) for one window; weights as a plain dict of tensors.

    With times, `durations` are those since the event of each item.
    """
    u = weights["user_embedding"][user]
    encoders = {
        "gates": reference_gates,
        "gru": reference_gru,
        "cnn": reference_convolutions,
        "none": lambda weights, *_: torch.zeros_like(u),
    }
    query = u + encoders[config.window_encoder](weights, config, u, window)
    if config.item_item_product:
        for place, item in enumerate(window):
            c = weights["place_decay"][place] if config.item_item_decay else torch.zeros((), dtype=u.dtype)
            if durations is not None:
                c = c + weights["time_decay"][min(int(math.log(max(durations[place], 1)) / 0.301), 127), 0]
            query = query + torch.exp(c) * weights["input_embedding"][item] * (item > 0)
    return torch.cat([query, torch.ones(1, dtype=u.dtype)]) if config.item_bias else query


def reference_gates(weights: dict[str, Tensor], config: Any, u: Tensor, window: list[int]) -> Tensor:
    """s of (3) or (4)."""
    gated, weight = [], []
    for position, item in enumerate(window):
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
                weights["instance_gate_item"].flatten() @ s + u @ weights["instance_gate_user"][:, position]
            )
        gated.append(s * gate)
        weight.append(gate)
    if not gated:
        return torch.zeros_like(u)
    if config.pooling == "max":  # (4)
        return torch.stack(gated).max(0).values
    if config.pooling == "gate_max":
        return max(zip(weight, gated, strict=True), key=lambda pair: pair[0].item())[1]
    return sum(gated) / (sum(weight) if config.pooling == "gate_avg" else len(gated))  # (3), or the authors' mean


def reference_gru(weights: dict[str, Tensor], config: Any, u: Tensor, window: list[int]) -> Tensor:
    """`nn.GRUCell` over the items of the window."""
    cell = nn.GRUCell(config.embedding_dim, config.embedding_dim).double()
    cell_weights = {name: weights[f"window_encoder.cell.{name}"] for name, _ in cell.named_parameters()}
    state = torch.zeros(1, config.embedding_dim, dtype=u.dtype)
    for item in filter(None, window):
        state = torch.func.functional_call(cell, cell_weights, (weights["input_embedding"][item][None], state))
    return state[0]


def reference_convolutions(weights: dict[str, Tensor], config: Any, u: Tensor, window: list[int]) -> Tensor:
    """Caser's features, filter by filter and position by position; padding is zero rows of the image."""
    image = torch.stack([weights["input_embedding"][item] if item else torch.zeros_like(u) for item in window])
    w, b = weights["window_encoder.vertical.weight"], weights["window_encoder.vertical.bias"]
    features = [sum(w[k, row] * image[row] for row in range(len(window))) + b[k] for k in range(len(w))]
    for height in range(1, len(window) + 1):
        w, b = (weights[f"window_encoder.horizontal.{height - 1}.{kind}"] for kind in ("weight", "bias"))
        for k in range(len(w)):
            values = [(w[k].T * image[i : i + height]).sum() + b[k] for i in range(len(window) - height + 1)]
            features.append(torch.stack(values).max().relu()[None])
    return torch.relu(
        weights["window_encoder.dense.weight"] @ torch.cat(features) + weights["window_encoder.dense.bias"]
    )


def reference_loss(weights: dict[str, Tensor], config: Any, batch: SequenceBatch) -> Tensor:
    """(6) without its penalty, or cross-entropy, query by query, plus the penalty of RecBole."""
    total, terms = torch.zeros((), dtype=torch.double), 0
    for row, query in batch.target_mask.nonzero().tolist():
        window = batch.history[row, query : query + config.window].tolist()
        scores = weights["output_embedding"] @ reference_query(weights, config, int(batch.user[row]), window)
        for position in range(config.num_targets):
            if target := int(batch.target[row, query + position]):
                terms += 1
                negatives = batch.negatives[row, query, position].tolist()
                total = total + reference_term(scores, target, negatives, config.loss)
    return total + reference_penalty(weights, config, batch) * terms


def reference_term(scores: Tensor, target: int, negatives: list[int], loss: str) -> Tensor:
    """The loss of one target."""
    if loss == "ce":
        return scores[1:].logsumexp(0) - scores[target]
    differences = [scores[target] - scores[negative] for negative in negatives if negative]
    return sum((-torch.log(torch.sigmoid(x)) for x in differences), start=torch.zeros((), dtype=torch.double)) / max(
        len(differences), 1
    )


def reference_penalty(weights: dict[str, Tensor], config: Any, batch: SequenceBatch) -> Tensor:
    """The weighted norms of the gates' weights without biases, and of the embeddings of the batch, window by window."""
    gates, embeddings = config.reg_weight
    used: dict[str, list[int]] = {"user_embedding": [], "input_embedding": [], "output_embedding": []}
    for row, query in batch.target_mask.nonzero().tolist():
        used["user_embedding"].append(int(batch.user[row]))
        used["input_embedding"] += batch.history[row, query : query + config.window].tolist()
        used["output_embedding"] += batch.target[row, query : query + config.num_targets].tolist()
    penalty = torch.zeros((), dtype=torch.double)
    for name, weight in weights.items():
        if name in used and embeddings:
            penalty = penalty + embeddings * weight[used[name]].square().sum().sqrt()
        elif name not in used and gates and not re.search(r"bias(_ih|_hh)?$", name):
            penalty = penalty + gates * weight.square().sum().sqrt()
    return penalty


def assert_equals_reference(model: HGN, batch: SequenceBatch) -> None:
    """The loss and all gradients of the model equal those of the loops."""
    weights = {name: weight.detach().clone().requires_grad_() for name, weight in model.named_parameters()}
    expected = reference_loss(weights, model.config, batch)
    expected.backward()
    loss = model(batch)
    loss.backward()
    torch.testing.assert_close(loss, expected, rtol=1e-10, atol=1e-10)
    for name, weight in model.named_parameters():
        grad = weights[name].grad
        expected_grad = torch.zeros_like(weight) if grad is None else grad.clone()
        if name in ("user_embedding", "input_embedding", "output_embedding"):
            assert weight.grad is not None
            assert not weight.grad[0].any(), f"{name}: padding gets a gradient"
            expected_grad[0] = 0
        actual = torch.zeros_like(weight) if weight.grad is None else weight.grad
        torch.testing.assert_close(
            actual, expected_grad, rtol=1e-8, atol=1e-8, msg=lambda text, name=name: f"{name}: {text}"
        )
