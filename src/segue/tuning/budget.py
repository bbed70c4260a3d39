"""`Budget`: the time of a comparison, and what each model may have of it.

Three things limit time, each inside the one before it:

* `Budget` divides the time of a comparison among its models; a worker that exceeds its part is ended from outside;
* `Search.seconds` divides the part of one model among its trials, each of which runs in a `time_limit`, which stops it
  in the middle of an epoch;
* `segue.training.budget.TimeBudget` lets one training begin only the epochs that will end in time, so that its last
  one is validated and counts: the trainings of `segue run`, and the last training of a search.
"""

from __future__ import annotations

import time
from collections.abc import Iterable

SMALLEST_SHARE = 20.0  # seconds; rather than giving all models too little, a short budget leaves out the last ones


class Budget:
    """A time limit that several processes share.

    Args:
        seconds: wall time of the whole comparison.
        jobs: number of processes at a time.
        started: when this call began, as `time.monotonic` tells it.
        spent: process seconds that earlier calls have used.

    Attributes:
        minutes: the limit as the user gave it, for messages.
        jobs: as given.
        deadline: when everything must have ended, as `time.monotonic` tells it.
    """

    def __init__(self, seconds: float, jobs: int, *, started: float, spent: float) -> None:
        self.minutes, self.jobs = seconds / 60, jobs
        self.deadline = started + max(0.0, seconds - spent / jobs)

    @property
    def remaining(self) -> float:
        """Seconds until the deadline; 0 after it."""
        return max(0.0, self.deadline - time.monotonic())

    def share(self, waiting: int, ends: Iterable[float]) -> float:
        """Seconds for one of `waiting` models: an equal part of what the running workers leave, but not too little.

        Args:
            waiting: number of models that are not tuned yet.
            ends: when each running worker ends at the latest.
        """
        now = time.monotonic()
        taken = sum(max(0.0, min(end, self.deadline) - now) for end in ends)
        equal = (self.jobs * self.remaining - taken) / waiting
        return min(self.remaining, max(equal, SMALLEST_SHARE))
