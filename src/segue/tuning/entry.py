"""`Entry`: the outcome of one model in a comparison, and how many trials it had."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from segue.evaluation.result import Result


@dataclass(frozen=True)
class TrialCounts:
    """The trials of one model.

    Attributes:
        run: how many there were.
        of: how many there would be without a time limit; a small space has fewer points than trials were asked for.
        states: how many of them ended in which way, such as "complete", "timed_out" or "pruned".
    """

    run: int
    of: int
    states: Mapping[str, int]

    @property
    def text(self) -> str:
        """Such as 10, or 3 of 10."""
        return f"{self.run}" if self.run >= self.of else f"{self.run} of {self.of}"

    def as_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        return {"run": self.run, "of": self.of, **self.states}


@dataclass(frozen=True, eq=False)
class Entry:
    """The outcome of one model.

    Attributes:
        model: its name.
        result: the test result of its best trial; None if the model was left out.
        about: plain values about the best model: experiment, training, search, cost.
        tuning_seconds: time of its trials and of the last training.
        reason: why the model was left out.
    """

    model: str
    result: Result | None = None
    about: Mapping[str, Any] = field(default_factory=dict)
    tuning_seconds: float = 0.0
    reason: str = ""

    @property
    def validation_metric(self) -> float:
        """The validation metric of the best trial."""
        return float(self.about["search"]["trial"]["metric"])

    @property
    def trials(self) -> TrialCounts:
        """How many trials it had."""
        search = self.about["search"]
        return TrialCounts(search["trials"], search.get("of", search["trials"]), search.get("states", {}))


def trials_sentence(entries: Sequence[Entry], trials: int) -> str:
    """How many trials each tested model had, in words.

    Args:
        entries: of the comparison.
        trials: the number that each model might have.
    """
    tested = {entry.model: entry.trials for entry in entries if entry.result is not None}
    full = [name for name, counts in tested.items() if counts.run >= trials]
    small = [f"{name} {counts.run}" for name, counts in tested.items() if counts.run >= counts.of and name not in full]
    short = [f"{name} {counts.text}" for name, counts in tested.items() if counts.run < counts.of]
    cut = [f"{name} {counts.states['timed_out']}" for name, counts in tested.items() if counts.states.get("timed_out")]
    parts = [
        (f"{trials} each", full),
        ("all points of a smaller search space", small),
        ("fewer, as the time was up", short),
    ]
    sentence = "; ".join(f"{what}: {', '.join(names)}" for what, names in parts if names)
    ended = f" Trainings that the time limit ended: {', '.join(cut)}." if cut else ""
    return f"Trials: {sentence}.{ended}"
