"""Sparse matrices in models against the dense matrices that they stand for."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from safetensors.torch import load, save

from segue.nn.sparse import SparseMatrix


def sparse(dense: np.ndarray) -> SparseMatrix:
    matrix = SparseMatrix(dense.shape).double()
    matrix.set(sp.coo_array(dense))
    return matrix


def random(rows: int, columns: int, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.random((rows, columns)) * (rng.random((rows, columns)) < 0.4)


def sums(matrix: SparseMatrix) -> torch.Tensor:
    """Sums of three weighted rows each; a row may be used twice."""
    rows = torch.tensor([[1, 3, 0], [0, 0, 0], [2, 2, 4]])
    return matrix.weighted_row_sums(rows, torch.arange(1.0, 10.0, dtype=torch.float64).view(3, 3))


def test_weighted_sums_of_rows() -> None:
    dense = random(5, 7)
    expected = [dense[1] + 2 * dense[3] + 3 * dense[0], (4 + 5 + 6) * dense[0], (7 + 8) * dense[2] + 9 * dense[4]]
    np.testing.assert_allclose(sums(sparse(dense)).numpy(), expected, atol=1e-12)


@pytest.mark.parametrize("shape", [(0, 3), (3, 0)])
def test_sums_of_no_rows_are_zero(shape: tuple[int, int]) -> None:
    rows = torch.zeros(shape, dtype=torch.int64)
    scores = sparse(random(5, 7)).weighted_row_sums(rows, rows.double())
    assert scores.shape == (shape[0], 7)
    assert not scores.any()


def test_an_empty_matrix_has_sums_of_zero() -> None:
    assert not sums(sparse(np.zeros((5, 7)))).any()


def test_entries_of_rows() -> None:
    dense = random(6, 9, seed=2)
    dense[3] = 0
    rows = torch.tensor([4, 3, 1, 4])
    position, column, value = sparse(dense).entries(rows)
    assert position.tolist() == sorted(position.tolist())
    rebuilt = torch.zeros(4, 9, dtype=torch.float64)
    rebuilt[position, column.long()] = value
    assert np.array_equal(rebuilt.numpy(), dense[rows.numpy()])


def test_the_scipy_matrix_is_the_one_that_was_set() -> None:
    dense = random(5, 7)
    assert np.array_equal(sparse(dense).to_scipy().toarray(), dense)


def test_a_state_of_any_size_is_loaded() -> None:
    one, other = sparse(random(5, 7, seed=1)), sparse(random(5, 7, seed=2))
    other.load_state_dict(load(save(one.state_dict())))
    assert torch.equal(sums(other), sums(one))
    assert other.indices.dtype == torch.int32


def test_a_state_with_another_number_of_rows_is_refused() -> None:
    with pytest.raises(RuntimeError, match="size mismatch for indptr"):
        sparse(random(5, 7)).load_state_dict(sparse(random(6, 7)).state_dict())


def test_a_state_with_a_missing_buffer_is_refused() -> None:
    state = sparse(random(5, 7)).state_dict()
    del state["values"]
    with pytest.raises(RuntimeError, match=r"Missing key.*values"):
        sparse(random(5, 7)).load_state_dict(state)


@pytest.mark.parametrize("rows", [1, 2, 3, 7])
def test_a_matrix_is_set_in_blocks_of_rows(rows: int) -> None:
    dense = random(7, 9, seed=3)
    dense[2] = 0
    matrix = sparse(random(7, 9)).float()
    blocks = (sp.coo_array(dense * (np.arange(7)[:, None] // rows == block)) for block in range(7))
    matrix.set_rows((block.row, block.col, block.data) for block in blocks)
    wanted = SparseMatrix(dense.shape)
    wanted.set(sp.coo_array(dense))
    for name, value in wanted.state_dict().items():
        assert torch.equal(matrix.state_dict()[name], value)
        assert matrix.state_dict()[name].dtype == value.dtype


def test_a_matrix_without_blocks_is_empty() -> None:
    matrix = sparse(random(5, 7))
    matrix.set_rows([])
    assert not matrix.to_scipy().nnz
