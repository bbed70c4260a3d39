"""NARM: one pass gives the query of every prefix; recorded gates and attention; variants of the programs; training."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from segue.batches.batch import Batch, SequenceBatch
from segue.data import synthetic
from segue.errors import ConfigError
from segue.models.base.model import Sizes
from segue.models.sequential.narm import NARM
from segue.nn.recorder import recording
from segue.nn.recurrent.packing import run_recurrence
from segue.training.loop import fit

LOG = synthetic.markov(12, 9, 7, seed=3, shortest=2)
VARIANTS = [
    {},
    {"attention_softmax": True, "gate_activation": "hard_sigmoid", "gru_bias": True},
    {"gru_bias": True, "gate_bias_init": 1.0},
]


def build(**settings: Any) -> NARM:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        config = NARM.configure({"embedding_dim": 4, "hidden_dim": 5, "window": 6, "batch_size": 5, **settings})
        return NARM(config, Sizes(LOG.num_users, LOG.num_items)).double().eval()


@pytest.mark.parametrize("settings", VARIANTS, ids=str)
def test_one_pass_gives_the_query_of_every_prefix(settings: dict[str, Any]) -> None:
    model = build(**settings)
    for batch in model.batches(LOG, np.random.default_rng(0)):
        together = model.queries(batch)
        for row, history in enumerate(batch.history):
            for position in history.nonzero().flatten():
                prefix = nn.functional.pad(history[: position + 1], (int(5 - position), 0))[None]
                alone = model.query(Batch(batch.user[[row]], prefix))
                torch.testing.assert_close(together[row, position], alone[0], rtol=0, atol=1e-12)


@pytest.mark.parametrize("settings", VARIANTS, ids=str)
def test_recorded_reset_gate_gives_the_next_state(settings: dict[str, Any]) -> None:
    """With the recorded r and the state before, the equations of the GRU give the state after."""
    model = build(**settings)
    history = torch.tensor([[0, 2, 5, 7]])
    with recording() as recorded:
        model.queries(SequenceBatch(torch.tensor([1]), history, history, history > 0))
    (reset,) = recorded["reset gate"]
    gru = model.gru
    state = run_recurrence(history, model.input_vectors, gru)
    inputs, before = model.input_vectors(history[:, 3]), state[:, 2]
    bias = torch.zeros(15, dtype=torch.double) if gru.b is None else gru.b
    new = torch.tanh(inputs @ gru.w[10:].T + (reset[:, :, 3] * before) @ gru.u[10:].T + bias[10:])
    update = gru.gates(inputs, before)[1]
    torch.testing.assert_close((1 - update) * before + update * new, state[:, 3], rtol=0, atol=1e-12)


def test_attention_is_recorded() -> None:
    batch = Batch(torch.tensor([1, 2]), torch.tensor([[0, 0, 3, 4], [0, 0, 0, 7]]))
    with recording() as recorded:
        build(attention_softmax=True).score(batch)
    (alpha,) = recorded["attention"]
    assert alpha.shape == (2, 1, 2), "padding that all rows share is cut off"
    torch.testing.assert_close(alpha.sum(2), torch.ones(2, 1, dtype=torch.double))
    assert alpha[1, 0, 0] == 0


def test_empty_history_has_finite_scores() -> None:
    assert build().score(Batch(torch.tensor([0]), torch.zeros(1, 3, dtype=torch.long)))[0, 1:].isfinite().all()


def test_presets_of_the_programs() -> None:
    author, hcrnn = NARM.configure(preset="author"), NARM.configure(preset="hcrnn")
    assert (
        author.attention_softmax,
        author.gate_activation,
        author.gru_bias,
        author.embedding_dim,
        author.hidden_dim,
    ) == (
        True,
        "hard_sigmoid",
        True,
        50,
        100,
    )
    assert (hcrnn.attention_softmax, hcrnn.gate_activation, hcrnn.embedding_dim, hcrnn.gate_bias_init) == (
        True,
        "sigmoid",
        100,
        1.0,
    )
    assert build(gru_bias=True, gate_bias_init=1.0).gru.b.tolist() == [1.0] * 5 + [-1.0] * 5 + [0.0] * 5
    assert NARM.configure(preset="paper") == NARM.configure()


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"loss": "bpr", "num_negatives": 3},
        {"loss": "sampled-ce", "negative_sampling": "shared", "num_negatives": 5},
        *VARIANTS[1:],
    ],
    ids=str,
)
def test_training_reduces_the_loss(settings: dict[str, Any]) -> None:
    log = synthetic.cycle(12, 9, 6, seed=1)
    config = NARM.configure(
        {"embedding_dim": 8, "hidden_dim": 8, "batch_size": 4, "epochs": 12, "lr": 0.02, **settings}
    )
    torch.manual_seed(0)
    losses = [epoch.loss for epoch in fit(NARM(config, Sizes(12, 9)), log, seed=1).epochs]
    assert losses[-1] < 0.97 * losses[0]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"hidden_dim": 0}, "hidden_dim=0: must be at least 1"),
        ({"window": 0}, "window=0: must be at least 1"),
        ({"hidden_dropout": 1}, "hidden_dropout=1: must be at least 0 and below 1"),
        ({"gate_bias_init": 1}, "gate_bias_init=1.0: needs gru_bias=true"),
        ({"attention_softmax": "softmax"}, "must be true or false"),
    ],
)
def test_invalid_settings_are_rejected(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        NARM.configure(settings)
