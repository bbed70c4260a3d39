"""Laws about training: a model learns, reproducibly, with all of its weights, in parts, and across interruptions."""

from __future__ import annotations

import itertools
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from segue.batches.batch import Batch
from segue.batches.rated_events import RatedEvents
from segue.data import synthetic
from segue.data.splits import leave_last_out
from segue.evaluation.metrics import hit
from segue.evaluation.ranking import rank
from segue.models.base.model import GradientModel, Model
from segue.testing.subject import Subject, training_batch, with_metadata
from segue.training.loop import fit

ROUNDING = 1e-12  # a gradient this small, beside the largest one, is what rounding leaves of zero


def learns_a_cycle(subject: Subject) -> None:
    """Law 1: a model learns the next item of a cycle; a rating model learns which users like which items."""
    if subject.model_class.task == "rating":
        _learns_preferences(subject)
        return
    log = with_metadata(synthetic.cycle(200, 20, 8, seed=2))
    split = leave_last_out(log)
    model = subject.train(split.train_valid, **_epochs(subject, 40))
    share = float(hit(rank(model, split.instances("test"), exclude_seen=True, depth=5), 5).mean())
    assert share >= 0.6, f"law 1: the next item of a cycle is among the first 5 for {share:.0%} of users only"


def _learns_preferences(subject: Subject) -> None:
    """Odd users rate odd items highly and have more of them, and likewise even users: averages cannot predict this."""
    log = synthetic.random(100, 10, 40, seed=2)
    user, item = log.events()
    replaced = np.random.default_rng(2).random(len(log)) < 0.8
    same_parity = item + np.where((user + item) % 2 == 0, 0, np.where(item % 2, 1, -1))
    log = with_metadata(replace(log, item=np.where(replaced, same_parity, item).astype(np.int32)))
    split = leave_last_out(log)
    instances = split.instances("test")
    model: Any = subject.train(split.train_valid, **_epochs(subject, 20))
    ratings = RatedEvents.at_rows(log, instances.user, instances.row)
    batch = ratings.batch(np.arange(len(instances)), window=model.window, item_window=model.item_window)
    with torch.inference_mode():
        error = float((model.predict(batch) - batch.rating).square().mean().sqrt())
    assert error <= 0.75, f"law 1: likes and dislikes are 3 apart, and are predicted with an RMSE of {error:.2f}"


def _epochs(subject: Subject, epochs: int) -> dict[str, Any]:
    return {"epochs": epochs} if subject.model_class.trained_by_gradient else {}


def determinism(subject: Subject) -> None:
    """Law 6: the same seed gives the same weights, to the bit."""
    one, two = subject.train(seed=3).state_dict(), subject.train(seed=3).state_dict()
    for key, value in one.items():
        assert torch.equal(value, two[key]), f"law 6: {key} differs between two trainings with the same seed"


def all_weights_get_gradients(subject: Subject) -> None:
    """Law 8: every weight is a Parameter and gets a gradient that is not zero, nor as small as what rounding leaves.

    Weights that need no gradient are learnt in another way, see `GradientModel.end_epoch`.
    """
    model = subject.build()
    for module in model.modules():
        attributes = {name: value for name, value in vars(module).items() if name not in vars(nn.Module())}
        plain = [name for name, value in attributes.items() if _contains_tensor(value)]
        assert not plain, f"law 8: {plain} are plain tensors; make them Parameters, or buffers"
    if isinstance(model, GradientModel):
        model.double()
        # over all batches, since a recurrent state is empty at the first one
        for batch in model.batches(subject.log, np.random.default_rng(0)):
            model(batch).backward()
        trained = {key: weight for key, weight in model.named_parameters() if weight.requires_grad}
        largest = {key: _largest_gradient(key, weight) for key, weight in trained.items()}
        for key, value in largest.items():
            assert value > ROUNDING * max(largest.values()), f"law 8: the gradient of {key} is zero"


def _largest_gradient(key: str, weight: Tensor) -> float:
    assert weight.grad is not None, f"law 8: {key} gets no gradient"
    values = weight.grad.coalesce().values() if weight.grad.is_sparse else weight.grad
    return float(values.abs().max()) if values.numel() else 0.0


def _contains_tensor(value: Any) -> bool:
    if isinstance(value, (list, tuple, dict)):
        return any(map(_contains_tensor, value.values() if isinstance(value, dict) else value))
    return isinstance(value, Tensor)


def processes_agree(subject: Subject) -> None:
    """Law 11: the gradients of two processes' shares of a batch add up to the gradient of the batch."""
    # dropout and noise are drawn by the process that works on a row
    untrained = subject.build()
    names = {name for part in (untrained, *untrained.parts) for name in type(part.config).model_fields}
    deterministic: dict[str, Any] = {name: 0.0 for name in sorted(names) if "dropout" in name or "noise" in name}
    model = subject.build(**deterministic)
    if not isinstance(model, GradientModel):
        return
    model.double()
    batch = training_batch(model, subject.log)

    def gradients(parts: list[Batch]) -> list[Tensor]:
        model.zero_grad()
        for part in parts:
            with torch.random.fork_rng(devices=[]):
                model(part).backward()
        return [weight.grad.to_dense().clone() for weight in model.parameters() if weight.grad is not None]

    pairs = zip(gradients([batch]), gradients([batch.shard(0, 2), batch.shard(1, 2)]), strict=True)
    difference = max(float((one - two).abs().max()) for one, two in pairs)
    assert difference < 1e-9, f"law 11: gradients differ by {difference:.3g}"


def exact_resume(subject: Subject) -> None:
    """Law 12: an interrupted and resumed training gives the weights of an uninterrupted one, to the bit."""
    if not subject.model_class.trained_by_gradient:
        return
    log = subject.log
    whole, interrupted, resumed = (subject.build(epochs=6, seed=seed) for seed in (0, 0, 9))
    expected = fit(whole, log, seed=4, validate=_increasing_metric(1))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        try:
            fit(interrupted, log, seed=4, validate=_increasing_metric(1, interrupt=4), folder=folder)
        except KeyboardInterrupt:
            pass
        else:
            raise AssertionError("law 12: the training was not interrupted")
        training = fit(resumed, log, seed=4, validate=_increasing_metric(4), folder=folder)
    same_epochs = (training.best, len(training.epochs)) == (expected.best, len(expected.epochs))
    assert same_epochs, "law 12: the resumed training has other epochs"
    for key, value in whole.state_dict().items():
        assert torch.equal(value, resumed.state_dict()[key]), f"law 12: {key} differs"


def _increasing_metric(first: int, *, interrupt: int | None = None) -> Callable[[Model], float]:
    """A validation whose metric grows at every call, so that the last epoch is the best; it can interrupt the run."""
    calls = itertools.count(first)

    def validate(model: Model) -> float:
        call = next(calls)
        if call == interrupt:
            raise KeyboardInterrupt
        return float(call)

    return validate
