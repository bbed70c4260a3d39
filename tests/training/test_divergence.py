"""A training whose loss climbs far above its start says so, once; an ordinary one says nothing."""

from __future__ import annotations

import pytest
import torch
from every_model import LOG as LOG_OF_ALL
from every_model import train
from training_runs import LOG, ScriptedValidation, build

from segue.models.registry import MODELS
from segue.models.sequential.gru4rec import GRU4RecPlus
from segue.training.divergence import LossWatch
from segue.training.loop import fit

MESSAGE = "training gru4rec+: the loss of epoch 1 is "
GRADIENT_MODELS = [name for name, kind in MODELS.items() if kind.trained_by_gradient]


def test_a_training_that_diverges_but_stays_finite_warns_once(capsys: pytest.CaptureFixture[str]) -> None:
    training = fit(build(GRU4RecPlus, preset="paper", lr=20.0, batch_size=8, num_negatives=20, epochs=3), LOG)
    losses = [epoch.loss for epoch in training.epochs]
    assert losses[0] > 2 * 0.7
    said = capsys.readouterr().err
    assert said.count("the training diverges") == 1
    assert f"{MESSAGE}{losses[0]:.4g}, and was 0.68" in said
    assert said.strip().endswith("try a smaller lr (now 20)")


@pytest.mark.parametrize("name", GRADIENT_MODELS)
def test_ordinary_trainings_say_nothing(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    model = train(name)
    capsys.readouterr()
    torch.manual_seed(0)
    fit(type(model)(model.config, model.sizes), LOG_OF_ALL)
    assert "diverges" not in capsys.readouterr().err


@pytest.mark.parametrize(
    ("epochs", "warned"),
    [
        ([[1.0, 1.5], [2.0, 1.9]], None),  # the mean is below twice the first batch
        ([[1.0, 3.1]], 1),
        ([[1.0, 0.5], [0.5, 0.4], [9.0, 0.1], [9.0, 9.0]], 3),
        ([[3.0, 1.0], [4.0, 4.0]], None),
        ([[0.0, 0.0]], None),
    ],
)
def test_epochs_are_compared_with_the_first_batch(
    epochs: list[list[float]], warned: int | None, capsys: pytest.CaptureFixture[str]
) -> None:
    watch = LossWatch(build(), None)
    for number, losses in enumerate(epochs, 1):
        assert watch.mean(number, torch.tensor(losses)) == pytest.approx(sum(losses) / len(losses))
        assert ("diverges" in capsys.readouterr().err) == (number == warned)


def test_a_resumed_training_is_compared_with_its_first_epoch(capsys: pytest.CaptureFixture[str]) -> None:
    watch = LossWatch(build(), 0.5)
    assert watch.mean(4, torch.tensor([0.9, 1.0])) == pytest.approx(0.95)
    assert not capsys.readouterr().err
    watch.mean(5, torch.tensor([0.9, 1.2]))
    assert "the loss of epoch 5 is 1.05, and was 0.5 at the start" in capsys.readouterr().err


def test_a_validated_training_warns_too(capsys: pytest.CaptureFixture[str]) -> None:
    model = build(GRU4RecPlus, preset="paper", lr=20.0, batch_size=8, num_negatives=20, epochs=2)
    fit(model, LOG, validate=ScriptedValidation(0.1, 0.2))
    assert capsys.readouterr().err.count("the training diverges") == 1
