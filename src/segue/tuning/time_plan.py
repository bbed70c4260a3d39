"""`TimePlan`: how the time of a search is divided among its trials and the last training."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from segue.training.budget import TimeBudget
from segue.tuning.trial import Trial, best_trial

EXPLORATION_SHARE = 0.5  # of the time is for running all trials; the rest is for continuing the best ones
SHORTEST = 1e-3  # seconds of the last training, whose first epoch is always trained


@dataclass(frozen=True)
class TimePlan:
    """How the time of a search is divided.

    Attributes:
        seconds: the limit, as in `Search`; infinity for none.
        trials: number of trials of the whole search.
        retrainings: the trainings that follow the trials, as a multiple of one on the training part; rows count. Such
            a multiple of the time of the best trial is kept for them.
    """

    seconds: float
    trials: int
    retrainings: float = 1.0

    def left(self, trials: Sequence[Trial]) -> float:
        """Seconds that no trial has used."""
        return self.seconds - sum(trial.seconds for trial in trials)

    def left_for_trials(self, trials: Sequence[Trial]) -> float:
        """Seconds that are left, without those that are kept for the last training."""
        best = best_trial(trials)
        return self.left(trials) - (self.retrainings * best.seconds if best else 0.0)

    def is_explored(self, trials: Sequence[Trial]) -> bool:
        """Whether the time for running all trials is up, so that the best ones are continued."""
        return self.left(trials) <= (1 - EXPLORATION_SHARE) * self.seconds

    def longest(self, trials: Sequence[Trial]) -> float:
        """The seconds of the longest trial that could still be trained again."""
        return self.left(trials) / self.retrainings

    def until_epoch_end(self, trial: Trial, trials: Sequence[Trial]) -> float:
        """Seconds after which a trial stops at the end of its epoch."""
        if math.isinf(self.seconds):
            return self.seconds
        if trial.state == "timed_out":
            return trial.seconds
        exploration = self.left(trials) - (1 - EXPLORATION_SHARE) * self.seconds
        return max(0.0, exploration) / max(1, self.trials - len(trials) + 1)

    def until_stopped(self, trial: Trial, trials: Sequence[Trial]) -> float:
        """Seconds after which a trial is stopped in the middle of an epoch: the best one can then be trained again."""
        own = (self.left(trials) - self.retrainings * trial.seconds) / (1 + self.retrainings)
        return min(self.left_for_trials(trials), own)

    def last_training(self, trials: Sequence[Trial], *, following: float) -> TimeBudget | None:
        """The limit on the last training, which is at least what was kept for it; None without one.

        Args:
            trials: one of which is eligible.
            following: the trainings that follow it, as a multiple of its rows.
        """
        best = best_trial(trials)
        if math.isinf(self.seconds) or best is None:
            return None
        seconds = max(self.left(trials), self.retrainings * best.seconds, SHORTEST)
        return TimeBudget(seconds, user_limit=self.seconds, retrainings=following)
