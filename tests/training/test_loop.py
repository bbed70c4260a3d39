"""`fit`: early stopping, errors, the log of a training, interrupted runs, and how the loss falls."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from segue.batches.batch import Batch
from segue.config import Config
from segue.data import synthetic
from segue.data.log import Log
from segue.data.splits import leave_last_out
from segue.errors import ConfigError, TrainingError
from segue.models.base.model import GradientModel, Model, Sizes
from segue.models.factorization.bprmf import BPRMF
from segue.models.popularity.pop import Pop
from segue.models.registry import MODELS
from segue.models.sequential.hgn import HGN
from segue.training import loop as train
from segue.training.loop import StopTraining, Training, fit

LOG = synthetic.markov(40, 17, 12, seed=1, shortest=3)
Weights = dict[str, Tensor]


def build(kind: Any = BPRMF, seed: int = 0, **settings: Any) -> Any:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        config = kind.configure({"dim": 4, "batch_size": 64, "lr": 0.01, "epochs": 8, **settings})
        return kind(config, Sizes(LOG.num_users, LOG.num_items))


def weights(model: Model) -> Weights:
    return {key: value.clone() for key, value in model.state_dict().items()}


def assert_equal(one: Weights, two: Weights) -> None:
    assert one.keys() == two.keys()
    for key, value in one.items():
        assert torch.equal(value, two[key]), key


class Script:
    """A validation that says what it was told, and remembers the weights that it was asked about."""

    def __init__(self, *figures: float, interrupt: int | None = None) -> None:
        self.figures, self.interrupt = figures, interrupt
        self.seen: list[Weights] = []

    def __call__(self, model: Model) -> float:
        self.seen.append(weights(model))
        if len(self.seen) == self.interrupt:
            raise KeyboardInterrupt
        return self.figures[len(self.seen) - 1]


# ---------------------------------------------------------------------------------------- early stopping


def test_the_best_weights_are_kept() -> None:
    model, script = build(), Script(0.1, 0.3, 0.2, 0.25, 0.3)
    training = fit(model, LOG, validate=script, patience=3)
    assert (training.best, training.metric, len(training.epochs)) == (2, 0.3, 5)
    assert_equal(weights(model), script.seen[1])
    assert [epoch.metric for epoch in training.epochs] == [0.1, 0.3, 0.2, 0.25, 0.3]


def test_the_best_is_the_last() -> None:
    model, script = build(epochs=3), Script(0.1, 0.2, 0.3)
    training = fit(model, LOG, validate=script, patience=1)
    assert (training.best, len(training.epochs)) == (3, 3)
    assert_equal(weights(model), script.seen[2])


@pytest.mark.parametrize(
    ("every", "patience", "figures", "epochs", "best"),
    [
        (1, 1, (0.2, 0.1), 2, 1),
        (1, 2, (0.2, 0.1, 0.3, 0.1, 0.1), 5, 3),
        (2, 1, (0.2, 0.3, 0.1), 6, 4),
        (2, 2, (0.2, 0.1, 0.1), 6, 2),
        (3, 5, (0.1, 0.2, 0.3), 8, 8),  # epochs 3 and 6, and the last one
        (3, 5, (0.3, 0.2, 0.1), 8, 3),
        (8, 1, (0.5,), 8, 8),
        (100, 1, (0.5,), 8, 8),
        (1, 1, (0.0, 0.0), 2, 1),
        (1, 2, (-0.5, -0.4, -0.6, -0.7), 4, 2),  # a figure to be maximised may be negative
    ],
)
def test_every_and_patience(every: int, patience: int, figures: tuple[float, ...], epochs: int, best: int) -> None:
    script = Script(*figures)
    training = fit(build(), LOG, validate=script, every=every, patience=patience)
    assert (len(training.epochs), training.best) == (epochs, best)
    assert len(script.seen) == len(figures)
    asked = [epoch.epoch for epoch in training.epochs if epoch.metric is not None]
    assert asked == [e for e in range(1, epochs + 1) if e % every == 0 or e == 8]


def test_without_validation_all_epochs_are_run() -> None:
    training = fit(build(epochs=4), LOG)
    assert (training.best, training.metric, len(training.epochs)) == (4, None, 4)


def test_validation_changes_nothing_but_the_choice() -> None:
    """Neither its draws nor its mode reach the training."""

    def careless(model: Model) -> float:
        torch.randn(3)
        np.random.default_rng().random()
        model.eval()
        return 0.0

    one, two = build(epochs=3), build(epochs=3)
    fit(one, LOG, validate=careless)
    fit(two, LOG, validate=lambda model: 0.0)
    assert_equal(weights(one), weights(two))


def test_the_callers_random_numbers_are_left_alone() -> None:
    torch.manual_seed(5)
    expected = torch.randn(3)
    torch.manual_seed(5)
    fit(build(epochs=1), LOG, seed=7)
    assert torch.equal(torch.randn(3), expected)


def test_seeds_make_the_difference() -> None:
    one, two, three = build(), build(), build()
    for model, seed in ((one, 1), (two, 1), (three, 2)):
        fit(model, LOG, seed=seed)
    assert_equal(weights(one), weights(two))
    assert not torch.equal(one.item, three.item)


def test_a_counting_model_is_fitted_at_once() -> None:
    model = Pop(Config(), Sizes(LOG.num_users, LOG.num_items))
    training = fit(model, LOG)
    assert (training.epochs, training.best, training.metric) == ([], 0, None)
    assert model.count.sum() == len(LOG)


@pytest.mark.parametrize(
    ("kind", "settings"),
    [
        (BPRMF, {}),
        (HGN, {}),
        (HGN, {"per_row": 3}),
        (HGN, {"pooling": "max"}),
        (HGN, {"loss": "ce"}),
    ],
    ids=str,
)
def test_slices_of_a_batch_are_the_batch(kind: Any, settings: dict[str, Any]) -> None:
    reference, model = build(kind, epochs=2, **settings), build(kind, epochs=2, **settings)
    reference.rows_at_once, model.rows_at_once = 64, 7
    reference.double(), model.double()
    one, two = fit(reference, LOG), fit(model, LOG)
    assert [e.loss for e in one.epochs] == pytest.approx([e.loss for e in two.epochs], rel=1e-6)
    for key, value in weights(model).items():
        torch.testing.assert_close(value, weights(reference)[key], rtol=0, atol=1e-9)


@pytest.mark.parametrize("reduction", ["sum", "mean"])
def test_reduction_matters_beside_a_penalty(reduction: str) -> None:
    """One step by hand: the gradient of the sum, or of the mean over the targets, plus the decay."""
    model = build(reduction=reduction, weight_decay=0.5, epochs=1, batch_size=10_000, l2=0.0)
    (batch,) = model.batches(LOG, np.random.default_rng((0, 1)))
    by_hand = build(reduction=reduction)
    optimizer = torch.optim.Adam(by_hand.parameters(), lr=0.01, weight_decay=0.5)
    by_hand.config = model.config
    (by_hand(batch) / (len(LOG) if reduction == "mean" else 1)).backward()
    optimizer.step()
    fit(model, LOG)
    for key, value in weights(model).items():
        torch.testing.assert_close(value, weights(by_hand)[key], rtol=0, atol=1e-5)


# ---------------------------------------------------------------------------------------- what goes wrong


class Breaks(BPRMF):
    """Its loss is not a number in one batch of one epoch."""

    wrong = (2, 3)  # epoch, batch
    count = (0, 0)

    def batches(self, log: Log, rng: np.random.Generator) -> Iterator[Batch]:
        self.count = (self.count[0] + 1, 0)
        return super().batches(log, rng)

    def forward(self, batch: Batch) -> Tensor:
        self.count = (self.count[0], self.count[1] + 1)
        return super().forward(batch) * (torch.nan if self.count == self.wrong else 1)


def test_a_loss_that_is_not_finite_stops_the_run_and_says_where() -> None:
    with pytest.raises(
        TrainingError, match=r"bprmf: the loss is not finite from batch 3 of epoch 2 on; .*lr \(now 0\.01\)"
    ):
        fit(build(Breaks), LOG)


def test_a_learning_rate_far_too_large() -> None:
    with pytest.raises(TrainingError, match="hgn: the loss is not finite from batch"):
        fit(build(HGN, lr=1e25), LOG)


def test_nothing_to_train_on() -> None:
    single = synthetic.from_sequences([[1], [2], [3]])
    model = HGN(HGN.configure({"dim": 4}), Sizes(3, 3))
    with pytest.raises(TrainingError, match="sequences has nothing to train hgn on: no user has two events or more"):
        fit(model, single)


@pytest.mark.parametrize("wrong", [{"every": 0}, {"patience": 0}])
def test_every_and_patience_must_be_positive(wrong: dict[str, int]) -> None:
    with pytest.raises(ConfigError, match=r"every=\d and patience=\d+ must be at least 1"):
        fit(build(), LOG, **wrong)


def test_a_model_of_no_kind_is_refused() -> None:
    class Neither(Model):
        def score(self, batch: Batch, items: Tensor | None = None) -> Tensor:
            raise NotImplementedError

    with pytest.raises(ConfigError, match="Neither is neither Counted nor Trained"):
        fit(Neither(Config(), Sizes(1, 1)), LOG)


# ---------------------------------------------------------------------------------------- the log of a training


def lines(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "training.jsonl").read_text().splitlines()]


def test_one_line_an_epoch(tmp_path: Path) -> None:
    training = fit(build(), LOG, validate=Script(*([0.5] * 8)), every=2, patience=9, folder=tmp_path / "new")
    found = lines(tmp_path / "new")
    assert [line["epoch"] for line in found] == list(range(1, 9))
    assert [line["metric"] for line in found] == [None, 0.5] * 4
    assert [line["loss"] for line in found] == [epoch.loss for epoch in training.epochs]
    assert all(line["seconds"] >= 0 and line["cpu_seconds"] >= 0 for line in found)
    assert training.seconds == pytest.approx(sum(line["seconds"] for line in found))
    fit(build(epochs=2), LOG, folder=tmp_path / "new")
    assert [line["epoch"] for line in lines(tmp_path / "new")] == [1, 2], "a new run begins a new log"


# ---------------------------------------------------------------------------------------- interrupted runs


@pytest.fixture
def always_saving(monkeypatch: pytest.MonkeyPatch) -> None:
    """A clock that stands still: saving costs nothing, so the state is saved after every epoch."""
    clock = SimpleNamespace(monotonic=lambda: 0.0, perf_counter=time.perf_counter, process_time=time.process_time)
    monkeypatch.setattr(train, "time", clock)


FIGURES = (0.1, 0.4, 0.3, 0.2, 0.3, 0.1, 0.2, 0.1)


def interrupted(folder: Path, call: int, kind: Any = BPRMF, **options: Any) -> None:
    with pytest.raises(KeyboardInterrupt):
        fit(build(kind), LOG, validate=Script(*FIGURES, interrupt=call), folder=folder, patience=9, **options)
    assert (folder / "state.safetensors").is_file()


def course(training: Training) -> list[tuple[int, float, float | None]]:
    return [(epoch.epoch, epoch.loss, epoch.metric) for epoch in training.epochs]


@pytest.mark.usefixtures("always_saving")
@pytest.mark.parametrize("kind", [HGN, BPRMF])
@pytest.mark.parametrize(("every", "call"), [(1, 2), (1, 5), (1, 8), (2, 2), (2, 4), (3, 2), (3, 3)])
def test_resumed_is_uninterrupted_to_the_bit(tmp_path: Path, kind: Any, every: int, call: int) -> None:
    whole = build(kind)
    expected = fit(whole, LOG, validate=Script(*FIGURES), every=every, patience=9)
    interrupted(tmp_path, call, kind, every=every)
    done = call * every - 1 if call * every <= 8 else 7  # the epoch of the interrupted validation is lost
    assert len(lines(tmp_path)) == done
    model = build(kind, seed=9)  # whatever it starts from is replaced
    rest = Script(*FIGURES[call - 1 :])
    training = fit(model, LOG, validate=rest, every=every, patience=9, folder=tmp_path)
    assert course(training) == course(expected)
    assert training.best == expected.best
    assert_equal(weights(model), weights(whole))
    assert len(lines(tmp_path)) == 8
    assert sorted(path.name for path in tmp_path.iterdir()) == ["training.jsonl"]


@pytest.mark.usefixtures("always_saving")
def test_interrupted_again_and_again(tmp_path: Path) -> None:
    whole = build()
    fit(whole, LOG, validate=Script(*FIGURES), patience=9)
    calls = iter(FIGURES)
    for _ in range(20):
        model = build()
        try:
            fit(model, LOG, validate=Script(next(calls), interrupt=2), patience=9, folder=tmp_path)
            break
        except KeyboardInterrupt:
            continue
    assert_equal(weights(model), weights(whole))
    assert [line["metric"] for line in lines(tmp_path)] == list(FIGURES)


@pytest.mark.parametrize("stop", [1, 3, 8])
def test_enough_stops_and_the_same_call_goes_on(tmp_path: Path, stop: int) -> None:
    whole = build()
    expected = fit(whole, LOG, validate=Script(*FIGURES), patience=9)
    figures = iter(FIGURES[:stop])

    def validate(model: Model) -> float:
        figure = next(figures)
        if figures.__length_hint__() == 0:
            raise StopTraining(figure)
        return figure

    part = build()
    training = fit(part, LOG, validate=validate, patience=9, folder=tmp_path, keep=True)
    assert course(training) == course(expected)[:stop]
    assert training.metric == max(FIGURES[:stop])
    model = build(seed=9)
    training = fit(model, LOG, validate=Script(*FIGURES[stop:]), patience=9, folder=tmp_path)
    assert course(training) == course(expected)
    assert_equal(weights(model), weights(whole))


def test_a_log_that_ran_ahead_of_the_state_is_cut(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The state was saved after the first epoch only: the lines of later epochs are written anew."""
    slow = iter([0.0, 0.0, 1000.0, *([1001.0] * 50)])  # the first saving took 1,000 seconds
    clock = SimpleNamespace(
        monotonic=lambda: next(slow), perf_counter=time.perf_counter, process_time=time.process_time
    )
    monkeypatch.setattr(train, "time", clock)
    interrupted(tmp_path, 5)
    assert len(lines(tmp_path)) == 4
    monkeypatch.undo()
    script = Script(*FIGURES[1:])
    model, whole = build(), build()
    fit(model, LOG, validate=script, patience=9, folder=tmp_path)
    fit(whole, LOG, validate=Script(*FIGURES), patience=9)
    assert len(script.seen) == 7
    assert_equal(weights(model), weights(whole))
    assert [line["epoch"] for line in lines(tmp_path)] == list(range(1, 9))


