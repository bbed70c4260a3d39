"""`Trial`: what one choice of settings has come to."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

State = Literal["running", "complete", "cut", "pruned", "failed"]


@dataclass(frozen=True)
class Trial:
    """What one choice of settings has come to.

    Attributes:
        number: from 0.
        settings: the values of the space's settings.
        state: "complete" by its own end, "cut" by the time, "pruned" behind the better half, "failed", or "running".
        metric: the best on validation.
        best: the epoch of it; 0 for a model that counts.
        epochs: how many were trained.
        seconds: wall time, validation and all.
        error: why it failed.
    """

    number: int
    settings: dict[str, Any]
    state: State
    metric: float | None = None
    best: int = 0
    epochs: int = 0
    seconds: float = 0.0
    error: str = ""

    @property
    def eligible(self) -> bool:
        """Whether it may be chosen: what was pruned was behind others at the same epoch."""
        return self.metric is not None and self.state in ("complete", "cut")


def best(trials: Iterable[Trial]) -> Trial | None:
    """The best on validation of those that may be chosen; of equals the first."""
    return max((trial for trial in trials if trial.eligible), key=lambda trial: trial.metric or 0.0, default=None)
