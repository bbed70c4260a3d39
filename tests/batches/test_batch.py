"""Batches: the last items, shares and slices."""

from __future__ import annotations

from dataclasses import replace
from itertools import chain

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from segue.batches.batch import Batch

FIELDS = ("user", "history", "target", "negative", "asked")


def numbered(rows: int, positions: int = 4) -> Batch:
    """Every field filled with the number of its row."""
    row = torch.arange(1, rows + 1)
    shapes = (), (positions,), (3,), (2, 2, 1)
    ids = (row.view(-1, *(1 for _ in shape)).expand(rows, *shape) for shape in shapes)
    return Batch(*ids, asked=torch.ones(rows, 2, dtype=torch.bool))


def rows(batch: Batch) -> list[int]:
    """The numbers of a batch's rows, which must be those of all its fields."""
    found = batch.user.tolist()
    for name in FIELDS:
        value = getattr(batch, name)
        assert len(value) == len(found) == len(batch)
        if value.dtype == torch.long and found:
            assert value.flatten().unique().tolist() == sorted(found)
    return found


@pytest.mark.parametrize("window", range(7))
def test_last_cuts_or_pads(window: int) -> None:
    history = torch.tensor([[0, 1, 2, 3], [4, 5, 6, 7]])
    last = Batch(torch.tensor([1, 2]), history).last(window)
    wanted = [([0] * window + row)[len(row) : len(row) + window] if window else [] for row in history.tolist()]
    assert last.tolist() == wanted


@given(size=st.integers(0, 9), world=st.integers(1, 4))
def test_shares_hold_every_row_once(size: int, world: int) -> None:
    shares = [rows(numbered(size).share(rank, world)) for rank in range(world)]
    assert sorted(chain(*shares)) == list(range(1, size + 1))
    assert max(map(len, shares)) - min(map(len, shares)) <= 1


@given(size=st.integers(0, 9), most=st.integers(1, 10))
def test_slices_are_the_rows_in_order(size: int, most: int) -> None:
    slices = [rows(part) for part in numbered(size).slices(most)]
    assert list(chain(*slices)) == list(range(1, size + 1))
    assert all(1 <= len(part) <= most for part in slices)


def test_what_is_not_there_stays_away() -> None:
    batch = Batch(torch.tensor([1, 2, 3]), torch.zeros(3, 4, dtype=torch.long))
    for part in (batch.share(1, 2), batch.to(torch.device("cpu")), *batch.slices(2)):
        assert part.target is part.negative is part.asked is None


def test_shapes_are_checked() -> None:
    with pytest.raises(Exception, match="history"):
        Batch(torch.tensor([1, 2]), torch.zeros(3, 4, dtype=torch.long))


def test_targets_of_each_question() -> None:
    """The picture in the docstring: question 0 is asked for e f, question 1 for f g; 0 is nothing."""
    target = torch.tensor([[5, 6, 7], [5, 0, 7], [5, 6, 7]])
    asked = torch.tensor([[True, True], [True, True], [False, True]])
    batch = Batch(torch.ones(3, dtype=torch.long), torch.ones(3, 4, dtype=torch.long), target, None, asked)
    assert batch.targets.tolist() == [[[5, 6], [6, 7]], [[5, 0], [0, 7]], [[0, 0], [6, 7]]]


@given(st.integers(0, 6), st.integers(1, 4), st.integers(1, 4), st.integers(0, 999))
def test_targets_in_loops(rows: int, questions: int, targets: int, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    target = torch.randint(3, (rows, targets + questions - 1), generator=generator)
    asked = torch.rand(rows, questions, generator=generator) < 0.5
    batch = Batch(
        torch.ones(rows, dtype=torch.long), torch.zeros(rows, questions, dtype=torch.long), target, None, asked
    )
    expected = torch.zeros(rows, questions, targets, dtype=torch.long)
    for row, question in asked.nonzero().tolist():
        expected[row, question] = target[row, question : question + targets]
    assert torch.equal(batch.targets, expected)


def with_shared(size: int) -> Batch:
    return replace(numbered(size), shared=torch.tensor([7, 8, 7]), chance=torch.arange(10.0))


@pytest.mark.parametrize("size", [0, 1, 5])
def test_what_is_shared_goes_to_every_part_whole(size: int) -> None:
    """Every target of a batch meets the same negatives, whichever process or slice works on it."""
    batch = with_shared(size)
    parts = [batch, *(batch.share(rank, 3) for rank in range(3)), *batch.slices(2), batch.to(torch.device("cpu"))]
    for part in parts:
        rows(part)
        assert torch.equal(part.shared, batch.shared)
        assert torch.equal(part.chance, batch.chance)


def test_what_is_shared_moves_along() -> None:
    moved = with_shared(3).to(torch.device("meta"))
    for name in (*FIELDS, "shared", "chance"):
        assert getattr(moved, name).device.type == "meta", name
    assert numbered(3).to(torch.device("meta")).shared is None
    assert replace(numbered(3), shared=torch.tensor([7])).to(torch.device("meta")).chance is None


def test_trimmed_drops_positions_that_all_rows_lack() -> None:
    history = torch.tensor([[0, 0, 3, 4], [0, 5, 6, 7]])
    batch = Batch(torch.tensor([1, 2]), history, history + 1, history[:, :, None, None], history > 0)
    short = batch.trimmed()
    assert short.history.tolist() == [[0, 3, 4], [5, 6, 7]]
    assert short.target is not None
    assert short.negative is not None
    assert short.targets.shape == (2, 3, 1)
    assert short.negative.shape == (2, 3, 1, 1)
    assert short.user is batch.user
    assert short.trimmed() is short
    nothing = Batch(torch.tensor([1]), torch.zeros((1, 3), dtype=torch.long))
    assert nothing.trimmed() is nothing
