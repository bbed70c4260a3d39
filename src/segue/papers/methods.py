"""`Method` -> `Line`: what a table asks for, and what came of it.

Method  HGN, its recipe, seeds 0 1 2, the paper's .0426   ->   Line  three runs, how their epochs were chosen
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from segue.data.log import Log
from segue.evaluation.metrics import LOWER, Values, measure, value
from segue.experiments.experiment import Experiment
from segue.models.base.model import GradientModel
from segue.models.registry import find
from segue.papers.reproduction import Row
from segue.papers.run_cache import Choice, Run, RunCache
from segue.reporting.console import say


@dataclass(frozen=True, kw_only=True)
class Method:
    """One line of a table: how to get its model, and what the paper prints for it.

    Attributes:
        name: as it is shown.
        recipe: with refit, trained on train and validation for the epochs that are chosen with the first seed;
            without, on train alone, and tested as it was in its best epoch, each seed in its own.
        chosen: whether validation chooses the epochs; else they are those of the settings (refit only).
        seeds: one training each.
        paper: the printed figures by metric; empty for what the paper leaves out.
        elsewhere: figures that the paper prints for other logs, by column.
    """

    name: str
    recipe: Experiment
    chosen: bool = True
    seeds: tuple[int, ...] = (0,)
    paper: Mapping[str, float] = field(default_factory=dict)
    elsewhere: Mapping[str, float] = field(default_factory=dict)

    @property
    def epochs(self) -> int:
        """At most so many; 0 where the model learns by counting."""
        kind, recipe = find(self.recipe.model), self.recipe
        if not issubclass(kind, GradientModel):
            return 0
        return int(kind.configure(dict(recipe.settings), recipe.preset).epochs)

    def carry_out(self, log: Log, runs: RunCache, *, epochs: int | None = None) -> Line:
        """Choose the epochs on validation and train with every seed; with `epochs` once, for at most so many."""
        seeds = self.seeds if epochs is None else self.seeds[:1]
        if not self.recipe.refit:
            recipe = _at_most(self, epochs)
            choices, trained = zip(*(runs.best(replace(recipe, seed=seed), log) for seed in seeds), strict=True)
            return Line(method=self, choice=choices[0], runs=trained)
        if epochs is None and self.chosen and self.epochs:
            choice = runs.choose(replace(self.recipe, seed=self.seeds[0]), log)
        else:
            choice = Choice(epochs=self.epochs if epochs is None else min(self.epochs, epochs))
        trained = tuple(runs.final(replace(self.recipe, seed=seed), log, choice.epochs) for seed in seeds)
        return Line(method=self, choice=choice, runs=trained)

    def about(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        recipe = self.recipe
        settings = {key: value for key, value in recipe.settings.items() if key != "epochs"}
        return {"model": recipe.model, "preset": recipe.preset, "settings": settings}


@dataclass(frozen=True, kw_only=True)
class Blended:
    """One line of a table that is a blend of two others, its weight chosen on validation.

    Attributes:
        name: as it is shown.
        parts: the lines that are blended, with their first seeds.
        paper: no paper prints one.
        elsewhere: nor elsewhere.
    """

    name: str
    parts: tuple[Method, Method]
    paper: Mapping[str, float] = field(default_factory=dict)
    elsewhere: Mapping[str, float] = field(default_factory=dict)

    def carry_out(self, log: Log, runs: RunCache, *, epochs: int | None = None) -> Line:
        """Train both and choose the weight; with `epochs` for at most so many."""
        first, second = (_at_most(method, epochs) for method in self.parts)
        choice, run = runs.blended(first, second, log)
        return Line(method=self, choice=choice, runs=(run,))

    def about(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        return {"blend of": [part.name for part in self.parts]}


def _at_most(method: Method, epochs: int | None) -> Experiment:
    """The recipe of a method's first seed, for at most so many epochs."""
    recipe = replace(method.recipe, seed=method.seeds[0])
    if epochs is None or not method.epochs:
        return recipe
    return replace(recipe, settings={**recipe.settings, "epochs": min(epochs, method.epochs)})


@dataclass(frozen=True, kw_only=True, eq=False)
class Line:
    """What came of a method: one run a seed, and how their epochs were chosen."""

    method: Method | Blended
    choice: Choice
    runs: tuple[Run, ...]

    def values(self, metric: str) -> Values:
        """(C,) the mean over seeds, question by question."""
        return np.mean([measure(run.ranks, metric) for run in self.runs], axis=0)

    def row(self, metric: str, inside: Any = slice(None)) -> Row:
        """Ours, of the questions `inside`, beside the paper's."""
        return Row(
            method=self.method.name,
            metric=metric,
            ours=tuple(value(float(measure(run.ranks, metric)[inside].mean()), metric) for run in self.runs),
            paper=self.method.paper.get(metric),
            lower=metric in LOWER,
            elsewhere=self.method.elsewhere,
        )

    @property
    def cpu_seconds(self) -> float:
        """Of one training on train and validation: the mean over seeds."""
        return round(sum(run.cpu_seconds for run in self.runs) / len(self.runs), 2)

    def about(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        return {
            **self.method.about(),
            "seeds": [run.seed for run in self.runs],
            "epochs": self.choice.epochs,
            "validation": self.choice.metric,
            "course": [list(look) for look in self.choice.course],
            **({} if self.choice.weight is None else {"weight": self.choice.weight}),
            "seconds": [round(run.seconds, 2) for run in self.runs],
            "cpu_seconds": [round(run.cpu_seconds, 2) for run in self.runs],
            "choosing_cpu_seconds": round(self.choice.cpu_seconds, 2),
        }


def carry_out(
    methods: Sequence[Method | Blended], log: Log, runs: RunCache, *, epochs: int | None = None
) -> list[Line]:
    """A line a method, in order; says how far it is. With `epochs` each is trained once, for at most so many."""
    lines = []
    for number, method in enumerate(methods, 1):
        say(f"run {number} of {len(methods)}: {method.name}")
        lines.append(method.carry_out(log, runs, epochs=epochs))
    return lines
