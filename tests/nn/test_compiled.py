"""Loops that numba compiles: they give the bits of the plain form, and are loaded only where they pay and work."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from typing import TypeVar

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from segue.data import synthetic
from segue.evaluation.protocols import Protocol
from segue.models.registry import find
from segue.nn import sparse
from segue.nn.compiled.loop import CompiledLoop, repeated_work
from segue.nn.compiled.loops import gated_queries, row_sums, session_step, target_loss
from segue.nn.sparse import SparseMatrix
from segue.testing import subject

MODULE = "segue.nn.compiled.row_sums"


def loop(min_work: int = 0) -> CompiledLoop:
    return CompiledLoop(MODULE, "weighted_row_sums", min_work)


def random_matrix(rng: np.random.Generator, rows: int, columns: int, dtype: torch.dtype) -> SparseMatrix:
    """Some rows are empty, and row 0 need not be."""
    lengths = rng.integers(0, columns + 1, rows) * rng.integers(0, 2, rows)
    matrix = SparseMatrix((rows, columns)).to(dtype)
    matrix.indptr.copy_(torch.from_numpy(np.append(0, np.cumsum(lengths))))
    chosen = [np.sort(rng.permutation(columns)[:length]) for length in lengths]
    matrix.indices = torch.from_numpy(np.concatenate(chosen).astype(np.int32))
    matrix.values = torch.from_numpy(rng.normal(size=int(lengths.sum()))).to(dtype)
    return matrix


T = TypeVar("T")


def both_forms(compute: Callable[[], T]) -> tuple[T, T]:
    """What the loop of the sums of rows computes, and what its plain form computes."""
    assert row_sums.function is not None or find_spec("numba") is None
    with row_sums.always():
        one = compute()
    with row_sums.never():
        return one, compute()


@settings(max_examples=60)
@given(
    seed=st.integers(0, 10**6),
    shape=st.tuples(st.integers(1, 6), st.integers(1, 40)),
    batch=st.tuples(st.integers(0, 4), st.integers(0, 9)),
    dtype=st.sampled_from([torch.float32, torch.float64]),
    expanded=st.booleans(),
)
def test_sums_of_rows_equal_the_product_of_scipy_to_the_bit(
    seed: int, shape: tuple[int, int], batch: tuple[int, int], dtype: torch.dtype, expanded: bool
) -> None:
    rng = np.random.default_rng(seed)
    matrix = random_matrix(rng, *shape, dtype)
    rows = torch.from_numpy(rng.integers(0, shape[0], (batch[1], batch[0]))).T  # rows repeat, and do not lie in order
    weights = torch.from_numpy(rng.normal(size=batch[1] if expanded else batch)).to(dtype).expand(batch)
    one, two = both_forms(lambda: matrix.weighted_row_sums(rows, weights))
    assert one.dtype == two.dtype == dtype
    assert one.numpy().tobytes() == two.numpy().tobytes()


def test_weights_of_another_type_are_summed_the_plain_way() -> None:
    matrix = random_matrix(np.random.default_rng(0), 5, 9, torch.float64)
    rows, weights = torch.tensor([[1, 2], [3, 4]]), torch.tensor([[0.1, 0.2], [0.3, 0.4]])
    assert torch.equal(*both_forms(lambda: matrix.weighted_row_sums(rows, weights)))


@pytest.mark.parametrize("name", ["seq-knn", "vs-knn"])
def test_ranks_are_the_same_with_both_forms(name: str) -> None:
    split = Protocol.named("leave-one-out").split(log := synthetic.markov(num_users=120, num_items=60, length=15))
    model = subject(find(name)).train(log)
    one, two = both_forms(lambda: Protocol.named("leave-one-out").rank(model, split, "test"))
    assert np.array_equal(one.rank, two.rank)
    assert np.array_equal(one.top, two.top)


def test_threads_may_sum_at_once() -> None:
    rng = np.random.default_rng(1)
    matrix = random_matrix(rng, 50, 400, torch.float32)
    questions = [(torch.from_numpy(rng.integers(0, 50, (30, 20))), torch.rand(30, 20)) for _ in range(16)]
    with row_sums.never():
        expected = [matrix.weighted_row_sums(*question) for question in questions]
    with ThreadPoolExecutor(4) as threads, pytest.MonkeyPatch.context() as patch:
        patch.setattr(sparse, "row_sums", loop(min_work=3000))  # the threads load it
        found = list(threads.map(lambda question: matrix.weighted_row_sums(*question), questions * 4))
    assert all(torch.equal(one, two) for one, two in zip(found, expected * 4, strict=True))


def test_the_loop_is_loaded_when_there_is_enough_work() -> None:
    pytest.importorskip("numba")
    patient = loop(min_work=10)
    assert [patient.for_work(work) is None for work in (4, 5, 1, 0)] == [True, True, False, False]
    assert loop(min_work=10).for_work(10) is not None, "one large piece is enough"
    (early := loop(min_work=10)).load_at_first_use()
    assert early.for_work(0) is not None


def test_without_numba_the_plain_form_stands_in_without_a_word(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setitem(sys.modules, "numba", None)
    monkeypatch.delitem(sys.modules, MODULE, raising=False)
    assert loop().for_work(1) is None
    assert not caplog.records


@pytest.mark.parametrize(
    "error",
    [
        ImportError("Numba needs NumPy 2.2 or less. Got NumPy 2.4."),
        RuntimeError("cannot cache function '_add_weighted_rows': no locator available for file 'x.py'"),
        EOFError("Ran out of input"),
        ValueError("invalid literal for int() with base 10: 'arbage'"),
        RuntimeError("LLVM bitcode parsing error"),
    ],
)
def test_a_numba_that_does_not_work_is_logged_once(
    error: Exception, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(_: str) -> None:
        raise error

    monkeypatch.setattr("segue.nn.compiled.loop.import_module", fail)
    broken = loop()
    with caplog.at_level(logging.WARNING, "segue"):
        assert broken.for_work(1) is broken.for_work(1) is None
    assert len(caplog.records) == 1
    assert str(error) in caplog.text
    assert "slower, with the same results" in caplog.text
    assert ("delete the files *.nbi and *.nbc in" in caplog.text) == (not isinstance(error, ImportError))


def test_loops_that_would_not_be_compiled_are_not_used(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    numba = pytest.importorskip("numba")
    monkeypatch.setattr(numba.config, "DISABLE_JIT", 1)
    with caplog.at_level(logging.WARNING, "segue"):
        assert loop().for_work(1) is None
    assert "NUMBA_DISABLE_JIT is set" in caplog.text


@pytest.mark.parametrize("loop", [gated_queries, target_loss, session_step])
def test_a_type_for_which_numba_fails_is_trained_the_plain_way(
    loop: CompiledLoop, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    pytest.importorskip("numba")
    tables = [torch.zeros(3, 2, dtype=dtype, requires_grad=True) for dtype in (torch.float32, torch.float64)]
    own = CompiledLoop(loop.module, loop.name, min_work=0, exact=loop.exact)
    assert own.for_training(tables[0]) is loop.function is not None

    def fail(dtype: torch.dtype) -> None:
        raise RuntimeError(f"no locator available for {dtype}")

    monkeypatch.setattr(sys.modules[loop.module], "for_dtype", fail)
    with caplog.at_level(logging.WARNING, "segue"):
        assert own.for_training(tables[1]) is own.for_training(tables[1]) is None
    assert own.for_training(tables[0]) is loop.function
    [record] = caplog.records
    assert record.getMessage().startswith(
        "the extra fast does not work here: slower, with results that are the same but for rounding "
        "(no locator available for torch.float64; if it worked before,"
    )


def test_work_that_stands_for_more_counts_as_much() -> None:
    loop = CompiledLoop("math", "sqrt", min_work=100)
    with repeated_work(10):
        assert loop.for_work(9) is None
    assert loop.for_work(9) is None
    assert loop.for_work(1) is not None


def test_work_of_the_plain_form_that_was_asked_for_is_not_counted() -> None:
    loop = CompiledLoop("math", "sqrt", min_work=100)
    with loop.never():
        assert loop.for_work(1000) is None
    assert loop.for_work(99) is None
    with loop.always():
        assert loop.for_work(0) is not None
    assert loop.for_work(0) is None
