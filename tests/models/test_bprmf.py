"""BPR-MF: its size, its loss and its gradient."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from segue.batch import Batch
from segue.data import synthetic
from segue.model import Sizes
from segue.models.bprmf import BPRMF
from segue.train import fit

SIZES = Sizes(users=4, items=6)


def build(**choices: Any) -> BPRMF:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = BPRMF(BPRMF.configure({"dim": 3, **choices}), SIZES).double()
        with torch.no_grad():
            model.user[1:].normal_()
            model.item[1:].normal_()
    return model


@pytest.mark.parametrize("bias", [True, False])
def test_number_of_weights(bias: bool) -> None:
    assert sum(weight.numel() for weight in build(bias=bias).parameters()) == 5 * 3 + 7 * (3 + bias)


@settings(max_examples=40, deadline=None)
@given(bias=st.booleans(), seed=st.integers(0, 10**6), l2=st.sampled_from([0.0, 0.3]))
def test_loss_and_gradient_triple_by_triple(bias: bool, seed: int, l2: float) -> None:
    rng = np.random.default_rng(seed)
    user, item, other = (torch.from_numpy(rng.integers(1, n + 1, 8)) for n in (4, 6, 6))
    other[rng.random(8) < 0.2] = 0  # users with nothing left to draw
    model = build(bias=bias, l2=l2)
    users, items = (w.detach().clone().requires_grad_() for w in (model.user, model.item))
    expected = torch.zeros((), dtype=torch.double)
    for u, i, j in zip(user.tolist(), item.tolist(), other.tolist(), strict=True):
        if j:
            p, q, r = users[u], items[i], items[j]
            apart = p @ q[:3] - p @ r[:3] + ((q[3] - r[3]) if bias else 0)
            expected = expected - torch.log(torch.sigmoid(apart)) + l2 * (p @ p + q @ q + r @ r)
    nothing, asked = torch.empty(8, 0, dtype=torch.long), torch.ones(8, 1, dtype=torch.bool)
    loss = model(Batch(user, nothing, item[:, None], other[:, None, None, None], asked))
    torch.testing.assert_close(loss, expected, rtol=1e-10, atol=1e-10)
    if expected.requires_grad:
        expected.backward()
        loss.backward()
        torch.testing.assert_close(model.user.grad, users.grad, rtol=1e-8, atol=1e-8)
        torch.testing.assert_close(model.item.grad, items.grad, rtol=1e-8, atol=1e-8)


def test_score_is_the_dot_product_and_the_bias() -> None:
    model = build()
    batch = Batch(torch.tensor([2, 0]), torch.zeros(2, 0, dtype=torch.long))
    scores = model.score(batch)
    expected = model.item[:, :3] @ model.user[2] + model.item[:, 3]
    torch.testing.assert_close(scores[0, 1:], expected[1:])
    torch.testing.assert_close(scores[1, 1:], model.item[1:, 3])  # nobody is asked: popularity answers


def test_users_who_have_touched_everything_teach_nothing() -> None:
    log = synthetic.from_sequences([[1, 2, 3], [3, 2, 1]])
    model = BPRMF(BPRMF.configure({"dim": 3, "epochs": 2}), Sizes(2, 3))
    before = [weight.clone() for weight in model.parameters()]
    training = fit(model, log)
    assert [epoch.loss for epoch in training.epochs] == [0, 0]
    for weight, old in zip(model.parameters(), before, strict=True):
        assert torch.equal(weight, old)
