"""Trainings by compiled loops: what they compute is the plain form, and the size of a training decides on them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch
from hgn_reference import assert_equals_reference, random_batch
from hgn_reference import build as small_hgn
from training_runs import LOG, assert_same_weights, build, copy_weights

from segue.batches.batch import SequenceBatch
from segue.models.registry import MODELS
from segue.models.sequential.hgn import HGN
from segue.models.sequential.sasrec import SASRec
from segue.nn.compiled.loop import CompiledLoop, training_size
from segue.nn.compiled.loops import gated_queries, target_loss
from segue.testing import LAWS, subject
from segue.training import loop as training
from segue.training.loop import fit

pytest.importorskip("numba")
LOOPS = gated_queries, target_loss


class Calls:
    """Counts the calls of the loops."""

    def __init__(self) -> None:
        self.count = dict.fromkeys((loop.name for loop in LOOPS), 0)

    def counted(self, name: str, function: Callable[..., Any] | None) -> Callable[..., Any] | None:
        if function is None:
            return None

        def call(*args: Any, **options: Any) -> Any:
            self.count[name] += 1
            return function(*args, **options)

        return call


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Iterator[Calls]:
    """All trainings use compiled loops, and their calls are counted."""
    calls, for_training = Calls(), CompiledLoop.for_training

    def counted(loop: CompiledLoop, table: torch.Tensor) -> Callable[..., Any] | None:
        return calls.counted(loop.name, for_training(loop, table))

    monkeypatch.setattr(CompiledLoop, "for_training", counted)
    with gated_queries.always(), target_loss.always():
        yield calls


@pytest.mark.parametrize("loss", ["bpr", "bce", "gbce", "ce"])
@pytest.mark.parametrize("item_item_product", [True, False])
@pytest.mark.parametrize("pooling", ["avg", "gate_avg"])
def test_losses_and_gradients_of_hgn_equal_its_equations(
    pooling: str, item_item_product: bool, loss: str, calls: Calls
) -> None:
    rng = np.random.default_rng(3)
    parts = {"pooling": pooling, "item_item_product": item_item_product, "loss": loss}
    more: tuple[dict[str, Any], ...] = ({}, {"item_bias": True}, {"tied": True}, {"reg_weight": (0.3, 0.2)})
    for per_row, negatives, settings in zip((1, 3, 2, 1), (1, 2, 3, 2), more, strict=True):
        model = small_hgn(**parts, **settings, windows_per_row=per_row, num_negatives=negatives)
        batch = random_batch(rng, rows=70, per_row=per_row, window=4, targets=2, negatives=negatives)
        assert_same_as_plain(model, batch, rtol=1e-10)
        if loss in ("bpr", "ce") and not settings.get("tied"):
            model.zero_grad(set_to_none=True)
            assert_equals_reference(model, next(batch.slices(4)))
    assert calls.count["gated_queries"] > 0
    assert (calls.count["target_loss"] > 0) == (loss != "ce")


@pytest.mark.parametrize("logit", [-26.0, -27.6, -29.0])
def test_gates_whose_sum_is_tiny_are_divided_by_the_same_total(logit: float, calls: Calls) -> None:
    """The total of four gates lies above, around or below the smallest one, 1e-12."""
    model = small_hgn(pooling="gate_avg")
    with torch.no_grad():
        model.user_embedding.fill_(1 / 3)
        model.instance_gate_user.fill_(logit)
        model.instance_gate_item.mul_(0.1)
    batch = random_batch(np.random.default_rng(3), rows=20, per_row=1, window=4, targets=2, negatives=1)
    assert_same_as_plain(model, batch, rtol=1e-10)
    assert calls.count["gated_queries"] > 0


def test_gradients_in_32_bits_are_close(calls: Calls) -> None:
    batch = random_batch(np.random.default_rng(5), rows=200, per_row=3, window=4, targets=2, negatives=2)
    assert_same_as_plain(small_hgn(windows_per_row=3, num_negatives=2).float(), batch, rtol=2e-4)


@pytest.mark.parametrize("settings", [{"pooling": "max"}, {"feature_gate": False}, {"dropout": 0.5}], ids=str)
def test_what_has_no_loop_is_computed_the_plain_way(settings: dict[str, Any], calls: Calls) -> None:
    batch = random_batch(np.random.default_rng(6), rows=3, per_row=1, window=4, targets=2, negatives=1)
    small_hgn(**settings)(batch).backward()
    assert calls.count == {"gated_queries": 0, "target_loss": 1}


def test_scores_that_are_no_products_have_no_compiled_loss(calls: Calls) -> None:
    for name, settings in (
        ("sasrec", {"temperature": 0.1}),
        ("gru4rec", {"negative_sampling": "per_target", "num_negatives": 1}),
    ):
        fit(build(MODELS[name], loss="bpr", epochs=1, window=8, batch_size=8, **settings), LOG)
    with torch.no_grad():
        batch = random_batch(np.random.default_rng(6), rows=3, per_row=1, window=4, targets=2, negatives=1)
        small_hgn()(batch)
    assert calls.count == {"gated_queries": 0, "target_loss": 0}


class ChangedLoss(HGN):
    def _loss(self, *args: Any) -> torch.Tensor:
        return super()._loss(*args) * 2


class ChangedItems(HGN):
    def _item_vectors_of(self, ids: torch.Tensor) -> torch.Tensor:
        return super()._item_vectors_of(ids) / 10


class ChangedQueries(HGN):
    def encode_windows(self, *args: Any) -> torch.Tensor:
        return super().encode_windows(*args) / 10


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        (ChangedLoss, {"gated_queries": 1, "target_loss": 0}),
        (ChangedItems, {"gated_queries": 1, "target_loss": 0}),
        (ChangedQueries, {"gated_queries": 0, "target_loss": 1}),
    ],
)
def test_what_a_subclass_changes_is_not_compiled(kind: Any, expected: dict[str, int], calls: Calls) -> None:
    model = build(kind, preset="paper")
    batch = next(model.batches(LOG, np.random.default_rng(0)))
    model(batch)
    assert calls.count == expected
    assert_same_as_plain(model, batch, rtol=1e-4)


@pytest.mark.parametrize("law", ["determinism", "padding_row_is_zero", "all_weights_get_gradients", "exact_resume"])
@pytest.mark.parametrize("name", ["hgn", "sasrec"])
def test_laws(name: str, law: str, calls: Calls) -> None:
    LAWS[law](subject(MODELS[name], loss="bpr"))
    assert calls.count["target_loss"] > 0


def test_the_size_of_a_training_decides() -> None:
    """Not what the process did before, or a resumed training would round otherwise."""
    loop = CompiledLoop(gated_queries.module, gated_queries.name, min_work=100)
    table = torch.zeros(3, 2, requires_grad=True)
    assert loop.for_training(table) is None
    for work, is_used in ((99, False), (100, True), (99, False)):
        with training_size(work):
            assert (loop.for_training(table) is not None) == is_used
    with training_size(100):
        assert loop.for_training(table * 1) is None, "its gradient is not added in place"
        assert loop.for_training(table.detach()) is None
        assert loop.for_training(torch.zeros(3, 2, dtype=torch.float16, requires_grad=True)) is None


def test_the_work_of_a_training_is_its_events_in_all_epochs(monkeypatch: pytest.MonkeyPatch) -> None:
    found: list[int] = []
    monkeypatch.setattr(training, "training_size", lambda events: found.append(events) or training_size(events))
    fit(build(SASRec, epochs=2, window=8), LOG)
    assert found == [2 * len(LOG)] * 2


def test_without_numba_the_same_is_trained_the_plain_way() -> None:
    expected = fit_weights()
    with gated_queries.always(), target_loss.always(), gated_queries.never(), target_loss.never():
        assert_same_weights(fit_weights(), expected)


def fit_weights() -> dict[str, torch.Tensor]:
    model = build(MODELS["hgn"], epochs=2)
    fit(model, LOG)
    return copy_weights(model)


def assert_same_as_plain(model: Any, batch: SequenceBatch, rtol: float) -> None:
    """The loss and its gradients, times a factor as a mean has, by compiled loops and the plain way."""
    compiled = _loss_and_gradients(model, batch)
    with gated_queries.never(), target_loss.never():
        plain = _loss_and_gradients(model, batch)
    for one, two in zip(compiled, plain, strict=True):
        torch.testing.assert_close(one, two, rtol=rtol, atol=rtol)


def _loss_and_gradients(model: Any, batch: SequenceBatch) -> list[torch.Tensor]:
    model.zero_grad(set_to_none=True)
    loss = model(batch)
    (loss * 0.25).backward()
    return [loss.detach(), *(weight.grad.clone() for weight in model.parameters())]
