"""BERT4Rec against its equations written out position by position."""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from small_sequences import LOG, SIZES, affine, gelu, layer_norm, with_large_weights
from torch import Tensor

from segue.batches.batch import Batch, SequenceBatch
from segue.data import synthetic
from segue.errors import ConfigError
from segue.models.base.model import Sizes
from segue.models.sequential.bert4rec import BERT4Rec
from segue.training.loop import fit

norm = partial(layer_norm, eps=1e-12)


def build(seed: int = 0, **chosen: Any) -> BERT4Rec:
    """A small model with large weights."""
    model: BERT4Rec = with_large_weights(BERT4Rec, seed=seed, **{"dropout": 0.0, **chosen})
    return model


def masked_batch(seed: int, rows: int = 4, length: int = 7) -> SequenceBatch:
    """Left-padded sequences, some of whose items are masked."""
    rng = np.random.default_rng(seed)
    item = rng.integers(1, SIZES.num_items + 1, (rows, length))
    item[np.arange(length) < rng.integers(0, length, (rows, 1))] = 0
    mask = (rng.random(item.shape) < 0.4) & (item > 0)
    user, history = torch.ones(rows, dtype=torch.long), torch.from_numpy(item)
    return SequenceBatch(user, history, history, torch.from_numpy(mask))


def reference_scores(model: BERT4Rec, items: list[int | None]) -> Tensor:
    """(n, I): the scores of the items 1..I at each position of a sequence; None is a mask."""
    config, dim = model.config, model.config.embedding_dim
    size, hs = dim // config.num_heads, []
    for distance, item in enumerate(reversed(items), 1):
        vector = model.mask_embedding if item is None else model.item_embedding[item, :dim]
        hs.insert(0, norm(model.input_norm, vector + model.position_embedding[-distance]))
    for block in model.blocks:
        keys, values = zip(*(affine(block.attention.key_value, h).split(dim) for h in hs), strict=True)
        outputs = []
        for h in hs:
            query, heads = affine(block.attention.query, h), []
            for k in range(config.num_heads):
                part = slice(k * size, (k + 1) * size)
                weight = torch.exp(torch.stack([query[part] @ key[part] / math.sqrt(size) for key in keys]))
                heads.append(sum(w * value[part] for w, value in zip(weight / weight.sum(), values, strict=True)))
            a = norm(block.attention_norm, h + affine(block.attention.output, torch.cat(heads)))
            outputs.append(norm(block.ffn_norm, a + affine(block.ffn_out, gelu(affine(block.ffn_in, a)))))
        hs = outputs
    queries = torch.stack([norm(model.output_norm, gelu(affine(model.output, h))) for h in hs])
    bias = model.item_embedding[1:, dim] if config.item_bias else 0
    return queries @ model.item_embedding[1:, :dim].T + bias


@settings(max_examples=25)
@given(st.integers(0, 10**6), st.sampled_from([1, 2, 4]), st.integers(1, 3), st.booleans())
def test_next_item_scores_equal_the_equations(seed: int, heads: int, blocks: int, bias: bool) -> None:
    model = build(seed, num_heads=heads, num_blocks=blocks, item_bias=bias)
    history = masked_batch(seed, length=6).history
    scores = model.score(Batch(torch.ones(len(history), dtype=torch.long), history))
    for row, items in enumerate(history.tolist()):
        expected = reference_scores(model, [*(item for item in items if item > 0), None])
        torch.testing.assert_close(scores[row, 1:], expected[-1], rtol=0, atol=1e-10)


@settings(max_examples=25)
@given(st.integers(0, 10**6), st.sampled_from([1, 2]), st.integers(1, 2), st.booleans())
def test_loss_equals_the_equations(seed: int, heads: int, blocks: int, bias: bool) -> None:
    """(8): the cross-entropy of the masked items, each predicted from both sides."""
    model, batch = build(seed, num_heads=heads, num_blocks=blocks, item_bias=bias), masked_batch(seed)
    expected = torch.zeros((), dtype=torch.double)
    for items, mask in zip(batch.history, batch.target_mask, strict=True):
        known, hidden = items[items > 0].tolist(), mask[items > 0].tolist()
        pairs = list(zip(known, hidden, strict=True))
        scores = reference_scores(model, [None if is_masked else item for item, is_masked in pairs])
        for position, (item, is_masked) in enumerate(pairs):
            if is_masked:
                expected = expected - torch.log_softmax(scores[position], 0)[item - 1]
    torch.testing.assert_close(model(batch), expected, rtol=0, atol=1e-9)


