"""The losses of trainings as they were recorded: a change means that something else is computed, or drawn."""

from __future__ import annotations

from typing import Any

import pytest
from training_runs import LOG, build

from segue.models.base.model import GradientModel
from segue.models.registry import MODELS
from segue.nn.compiled.loops import gated_queries, session_step, target_loss
from segue.training.loop import fit

# ---------------------------------------------------------------------------------------- how the loss falls

CURVES: dict[str, tuple[str, dict[str, Any], list[float]]] = {
    "bprmf": ("bprmf", {"l2": 0.01}, [0.6924726, 0.6772917, 0.6424708, 0.5937182]),
    "hgn": ("hgn", {}, [0.7081046, 0.6306557, 0.5997116, 0.5425258]),
    "hgn-chunks": ("hgn", {"windows_per_row": 3}, [0.6815113, 0.6600345, 0.6032892, 0.5657257]),
    "hgn-author": ("hgn", {"pooling": "gate_avg", "item_bias": True}, [0.7518231, 0.6771019, 0.6606238, 0.5779433]),
    "hgn-ce": (
        "hgn",
        {"loss": "ce", "training_windows": "every", "num_targets": 1, "reduction": "mean"},
        [2.7833, 2.620146, 2.504408, 2.382788],
    ),
    "gru4rec": (
        "gru4rec",
        {"batch_size": 8, "lr": 0.1, "hidden_dropout": 0.0},
        [0.9296797, 0.8605466, 0.8476044, 0.8402946],
    ),
    "gru4rec-full": (
        "gru4rec",
        {
            "bptt": "full",
            "hidden_dropout": 0.0,
            "window": 8,
            "batch_size": 8,
            "num_negatives": 5,
            "input_embedding": "separate",
            "optimizer": "adam",
        },
        [0.9981529, 0.984129, 0.9657928, 0.9453077],
    ),
    "gru4rec+": (
        "gru4rec+",
        {"batch_size": 8, "num_negatives": 20, "lr": 0.1},
        [0.6623836, 0.5704414, 0.5505119, 0.5352392],
    ),
    "sasrec": (
        "sasrec",
        {"window": 8, "batch_size": 16, "dropout": 0.2},
        [2.813861, 2.688988, 2.570301, 2.491235],
    ),
    "sasrec-bce": (
        "sasrec",
        {"window": 8, "batch_size": 16, "dropout": 0.5, "loss": "bce", "coverage": "last"},
        [1.381344, 1.352125, 1.290102, 1.249731],
    ),
    "nextitnet": (
        "nextitnet",
        {"window": 8, "batch_size": 16, "dropout": 0.0, "tied": False},
        [2.829152, 2.703198, 2.534361, 2.391926],
    ),
    "hgn-gru": (
        "hgn",
        {"window_encoder": "gru", "item_item_product": False},
        [0.6800801, 0.6543629, 0.6619018, 0.6307357],
    ),
    "hgn-cnn": (
        "hgn",
        {"window_encoder": "cnn", "item_item_product": False},
        [0.6812888, 0.6695493, 0.6613248, 0.6476128],
    ),
    "caser": ("caser", {}, [1.377221, 1.349333, 1.332852, 1.323601]),
}
PRESETS = {"hgn": "paper", "gru4rec": "paper", "gru4rec+": "paper", "caser": "author"}


@pytest.mark.parametrize("name", CURVES)
def test_losses_equal_the_recorded_ones(name: str) -> None:
    """Guards rewriting: a change of these figures is a change of what is computed, or drawn."""
    kind, settings, expected = CURVES[name]
    model: GradientModel = build(MODELS[kind], preset=PRESETS.get(kind), **settings)
    losses = [epoch.loss for epoch in fit(model, LOG, seed=3).epochs]
    assert losses[-1] < losses[0]
    assert losses[::2] == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize(
    "name",
    ["hgn", "hgn-chunks", "hgn-author", "hgn-ce", "sasrec-bce", "caser", "hgn-gru", "gru4rec", "gru4rec+"],
)
def test_losses_of_compiled_loops_equal_the_recorded_ones(name: str) -> None:
    with gated_queries.always(), session_step.always(), target_loss.always():
        test_losses_equal_the_recorded_ones(name)
