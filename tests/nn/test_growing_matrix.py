"""A growing matrix is the sum of what was added to its cells, whenever it is read, merged or saved."""

from __future__ import annotations

import threading

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from segue.nn import growing_matrix as module
from segue.nn.growing_matrix import GrowingMatrix

ROWS, COLUMNS = 3, 4
CELL = st.tuples(st.integers(0, ROWS - 1), st.integers(0, COLUMNS - 1), st.sampled_from([-1.0, 0.5, 1.0, 2.0]))


@given(st.lists(CELL, max_size=40), st.integers(0, 40), st.integers(1, 6))
def test_it_is_the_sum_of_what_was_added(cells, merged, limit):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "FIRST_LIMIT", limit)
        matrix, dense = GrowingMatrix((ROWS, COLUMNS)).double(), np.zeros((ROWS, COLUMNS))
        rows, weights = torch.tensor([[0, 1, 2], [2, 2, 0]]), torch.tensor([[1.0, 0.5, 2.0], [1.0, 3.0, 0.0]]).double()
        for number, (row, column, value) in enumerate(cells):
            matrix.add(row, column, value)
            dense[row, column] += value
            if number == merged:
                matrix.merge()
            expected = np.einsum("bl,blk->bk", weights.numpy(), dense[rows.numpy()])
            np.testing.assert_allclose(matrix.weighted_row_sums(rows, weights).numpy(), expected, atol=1e-12)
        np.testing.assert_allclose(matrix.to_scipy().toarray(), dense, atol=1e-12)
        assert not matrix.added


def test_a_row_keeps_one_entry_of_each_column_and_none_of_what_was_taken_away():
    matrix = GrowingMatrix((2, 2))
    for value in (0.3, -0.3):
        matrix.add(1, 1, value)
    for _ in range(1_000):
        matrix.add(1, 0, 0.1)
    column, value = matrix.added[1].entries()
    assert set(column.tolist()) == {0}
    assert len(column) <= module.FIRST_LIMIT
    assert value.sum() == pytest.approx(100.0)


def test_one_thread_adds_while_another_one_reads():
    matrix, rows, weights = GrowingMatrix((1, 1_000)), torch.tensor([[0]]), torch.tensor([[1.0]])
    matrix.add(0, 0, 1.0)
    sums, failures = [0.0], []

    def read():
        try:
            while sums[-1] < 30_000:
                sums.append(float(matrix.weighted_row_sums(rows, weights).sum()))
        except Exception as error:
            failures.append(error)

    thread = threading.Thread(target=read)
    thread.start()
    for number in range(1, 30_000):
        matrix.add(0, number % 1_000, 1.0)
    thread.join()
    assert not failures
    assert sums == sorted(sums)
