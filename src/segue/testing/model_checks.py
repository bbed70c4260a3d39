"""The laws that every model obeys, for models of your own too:

    from segue.testing.model_checks import check
    check(MyModel, dim=8)          # raises AssertionError with the law's name and what was found

Each law is a function of a `Subject`: a model class with small settings. They train tiny models for seconds. Their logs
have ratings and features of items, for those who read them: users and items with an odd number like each other, and so
do the even ones.
"""

from __future__ import annotations

import itertools
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from segue.batches.batch import Batch
from segue.batches.rated_events import RatedEvents
from segue.data import synthetic
from segue.data.log import Log
from segue.data.splits import leave_last_out
from segue.evaluation.metrics import hit
from segue.evaluation.ranking import rank
from segue.models.base.model import GradientModel, Model, Sizes
from segue.models.base.rating import PairScorer
from segue.models.registry import MODELS
from segue.serving.saved_model import load, save
from segue.training.loop import fit

SMALL = {
    "dim": 8,
    "hidden": 8,
    "context": 8,
    "contexts": 4,
    "longest": 8,
    "batch_size": 64,
    "epochs": 3,
    "lr": 0.01,
}


@dataclass(frozen=True)
class Subject:
    """A model class and the settings under which the laws try it."""

    kind: type[Model]
    settings: dict[str, Any]

    def build(self, log: Log, *, seed: int = 0, **settings: Any) -> Model:
        """A new model for the users and items of `log`."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            config = self.kind.configure({**self.settings, **settings})
            return self.kind(config, Sizes(log.num_users, log.num_items))

    def trained(self, log: Log, *, seed: int = 0, **settings: Any) -> Model:
        """A model that has learnt from `log`."""
        model = self.build(log, seed=seed, **settings)
        fit(model, log, seed=seed)
        return model.eval()


def subject(kind: type[Model], **settings: Any) -> Subject:
    """`kind` with small settings for whatever of them it has, and `settings` on top."""
    fields = kind.Config.model_fields
    return Subject(kind, {**{key: value for key, value in SMALL.items() if key in fields}, **settings})


def _log() -> Log:
    return _told(synthetic.markov(40, 17, 12, seed=1, shortest=3))


def _told(log: Log) -> Log:
    """The log with all that a model may read of it."""
    return synthetic.featured(synthetic.rated(log))


def _batch(log: Log, model: Model) -> Batch:
    cases = leave_last_out(log).cases("test")
    return Batch(torch.from_numpy(cases.user), torch.from_numpy(cases.histories(model.window)))


def _examples(model: GradientModel, log: Log) -> Batch:
    return next(iter(model.batches(log, np.random.default_rng(0))))


def _equal(one: Tensor, two: Tensor, law: str, atol: float = 1e-5) -> None:
    finite = one.isfinite() & two.isfinite()
    assert torch.equal(one.isfinite(), two.isfinite()), f"{law}: different scores are infinite"
    assert finite.any(), f"{law}: no score is finite"
    apart = float((one[finite] - two[finite]).abs().max())
    assert apart <= atol, f"{law}: scores differ by {apart:.3g}"


def learns_a_cycle(case: Subject) -> None:
    """Law 1: a walk round a cycle, unknown to popularity, is learnt; by a model of ratings, who likes what."""
    if issubclass(case.kind, PairScorer):
        _learns_tastes(case)
        return
    log = _told(synthetic.cycle(200, 20, 8, seed=2))
    cases = leave_last_out(log).cases("test")
    epochs = {"epochs": 40} if issubclass(case.kind, GradientModel) else {}
    model = case.trained(leave_last_out(log).train_valid, **epochs)
    share = float(hit(rank(model, cases, exclude_seen=True, depth=5), 5).mean())
    assert share >= 0.6, f"law 1: the next item of a cycle is among the first 5 for {share:.0%} of users only"


def _learns_tastes(case: Subject) -> None:
    """Odd users like odd items and meet more of them, and so with even ones: no mean tells which they will like."""
    log = synthetic.random(100, 10, 40, seed=2)
    user, item = log.events()
    own = np.random.default_rng(2).random(len(log)) < 0.8
    alike = item + np.where((user + item) % 2 == 0, 0, np.where(item % 2, 1, -1))  # the neighbour of the same parity
    log = _told(replace(log, item=np.where(own, alike, item).astype(np.int32)))
    split = leave_last_out(log)
    cases = split.cases("test")
    model: Any = case.trained(split.train_valid, **({"epochs": 20} if issubclass(case.kind, GradientModel) else {}))
    batch = RatedEvents.at(log, cases.user, cases.row).batch(
        np.arange(len(cases)), history=model.window, audience=model.audience
    )
    assert batch.rating is not None
    with torch.inference_mode():
        error = float((model.predict(batch) - batch.rating).square().mean().sqrt())
    assert error <= 0.75, f"law 1: likes and dislikes, 3 apart, are told with an error of {error:.2f}"


def some_as_all(case: Subject) -> None:
    """Law 2: scoring some items is scoring all, then picking."""
    log = _log()
    model = case.trained(log)
    batch, items = _batch(log, model), torch.tensor([3, 0, 11, 3])
    with torch.inference_mode():
        _equal(model.score(batch, items), model.score(batch)[:, items], "law 2")


def padding_is_nothing(case: Subject) -> None:
    """Law 3: more padding on the left changes nothing."""
    log = _log()
    model = case.trained(log)
    batch = _batch(log, model)
    padded = Batch(batch.user, torch.nn.functional.pad(batch.history, (3, 0)))
    with torch.inference_mode():
        _equal(model.score(padded), model.score(batch), "law 3")


def neighbours_are_strangers(case: Subject) -> None:
    """Law 4: who else is in the batch changes nothing."""
    log = _log()
    model = case.trained(log)
    batch = _batch(log, model)
    with torch.inference_mode():
        alone = torch.cat([model.score(Batch(batch.user[[i]], batch.history[[i]])) for i in range(len(batch))])
        _equal(alone, model.score(batch), "law 4")


def future_is_unknown(case: Subject) -> None:
    """Law 5: later events never change an earlier answer, neither asked for nor trained on."""
    log = _log()
    split = leave_last_out(log)
    cases = split.cases("valid")
    other = log.item.copy()
    held = np.concatenate([np.arange(a, b) for a, b in zip(cases.row, log.stop[cases.user], strict=True)])
    other[held] = log.num_items + 1 - other[held]
    changed = replace(log, item=other)
    models = [case.trained(leave_last_out(view).train) for view in (log, changed)]
    asked = [replace(cases, log=view).histories(models[0].window) for view in (log, changed)]
    with torch.inference_mode():
        pair = zip(models, asked, strict=True)
        one, two = (m.score(Batch(torch.from_numpy(cases.user), torch.from_numpy(h))) for m, h in pair)
    assert torch.equal(one, two), "law 5: changing held-out events changed an answer that came before them"


def seeds_decide(case: Subject) -> None:
    """Law 6: the same seed gives the same weights."""
    log = _log()
    one, two = case.trained(log, seed=3).state_dict(), case.trained(log, seed=3).state_dict()
    for key, value in one.items():
        assert torch.equal(value, two[key]), f"law 6: {key} differs between two runs of one seed"


def zero_stays_nothing(case: Subject) -> None:
    """Law 7: row 0 of every table stays zero, item 0 is never a candidate and never a negative."""
    log = _log()
    model = case.trained(log)
    tables = {log.num_users + 1, log.num_items + 1}
    for key, value in model.state_dict().items():
        if value.ndim == 2 and value.shape[0] in tables:
            assert not value[0].any(), f"law 7: row 0 of {key} is not zero after training"
    with torch.inference_mode():
        scores = model.score(_batch(log, model))
    assert scores[:, 0].eq(-torch.inf).all(), "law 7: item 0 has a score"
    if isinstance(model, GradientModel):
        for batch in model.batches(log, np.random.default_rng(0)):
            if batch.negative is not None and batch.target is not None:
                bad = (batch.negative == 0) & (batch.targets > 0).unsqueeze(3)
                assert not bad.any(), "law 7: item 0 was drawn as a negative"


def weights_learn(case: Subject) -> None:
    """Law 8: every weight is a Parameter and gets a gradient."""
    log = _log()
    model = case.build(log)
    for module in model.modules():
        own = {name: value for name, value in vars(module).items() if name not in vars(nn.Module())}
        loose = [name for name, value in own.items() if _holds_a_tensor(value)]
        assert not loose, f"law 8: {loose} are plain tensors; make them Parameters, or buffers"
    if isinstance(model, GradientModel):
        for batch in model.batches(log, np.random.default_rng(0)):  # at the first, nothing may be remembered yet
            model(batch).backward()
        for key, weight in model.named_parameters():
            assert weight.grad is not None, f"law 8: {key} gets no gradient"
            assert weight.grad.any(), f"law 8: the gradient of {key} is zero"


def _holds_a_tensor(value: Any) -> bool:
    if isinstance(value, (list, tuple, dict)):
        return any(map(_holds_a_tensor, value.values() if isinstance(value, dict) else value))
    return isinstance(value, Tensor)


def saved_is_loaded(case: Subject) -> None:
    """Law 9: a saved model answers as the trained one, to the bit."""
    if case.kind.name not in MODELS:
        return
    log = _log()
    model = case.trained(log)
    with tempfile.TemporaryDirectory() as folder, torch.inference_mode():
        again = load(save(model, log, Path(folder) / "model")).model
        assert torch.equal(again.score(_batch(log, model)), model.score(_batch(log, model))), "law 9: answers differ"


def short_is_legal(case: Subject) -> None:
    """Law 10: the shortest legal history gives a finite loss and finite scores; so does somebody never seen."""
    log = _told(synthetic.from_sequences([[1, 2], [2, 3], [3, 1]], num_items=5, times=[[1, 4], [2, 5], [3, 6]]))
    model = case.build(log)
    if isinstance(model, GradientModel):
        assert model(_examples(model, log)).isfinite(), "law 10: the loss of users with two events is not finite"
    fit(model, log)
    with torch.inference_mode():
        scores = model.eval().score(Batch(torch.tensor([0, 1]), torch.tensor([[1], [1]])))
    assert scores[:, 1:].isfinite().all(), "law 10: scores after one event are not finite"


def shares_add_up(case: Subject) -> None:
    """Law 11: the gradients of two processes' shares of a batch add up to the gradient of the batch."""
    log = _log()
    # what dropout leaves out, and what noise adds, is drawn by the process that works on a row
    drawn = [key for key in case.kind.Config.model_fields if "dropout" in key or "noise" in key]
    still: dict[str, Any] = dict.fromkeys(drawn, 0.0)
    model = case.build(log, **still)
    if not isinstance(model, GradientModel):
        return
    model.double()
    batch = _examples(model, log)

    def gradients(parts: list[Batch]) -> list[Tensor]:
        model.zero_grad()
        for part in parts:
            with torch.random.fork_rng(devices=[]):
                model(part).backward()
        return [weight.grad.clone() for weight in model.parameters() if weight.grad is not None]

    pairs = zip(gradients([batch]), gradients([batch.share(0, 2), batch.share(1, 2)]), strict=True)
    apart = max(float((one - two).abs().max()) for one, two in pairs)
    assert apart < 1e-9, f"law 11: gradients differ by {apart:.3g}"


