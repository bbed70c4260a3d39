"""eSASRec against its equations written out position by position."""

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
    affine,
    attention_logit,
    input_positions,
    layer_norm,
    random_batch,
    sigmoid,
    with_large_weights,
)
from torch import Tensor

from segue.batches.batch import Batch, SequenceBatch
from segue.data import synthetic
from segue.errors import ConfigError
from segue.models.base.model import Sizes
from segue.models.sequential.esasrec import ESASRec, LiGRBlock
from segue.training.loop import fit

norm = partial(layer_norm, eps=1e-5)


def build(seed: int = 0, **chosen: Any) -> ESASRec:
    """A small model with large weights."""
    model: ESASRec = with_large_weights(ESASRec, seed=seed, **{"dropout": 0.0, **chosen})
    return model


def reference_attention(model: ESASRec, block: LiGRBlock, normed: list[Tensor]) -> Tensor:
    """The attention of the last position to all positions."""
    dim, heads, t = len(normed[0]), model.config.num_heads, len(normed) - 1
    query = affine(block.attention.query, normed[-1])
    keys, values = zip(*(affine(block.attention.key_value, n).split(dim) for n in normed), strict=True)
    parts = []
    for h in range(heads):
        part = slice(h * dim // heads, (h + 1) * dim // heads)
        logits = [attention_logit(model, query[part], key[part], (h, t, s)) for s, key in enumerate(keys)]
        weight = torch.exp(torch.stack(logits))
        weight = weight / weight.sum()
        parts.append(sum(w * value[part] for w, value in zip(weight, values, strict=True)))
    return affine(block.attention.output, torch.cat(parts))


def reference_queries(model: ESASRec, items: Tensor) -> Tensor:
    """(n, d): the queries after each of n items without padding."""
    xs = list(model.item_embedding[items] + input_positions(model, len(items)))
    for block in model.blocks:
        normed = [norm(block.attention_norm, x) for x in xs]
        outputs = []
        for t, x in enumerate(xs):
            attended = reference_attention(model, block, normed[: t + 1])
            a = x + sigmoid(affine(block.attention_gate, x)) * attended
            first, second = (block.feed_forward.input.weight @ norm(block.ffn_norm, a)).chunk(2)
            output = block.feed_forward.output.weight @ (first * sigmoid(first) * second)
            outputs.append(a + sigmoid(affine(block.ffn_gate, a)) * output)
        xs = outputs
    return torch.stack(xs)


@settings(max_examples=25)
@given(
    st.integers(0, 10**6),
    st.sampled_from([1, 2, 4]),
    st.integers(1, 3),
    st.integers(1, 4),
    st.sampled_from(["absolute", "relative", "rotary", "none"]),
)
def test_queries_equal_the_equations(seed: int, heads: int, blocks: int, factor: int, positions: str) -> None:
    chosen = {"embedding_dim": 8, "num_heads": heads, "positions": positions}
    model, batch = build(seed, num_blocks=blocks, ffn_factor=factor, **chosen), random_batch(seed)
    queries = model.queries(batch)
    newest = model.query(Batch(batch.user, batch.history))
    for row, history in enumerate(batch.history):
        begin = int((history == 0).sum())
        expected = reference_queries(model, history[begin:])
        torch.testing.assert_close(queries[row, begin:], expected, rtol=0, atol=1e-10)
        torch.testing.assert_close(newest[row], expected[-1], rtol=0, atol=1e-10)


def test_sampled_softmax_without_correction() -> None:
    """The loss of the paper: a softmax over the target and the sampled items that are not the target."""
    model, batch = (
        build(**{**ESASRec.presets["author"], "window": 6, "dropout": 0.0, "num_negatives": 6}),
        random_batch(1),
    )
    batch = next(iter(model.with_shared_negatives(iter([batch]), LOG, np.random.default_rng(0))))
    assert batch.shared_negatives is not None
    queries, expected = model.queries(batch), 0.0
    for row, position in batch.target_mask.nonzero().tolist():
        target = int(batch.target[row, position])
        ids = [target, *(item for item in batch.shared_negatives.tolist() if item != target)]
        scores = (model.item_embedding[ids] @ queries[row, position]).tolist()
        expected += math.log(sum(map(math.exp, scores))) - scores[0]
    assert model(batch).item() == pytest.approx(expected, rel=1e-10)


def test_shared_negatives_of_the_paper_are_uniform() -> None:
    model = build(loss="sampled-ce", negative_sampling="shared", sample_alpha=0.0, num_negatives=20_000)
    log = synthetic.from_sequences([[1] * 50 + [2, 3, 4, 5, 6, 7, 8, 9]], num_items=9)
    batch = next(iter(model.batches(log, np.random.default_rng(0))))
    assert batch.shared_negatives is not None
    share = np.bincount(batch.shared_negatives.numpy(), minlength=10) / 20_000
    assert share[0] == 0
    assert share[1:] == pytest.approx(np.full(9, 1 / 9), abs=0.02)


@pytest.mark.parametrize("loss", ["ce", "sampled-ce", "gbce"])
def test_training_reduces_the_loss(loss: str) -> None:
    chosen = {"embedding_dim": 8, "window": 6, "epochs": 6, "lr": 0.01, "batch_size": 8, "loss": loss}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = ESASRec(ESASRec.configure({**chosen, "num_negatives": 4}), SIZES)
    losses = [epoch.loss for epoch in fit(model, LOG).epochs]
    assert losses[-1] < losses[0] - 0.01


def test_initial_weights_are_those_of_glorot() -> None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = ESASRec(ESASRec.configure({"embedding_dim": 64, "window": 100}), Sizes(5, 1000))
    for name, weight in model.named_parameters():
        if weight.ndim == 2:
            expected = math.sqrt(2 / sum(weight.shape))
            assert weight.std().item() == pytest.approx(expected, rel=0.05), name
    assert not model.item_embedding[0].any()


def test_events_of_unknown_type_have_no_type_vector() -> None:
    config = ESASRec.configure({"embedding_dim": 8, "event_types": True})
    model = ESASRec(config, Sizes(num_users=5, num_items=9, num_event_types=2))
    assert model.type_embedding is not None
    assert not model.type_embedding.weight[0].any()
    assert model.type_embedding.weight[1:].all()


def test_history_of_padding_alone_is_finite() -> None:
    model = build(num_blocks=2)
    history = torch.tensor([[0, 0, 0, 0, 0, 0], [0, 0, 0, 0, 0, 3]])
    target = torch.tensor([[0, 0, 0, 0, 0, 0], [0, 0, 0, 0, 0, 4]])
    batch = SequenceBatch(torch.tensor([1, 2]), history, target, target > 0)
    model(batch).backward()
    assert all(weight.grad is not None and weight.grad.isfinite().all() for weight in model.parameters())
    assert model.score(Batch(batch.user, history))[:, 1:].isfinite().all()


def test_dropout_in_training_only() -> None:
    model, batch = build(dropout=0.5), random_batch(2)
    assert torch.equal(model.queries(batch), model.queries(batch))
    model.train()
    assert not torch.equal(model.queries(batch), model.queries(batch))


@pytest.mark.parametrize(
    ("chosen", "message"),
    [
        ({"ffn_factor": 0}, "ffn_factor=0: must be at least 1"),
        ({"num_heads": 3}, "num_heads=3: must divide embedding_dim=64"),
        ({"coverage": "first"}, "coverage='first': must be one of last, all"),
    ],
)
def test_invalid_settings_are_rejected(chosen: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        ESASRec.configure(chosen)
