"""FPMC against its equations, pair by pair."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from segue.batches.batch import Batch, SequenceBatch
from segue.data import synthetic
from segue.errors import ConfigError
from segue.models.base.model import Sizes
from segue.models.sequential.fpmc import FPMC
from segue.training.loop import fit

SIZES = Sizes(num_users=5, num_items=9)
DIM = 4


def build(seed: int = 0, **chosen: Any) -> FPMC:
    """A small FPMC in double precision, with weights large enough for every factor to matter."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = FPMC(FPMC.configure({"embedding_dim": DIM, "dropout": 0.0, **chosen}), SIZES).double()
        with torch.no_grad():
            for weight in model.parameters():
                weight.normal_(0, 0.7)
                weight[0] = 0
    return model.eval()


def random_batch(seed: int, window: int, rows: int = 6) -> SequenceBatch:
    """Baskets with padding anywhere, some of them empty; a target and three negatives for each."""
    rng = np.random.default_rng(seed)
    history = rng.integers(0, SIZES.num_items + 1, (rows, window))
    history[0] = 0
    user = rng.integers(0, SIZES.num_users + 1, rows)
    target = rng.integers(1, SIZES.num_items + 1, (rows, 1))
    negatives = rng.integers(1, SIZES.num_items + 1, (rows, 1, 1, 3))
    user, history, target, negatives = (torch.from_numpy(part) for part in (user, history, target, negatives))
    return SequenceBatch(user, history, target, target > 0, negatives)


def reference_score(model: FPMC, user: int, basket: list[int], item: int) -> float:
    """x_ui, with the four factors of the paper as lists of numbers."""
    user_factor = model.user_embedding[user].tolist()
    item_user, item_basket = model.output_embedding[item, :DIM].tolist(), model.output_embedding[item, DIM:].tolist()
    score = sum(a * b for a, b in zip(user_factor, item_user, strict=True)) if user else 0.0
    items = [one for one in basket if one]
    for one in items:
        factor = model.basket_embedding[one].tolist()
        score += sum(a * b for a, b in zip(factor, item_basket, strict=True)) / len(items)
    return score


@settings(max_examples=25)
@given(st.integers(0, 10**6), st.integers(1, 4))
def test_scores_equal_the_equations(seed: int, window: int) -> None:
    model, batch = build(seed, window=window), random_batch(seed, window)
    scores = model.score(Batch(batch.user, batch.history))
    for row, (user, basket) in enumerate(zip(batch.user.tolist(), batch.history.tolist(), strict=True)):
        expected = [reference_score(model, user, basket, item) for item in range(1, SIZES.num_items + 1)]
        assert scores[row, 1:].tolist() == pytest.approx(expected, abs=1e-10)


def test_only_the_newest_items_are_the_basket() -> None:
    model = build(window=2)
    user, history = torch.tensor([3]), torch.tensor([[7, 8, 2, 5]])
    expected = [reference_score(model, 3, [2, 5], item) for item in range(1, SIZES.num_items + 1)]
    assert model.score(Batch(user, history))[0, 1:].tolist() == pytest.approx(expected, abs=1e-10)


@pytest.mark.parametrize("window", [1, 3])
def test_preset_paper_is_sequential_bpr(window: int) -> None:
    """The loss of each target and a negative is -ln sigma(difference of their scores), the mean over negatives."""
    model, batch = build(**{**FPMC.presets["paper"], "window": window, "num_negatives": 3}), random_batch(4, window)
    expected = 0.0
    for row in range(len(batch)):
        user, basket = int(batch.user[row]), batch.history[row].tolist()
        positive = reference_score(model, user, basket, int(batch.target[row, 0]))
        for negative in batch.negatives[row].flatten().tolist():
            difference = positive - reference_score(model, user, basket, negative)
            expected += math.log1p(math.exp(-difference)) / 3
    assert model(batch).item() == pytest.approx(expected, rel=1e-10)


def test_every_event_but_the_first_is_a_target_once() -> None:
    log = synthetic.from_sequences([[1, 2, 3, 4], [5, 6], [7]], num_items=9)
    model = build(window=2, batch_size=2)
    pairs = []
    for batch in model.batches(log, np.random.default_rng(0)):
        pairs += zip(batch.user.tolist(), map(tuple, batch.history.tolist()), batch.target[:, 0].tolist(), strict=True)
    assert sorted(pairs) == [(1, (0, 1), 2), (1, (1, 2), 3), (1, (2, 3), 4), (2, (0, 5), 6)]


def test_padding_and_unknown_users_learn_nothing() -> None:
    model, batch = build(), random_batch(5, 1)
    model(batch).backward()
    for weight in model.parameters():
        assert weight.grad is not None
        assert not weight.grad[0].any()
        assert weight.grad[1:].any()


@pytest.mark.parametrize("preset", [None, "paper"])
def test_training_reduces_the_loss(preset: str | None) -> None:
    log = synthetic.markov(30, 9, 12, seed=1, shortest=3)
    chosen = {"embedding_dim": 8, "epochs": 6, "lr": 0.01, "batch_size": 32}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = FPMC(FPMC.configure(chosen, preset), Sizes.of(log))
    losses = [epoch.loss for epoch in fit(model, log).epochs]
    assert losses[-1] < losses[0] - 0.01


def test_dropout_in_training_only() -> None:
    model, batch = build(dropout=0.5), random_batch(2, 1)
    assert torch.equal(model.queries(batch), model.queries(batch))
    model.train()
    assert not torch.equal(model.queries(batch), model.queries(batch))


@pytest.mark.parametrize(
    ("chosen", "message"),
    [
        ({"window": 0}, "window=0: must be at least 1"),
        ({"dropout": 1}, r"dropout=1\.?0?: must be"),
        ({"embedding_dim": 0}, "embedding_dim=0: must be at least 1"),
    ],
)
def test_invalid_settings_are_rejected(chosen: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        FPMC.configure(chosen)