def test_a_masked_item_is_not_read() -> None:
    """Another item at a masked position, with the same target, changes no score."""
    model, batch = build(num_blocks=2), masked_batch(3)
    other = torch.where(batch.target_mask, batch.history % SIZES.num_items + 1, batch.history)
    assert not torch.equal(other, batch.history)
    two = SequenceBatch(batch.user, other, batch.target, batch.target_mask)
    assert torch.equal(model.queries(batch), model.queries(two))


def test_both_sides_of_a_mask_are_read() -> None:
    model = build()
    history, mask = torch.tensor([[1, 2, 3, 4, 5, 6, 7]]), torch.arange(7).eq(3).unsqueeze(0)
    before = model.queries(SequenceBatch(torch.ones(1, dtype=torch.long), history, history, mask))[0, 3]
    for position in (0, 2, 4, 6):
        changed = history.clone()
        changed[0, position] = 9
        after = model.queries(SequenceBatch(torch.ones(1, dtype=torch.long), changed, history, mask))[0, 3]
        assert not torch.allclose(before, after), position


def test_the_whole_window_is_read_and_no_more() -> None:
    model, user = build(window=3), torch.ones(1, dtype=torch.long)
    scores = [model.score(Batch(user, torch.tensor([[*older, 3, 4, 5]]))) for older in ([], [1], [2, 7])]
    assert torch.equal(scores[0], scores[1])
    assert torch.equal(scores[0], scores[2])
    assert not torch.equal(scores[0], model.score(Batch(user, torch.tensor([[9, 4, 5]]))))


def test_training_batches_have_the_items_of_a_history_and_one_more() -> None:
    model = build(window=6, mask_prob=0.5, newest_prob=0.0)
    batch = next(iter(model.batches(LOG, np.random.default_rng(0))))
    assert batch.history.shape[1] == 7
    lengths = (batch.history > 0).sum(1)
    assert batch.target_mask.sum(1).tolist() == [max(1, round(int(length) * 0.5)) for length in lengths]
    assert int(batch.num_targets) == int(batch.target_mask.sum())


@pytest.mark.parametrize(
    "chosen",
    [
        {},
        {"loss": "bce", "num_negatives": 3},
        {"loss": "sampled-ce", "num_negatives": 6, "negative_sampling": "shared"},
        {"item_bias": False, "temperature": 0.2},
        {"newest_prob": 1.0},
    ],
    ids=lambda chosen: "-".join(map(str, chosen.values())) or "default",
)
def test_training_reduces_the_loss(chosen: dict[str, Any]) -> None:
    log = synthetic.cycle(200, 9, 8, seed=2)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        small = {"embedding_dim": 16, "window": 6, "epochs": 20, "lr": 0.003, "batch_size": 16, "dropout": 0.0}
        model = BERT4Rec(BERT4Rec.configure({**small, **chosen}), Sizes.of(log))
    losses = [epoch.loss for epoch in fit(model, log).epochs]
    assert losses[-1] < losses[0] - 0.1


def test_the_type_of_a_masked_event_is_not_read() -> None:
    config = BERT4Rec.configure({"embedding_dim": 4, "window": 6, "event_types": True})
    model = BERT4Rec(config, Sizes(num_users=5, num_items=9, num_event_types=2)).double().eval()
    batch = masked_batch(3)
    types = (batch.history > 0).long()
    one, two, three = (
        model.queries(SequenceBatch(batch.user, batch.history, batch.target, batch.target_mask, types=each))
        for each in (types, torch.where(batch.target_mask, 2, types), types * 2)
    )
    assert torch.equal(one, two)
    assert not torch.allclose(one, three)


def test_dropout_in_training_only() -> None:
    model, batch = build(dropout=0.5), masked_batch(2)
    assert torch.equal(model.queries(batch), model.queries(batch))
    model.train()
    assert not torch.equal(model.queries(batch), model.queries(batch))


@pytest.mark.parametrize(
    ("chosen", "message"),
    [
        ({"mask_prob": 0.0}, "mask_prob=0.0: must be above 0 and below 1"),
        ({"newest_prob": 1.5}, "newest_prob=1.5: must be between 0 and 1"),
        ({"temperature": 0.1}, "item_bias=true cannot be combined with temperature above 0; set item_bias=false"),
        ({"num_heads": 3}, "num_heads=3: must divide embedding_dim=64"),
    ],
)
def test_invalid_settings_are_rejected(chosen: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        BERT4Rec.configure(chosen)