def resumed_is_whole(case: Subject) -> None:
    """Law 12: an interrupted and resumed run ends where the uninterrupted one ends, to the bit."""
    if not issubclass(case.kind, GradientModel):
        return
    log = _log()
    whole, halted, resumed = (case.build(log, epochs=6, seed=seed) for seed in (0, 0, 9))
    record = fit(whole, log, seed=4, validate=_rising(1))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        try:
            fit(halted, log, seed=4, validate=_rising(1, stop=4), folder=folder)
        except KeyboardInterrupt:
            pass
        else:
            raise AssertionError("law 12: the run was not interrupted")
        again = fit(resumed, log, seed=4, validate=_rising(4), folder=folder)
    assert (again.best, len(again.epochs)) == (record.best, len(record.epochs)), "law 12: another course"
    for key, value in whole.state_dict().items():
        assert torch.equal(value, resumed.state_dict()[key]), f"law 12: {key} ends elsewhere"


def _rising(first: int, *, stop: int | None = None) -> Callable[[Model], float]:
    """A validation that is always better than before, so that the last epoch counts; it may interrupt the run."""
    calls = itertools.count(first)

    def validate(model: Model) -> float:
        call = next(calls)
        if call == stop:
            raise KeyboardInterrupt
        return float(call)

    return validate


