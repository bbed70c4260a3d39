"""Batches: the last items, shares and slices."""

from __future__ import annotations

from dataclasses import replace
from itertools import chain

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from segue.batches.batch import Batch, PairBatch, RatingBatch, SequenceBatch

FIELDS = ("user", "history", "target", "target_mask", "negatives")


def numbered(rows: int, positions: int = 4) -> SequenceBatch:
    """Every field filled with the number of its row."""
    row = torch.arange(1, rows + 1)
    shapes = (), (positions,), (3,), (2, 2, 1)
    ids = (row.view(-1, *(1 for _ in shape)).expand(rows, *shape) for shape in shapes)
    user, history, target, negatives = ids
    return SequenceBatch(user, history, target, torch.ones(rows, 2, dtype=torch.bool), negatives)


def rows(batch: SequenceBatch) -> list[int]:
    """The numbers of a batch's rows, which must be those of all its fields."""
    found = batch.user.tolist()
    for name in FIELDS:
        value = getattr(batch, name)
        assert len(value) == len(found) == len(batch)
        if value.dtype == torch.long and found:
            assert value.flatten().unique().tolist() == sorted(found)
    return found


@pytest.mark.parametrize("window", range(7))
def test_last_items_cuts_or_pads(window: int) -> None:
    history = torch.tensor([[0, 1, 2, 3], [4, 5, 6, 7]])
    last = Batch(torch.tensor([1, 2]), history).last_items(window)
    wanted = [([0] * window + row)[len(row) : len(row) + window] if window else [] for row in history.tolist()]
    assert last.tolist() == wanted


@given(size=st.integers(0, 9), world=st.integers(1, 4))
def test_shares_hold_every_row_once(size: int, world: int) -> None:
    shares = [rows(numbered(size).shard(rank, world)) for rank in range(world)]
    assert sorted(chain(*shares)) == list(range(1, size + 1))
    assert max(map(len, shares)) - min(map(len, shares)) <= 1


@given(size=st.integers(0, 9), most=st.integers(1, 10))
def test_slices_are_the_rows_in_order(size: int, most: int) -> None:
    slices = [rows(part) for part in numbered(size).slices(most)]
    assert list(chain(*slices)) == list(range(1, size + 1))
    assert all(1 <= len(part) <= most for part in slices)


def test_batches_keep_their_kind_and_their_optional_fields() -> None:
    user, history = torch.tensor([1, 2, 3]), torch.zeros(3, 4, dtype=torch.long)
    pair = PairBatch(user, history, user)
    rating = RatingBatch(user, history, user, torch.rand(3), time=user, item_history=history)
    for batch in (Batch(user, history), pair, rating, numbered(3)):
        for part in (batch.shard(1, 2), batch.to(torch.device("cpu")), *batch.slices(2)):
            assert type(part) is type(batch)
            for name in ("time", "item_history"):
                kept = getattr(batch, name, None)
                assert kept is None or len(getattr(part, name)) == len(part)
                assert kept is not None or getattr(part, name, None) is None


def test_numbers_of_queries_and_targets() -> None:
    user, history = torch.tensor([1, 2, 3]), torch.zeros(3, 4, dtype=torch.long)
    scored = Batch(user, history)
    assert (scored.num_queries, int(scored.num_targets)) == (1, 0)
    assert scored.query_mask.tolist() == [[True]] * 3
    target, mask = torch.tensor([[5, 0], [6, 7], [0, 0]]), torch.tensor([[True, True], [False, True], [True, True]])
    trained = SequenceBatch(user, history, target, mask)
    assert (trained.num_queries, int(trained.num_targets)) == (2, 2)
    assert trained.query_mask.tolist() == [[True, False], [False, True], [False, False]]
    assert int(RatingBatch(user, history, user, torch.rand(3)).num_targets) == 3


def test_a_batch_without_negatives_has_an_empty_tensor_of_them() -> None:
    batch = SequenceBatch(
        torch.ones(3).long(), torch.ones(3, 4).long(), torch.ones(3, 5).long(), torch.ones(3, 4).bool()
    )
    assert batch.negatives.shape == (3, 4, 2, 0)
    assert [part.negatives.shape for part in batch.slices(2)] == [(2, 4, 2, 0), (1, 4, 2, 0)]


