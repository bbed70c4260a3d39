"""Sparse rows against the dense matrix that they stand for."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load, save

from segue.nn import sparse
from segue.nn.sparse import SparseRows, blocks


def filled(dense: np.ndarray) -> SparseRows:
    row, column = dense.nonzero()
    rows = SparseRows(len(dense)).double()
    rows.fill(np.bincount(row, minlength=len(dense)), column, dense[row, column])
    return rows


def random(rows: int, columns: int, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.random((rows, columns)) * (rng.random((rows, columns)) < 0.4)


def asked(rows: SparseRows, columns: int) -> torch.Tensor:
    """Six weighted rows, added up in three lines."""
    scores = torch.zeros(3, columns, dtype=torch.float64)
    line, row = torch.tensor([0, 0, 1, 2, 2, 2]), torch.tensor([1, 3, 0, 2, 2, 4])
    rows.add_to(scores, line=line, row=row, weight=torch.arange(1.0, 7.0, dtype=torch.float64))
    return scores


@pytest.mark.parametrize("entries", [1, 3, 1 << 16])
def test_rows_add_up(entries: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sparse, "ENTRIES", entries)
    dense = random(5, 7)
    expected = [dense[1] + 2 * dense[3], 3 * dense[0], (4 + 5) * dense[2] + 6 * dense[4]]
    np.testing.assert_allclose(asked(filled(dense), 7).numpy(), expected, atol=1e-12)


def test_nothing_asked_adds_nothing() -> None:
    scores, none = torch.zeros(3, 7, dtype=torch.float64), torch.zeros(0, dtype=torch.int64)
    filled(random(5, 7)).add_to(scores, line=none, row=none, weight=none.double())
    assert not scores.any()


def test_an_empty_matrix_adds_nothing() -> None:
    assert not asked(filled(np.zeros((5, 7))), 7).any()


def test_a_state_of_any_size_is_loaded() -> None:
    one, other = filled(random(5, 7, seed=1)), filled(random(5, 7, seed=2))
    other.load_state_dict(load(save(one.state_dict())))
    assert torch.equal(asked(other, 7), asked(one, 7))
    assert other.column.dtype == torch.int32


def test_a_state_of_another_number_of_rows_is_refused() -> None:
    with pytest.raises(RuntimeError, match="size mismatch for start"):
        filled(random(5, 7)).load_state_dict(filled(random(6, 7)).state_dict())


def test_a_state_with_a_part_missing_is_refused() -> None:
    state = filled(random(5, 7)).state_dict()
    del state["value"]
    with pytest.raises(RuntimeError, match=r"Missing key.*value"):
        filled(random(5, 7)).load_state_dict(state)


@settings(max_examples=60, deadline=None)
@given(sizes=st.lists(st.tuples(st.integers(1, 4), st.integers(0, 5)), max_size=8), most=st.integers(1, 12))
def test_blocks_are_whole_groups_of_about_the_same_work(sizes: list[tuple[int, int]], most: int) -> None:
    group = np.repeat(np.arange(len(sizes)), [size for size, _ in sizes])
    each = np.repeat(np.array([work for _, work in sizes], np.int64), [size for size, _ in sizes])
    ranges = list(blocks(group, np.cumsum(each), most))
    assert [place for one, two in ranges for place in range(one, two)] == list(range(len(group)))
    for one, two in ranges:
        assert one == 0 or group[one - 1] != group[one]
        last = np.flatnonzero(group == group[two - 1])
        assert each[one : last[0]].sum() < max(most, 1) + each[last].sum()


def test_single_entries_are_found() -> None:
    dense = random(6, 9, seed=2)
    dense[3] = 0
    rows = filled(dense)
    row, column = (torch.from_numpy(index.copy()) for index in np.indices(dense.shape))
    value, found = rows.at(row, column)
    assert np.array_equal(value.numpy(), dense)
    assert np.array_equal(found.numpy(), dense != 0)
    nothing, nowhere = SparseRows(4).at(torch.tensor([[1, 2]]), torch.tensor([[0, 3]]))
    assert not nothing.any()
    assert not nowhere.any()
