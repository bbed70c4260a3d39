"""Masked subsequences against plain loops over their rows."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from segue.batches.masked_sequences import MaskedSequences
from segue.data import synthetic

ITEMS = 9
HISTORIES = st.lists(st.lists(st.integers(1, ITEMS), max_size=12), min_size=1, max_size=5)


@settings(max_examples=200)
@given(
    histories=HISTORIES,
    window=st.integers(1, 6),
    mask_prob=st.floats(0.05, 0.95),
    newest_prob=st.sampled_from([0.0, 0.5, 1.0]),
    seed=st.integers(0, 99),
)
def test_rows_are_parts_of_histories_with_some_items_masked(
    histories: list[list[int]], window: int, mask_prob: float, newest_prob: float, seed: int
) -> None:
    log = synthetic.from_sequences(histories, num_items=ITEMS)
    sequences = MaskedSequences(window=window, mask_prob=mask_prob, newest_prob=newest_prob)
    for batch in sequences.batches(log, 3, np.random.default_rng(seed)):
        assert torch.equal(batch.history, batch.target)
        assert batch.num_queries == window
        for user, row, masked in zip(batch.user, batch.history, batch.target_mask, strict=True):
            part = [item for item in row.tolist() if item > 0]
            history = histories[int(user) - 1]
            assert any(history[at : at + len(part)] == part for at in range(len(history)))
            assert not masked[row == 0].any(), "padding is masked"
            count = max(1, round(len(part) * mask_prob))
            alone = masked.tolist() == [False] * (window - 1) + [True]
            assert int(masked.sum()) == count or (alone and newest_prob > 0)
            assert alone or newest_prob < 1


@given(histories=HISTORIES, window=st.integers(1, 6), seed=st.integers(0, 99))
def test_every_later_item_is_in_a_subsequence(histories: list[list[int]], window: int, seed: int) -> None:
    log = synthetic.from_sequences(histories, num_items=ITEMS)
    batches = MaskedSequences(window=window, mask_prob=0.2).batches(log, 4, np.random.default_rng(seed))
    found = Counter(
        (int(user), item)
        for batch in batches
        for user, row in zip(batch.user, batch.history, strict=True)
        for item in row.tolist()
    )
    expected = Counter((user, item) for user, history in enumerate(histories, 1) for item in history[1:])
    assert all(found[key] >= count for key, count in expected.items())


def test_each_item_is_masked_as_often_as_the_others() -> None:
    log = synthetic.from_sequences([[1, 2, 3, 4, 5]] * 4000, num_items=5)
    sequences = MaskedSequences(window=5, mask_prob=0.4)
    masked = torch.cat([batch.target_mask for batch in sequences.batches(log, 500, np.random.default_rng(0))])
    assert masked.sum(1).unique().tolist() == [2]
    assert masked.double().mean(0).tolist() == pytest.approx([0.4] * 5, abs=0.03)


@pytest.mark.parametrize("newest_prob", [0.0, 1.0])
def test_events_that_are_no_targets_are_read_and_never_masked(newest_prob: float) -> None:
    log = synthetic.from_sequences([[1, 2, 3, 4, 5, 6]] * 40 + [[7, 8]], num_items=8)
    is_target = np.array([True, False, True, False, True, False] * 40 + [False, False])
    log = replace(log, is_target=is_target)
    sequences = MaskedSequences(window=6, mask_prob=0.6, newest_prob=newest_prob)
    for batch in sequences.batches(log, 41, np.random.default_rng(0)):
        for row, masked in zip(batch.history.tolist(), batch.target_mask, strict=True):
            hidden = [item for item, is_masked in zip(row, masked.tolist(), strict=True) if is_masked]
            if row == [1, 2, 3, 4, 5, 6]:
                assert hidden == [5] if newest_prob else len(hidden) == 2 and set(hidden) <= {1, 3, 5}
            else:
                assert row == [0, 0, 0, 0, 7, 8]
                assert hidden == []


def test_masks_are_drawn_anew_in_each_epoch() -> None:
    log = synthetic.from_sequences([[1, 2, 3, 4, 5]] * 50, num_items=5)
    sequences = MaskedSequences(window=5, mask_prob=0.4, num_negatives=2)
    one, two = (next(iter(sequences.batches(log, 50, np.random.default_rng(seed)))) for seed in (0, 1))
    assert not torch.equal(one.target_mask, two.target_mask)
    assert one.negatives.shape == (50, 5, 1, 2)
