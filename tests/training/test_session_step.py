"""The compiled training step of GRU4Rec makes the steps of its plain form."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from functools import partialmethod
from typing import Any

import numpy as np
import pytest
import torch
from training_runs import LOG, build

from segue import distributed
from segue.models.registry import MODELS
from segue.models.sequential.gru4rec import STEP, GRU4Rec
from segue.nn.compiled.loop import training_size
from segue.nn.compiled.loops import session_step
from segue.testing import LAWS, subject
from segue.training.loop import fit, train_batch, training_step

pytest.importorskip("numba")
CPU = torch.device("cpu")
SMALL = {"embedding_dim": 6, "batch_size": 8, "num_negatives": 30, "lr": 0.05, "hidden_dropout": 0.0}
SETTINGS: dict[str, dict[str, Any]] = {
    "paper": {},
    "top1": {"loss": "top1", "input_embedding": "separate", "activation": "elu", "momentum": 0.3},
    "bpr-max": {"loss": "bpr-max", "bpreg": 0.7, "input_embedding": "tied", "activation": "elu"},
    "bpr-max, tanh": {"loss": "bpr-max", "input_embedding": "separate", "item_bias": False, "reduction": "sum"},
    "sampled-ce": {"loss": "sampled-ce", "input_embedding": "tied", "logq_correction": False},
    "logQ": {"loss": "sampled-ce", "input_embedding": "one-hot", "activation": "linear", "lr_decay_steps": 40},
    "dropout": {"loss": "sampled-ce", "input_embedding": "tied", "dropout": 0.3, "hidden_dropout": 0.4},
    "dropout, one-hot": {"loss": "bpr-max", "activation": "linear", "dropout": 0.5, "hidden_dropout": 0.2},
    "Adagrad": {"loss": "bpr-max", "input_embedding": "tied", "momentum": 0.2, "weight_decay": 0.05},
    "no samples": {"loss": "bpr-max", "input_embedding": "tied", "num_negatives": 0},
}


@pytest.fixture(autouse=True)
def always_compiled() -> Iterator[None]:
    with session_step.always():
        yield


@pytest.mark.parametrize("settings", SETTINGS.values(), ids=SETTINGS)
def test_steps_equal_those_of_the_plain_form(settings: dict[str, Any]) -> None:
    assert_same_steps(settings, torch.float64, rtol=1e-10)


@pytest.mark.parametrize("name", ["paper", "bpr-max", "sampled-ce"])
def test_steps_in_32_bits_are_close(name: str) -> None:
    assert_same_steps(SETTINGS[name], torch.float32, rtol=2e-3)


def test_the_size_of_the_training_decides(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session_step, "min_work", 100)
    model = small()
    for work, is_compiled in ((99, False), (100, True)):
        with training_size(work):
            assert (model.compiled_step(model.optimizer()) is not None) == is_compiled


@pytest.mark.parametrize(
    "settings",
    [
        {"loss": "ce"},
        {"loss": "bpr"},
        {"optimizer": "adam"},
        {"bptt": "full", "window": 5},
        {"negative_sampling": "per_target"},
        {"temperature": 0.2, "item_bias": False},
    ],
    ids=str,
)
def test_other_settings_are_trained_the_plain_way(settings: dict[str, Any]) -> None:
    model = small(**settings)
    assert model.compiled_step(model.optimizer()) is None


def test_frozen_weights_are_trained_the_plain_way() -> None:
    model = small()
    model.bias_hh.requires_grad_(False)
    assert model.compiled_step(model.optimizer()) is None


@pytest.mark.parametrize("name", [name for name in STEP if callable(getattr(GRU4Rec, name))])
def test_what_a_subclass_changes_is_trained_the_plain_way(name: str) -> None:
    plain = getattr(GRU4Rec, name)
    changed = type("Changed", (GRU4Rec,), {name: partialmethod(plain)})
    for kind, is_compiled in ((GRU4Rec, True), (changed, False)):
        model = build(kind, preset="paper", **SMALL)
        assert (model.compiled_step(model.optimizer()) is not None) == is_compiled


def test_several_processes_train_the_plain_way(monkeypatch: pytest.MonkeyPatch) -> None:
    for processes in (1, 2):
        calls: list[Any] = []
        monkeypatch.setattr(GRU4Rec, "compiled_step", lambda self, optimizer, calls=calls: calls.append(optimizer))
        monkeypatch.setattr(distributed, "world_size", lambda processes=processes: processes)
        monkeypatch.setattr(distributed, "all_reduce_gradients", lambda parameters: None)
        monkeypatch.setattr(distributed, "all_reduce", lambda tensor: tensor)
        fit(small(epochs=1), LOG)
        assert len(calls) == (processes == 1)


@pytest.mark.parametrize("form", [session_step.always, session_step.never])
def test_the_last_sessions_of_an_epoch_weigh_no_more_than_the_others(form: Callable[[], Any]) -> None:
    """The sum of the losses is divided by the number of slots, however many of them have a session left."""
    model = small(torch.float64, loss="sampled-ce", logq_correction=False, input_embedding="separate")
    before = model.bias_hh.detach().clone()
    batch = list(model.batches(LOG, np.random.default_rng(1)))[-1]
    left = int((batch.target > 0).sum())
    assert 0 < left < len(batch) == 8
    reference = copy.deepcopy(model)
    loss = reference(batch)
    loss.backward()
    gradient = reference.bias_hh.grad / 8
    expected = before - 0.05 * gradient / (gradient**2 + 1e-6).sqrt()
    with form(), training_size(1):
        optimizer = model.optimizer()
        optimizer.zero_grad()
        found = training_step(model, optimizer, CPU)(batch)
    assert found.item() == pytest.approx(loss.item() / left)  # what is reported is the mean loss of a target
    torch.testing.assert_close(model.bias_hh.detach(), expected, rtol=1e-10, atol=0)


@pytest.mark.parametrize("law", ["determinism", "learns_a_cycle", "padding_row_is_zero", "exact_resume"])
@pytest.mark.parametrize("name", ["gru4rec", "gru4rec+"])
def test_laws(name: str, law: str) -> None:
    kind = MODELS[name]
    stronger = {"lr": 0.05, "hidden_dropout": kind.Config().hidden_dropout}
    LAWS[law](subject(kind, **{**kind.presets["paper"], **stronger}))


def small(dtype: torch.dtype = torch.float32, **settings: Any) -> Any:
    return build(GRU4Rec, preset="paper", **{**SMALL, **settings}).to(dtype)


def epochs(model: Any) -> Iterator[Any]:
    """The batches of two epochs, the last of which have rows without a session."""
    for seed in (1, 2):
        yield from model.batches(LOG, np.random.default_rng(seed))


def assert_same_steps(settings: dict[str, Any], dtype: torch.dtype, rtol: float) -> None:
    """Losses, weights and the state of the optimiser after two epochs, by the compiled step and the plain way."""
    found = []
    for is_compiled in (True, False):
        model = small(dtype, **settings)
        optimizer = model.optimizer()
        step = model.train().compiled_step(optimizer) if is_compiled else None
        assert (step is not None) == is_compiled
        torch.manual_seed(4)
        batches = list(epochs(model))
        losses = [step(batch) if step else train_batch(model, optimizer, batch, CPU).detach() for batch in batches]
        found.append(dict(model.named_parameters()) | optimizer.state_dict() | {"loss": torch.stack(losses)})
    assert any((batch.target == 0).any() for batch in batches)
    for name, expected in found[1].items():
        near = max(rtol, 1e-6) if name == "loss" else rtol  # losses are in 32 bits
        torch.testing.assert_close(
            found[0][name], expected, rtol=near, atol=near, msg=lambda text, n=name: f"{n}: {text}"
        )