def stepping_is_reading(case: Subject) -> None:
    """Law 13: where there is `step`, stepping through events gives what re-reading the history gives."""
    log = _log()
    model: Any = case.trained(log)
    if not hasattr(model, "step"):
        return
    cases = leave_last_out(log).cases("test")
    # a model that reads no history is stepped through all of it
    batch = Batch(torch.from_numpy(cases.user), torch.from_numpy(cases.histories(model.window or None)))
    state = None
    with torch.inference_mode():
        for position in range(batch.history.shape[1]):
            state, scores = model.step(state, batch.history[:, position])
        _equal(scores, model.score(batch), "law 13")


LAWS: dict[str, Callable[[Subject], None]] = {
    law.__name__: law
    for law in (
        learns_a_cycle,
        some_as_all,
        padding_is_nothing,
        neighbours_are_strangers,
        future_is_unknown,
        seeds_decide,
        zero_stays_nothing,
        weights_learn,
        saved_is_loaded,
        short_is_legal,
        shares_add_up,
        resumed_is_whole,
        stepping_is_reading,
    )
}


def check(kind: type[Model], **settings: Any) -> None:
    """Try every law on `kind`; an `AssertionError` names the law that it breaks."""
    for law in LAWS.values():
        if law is learns_a_cycle and getattr(kind, "window", None) == 0:  # it reads no history
            continue
        law(subject(kind, **settings))