def test_shapes_are_checked() -> None:
    with pytest.raises(Exception, match="history"):
        Batch(torch.tensor([1, 2]), torch.zeros(3, 4, dtype=torch.long))


def test_targets_of_each_question() -> None:
    """The example of the docstring: the targets of query 0 are e f, those of query 1 are f g; 0 is padding."""
    target = torch.tensor([[5, 6, 7], [5, 0, 7], [5, 6, 7]])
    target_mask = torch.tensor([[True, True], [True, True], [False, True]])
    batch = SequenceBatch(torch.ones(3, dtype=torch.long), torch.ones(3, 4, dtype=torch.long), target, target_mask)
    assert batch.targets.tolist() == [[[5, 6], [6, 7]], [[5, 0], [0, 7]], [[0, 0], [6, 7]]]


@given(st.integers(0, 6), st.integers(1, 4), st.integers(1, 4), st.integers(0, 999))
def test_targets_in_loops(rows: int, queries: int, targets: int, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    target = torch.randint(3, (rows, targets + queries - 1), generator=generator)
    target_mask = torch.rand(rows, queries, generator=generator) < 0.5
    batch = SequenceBatch(
        torch.ones(rows, dtype=torch.long), torch.zeros(rows, queries, dtype=torch.long), target, target_mask
    )
    expected = torch.zeros(rows, queries, targets, dtype=torch.long)
    for row, query in target_mask.nonzero().tolist():
        expected[row, query] = target[row, query : query + targets]
    assert torch.equal(batch.targets, expected)


def with_shared_negatives(size: int) -> SequenceBatch:
    return replace(numbered(size), shared_negatives=torch.tensor([7, 8, 7]), log_expected_count=torch.arange(10.0))


@pytest.mark.parametrize("size", [0, 1, 5])
def test_what_is_shared_goes_to_every_part_whole(size: int) -> None:
    """Every target of a batch meets the same negatives, whichever process or slice works on it."""
    batch = with_shared_negatives(size)
    parts = [batch, *(batch.shard(rank, 3) for rank in range(3)), *batch.slices(2), batch.to(torch.device("cpu"))]
    for part in parts:
        rows(part)
        assert torch.equal(part.shared_negatives, batch.shared_negatives)
        assert torch.equal(part.log_expected_count, batch.log_expected_count)


def test_what_is_shared_moves_along() -> None:
    moved = with_shared_negatives(3).to(torch.device("meta"))
    for name in (*FIELDS, "shared_negatives", "log_expected_count"):
        assert getattr(moved, name).device.type == "meta", name
    assert numbered(3).to(torch.device("meta")).shared_negatives is None
    assert replace(numbered(3), shared_negatives=torch.tensor([7])).to(torch.device("meta")).log_expected_count is None


def test_trimmed_drops_positions_that_all_rows_lack() -> None:
    history = torch.tensor([[0, 0, 3, 4], [0, 5, 6, 7]])
    batch = SequenceBatch(torch.tensor([1, 2]), history, history + 1, history > 0, history[:, :, None, None])
    short = batch.trimmed()
    assert short.history.tolist() == [[0, 3, 4], [5, 6, 7]]
    assert short.targets.shape == (2, 3, 1)
    assert short.negatives.shape == (2, 3, 1, 1)
    assert short.user is batch.user
    assert short.trimmed() is short
    nothing = Batch(torch.tensor([1]), torch.zeros((1, 3), dtype=torch.long))
    assert nothing.trimmed() is nothing


@given(
    st.lists(st.lists(st.integers(0, 9), min_size=4, max_size=4), min_size=1, max_size=3),
    st.integers(1, 6),
    st.booleans(),
)
def test_times_stay_with_their_events(rows: list[list[int]], window: int, keep_inner: bool) -> None:
    """The time of an event is ten times its item here."""
    history = torch.tensor(rows)
    batch = Batch(torch.arange(len(rows)), history, times=10 * history, time=torch.arange(len(rows)))
    for changed in (
        batch.last_events(window),
        batch.without_gaps(keep_inner=keep_inner),
        batch.trimmed(),
        batch.take(torch.tensor([0, 0])),
    ):
        assert changed.times is not None
        assert changed.times.tolist() == (10 * changed.history).tolist()
    assert batch.last_events(window).history.tolist() == batch.last_items(window).tolist()
    assert batch.take(torch.tensor([0, 0])).time.tolist() == [0, 0]  # type: ignore[union-attr]
