"""The time of a search: whatever the trials take, the best one can be trained again within the limit."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from segue.tuning.time_plan import EXPLORATION_SHARE, TimePlan
from segue.tuning.trial import Trial, best_trial


def trial(number: int, seconds: float, metric: float | None = 0.1, state: Any = "complete") -> Trial:
    return Trial(number, {}, state, metric, seconds=seconds)


seconds = st.floats(0.01, 40)
steps = st.lists(st.tuples(seconds, st.floats(0, 1), st.booleans(), st.booleans()), min_size=1, max_size=12)


@given(steps, st.floats(1, 100), st.sampled_from([1.0, 1.1, 2.3]))
def test_the_best_trial_can_always_be_trained_again_within_the_limit(
    steps: list[tuple[float, float, bool, bool]], limit: float, retrainings: float
) -> None:
    """Each step runs a new trial, or continues one, for as long as it wants and may."""
    plan = TimePlan(limit, 30, retrainings)
    trials: list[Trial] = []
    for wanted, metric, is_new, ends in steps:
        timed_out = [one for one in trials if one.state == "timed_out" and one.seconds < plan.longest(trials)]
        if plan.left_for_trials(trials) <= 0 or not (is_new or timed_out):
            break
        active = trial(len(trials), 0.0, None, "running") if is_new else timed_out[0]
        allowed = plan.until_stopped(active, trials)
        assert allowed > -1e-9 * limit, "but for rounding"
        taken = min(wanted, max(allowed, 0.0))
        state = "complete" if ends and wanted < allowed else "timed_out"
        trials[active.number :] = [
            replace(active, state=state, metric=max(active.metric or 0.0, metric), seconds=active.seconds + taken),
            *trials[active.number + 1 :],
        ]
        best = best_trial(trials)
        assert best is not None
        spent = sum(one.seconds for one in trials)
        assert spent + retrainings * best.seconds <= limit * (1 + 1e-9)
        budget = plan.last_training(trials, following=0.0)
        assert budget is not None
        assert budget.seconds == pytest.approx(limit - spent)


@given(st.integers(1, 9), st.floats(1, 100))
def test_trials_that_take_all_their_time_share_the_exploration_equally(number: int, limit: float) -> None:
    """A trial that is continued may take as long again."""
    plan, trials = TimePlan(limit, number), list[Trial]()
    for index in range(number):
        assert not plan.is_explored(trials)
        share = plan.until_epoch_end(trial(index, 0.0, None, "running"), [*trials, trial(index, 0.0, None, "running")])
        assert share == pytest.approx(EXPLORATION_SHARE * limit / number)
        trials.append(trial(index, share))
    assert plan.left(trials) == pytest.approx((1 - EXPLORATION_SHARE) * limit)
    assert plan.is_explored([*trials, trial(number, 1e-6 * limit)])
    late = trial(number, 0.5 * share, state="timed_out")
    assert plan.until_epoch_end(late, [*trials, late]) == late.seconds
    assert plan.until_epoch_end(trial(0, 0.0, None, "running"), [trial(1, limit)]) == 0.0


def test_without_a_limit_nothing_is_stopped() -> None:
    plan, trials = TimePlan(float("inf"), 3), [trial(0, 5.0)]
    assert plan.until_stopped(trials[0], trials) == plan.until_epoch_end(trials[0], trials) == float("inf")
    assert plan.last_training(trials, following=1.0) is None


def test_the_last_training_has_at_least_the_time_of_its_trial() -> None:
    """Two processes may have used more than the limit together."""
    budget = TimePlan(10.0, 3, 2.0).last_training([trial(0, 6.0), trial(1, 6.0, 0.0)], following=1.0)
    assert budget is not None
    assert (budget.seconds, budget.user_limit, budget.retrainings) == (12.0, 10.0, 1.0)
