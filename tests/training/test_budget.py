"""`TimeBudget`: training stops at the end of an epoch within the limit, validated, and keeps the best epoch."""

from __future__ import annotations

from pathlib import Path

import pytest
from training_runs import LOG, ScriptedValidation, assert_same_weights, build, copy_weights

from segue.errors import ConfigError
from segue.training import budget as budgets
from segue.training.budget import TimeBudget
from segue.training.loop import fit


class Clock:
    """A clock that moves when it is told to."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The clock of budgets. An epoch takes 10 seconds and a validation 2, as `slow_training` makes them."""
    clock = Clock()
    monkeypatch.setattr(budgets.time, "monotonic", clock)
    return clock


class SlowBudget(TimeBudget):
    """Epochs take 10 seconds of the clock and validations 2, whatever they really take."""

    def add_epoch(self, seconds: float) -> None:
        budgets.time.monotonic.now += 10
        super().add_epoch(10)

    def add_validation(self, seconds: float) -> None:
        budgets.time.monotonic.now += 2
        super().add_validation(2)


@pytest.mark.parametrize(("seconds", "epochs"), [(1, 1), (12, 1), (24, 2), (35.9, 2), (36, 3), (1000, 8)])
def test_an_epoch_is_begun_only_if_it_ends_in_time(clock: Clock, seconds: float, epochs: int) -> None:
    script = ScriptedValidation(*[0.1 * n for n in range(1, 9)])
    training = fit(build(epochs=8), LOG, validate=script, budget=SlowBudget(seconds, started=clock.now))
    assert len(training.epochs) == epochs
    assert training.epochs[-1].metric is not None
    assert training.time_limit == (None if epochs == 8 else seconds)
    assert epochs == 1 or clock.now - 100 <= seconds


def test_the_last_epoch_is_validated_and_the_best_one_kept(clock: Clock) -> None:
    """With a validation every third epoch, the last one comes earlier; and trainings that follow need their time."""
    model, script = build(epochs=50), ScriptedValidation(0.3, 0.2)
    training = fit(model, LOG, validate=script, eval_every=3, budget=SlowBudget(48, started=clock.now))
    assert [epoch.metric for epoch in training.epochs] == [None, None, 0.3, 0.2]
    assert training.best == 3
    assert_same_weights(copy_weights(model), script.weights[0])
    budget = SlowBudget(100, retrainings=1.0, started=clock.now)
    training = fit(build(epochs=50), LOG, validate=ScriptedValidation(*[0.1] * 9), budget=budget)
    assert len(training.epochs) == 4, "4 x 12 s, and 4 x 10 s for the training that follows"


def test_without_validation_the_last_epoch_counts(clock: Clock) -> None:
    training = fit(build(epochs=50), LOG, budget=SlowBudget(30, started=clock.now))
    assert (len(training.epochs), training.best) == (3, 3)


def test_the_same_call_keeps_what_the_limit_ended_and_a_longer_one_goes_on(clock: Clock, tmp_path: Path) -> None:
    def call(seconds: float) -> int:
        script = ScriptedValidation(*[0.1 * n for n in range(1, 9)])
        budget = SlowBudget(seconds, started=clock.now)
        return len(fit(build(epochs=8), LOG, validate=script, folder=tmp_path, keep_state=True, budget=budget).epochs)

    assert call(24) == 2
    assert call(24) == 2
    assert call(48) == 6


def test_shares_and_errors(clock: Clock) -> None:
    budget = TimeBudget(60)
    clock.now += 20
    assert budget.share(2).seconds == 20
    assert budget.share(2).user_limit == 60
    with pytest.raises(ConfigError, match="seconds=0: the time of a training must be above 0"):
        TimeBudget(0)
