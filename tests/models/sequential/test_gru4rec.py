"""GRU4Rec: session-parallel training, back-propagation through time, gradients of the losses, and settings."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from segue.batches.batch import Batch, SequenceBatch
from segue.data import synthetic
from segue.errors import ConfigError
from segue.models.base.model import Sizes
from segue.models.registry import MODELS
from segue.models.sequential.gru4rec import GRU4Rec, GRU4RecPlus
from segue.nn.optim import Adagrad, Adam
from segue.training.loop import fit

LOG = synthetic.markov(12, 9, 7, seed=3, shortest=2)


def build(kind: type[GRU4Rec] = GRU4Rec, **settings: Any) -> GRU4Rec:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        small = {
            "embedding_dim": 4,
            "batch_size": 3,
            "lr": 0.05,
            "epochs": 2,
            "hidden_dropout": kind.Config().hidden_dropout,
        }
        config = kind.configure({**small, **settings}, "paper")
        return kind(config, Sizes(LOG.num_users, LOG.num_items)).double()


# ---------------------------------------------------------------------------------------- session-parallel training


@pytest.mark.parametrize("input_embedding", ["one-hot", "separate", "tied"])
def test_carried_state_equals_reading_the_session_from_its_beginning(input_embedding: str) -> None:
    """With fixed weights, the query of each step equals that of the whole session up to it."""
    model = build(input_embedding=input_embedding)
    sessions: dict[int, list[int]] = {}
    for batch in model.batches(LOG, np.random.default_rng(0)):
        queries = model.queries(batch)
        for row, user in enumerate(batch.user.tolist()):
            if user:
                sessions.setdefault(user, []).append(int(batch.history[row, -1]))
                history = torch.tensor([sessions[user]])
                expected = model.query(Batch(batch.user[[row]], history))
                torch.testing.assert_close(queries[row], expected, rtol=0, atol=1e-12)
    assert sessions == {u: LOG.history(u)[:-1].tolist() for u in range(1, LOG.num_users + 1) if LOG.lengths[u] >= 2}


def test_gradient_goes_back_through_one_step_or_all() -> None:
    """The first item of a session gets a gradient from the loss of the last step only with bptt=full."""
    history, target = [1, 2, 3], 4
    full = build(GRU4RecPlus, bptt="full", window=3, activation="linear", hidden_dropout=0.0)
    items = torch.arange(1, 10)
    target_mask = torch.tensor([[False, False, True]])
    batch = SequenceBatch(
        torch.ones(1, dtype=torch.long), torch.tensor([history]), torch.tensor([[0, 0, target]]), target_mask
    )
    full(SequenceBatch(batch.user, batch.history, batch.target, target_mask, shared_negatives=items)).backward()
    assert full.output_embedding.grad is not None
    full_grad = full.output_embedding.grad.to_dense()[:, :4]
    one = build(GRU4RecPlus, activation="linear", hidden_dropout=0.0)
    for previous, current in ((0, 1), (1, 2), (2, 3)):
        one.zero_grad()
        row = torch.tensor([[previous, current]]), torch.tensor([[target]]), torch.tensor([[True]])
        loss = one(SequenceBatch(batch.user, *row, shared_negatives=items))
    loss.backward()
    assert one.output_embedding.grad is not None
    same = torch.isclose(full_grad, one.output_embedding.grad.to_dense()[:, :4], rtol=0, atol=1e-12).all(1)
    assert same.tolist() == [True, False, False, *[True] * 7]


def test_epoch_starts_without_session_states() -> None:
    model = build()
    first, again = (
        [model.queries(batch).detach() for batch in model.batches(LOG, np.random.default_rng(0))] for _ in range(2)
    )
    for one, two in zip(first, again, strict=True):
        assert torch.equal(one, two)


# ---------------------------------------------------------------------------------------- settings


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"loss": "ce"},
        {"loss": "bpr", "negative_sampling": "per_target", "num_negatives": 3},
        {"loss": "sampled-ce", "num_negatives": 5},
        {"loss": "sampled-ce", "num_negatives": 5, "bptt": "full", "window": 4},
        {"loss": "bpr-max", "num_negatives": 5, "activation": "elu", "dropout": 0.2, "hidden_dropout": 0.2},
        {"loss": "top1-max", "input_embedding": "separate", "item_bias": False},
        {
            "loss": "gbce",
            "num_negatives": 2,
            "negative_sampling": "per_target",
            "bptt": "full",
            "window": 4,
            "input_embedding": "tied",
        },
        {"loss": "bpr-max", "temperature": 0.5, "item_bias": False, "input_embedding": "tied"},
        {"optimizer": "adam", "lr": 0.01, "activation": "linear"},
        {"momentum": 0.5, "weight_decay": 0.01},
    ],
    ids=str,
)
def test_training_reduces_the_loss(settings: dict[str, Any]) -> None:
    log = synthetic.cycle(12, 9, 6, seed=1)
    model = MODELS["gru4rec"].configure({"embedding_dim": 8, "batch_size": 4, "epochs": 6, "lr": 0.1, **settings})
    torch.manual_seed(0)
    losses = [epoch.loss for epoch in fit(GRU4Rec(model, Sizes(12, 9)), log, seed=1).epochs]
    assert losses[-1] < 0.97 * losses[0]


def test_loss_with_grad_equals_the_loss_of_autograd() -> None:
    for activation in ("tanh", "elu", "linear"):
        for loss in ("top1", "bpr-max"):
            model = build(loss=loss, activation=activation, num_negatives=4)
            batch = next(iter(model.batches(LOG, np.random.default_rng(0))))
            loss_of_batch = model(batch)
            target = batch.targets.flatten()
            table = model.queries(batch).squeeze(1) @ model.item_vectors().T
            positive, negative = table.gather(1, target[:, None]).squeeze(1), table[:, batch.shared_negatives]
            expected = model._loss(positive, negative, batch.shared_negatives != target[:, None], batch).sum()
            torch.testing.assert_close(loss_of_batch, expected, rtol=0, atol=1e-12)


def test_optimisers_and_their_sparse_tables() -> None:
    adagrad = build(momentum=0.3).optimizer()
    assert isinstance(adagrad, Adagrad)
    assert adagrad.momentum == 0.3
    assert len(adagrad.sparse) == 2
    dense = build(loss="ce").optimizer()
    assert isinstance(dense, Adagrad)
    assert len(dense.sparse) == 1, "cross-entropy over all items gives all of the output table a gradient"
    assert isinstance(build(optimizer="adam").optimizer(), Adam)


def test_training_with_the_papers_settings_is_stable_where_the_negatives_are_nearly_all_items() -> None:
    """A loss of log 2 is that of equal scores. With a learning rate of .15 the mean loss of this epoch is above 50."""
    rng = np.random.default_rng(0)
    popularity = 1 / np.arange(1, 401)
    items = [rng.choice(400, 60, replace=False, p=popularity / popularity.sum()) + 1 for _ in range(100)]
    log = synthetic.from_sequences([sequence.tolist() for sequence in items], num_items=400)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = GRU4RecPlus(GRU4RecPlus.configure({"epochs": 1}, "paper"), Sizes(log.num_users, log.num_items))
    assert fit(model, log).epochs[0].loss < 0.75


def test_presets_of_the_papers() -> None:
    """The authors' settings for RSC15: of 2018 with tied embeddings, sampled negatives and elu; of 2016 with TOP1."""
    plus = GRU4RecPlus.configure(preset="author")
    assert (plus.loss, plus.input_embedding, plus.activation, plus.num_negatives) == ("bpr-max", "tied", "elu", 2048)
    assert (plus.batch_size, plus.lr, plus.momentum, plus.sample_alpha, plus.bpreg) == (32, 0.2, 0.1, 0.0, 0.5)
    first = GRU4Rec.configure(preset="paper")
    assert (first.loss, first.activation, first.optimizer, first.embedding_dim) == ("top1", "tanh", "adagrad", 100)
    assert (first.batch_size, first.lr, first.momentum, first.hidden_dropout) == (50, 0.01, 0.0, 0.5)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"window": None}, "bptt=full needs a window, such as window=50"),
        ({"window": 0}, "window=0: must be at least 1, or none"),
        (
            {"negative_sampling": "per_target", "num_negatives": 0},
            "num_negatives=0: must be at least 1, because this setting has no",
        ),
        ({"num_negatives": 0}, "num_negatives=0: must be at least 1, because this setting has no"),
        ({"momentum": 1}, "momentum=1: must be at least 0 and below 1"),
        ({"hidden_dropout": -0.1}, "hidden_dropout=-0.1: must be at least 0 and below 1"),
        ({"temperature": 0.1}, "cannot be combined with temperature"),
        ({"input_embedding": "both"}, "must be one of one-hot, separate, tied"),
        ({"num_negatives": -1}, "num_negatives=-1: must be at least 0"),
    ],
)
def test_invalid_settings_are_rejected(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        GRU4Rec.configure(settings)


def test_step_without_an_item_keeps_the_state() -> None:
    model = build()
    state, _ = model.step(None, torch.tensor([3, 5]))
    same, _ = model.step(state, torch.tensor([0, 4]))
    assert torch.equal(same[0], state[0])
    assert not torch.equal(same[1], state[1])
