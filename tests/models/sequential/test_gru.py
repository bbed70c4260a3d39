"""The recurrent models of Criteo's study and LSTM4REC: numbers of weights, training, single steps and schedules."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from segue import testing
from segue.batches.batch import Batch
from segue.data import synthetic
from segue.errors import ConfigError
from segue.models.base.model import Sizes
from segue.models.registry import find
from segue.models.sequential.gru import GRU, LSTM4Rec
from segue.models.sequential.hm_lstm.model import HMLSTM
from segue.nn.optim import Adam
from segue.nn.recurrent.lstm import LSTMCell
from segue.training.loop import fit

LOG = synthetic.markov(12, 9, 7, seed=3, shortest=2)
CYCLE = synthetic.cycle(12, 9, 6, seed=1)


def build(name: str = "gru", **settings: Any) -> Any:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        kind = find(name)
        return kind(
            kind.configure({"embedding_dim": 4, "batch_size": 3, "epochs": 2, **settings}), Sizes(12, 9)
        ).double()


@pytest.mark.parametrize(
    ("name", "settings", "items", "millions"),
    [
        ("coevent-mf", {}, 37_483, 7.50),
        ("coevent-mf", {"tied": True}, 37_483, 3.75),
        ("gru", {"tied": False, "layer_norm": "none"}, 37_483, 7.56),
        ("gru", {"layer_norm": "none"}, 37_483, 3.81),
        ("gru", {"layer_norm": "none", "num_layers": 2}, 37_483, 3.87),
        ("hm-lstm", {"layer_norm": False}, 37_483, 3.97),
        ("coevent-mf", {}, 208_418, 41.68),
        ("coevent-mf", {"tied": True}, 208_418, 20.84),
        ("gru", {"tied": False, "layer_norm": "none"}, 208_418, 41.74),
        ("gru", {"layer_norm": "none"}, 208_418, 20.90),
        ("gru", {"layer_norm": "none", "num_layers": 2}, 208_418, 20.96),
        ("hm-lstm", {"layer_norm": False}, 208_418, 21.06),
    ],
)
def test_number_of_weights_is_that_of_the_paper(
    name: str, settings: dict[str, Any], items: int, millions: float
) -> None:
    """Table 3 of the paper, to two decimals, for both logs; without padding rows and gains of layer norms."""
    kind = find(name)
    with torch.device("meta"):
        model = kind(kind.configure({"embedding_dim": 100, **settings}), Sizes(1, items))
    tables = sum(1 for weight in model.parameters() if len(weight) == items + 1)
    weights = sum(weight.numel() for weight in model.parameters()) - tables * 100
    assert round(weights / 1e6, 2) == millions


def test_number_of_gains_and_biases() -> None:
    """Layer normalisation: four pairs of a gain and a bias, of 2d, 2d, d and d numbers."""
    plain, normed = (sum(w.numel() for w in build(layer_norm=norm).parameters()) for norm in ("none", "joint"))
    assert normed - plain == 2 * (2 * 4 + 2 * 4 + 4 + 4)


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("gru", {}),
        ("gru", {"layer_norm": "none", "tied": False}),
        ("gru", {"layer_norm": "gate", "num_layers": 2, "dropout": 0.2, "hidden_dropout": 0.2}),
        ("gru", {"loss": "sampled-ce", "negative_sampling": "shared", "num_negatives": 5}),
        ("gru", {"loss": "bpr", "num_negatives": 2, "window": 3}),
        ("gru", {"window": None, "temperature": 0.5}),
        ("lstm4rec", {"dropout": 0.0, "hidden_dropout": 0.0}),
        ("lstm4rec", {"tied": True, "num_layers": 2, "dropout": 0.0, "hidden_dropout": 0.1}),
        ("hm-lstm", {}),
        ("hm-lstm", {"layer_norm": False, "num_layers": 3}),
        ("coevent-mf", {}),
        (
            "coevent-mf",
            {"tied": True, "dropout": 0.1, "loss": "sampled-ce", "negative_sampling": "shared", "num_negatives": 5},
        ),
    ],
    ids=str,
)
def test_training_reduces_the_loss(name: str, settings: dict[str, Any]) -> None:
    model = build(name, embedding_dim=8, batch_size=4, epochs=6, lr=0.02, **settings)
    losses = [epoch.loss for epoch in fit(model, CYCLE, seed=1).epochs]
    assert losses[-1] < 0.97 * losses[0]


@pytest.mark.parametrize(
    "settings", [{"num_layers": 2}, {"layer_norm": "none", "tied": False}, {"layer_norm": "gate", "window": None}]
)
def test_laws_hold_for_variants(settings: dict[str, Any]) -> None:
    for law in ("padding_invariance", "all_weights_get_gradients", "processes_agree", "step_matches_full"):
        testing.LAWS[law](testing.subject(GRU, **settings))


@pytest.mark.parametrize("name", ["gru", "lstm4rec", "hm-lstm"])
def test_state_of_a_session_keeps_its_size(name: str) -> None:
    model = build(name, num_layers=2).eval()
    state, _ = model.step(None, torch.tensor([1, 2]))
    first = state.clone()
    for item in range(1, 9):
        state, _ = model.step(state, torch.tensor([item, 0]))
    assert state.shape == first.shape
    assert torch.equal(state[1], first[1])
    assert not torch.equal(state[0], first[0])


def test_polynomial_learning_rate_decay_of_the_paper() -> None:
    optimizer = build(lr=0.01, lr_decay_steps=100, final_lr=0.001, lr_decay_power=0.5).optimizer()
    assert isinstance(optimizer, Adam)
    rates = []
    for _ in range(102):
        rates.append(optimizer.lr)
        optimizer.step()
    np.testing.assert_allclose(rates[:3], [0.01, 0.009 * 0.99**0.5 + 0.001, 0.009 * 0.98**0.5 + 0.001])
    assert rates[-2:] == [0.001, 0.001]


def test_slope_of_hm_lstm_grows_by_epoch() -> None:
    model = build("hm-lstm")
    assert model.lstm.slope == 1
    fit(model, LOG, seed=1)
    assert model.lstm.slope == 1.08
    assert "lstm.epochs" in model.state_dict(), "a resumed training needs the number of epochs"


def test_presets_are_the_rows_of_the_table_in_the_paper() -> None:
    rows = {name: GRU.configure(preset=name) for name in GRU.presets}
    settings = {name: (row.tied, row.layer_norm, row.num_layers) for name, row in rows.items()}
    assert settings == {
        "plain": (False, "none", 1),
        "re": (True, "none", 1),
        "ln": (False, "joint", 1),
        "paper": (True, "joint", 1),
        "stacked": (True, "joint", 2),
        "hcrnn": (False, "none", 1),
    }
    paper = rows["paper"]
    assert (paper.embedding_dim, paper.batch_size, paper.lr, paper.final_lr) == (100, 128, 0.01, 0.001)
    assert (paper.lr_decay_steps, paper.lr_decay_power, paper.loss) == (50_000, 0.5, "ce")


def test_lstm4rec_equals_the_lstm_of_torch() -> None:
    """The scores equal those of `nn.LSTM` with the same weights, whose blocks are i, f, g, o."""
    model = build("lstm4rec").eval()
    (cell,) = model.cells
    assert isinstance(cell, LSTMCell)
    lstm = nn.LSTM(4, 4, batch_first=True).double()
    with torch.no_grad():
        for name, weight in (("weight_ih", cell.w), ("weight_hh", cell.u), ("bias_ih", cell.b)):
            i, f, o, g = weight.chunk(4)
            lstm.get_parameter(f"{name}_l0").copy_(torch.cat([i, f, g, o]))
        lstm.bias_hh_l0.zero_()
    history = torch.tensor([[3, 1, 4, 1, 5]])
    scores = model.score(Batch(torch.ones(1, dtype=torch.long), history))
    expected = lstm(model.input_embedding[history])[0][:, -1] @ model.output_embedding.T
    torch.testing.assert_close(scores[:, 1:], expected[:, 1:], rtol=0, atol=1e-10)


@pytest.mark.parametrize(
    ("kind", "settings", "message"),
    [
        (GRU, {"num_layers": 0}, "num_layers=0: must be between 1 and 100"),
        (GRU, {"layer_norm": "batch"}, "must be one of none, joint, gate"),
        (GRU, {"window": 0}, "window=0: must be at least 1, or none"),
        (GRU, {"dropout": 1}, "dropout=1: must be at least 0 and below 1"),
        (GRU, {"lr_decay_steps": -1}, "lr_decay_steps=-1: must be at least 0"),
        (GRU, {"lr": 0.0001}, "final_lr=0.001: must be between 0 and lr=0.0001"),
        (GRU, {"lr_decay_power": 0}, "lr_decay_power=0: must be above 0"),
        (LSTM4Rec, {"layer_norm": "joint"}, "unknown setting 'layer_norm'"),
        (HMLSTM, {"num_layers": 1}, "num_layers=1: must be between 2 and 100"),
    ],
)
def test_invalid_settings_are_rejected(kind: Any, settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        kind.configure(settings)
