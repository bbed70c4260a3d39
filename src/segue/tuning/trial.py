"""`Trial`: one choice of settings and the result it reached on validation."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields
from typing import Annotated, Any, Literal

from pydantic import Field

from segue.json_files import Whole, read_strictly
from segue.reporting.numbers import validation_figure

State = Literal["running", "complete", "timed_out", "pruned", "failed"]


@read_strictly
@dataclass(frozen=True)
class Trial:
    """One choice of settings and the result it reached on validation.

    Attributes:
        number: trials are numbered from 0.
        settings: one value for each setting of the search space.
        state: "complete" if training ended by itself, "timed_out" if its time was up, "pruned" if it was behind the
            better half of the trials, "failed", or "running".
        metric: the best value on validation as it is maximised, an error with a minus sign; None before the first
            validation.
        best_epoch: the epoch that reached `metric`; 0 for a model without epochs.
        epochs: number of trained epochs.
        seconds: wall time, including validation.
        cpu_seconds: processor time of all threads, likewise; None in trials of earlier versions.
        error: the reason of a failure.
    """

    number: int
    settings: dict[str, Any]
    state: State
    metric: Annotated[float, Field(allow_inf_nan=True)] | None = None
    best_epoch: Whole = 0
    epochs: Whole = 0
    seconds: float = 0.0
    cpu_seconds: float | None = None
    error: str = ""

    @property
    def figure(self) -> float | None:
        """The best figure on validation, an error without the minus sign; None before the first validation."""
        return validation_figure(self.metric)

    @property
    def rank(self) -> float:
        """What trials are ordered by: the metric; a trial without one is behind all others."""
        return float("-inf") if self.metric is None else self.metric

    def as_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON; `metric` is the figure."""
        return {**asdict(self), "metric": self.figure}

    @property
    def eligible(self) -> bool:
        """Whether the trial may be chosen. A pruned trial may not: others were better at the same epoch."""
        return self.metric is not None and self.state in ("complete", "timed_out")


RESULT = {one.name for one in fields(Trial)} - {"number", "settings"}  # what the journal has of a trial that ended
LATER = {"cpu_seconds"}  # those of them that journals of earlier versions lack


def best_trial(trials: Iterable[Trial]) -> Trial | None:
    """The eligible trial with the best validation metric; the first one if several are equal; None if there is none."""
    return max((trial for trial in trials if trial.eligible), key=lambda trial: trial.rank, default=None)
