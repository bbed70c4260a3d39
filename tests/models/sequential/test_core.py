"""CORE against its equations written out session by session."""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from small_sequences import LOG, SIZES, affine, gelu, layer_norm, random_batch, with_large_weights
from torch import Tensor

from segue.batches.batch import Batch, SequenceBatch
from segue.errors import ConfigError
from segue.models.sequential.core import CORE
from segue.nn.post_norm_block import PostNormBlock
from segue.training.loop import fit

NO_DROPOUT = {"session_dropout": 0.0, "item_dropout": 0.0}

norm = partial(layer_norm, eps=1e-12)


def build(seed: int = 0, **chosen: Any) -> CORE:
    """A small model with large weights."""
    if chosen.get("encoder") != "ave":
        chosen = {"dropout": 0.0, "ffn_dim": 7, **chosen}
    model: CORE = with_large_weights(CORE, seed=seed, **{**NO_DROPOUT, **chosen})
    return model


def reference_block(block: PostNormBlock, xs: list[Tensor], heads: int) -> list[Tensor]:
    """The outputs of a causal block at all positions."""
    dim = len(xs[0])
    queries = [affine(block.attention.query, x) for x in xs]
    keys, values = zip(*(affine(block.attention.key_value, x).split(dim) for x in xs), strict=True)
    outputs = []
    for t, x in enumerate(xs):
        parts = []
        for h in range(heads):
            part = slice(h * dim // heads, (h + 1) * dim // heads)
            scores = [queries[t][part] @ key[part] / math.sqrt(dim / heads) for key in keys[: t + 1]]
            weight = torch.exp(torch.stack(scores))
            parts.append(sum(w * value[part] for w, value in zip(weight / weight.sum(), values[: t + 1], strict=True)))
        a = norm(block.attention_norm, x + affine(block.attention.output, torch.cat(parts)))
        outputs.append(norm(block.ffn_norm, a + affine(block.ffn_out, gelu(affine(block.ffn_in, a)))))
    return outputs


def reference_query(model: CORE, items: Tensor) -> Tensor:
    """h_s of a session, whose newest item has the newest position."""
    vectors = [model.item_embedding[item] for item in items]
    if model.config.encoder == "ave":
        return sum(vectors) / len(vectors)
    positions = model.position_embedding[len(model.position_embedding) - len(items) :]
    xs = [norm(model.input_norm, x + p) for x, p in zip(vectors, positions, strict=True)]
    for block in model.blocks:
        xs = reference_block(block, xs, model.config.num_heads)
    weights = torch.exp(torch.stack([affine(model.weight, x) for x in xs])).squeeze(1)
    return sum(w * x for w, x in zip(weights / weights.sum(), vectors, strict=True))


def reference_scores(model: CORE, query: Tensor) -> list[float]:
    """The cosine of a session vector and each item, divided by the temperature."""
    items = model.item_embedding[1:]
    return [(query @ e / query.norm() / e.norm() / model.config.temperature).item() for e in items]


@settings(max_examples=25)
@given(st.integers(0, 10**6), st.sampled_from([1, 2, 4]), st.integers(1, 3))
def test_scores_equal_the_equations(seed: int, heads: int, blocks: int) -> None:
    model, batch = build(seed, num_heads=heads, num_blocks=blocks), random_batch(seed)
    assert_scores(model, batch)


@pytest.mark.parametrize("temperature", [0.07, 1.0])
def test_scores_of_the_average(temperature: float) -> None:
    assert_scores(build(1, encoder="ave", temperature=temperature), random_batch(1))


def assert_scores(model: CORE, batch: SequenceBatch) -> None:
    scores = model.score(Batch(batch.user, batch.history))
    for row, history in enumerate(batch.history):
        expected = reference_scores(model, reference_query(model, history[history > 0]))
        assert scores[row, 1:].tolist() == pytest.approx(expected, abs=1e-10)


@pytest.mark.parametrize("encoder", ["trm", "ave"])
def test_one_pass_gives_every_prefix(encoder: str) -> None:
    """The query at a position is that of the session up to there, at the positions that it has in the sequence."""
    model, batch = build(2, encoder=encoder), random_batch(2)
    queries = model.queries(batch)
    for row, history in enumerate(batch.history):
        begin = int((history == 0).sum())
        for t in range(begin, 6):
            prefix = build(2, encoder=encoder)
            if encoder == "trm":
                prefix.position_embedding = torch.nn.Parameter(model.position_embedding[: t + 1])
            expected = reference_query(prefix, history[begin : t + 1])
            torch.testing.assert_close(queries[row, t], expected, rtol=0, atol=1e-10)


@pytest.mark.parametrize("encoder", ["trm", "ave"])
def test_a_session_of_one_item_has_the_vector_of_the_item(encoder: str) -> None:
    """The representation space is consistent: however often an item is repeated, it is what the session is."""
    model = build(3, encoder=encoder)
    history = torch.tensor([[0, 0, 0, 0, 0, 7], [0, 0, 7, 7, 7, 7]])
    query = model.query(Batch(torch.zeros(2, dtype=torch.long), history))
    expected = torch.nn.functional.normalize(model.item_embedding[7], dim=0) / model.config.temperature
    torch.testing.assert_close(query, expected.expand(2, -1), rtol=0, atol=1e-10)
    assert model.score(Batch(torch.zeros(2, dtype=torch.long), history)).argmax(1).tolist() == [7, 7]


def test_loss_is_the_cross_entropy_of_the_cosines() -> None:
    model, batch = build(4), random_batch(4)
    queries, expected = model.queries(batch), 0.0
    for row, position in batch.target_mask.nonzero().tolist():
        scores = reference_scores(model, queries[row, position])
        expected += math.log(sum(map(math.exp, scores))) - scores[int(batch.target[row, position]) - 1]
    assert model(batch).item() == pytest.approx(expected, rel=1e-10)


@pytest.mark.parametrize("loss", ["ce", "sampled-ce"])
def test_item_dropout_is_of_the_item_vectors_of_the_loss(loss: str) -> None:
    """With session_dropout=0, two passes of the training differ in the loss and not in the session vectors."""
    model, batch = build(5, item_dropout=0.5, loss=loss, negative_sampling="shared", num_negatives=3), random_batch(5)
    batch = next(iter(model.with_shared_negatives(iter([batch]), LOG, np.random.default_rng(0))))
    assert model(batch).item() == model(batch).item()
    model.train()
    assert torch.equal(model.queries(batch), model.queries(batch))
    assert model(batch).item() != model(batch).item()


@pytest.mark.parametrize("encoder", ["trm", "ave"])
def test_session_dropout_in_training_only(encoder: str) -> None:
    model, batch = build(6, encoder=encoder, session_dropout=0.5), random_batch(6)
    assert torch.equal(model.queries(batch), model.queries(batch))
    model.train()
    assert not torch.equal(model.queries(batch), model.queries(batch))


@pytest.mark.parametrize("encoder", ["trm", "ave"])
def test_history_of_padding_alone_is_finite(encoder: str) -> None:
    model = build(encoder=encoder)
    history = torch.tensor([[0, 0, 0, 0, 0, 0], [0, 0, 0, 0, 0, 3]])
    target = torch.tensor([[0, 0, 0, 0, 0, 0], [0, 0, 0, 0, 0, 4]])
    batch = SequenceBatch(torch.tensor([1, 2]), history, target, target > 0)
    model(batch).backward()
    grads = [weight.grad for weight in model.parameters() if weight.grad is not None]
    assert all(grad.isfinite().all() for grad in grads)
    assert model.score(Batch(batch.user, history))[:, 1:].isfinite().all()


@pytest.mark.parametrize("chosen", [{"ffn_dim": 16}, {"encoder": "ave"}, {"loss": "sampled-ce"}], ids=str)
def test_training_reduces_the_loss(chosen: dict[str, Any]) -> None:
    chosen = {"embedding_dim": 8, "window": 6, "epochs": 6, "lr": 0.01, "batch_size": 8, "num_negatives": 4, **chosen}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = CORE(CORE.configure(chosen), SIZES)
    losses = [epoch.loss for epoch in fit(model, LOG).epochs]
    assert losses[-1] < losses[0] - 0.01


@pytest.mark.parametrize("encoder", ["trm", "ave"])
def test_presets_have_the_settings_of_the_program(encoder: str) -> None:
    config = CORE.configure(preset=encoder)
    assert config.encoder == encoder
    assert (config.embedding_dim, config.temperature) == (100, 0.07)
    assert (config.session_dropout, config.item_dropout) == (0.2, 0.2)


@pytest.mark.parametrize(
    ("chosen", "message"),
    [
        ({"num_heads": 3}, "num_heads=3: must divide embedding_dim=64"),
        ({"encoder": "ave", "num_blocks": 3}, "num_blocks=3: is a setting of encoder=trm"),
        ({"encoder": "gru"}, "encoder='gru': must be one of trm, ave"),
        ({"item_dropout": 1.5}, r"item_dropout=1\.5: must be"),
    ],
)
def test_invalid_settings_are_rejected(chosen: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        CORE.configure(chosen)
