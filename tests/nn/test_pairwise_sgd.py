"""Pairwise SGD against autograd, and its compiled loop against the plain form."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from segue.nn import pairwise_sgd
from segue.nn.compiled.loops import pairwise_sgd as compiled
from segue.nn.pairwise_sgd import plain_sgd_steps, sgd_epoch

TOLERANCE = {np.float32: 1e-5, np.float64: 1e-12}  # sums are added in another order


def problem(seed: int, bias: bool, dtype: type, count: int = 200) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Triples of 7 users and 9 items, some with negative item 0, and vectors of size 5."""
    rng = np.random.default_rng(seed)
    triples = rng.integers([1, 1, 0], [8, 10, 10], (count, 3)).astype(np.int32)
    triples[triples[:, 1] == triples[:, 2], 2] = 0  # an item is not its own negative
    return triples, rng.normal(size=(8, 5)).astype(dtype), rng.normal(size=(10, 5 + bias)).astype(dtype)


@settings(max_examples=20)
@given(seed=st.integers(0, 10**6), bias=st.booleans(), l2=st.sampled_from([0.0, 0.1]))
def test_each_step_is_that_of_the_gradient(seed: int, bias: bool, l2: float) -> None:
    triples, users, items = problem(seed, bias, np.float64, count=20)
    p, q = (torch.from_numpy(values.copy()).requires_grad_() for values in (users, items))
    total = 0.0
    for u, i, j in triples.tolist():
        if j:
            user = torch.cat([p[u], torch.ones(int(bias))])
            loss = -torch.nn.functional.logsigmoid(user @ (q[i] - q[j]))
            loss = loss + l2 * (p[u].square().sum() + q[i].square().sum() + q[j].square().sum())
            total += loss.item()
            gradients = torch.autograd.grad(loss, (p, q))
            with torch.no_grad():
                for weight, gradient in zip((p, q), gradients, strict=True):
                    weight.sub_(0.2 * gradient)
    assert plain_sgd_steps(triples, users, items, 0.2, l2) == pytest.approx(total, rel=1e-12)
    np.testing.assert_allclose(users, p.detach().numpy(), rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(items, q.detach().numpy(), rtol=1e-10, atol=1e-12)


@settings(max_examples=20)
@given(seed=st.integers(0, 10**6), bias=st.booleans(), dtype=st.sampled_from([np.float32, np.float64]))
def test_the_compiled_loop_makes_the_steps_of_the_plain_form(seed: int, bias: bool, dtype: type) -> None:
    pytest.importorskip("numba")
    triples, users, items = problem(seed, bias, dtype)
    plain_users, plain_items = users.copy(), items.copy()
    loss = plain_sgd_steps(triples, plain_users, plain_items, 0.1, 0.01)
    assert compiled.function is not None
    assert compiled.function(triples, users, items, 0.1, 0.01) == pytest.approx(loss, rel=TOLERANCE[dtype])
    for one, two in ((users, plain_users), (items, plain_items)):
        np.testing.assert_allclose(one, two, rtol=TOLERANCE[dtype], atol=TOLERANCE[dtype])


def test_parts_change_no_bit_and_have_the_mean_of_their_losses(monkeypatch: pytest.MonkeyPatch) -> None:
    triples, users, items = problem(0, True, np.float32)
    other_users, other_items = users.copy(), items.copy()
    whole = sgd_epoch(triples, users, items, lr=0.1, l2=0.01)
    monkeypatch.setattr(pairwise_sgd, "PART_SIZE", 60)
    parts = sgd_epoch(triples, other_users, other_items, lr=0.1, l2=0.01)
    assert len(whole) == 1
    assert parts @ [60, 60, 60, 20] / 200 == pytest.approx(whole[0])
    assert np.array_equal(users, other_users)
    assert np.array_equal(items, other_items)


@pytest.mark.parametrize("x", [2000.0, -2000.0])
def test_large_scores_do_not_overflow(x: float) -> None:
    triples = np.array([[1, 1, 2]], np.int32)
    for step in (plain_sgd_steps, compiled.function or plain_sgd_steps):
        users, items = np.ones((2, 1)), np.array([[0.0], [x], [0.0]])
        assert step(triples, users, items, 0.1, 0.0) == max(-x, 0.0)
        assert np.isfinite(users).all()


def test_triples_without_a_negative_item_change_nothing() -> None:
    users, items = np.ones((2, 3)), np.ones((2, 3))
    assert sgd_epoch(np.array([[1, 1, 0]], np.int32), users, items, lr=0.1, l2=0.1).tolist() == [0]
    assert (users == 1).all()
    assert (items == 1).all()


def test_several_threads_make_all_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each user and each item is in one triple, so the threads do not meet."""
    monkeypatch.setattr(pairwise_sgd, "PART_SIZE", 7)
    count = np.arange(1, 101)
    triples = np.stack([count, count, count + 100], 1, dtype=np.int32)
    start = np.random.default_rng(0).normal(size=(301, 4))
    one, two = ([start[:101].copy(), start[100:].copy()] for _ in range(2))
    sgd_epoch(triples, *one, lr=0.1, l2=0.01)
    sgd_epoch(triples, *two, lr=0.1, l2=0.01, num_threads=4)
    assert all(map(np.array_equal, one, two))
