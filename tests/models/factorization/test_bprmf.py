"""BPR-MF: number of weights, loss, gradients, item features and recency."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from segue import testing
from segue.batches.batch import Batch, SequenceBatch
from segue.batches.sequences import user_item_pairs
from segue.data import synthetic
from segue.errors import ConfigError, TrainingError
from segue.models.base.model import Sizes
from segue.models.factorization.bprmf import BPRMF
from segue.nn.compiled.loops import pairwise_sgd
from segue.training.loop import fit

SIZES = Sizes(num_users=4, num_items=6, num_features=3)


def build(**choices: Any) -> BPRMF:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = BPRMF(BPRMF.configure({"embedding_dim": 3, **choices}), SIZES).double()
        with torch.no_grad():
            model.user_embedding[1:].normal_()
            model.item_embedding[1:].normal_()
    return model


@pytest.mark.parametrize("bias", [True, False])
def test_number_of_weights(bias: bool) -> None:
    assert sum(weight.numel() for weight in build(item_bias=bias).parameters()) == 5 * 3 + 7 * (3 + bias)


@settings(max_examples=40)
@given(bias=st.booleans(), seed=st.integers(0, 10**6), l2=st.sampled_from([0.0, 0.3]))
def test_loss_and_gradients_equal_a_loop_over_triples(bias: bool, seed: int, l2: float) -> None:
    rng = np.random.default_rng(seed)
    user, item, negative = (torch.from_numpy(rng.integers(1, n + 1, 8)) for n in (4, 6, 6))
    negative[rng.random(8) < 0.2] = 0  # users who have every item
    model = build(item_bias=bias, l2=l2)
    users, items = (w.detach().clone().requires_grad_() for w in (model.user_embedding, model.item_embedding))
    expected = torch.zeros((), dtype=torch.double)
    for u, i, j in zip(user.tolist(), item.tolist(), negative.tolist(), strict=True):
        if j:
            p, q, r = users[u], items[i], items[j]
            difference = p @ q[:3] - p @ r[:3] + ((q[3] - r[3]) if bias else 0)
            expected = expected - torch.log(torch.sigmoid(difference)) + l2 * (p @ p + q @ q + r @ r)
    history, target_mask = torch.empty(8, 0, dtype=torch.long), torch.ones(8, 1, dtype=torch.bool)
    loss = model(SequenceBatch(user, history, item[:, None], target_mask, negative[:, None, None, None]))
    torch.testing.assert_close(loss, expected, rtol=1e-10, atol=1e-10)
    if expected.requires_grad:
        expected.backward()
        loss.backward()
        torch.testing.assert_close(model.user_embedding.grad, users.grad, rtol=1e-8, atol=1e-8)
        torch.testing.assert_close(model.item_embedding.grad, items.grad, rtol=1e-8, atol=1e-8)


def test_score_is_the_dot_product_and_the_bias() -> None:
    model = build()
    batch = Batch(torch.tensor([2, 0]), torch.zeros(2, 0, dtype=torch.long))
    scores = model.score(batch)
    expected = model.item_embedding[:, :3] @ model.user_embedding[2] + model.item_embedding[:, 3]
    torch.testing.assert_close(scores[0, 1:], expected[1:])
    torch.testing.assert_close(scores[1, 1:], model.item_embedding[1:, 3])  # an anonymous user: the biases alone


def test_users_with_every_item_give_no_loss() -> None:
    log = synthetic.from_sequences([[1, 2, 3], [3, 2, 1]])
    model = BPRMF(BPRMF.configure({"embedding_dim": 3, "epochs": 2}), Sizes(2, 3))
    before = [weight.clone() for weight in model.parameters()]
    training = fit(model, log)
    assert [epoch.loss for epoch in training.epochs] == [0, 0]
    for weight, old in zip(model.parameters(), before, strict=True):
        assert torch.equal(weight, old)


KINDS = np.array([[0, 0], [1, 2], [2, 0], [0, 0], [3, 1], [2, 3], [1, 0]])
FEATURED = {"feature_column": "kind", "max_features_per_item": 2}


def featured(**choices: Any) -> BPRMF:
    model = build(**FEATURED, **choices)
    model.features.set_features(KINDS, ["a", "b", "c"])
    with torch.no_grad():
        model.feature_embedding[1:].normal_(generator=torch.Generator().manual_seed(1))
    return model


@pytest.mark.parametrize("bias", [True, False])
def test_loss_and_gradients_with_features_equal_a_loop(bias: bool) -> None:
    """Items 1..6 with features a, b, c by `KINDS`; item 3 has none."""
    model = featured(item_bias=bias, l2=0.3)
    user, item, negative = torch.tensor([1, 2, 4]), torch.tensor([1, 3, 5]), torch.tensor([4, 2, 6])
    tables = [
        w.detach().clone().requires_grad_()
        for w in (model.user_embedding, model.item_embedding, model.feature_embedding)
    ]
    users, items, kinds = tables
    expected = torch.zeros((), dtype=torch.double)
    for u, i, j in zip(user.tolist(), item.tolist(), negative.tolist(), strict=True):
        p, parts = users[u], [[items[x], *(kinds[f] for f in KINDS[x] if f)] for x in (i, j)]
        q, r = (torch.stack(some).sum(0) for some in parts)
        difference = p @ q[:3] - p @ r[:3] + ((q[3] - r[3]) if bias else 0)
        squared_norms = p @ p + sum(x @ x for some in parts for x in some)
        expected = expected - torch.log(torch.sigmoid(difference)) + 0.3 * squared_norms
    history, target_mask = torch.empty(3, 0, dtype=torch.long), torch.ones(3, 1, dtype=torch.bool)
    loss = model(SequenceBatch(user, history, item[:, None], target_mask, negative[:, None, None, None]))
    torch.testing.assert_close(loss, expected, rtol=1e-10, atol=1e-10)
    expected.backward()
    loss.backward()
    for table, reference in zip(
        (model.user_embedding, model.item_embedding, model.feature_embedding), tables, strict=True
    ):
        torch.testing.assert_close(table.grad, reference.grad, rtol=1e-8, atol=1e-8)


def test_score_adds_the_feature_embeddings() -> None:
    model = featured().requires_grad_(False)
    scores = model.score(Batch(torch.tensor([2]), torch.zeros(1, 0, dtype=torch.long)))
    for item in range(1, 7):
        vector = model.item_embedding[item] + sum(model.feature_embedding[f] for f in KINDS[item] if f)
        assert float(scores[0, item]) == pytest.approx(
            float(vector[:3] @ model.user_embedding[2] + vector[3]), abs=1e-12
        )


def test_item_without_events_is_scored_by_its_features() -> None:
    """Half of the users have items of one kind, half of the other; items 9 and 10, of one kind each, have no event."""
    histories = [[1, 2, 3, 4]] * 30 + [[5, 6, 7, 8]] * 30
    table = pl.DataFrame({"kind": [["x"]] * 4 + [["y"]] * 4 + [["x"], ["y"]]})
    log = replace(synthetic.from_sequences(histories, num_items=10), item_metadata=table)
    settings = {"embedding_dim": 4, "feature_column": "kind", "batch_size": 16, "epochs": 20, "lr": 0.02}
    config = BPRMF.configure(settings)
    torch.manual_seed(0)
    model = BPRMF(config, Sizes.of(log, config))
    fit(model, log)
    with torch.no_grad():
        scores = model.score(Batch(torch.arange(1, 61), torch.zeros(60, 0, dtype=torch.long)))
    assert (scores[:30, 9] > scores[:30, 10]).all()
    assert (scores[30:, 9] < scores[30:, 10]).all()


@pytest.mark.parametrize("law", ["all_weights_get_gradients", "save_load_roundtrip", "exact_resume", "processes_agree"])
def test_laws_with_features(law: str) -> None:
    subject = testing.subject(BPRMF, feature_column="kind", max_features_per_item=2)
    table = pl.DataFrame({"kind": [[f"k{item % 3}", "all"] for item in range(subject.log.num_items)]})
    testing.LAWS[law](replace(subject, log=replace(subject.log, item_metadata=table)))


def test_recency_raises_the_scores_of_recently_popular_items() -> None:
    """Every user has an early event with one of items 1..3 and a late one with one of items 4..6."""
    histories = [[1 + user % 3, 4 + user % 3] for user in range(60)]
    log = synthetic.from_sequences(histories, num_items=6, times=[[user, 100 + user] for user in range(60)])
    scores = []
    for recency in (0.0, 0.1):
        torch.manual_seed(0)
        model = BPRMF(
            BPRMF.configure({"embedding_dim": 2, "recency": recency, "epochs": 10, "batch_size": 16}), Sizes(60, 6)
        )
        fit(model, log)
        with torch.no_grad():
            scores.append(model.score(Batch(torch.tensor([0]), torch.zeros(1, 0, dtype=torch.long)))[0, 1:])
    assert float(scores[0][:3].mean() - scores[0][3:].mean()) == pytest.approx(0, abs=0.1)
    assert float(scores[1][3:].min() - scores[1][:3].max()) > 0.3


def test_invalid_and_renamed_settings_are_rejected() -> None:
    with pytest.raises(ConfigError, match=r"recency=-0.1: must be at least 0"):
        BPRMF.configure({"recency": -0.1})
    for old, message in (
        ("column", "it is now called 'feature_column'"),
        ("levels", "it is now called 'max_features_per_item'"),
        ("features", "the number of features is taken from the log"),
        ("dim", "it is now called 'embedding_dim'"),
    ):
        with pytest.raises(ConfigError, match=f"unknown setting '{old}': {message}"):
            BPRMF.configure({old: 1})


@pytest.mark.parametrize("law", testing.LAWS)
def test_sgd_obeys_every_law(law: str) -> None:
    testing.LAWS[law](testing.subject(BPRMF, optimizer="sgd", lr=0.1))


@pytest.mark.parametrize("recency", [0.0, 0.3])
def test_sgd_makes_the_steps_of_batches_of_one(recency: float) -> None:
    log = synthetic.markov(30, 12, 8, seed=3)
    config = BPRMF.configure({"embedding_dim": 3, "optimizer": "sgd", "lr": 0.1, "epochs": 1, "recency": recency})
    one, two = (BPRMF(config, Sizes(30, 12)).double() for _ in range(2))
    two.load_state_dict(one.state_dict())
    losses = []
    for batch in user_item_pairs(log, 1, np.random.default_rng((5, 1)), recency=recency):
        two.zero_grad()
        loss = two(batch)
        loss.backward()
        losses.append(loss.item())
        with torch.no_grad():
            for weight in two.parameters():
                weight.sub_(0.1 * weight.grad)
    training = fit(one, log, seed=5)
    assert training.epochs[0].loss == pytest.approx(np.mean(losses))
    for weight, expected in zip(one.parameters(), two.parameters(), strict=True):
        torch.testing.assert_close(weight, expected, rtol=1e-10, atol=1e-12)


def test_sgd_needs_no_numba() -> None:
    log = synthetic.markov(30, 12, 8, seed=3)
    config = BPRMF.configure({"embedding_dim": 3, "optimizer": "sgd", "lr": 0.1, "epochs": 3})
    one, two = (BPRMF(config, Sizes(30, 12)).double() for _ in range(2))
    two.load_state_dict(one.state_dict())
    fit(one, log)
    with pairwise_sgd.never():
        fit(two, log)
    for weight, expected in zip(one.parameters(), two.parameters(), strict=True):
        torch.testing.assert_close(weight, expected, rtol=1e-10, atol=1e-12)


def test_threads_train_together() -> None:
    log = synthetic.markov(60, 12, 8, seed=3)
    settings = {"embedding_dim": 4, "optimizer": "sgd", "lr": 0.1, "epochs": 20, "num_threads": 2}
    epochs = fit(BPRMF(BPRMF.configure(settings), Sizes(60, 12)), log).epochs
    assert epochs[-1].loss < 0.9 * epochs[0].loss


@pytest.mark.parametrize("form", [pairwise_sgd.always, pairwise_sgd.never])
def test_a_learning_rate_of_sgd_that_is_too_large_is_said(form: Callable[[], AbstractContextManager[None]]) -> None:
    log = synthetic.markov(30, 12, 8, seed=3)
    model = BPRMF(BPRMF.configure({"optimizer": "sgd", "lr": 1e30}), Sizes(30, 12))
    with form(), pytest.raises(TrainingError, match=r"bprmf: the loss is not finite from batch 1 of epoch \d+ on"):
        fit(model, log)


@pytest.mark.parametrize(
    ("choices", "message"),
    [
        ({"optimizer": "sgd", "feature_column": "genre"}, "feature_column=genre: is not available with optimizer=sgd"),
        ({"optimizer": "sgd", "weight_decay": 0.1}, "weight_decay=0.1: is not available with optimizer=sgd"),
        ({"optimizer": "sgd", "lr_decay_steps": 9}, "lr_decay_steps=9: is not available with optimizer=sgd"),
        ({"num_threads": 2}, "num_threads=2: needs optimizer=sgd"),
    ],
)
def test_settings_that_do_not_fit_together(choices: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        BPRMF.configure(choices)


def test_sgd_refuses_a_loss_that_it_would_not_use() -> None:
    class Changed(BPRMF):
        def forward(self, batch: SequenceBatch) -> torch.Tensor:
            return super().forward(batch) * 2

    log = synthetic.markov(30, 12, 8, seed=3)
    with pytest.raises(ConfigError, match="optimizer=sgd: would not use forward and batches of Changed; use adam"):
        fit(Changed(BPRMF.configure({"optimizer": "sgd"}), Sizes(30, 12)), log)


@pytest.mark.parametrize(
    ("options", "lr"), [({}, 0.005), ({"preset": "learnbpr"}, 0.05), ({"settings": {"optimizer": "sgd"}}, 0.05)]
)
def test_a_search_tries_learning_rates_for_the_optimizer(options: dict[str, Any], lr: float) -> None:
    space = BPRMF.space_for(BPRMF.configure(**options))
    assert space["lr"].low < lr < space["lr"].high < 8 * lr
    assert set(space) == set(BPRMF.space)
