"""SASRec against its equations written out position by position."""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from small_sequences import (
    LOG,
    SIZES,
    attention_logit,
    input_positions,
    layer_norm,
    random_batch,
    with_large_weights,
)
from torch import Tensor
from torch.nn import functional as F

from segue.batches.batch import Batch, SequenceBatch
from segue.errors import ConfigError
from segue.models.sequential.sasrec import SASRec
from segue.training.loop import fit

norm = partial(layer_norm, eps=1e-8)


def build(seed: int = 0, **chosen: Any) -> SASRec:
    """A small model with large weights."""
    model: SASRec = with_large_weights(SASRec, seed=seed, **{"dropout": 0.0, **chosen})
    return model


def reference_queries(model: SASRec, items: Tensor) -> Tensor:
    """(n, d): the queries after each of n items without padding."""
    config, positions = model.config, input_positions(model, len(items))
    xs = [
        model.item_embedding[item] * math.sqrt(config.embedding_dim) + position
        for item, position in zip(items, positions, strict=True)
    ]
    size = config.embedding_dim // config.num_heads
    for block in model.blocks:
        outputs = []
        for t, x in enumerate(xs):
            q = norm(block.attention_norm, x)
            query = block.query(q)
            keys, values = zip(*(block.key_value(x).split(config.embedding_dim) for x in xs[: t + 1]), strict=True)
            heads = []
            for h in range(config.num_heads):
                part = slice(h * size, (h + 1) * size)
                logit = torch.stack(
                    [attention_logit(model, query[part], key[part], (h, t, s)) for s, key in enumerate(keys)]
                )
                weight = torch.exp(logit) / torch.exp(logit).sum()
                heads.append(sum(w * value[part] for w, value in zip(weight, values, strict=True)))
            f = norm(block.ffn_norm, q + torch.cat(heads))
            hidden = block.ffn_in(f)
            hidden = hidden.clamp(min=0) if config.activation == "relu" else F.gelu(hidden)
            outputs.append(f + block.ffn_out(hidden))
        xs = outputs
    return torch.stack([norm(model.final_norm, x) for x in xs])


@settings(max_examples=25)
@given(
    st.integers(0, 10**6),
    st.sampled_from([1, 2, 4]),
    st.integers(1, 3),
    st.sampled_from(["relu", "gelu"]),
    st.sampled_from([0, 3]),
    st.sampled_from(["absolute", "relative", "rotary", "none"]),
)
def test_queries_equal_the_equations(
    seed: int, heads: int, blocks: int, activation: str, inner: int, positions: str
) -> None:
    chosen = {"embedding_dim": 8, "num_heads": heads, "positions": positions}
    model = build(seed, num_blocks=blocks, activation=activation, ffn_dim=inner, **chosen)
    batch = random_batch(seed)
    queries = model.queries(batch)
    newest = model.query(Batch(batch.user, batch.history))
    for row, history in enumerate(batch.history):
        begin = int((history == 0).sum())
        expected = reference_queries(model, history[begin:])
        torch.testing.assert_close(queries[row, begin:], expected, rtol=0, atol=1e-9)
        torch.testing.assert_close(newest[row], expected[-1], rtol=0, atol=1e-9)


def test_items_before_the_window_change_nothing() -> None:
    model, batch = build(), random_batch(3, length=9)
    older = batch.history.clone()
    older[:, :3] = 1
    one, two = (model.query(Batch(batch.user, history)) for history in (batch.history[:, 3:], older))
    torch.testing.assert_close(one, two, rtol=0, atol=1e-12)


def test_history_of_padding_alone_is_finite() -> None:
    model = build(num_blocks=2)
    history = torch.tensor([[0, 0, 0, 0, 0, 0], [0, 0, 0, 0, 0, 3]])
    target = torch.tensor([[0, 0, 0, 0, 0, 0], [0, 0, 0, 0, 0, 4]])
    batch = SequenceBatch(torch.tensor([1, 2]), history, target, target > 0)
    model(batch).backward()
    assert all(weight.grad is not None and weight.grad.isfinite().all() for weight in model.parameters())
    assert model.score(Batch(batch.user, history))[:, 1:].isfinite().all()


def test_leading_padding_does_not_change_the_loss() -> None:
    model, batch = build(), random_batch(5)
    padded = [F.pad(tensor, (2, 0)) for tensor in (batch.history[:, 2:], batch.target[:, 2:])]
    short = [tensor[:, 2:] for tensor in (batch.history, batch.target)]
    losses = [model(SequenceBatch(batch.user, h, t, t > 0)) for h, t in (padded, short)]
    assert losses[0].item() == pytest.approx(losses[1].item(), abs=1e-10)


def test_cross_entropy_over_all_items_at_every_position() -> None:
    model, batch = build(), random_batch(1)
    scores = model.queries(batch) @ model.item_embedding[1:].T
    expected = F.cross_entropy(scores.flatten(0, 1), batch.target.flatten() - 1, ignore_index=-1, reduction="sum")
    assert model(batch).item() == pytest.approx(expected.item(), abs=1e-9)


def test_loss_of_the_paper() -> None:
    """Equation (6) of the paper: each target with one negative."""
    model = build(loss="bce")
    batch = next(iter(model.batches(LOG, np.random.default_rng(0))))
    query = model.queries(batch)
    expected = 0.0
    for row, position in batch.target_mask.nonzero().tolist():
        pair = torch.stack([batch.target[row, position], batch.negatives[row, position, 0, 0]])
        positive, negative = (model.item_embedding[pair] @ query[row, position]).tolist()
        expected += math.log1p(math.exp(-positive))
        if pair[1] > 0:  # 0 where a user has an event with every item
            expected += math.log1p(math.exp(negative))
    assert model(batch).item() == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize(
    "chosen",
    [
        {"loss": "bce"},
        {"loss": "gbce", "num_negatives": 4},
        {"loss": "sampled-ce", "num_negatives": 6, "negative_sampling": "shared"},
        {"loss": "sampled-ce", "num_negatives": 6, "temperature": 0.2},
        {"loss": "ce", "coverage": "last"},
    ],
    ids=lambda chosen: "-".join(map(str, chosen.values())),
)
def test_training_reduces_the_loss(chosen: dict[str, Any]) -> None:
    model = SASRec(
        SASRec.configure({"embedding_dim": 8, "window": 6, "epochs": 6, "lr": 0.01, "batch_size": 8, **chosen}), SIZES
    )
    losses = [epoch.loss for epoch in fit(model, LOG).epochs]
    assert losses[-1] < losses[0] - 0.01


def test_dropout_in_training_only() -> None:
    model, batch = build(dropout=0.5), random_batch(2)
    assert torch.equal(model.queries(batch), model.queries(batch))
    model.train()
    assert not torch.equal(model.queries(batch), model.queries(batch))


def test_adam_betas_of_the_paper() -> None:
    assert build().optimizer().betas == (0.9, 0.98)  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("chosen", "message"),
    [
        ({"window": 0}, "window=0: must be at least 1"),
        ({"num_blocks": 0}, "num_blocks=0: must be between 1 and 100"),
        ({"num_heads": 3}, "num_heads=3: must divide embedding_dim=64"),
        ({"ffn_dim": -1}, "ffn_dim=-1: must be at least 0"),
        ({"constant_lr_steps": -1}, "constant_lr_steps=-1: must be at least 0"),
        ({"dropout": 1.0}, r"dropout=1.0: must be at least 0 and below 1"),
        ({"activation": "tanh"}, "activation='tanh': must be one of relu, gelu"),
    ],
)
def test_invalid_settings_are_rejected(chosen: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        SASRec.configure(chosen)
