"""`TimeBudget`: how long a training may take; it stops at the end of an epoch, so that the limit is kept."""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace

from segue.errors import ConfigError


def _now() -> float:
    return time.monotonic()


@dataclass
class TimeBudget:
    """A limit on the time of a training with its validations, and of what has to follow it.

    An epoch is begun only if it is expected to end within the limit. It is expected to take as long as the longest one
    so far, and the trainings that follow as long as the mean. The first epoch is always trained.

    Attributes:
        seconds: the limit.
        user_limit: the limit that the user gave, of which `seconds` may be a share.
        retrainings: trainings of as many epochs that follow, such as a refit; 1.2 for one on 1.2 times as many rows.
        started: when the training began, on the clock of `time.monotonic`.
    """

    seconds: float
    user_limit: float = 0.0
    retrainings: float = 0.0
    started: float = field(default_factory=_now)
    _training: float = 0.0  # of the longest epoch
    _validation: float = 0.0  # the longest
    _total: float = 0.0  # of all epochs
    _epochs: int = 0

    def __post_init__(self) -> None:
        if not 0 < self.seconds < float("inf"):
            raise ConfigError(f"seconds={self.seconds:g}: the time of a training must be above 0")
        self.user_limit = self.user_limit or self.seconds

    @property
    def left(self) -> float:
        """Seconds that are left; negative if the limit is exceeded."""
        return self.started + self.seconds - time.monotonic()

    def share(self, parts: int) -> TimeBudget:
        """A budget of an equal part of what is left, which begins now."""
        seconds = max(self.left / parts, 1e-3)
        return TimeBudget(seconds, user_limit=self.user_limit, retrainings=self.retrainings)

    def before(self, retrainings: float) -> TimeBudget:
        """The same budget, for a training that is followed by others of as many epochs."""
        return replace(self, retrainings=retrainings)

    def add_epoch(self, seconds: float) -> None:
        """Take note of the seconds of an epoch."""
        self._training = max(self._training, seconds)
        self._total += seconds
        self._epochs += 1

    def add_validation(self, seconds: float) -> None:
        """Take note of the seconds of a validation."""
        self._validation = max(self._validation, seconds)

    def allows(self, epoch: int, *, validations: int = 1) -> bool:
        """Whether epoch number `epoch`, with so many validations, would end in time, with the trainings that follow."""
        later = self.retrainings * epoch * self._total / max(self._epochs, 1)
        return self._training + self._validation * validations + later <= self.left