@pytest.mark.usefixtures("always_saving")
@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"lr": 0.02}, "config"),
        ({"seed": 1}, "seed"),
        ({"every": 2}, "every"),
        ({"patience": 3}, "patience"),
        ({"log": leave_last_out(LOG).train}, "log"),
        ({"kind": HGN}, "model and config"),
    ],
)
def test_the_state_of_another_run_is_refused(tmp_path: Path, change: dict[str, Any], named: str) -> None:
    interrupted(tmp_path, 3)
    before = (tmp_path / "state.safetensors").read_bytes()
    settings = {key: change[key] for key in ("kind", "lr") if key in change}
    options = {key: change[key] for key in ("seed", "every", "patience") if key in change}
    model = build(**settings)
    with pytest.raises(TrainingError, match=rf"state\.safetensors: belongs to .* another {named}; delete it"):
        fit(model, change.get("log", LOG), validate=Script(*FIGURES), folder=tmp_path, **{"patience": 9, **options})
    assert (tmp_path / "state.safetensors").read_bytes() == before
    assert_equal(weights(model), weights(build(**settings)))


@pytest.mark.usefixtures("always_saving")
def test_a_damaged_state_is_refused(tmp_path: Path) -> None:
    interrupted(tmp_path, 4)
    path = tmp_path / "state.safetensors"
    content = path.read_bytes()
    rng = np.random.default_rng(0)
    header = int.from_bytes(content[:8], "little")
    places = [*range(8), *rng.integers(8, 8 + header, 60), *rng.integers(8 + header, len(content), 20)]
    for damaged in (content[:-1], content[: len(content) // 2], b"", b"{}", *(flip(content, at) for at in places)):
        path.write_bytes(damaged)
        with pytest.raises(TrainingError, match=r"state\.safetensors: (cannot be read|belongs to)"):
            fit(build(), LOG, validate=Script(*FIGURES), folder=tmp_path, patience=9)
    path.write_bytes(content)
    fit(build(), LOG, validate=Script(*FIGURES[3:]), folder=tmp_path, patience=9)


def flip(content: bytes, at: int) -> bytes:
    return content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :]


@pytest.mark.usefixtures("always_saving")
def test_a_state_is_replaced_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that dies while it writes leaves the state before."""
    saves = 0
    save_file: Callable[..., None] = train.save_file

    def dies(tensors: Weights, path: Path, **rest: Any) -> None:
        nonlocal saves
        saves += 1
        if saves == 3:
            path.write_bytes(b"half a file")
            raise KeyboardInterrupt
        save_file(tensors, path, **rest)

    monkeypatch.setattr(train, "save_file", dies)
    with pytest.raises(KeyboardInterrupt):
        fit(build(), LOG, validate=Script(*FIGURES), folder=tmp_path, patience=9)
    model, whole = build(), build()
    fit(model, LOG, validate=Script(*FIGURES[2:]), folder=tmp_path, patience=9)
    fit(whole, LOG, validate=Script(*FIGURES), patience=9)
    assert_equal(weights(model), weights(whole))


# ---------------------------------------------------------------------------------------- how the loss falls

CURVES: dict[str, tuple[str, dict[str, Any], list[float]]] = {
    "bprmf": ("bprmf", {"l2": 0.01}, [0.6924726, 0.6772917, 0.6424708, 0.5937182]),
    "hgn": ("hgn", {}, [0.7081046, 0.6306557, 0.5997116, 0.5425258]),
    "hgn-chunks": ("hgn", {"per_row": 3}, [0.6815113, 0.6600345, 0.6032892, 0.5657257]),
    "hgn-author": ("hgn", {"pooling": "gate_avg", "item_bias": True}, [0.7518231, 0.6771019, 0.6606238, 0.5779433]),
    "hgn-ce": (
        "hgn",
        {"loss": "ce", "asked": "every", "targets": 1, "reduction": "mean"},
        [2.7833, 2.620146, 2.504408, 2.382788],
    ),
    "gru4rec": ("gru4rec", {"batch_size": 8, "lr": 0.1}, [0.92967, 0.8590496, 0.8463155, 0.8398947]),
    "gru4rec-full": (
        "gru4rec",
        {"bptt": "full", "window": 8, "batch_size": 8, "negatives": 5, "reads": "own", "optimizer": "adam"},
        [0.9981529, 0.984129, 0.9657928, 0.9453077],
    ),
    "gru4rec+": (
        "gru4rec+",
        {"batch_size": 8, "negatives": 20, "lr": 0.1},
        [0.6615398, 0.5674323, 0.5514911, 0.5347408],
    ),
    "sasrec": (
        "sasrec",
        {"window": 8, "batch_size": 16, "dropout": 0.2},
        [2.813861, 2.688988, 2.570301, 2.491235],
    ),
    "sasrec-bce": (
        "sasrec",
        {"window": 8, "batch_size": 16, "dropout": 0.5, "loss": "bce", "cover": "last"},
        [1.381344, 1.352125, 1.290102, 1.249731],
    ),
    "nextitnet": (
        "nextitnet",
        {"window": 8, "batch_size": 16, "dropout": 0.0, "tied": False},
        [2.829152, 2.703198, 2.534361, 2.391926],
    ),
    "hgn-gru": ("hgn", {"group": "gru", "item_item": False}, [0.6800801, 0.6543629, 0.6619018, 0.6307357]),
    "hgn-cnn": ("hgn", {"group": "cnn", "item_item": False}, [0.6812888, 0.6695493, 0.6613248, 0.6476128]),
    "caser": ("caser", {}, [1.377221, 1.349333, 1.332852, 1.323601]),
}


@pytest.mark.parametrize("name", CURVES)
def test_the_loss_falls_as_it_did(name: str) -> None:
    """Guards rewriting: a change of these figures is a change of what is computed, or drawn."""
    kind, settings, expected = CURVES[name]
    model: GradientModel = build(MODELS[kind], **settings)
    losses = [epoch.loss for epoch in fit(model, LOG, seed=3).epochs]
    assert losses[-1] < losses[0]
    assert losses[::2] == pytest.approx(expected, rel=1e-4)


def test_lengths_are_those_of_the_whole_batch() -> None:
    """The pair of `reg_weight` weighs lengths, which do not add up over slices: such a batch is worked off whole."""
    assert build(HGN, reg_weight=(0.1, 0.1), batch_size=6000).rows_at_once == 6000
