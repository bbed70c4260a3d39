"""`Search`: settings chosen on validation; the best of them is trained once more and tested, once.

    trial 0    |=====|=====|==========|===================| .0931    the model's defaults
    trial 1    |=====| behind the better half
    trial 2    |=====|=====|=========time                   .0902    goes on if there is time left
               epoch r    2r         4r    ...

At epochs r, 2r, 4r, ... a trial goes on if it is in the better half of those that came so far (successive halving as
they come: Li et al., MLSys 2020). What is tried next, Optuna proposes from what has been tried (TPE). Where `seconds`
are given, half of them is for the trials, the same for each, with what one leaves passed on to the next; the other half
is for those that time cut short, the best first, each for as long again as it has had.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from segue.data.log import Log
from segue.data.splits import Split
from segue.errors import DataError, SegueError, TrainingError, require
from segue.experiments.experiment import Experiment, Outcome
from segue.models.base.model import DirectModel, Model
from segue.models.base.search_space import Space, size
from segue.models.registry import find
from segue.reporting.console import say
from segue.training.loop import StopTraining, fit
from segue.tuning.importance import line, short
from segue.tuning.study import Study, Work
from segue.tuning.trial import State, Trial, best
from segue.tuning.validate_space import fitting
from segue.tuning.workers import WorkerPool

EXPLORE = 0.5  # share of the time for the trials; the rest is for going on with the best
WAIT = 0.5  # seconds between two looks at what other processes are at

Tell = Callable[[str], object]


class Behind(Exception):
    """A trial is not in the better half."""


@dataclass(frozen=True, kw_only=True)
class Search:
    """What is searched, and how long.

    Attributes:
        recipe: model, protocol, fixed settings, and the metric that chooses.
        space: what is tried, each value as the model's settings take it.
        trials: how many, all processes together; fewer where the space has fewer points.
        seconds: of work, all processes together; None for as long as the trials take. Each trial is granted one look at
            validation, whatever it takes.
    """

    recipe: Experiment
    space: Space = field(default_factory=dict)
    trials: int = 30
    seconds: float | None = None

    def __post_init__(self) -> None:
        require(self.trials >= 1, f"trials={self.trials}: must be at least 1")
        require(self.seconds is None or self.seconds > 0, f"seconds={self.seconds}: must be above 0")
        kind, settings = find(self.recipe.model), self.recipe.settings
        object.__setattr__(self, "space", fitting(self.space, kind, settings=settings, preset=self.recipe.preset))

    def split(self, log: Log) -> Split:
        """The recipe's split of `log`.

        Raises:
            DataError: it leaves nothing to learn from, to choose by, or to ask.
        """
        split = self.recipe.split(log)
        if not len(self.recipe.protocol.cases(split, "valid")):
            raise DataError(f"{log.name}: no validation question is left to choose by; choose another protocol")
        return split

    def study(self, log: Log, folder: Path) -> Study:
        """The trials in `folder`, of this search or of an equal one that was begun there.

        Raises:
            ConfigError: the folder holds another search, or optuna is not installed.
        """
        kind = find(self.recipe.model)
        default = kind.configure(dict(self.recipe.settings), self.recipe.preset)
        identity = {key: value for key, value in self.recipe.as_dict().items() if key not in ("protocol", "refit")}
        return Study(
            folder,
            self.space,
            identity={**identity, "protocol": self.recipe.protocol.fingerprint, "log": log.fingerprint},
            first=default.as_dict(),
            seed=self.recipe.seed,
            rung=max(self.recipe.every, getattr(default, "epochs", 1) // 10, 1),
        )

    def run(self, log: Log, folder: Path, *, jobs: int = 1) -> list[Trial]:
        """`explore`, in so many processes; lines about the trials go to stderr."""
        require(jobs >= 1, f"jobs={jobs}: must be at least 1")
        if jobs == 1:
            return self.explore(log, folder)
        self.split(log)
        self.study(log, folder)
        with WorkerPool(jobs) as crew:
            for number in range(min(jobs, self.most)):
                crew.start(f"process {number}", self.explore, log, folder)
            failed = []
            while crew.names:
                for news in crew.news():
                    if news.kind == "told":
                        say(news.content)
                    elif news.kind == "failed":
                        failed.append(news)
                        say(f"{news.name}: {news.content}")
            if len(failed) == min(jobs, self.most):
                raise TrainingError(f"{self.recipe.model}: every process failed; the first: {failed[0].content}")
        return self.study(log, folder).trials()

    def explore(self, log: Log, folder: Path, *, tell: Tell = say, note: Tell | None = None) -> list[Trial]:
        """Make trials until there are enough, or the time is up, in this process; others may join by the same call.

        Args:
            log: what is learnt from.
            folder: of the study.
            tell: is given a line about each trial.
            note: is given a few words after each look at validation.

        Raises:
            DataError: the log leaves nothing to train on or to choose by.
            TrainingError: every trial failed.
        """
        split = self.split(log)
        study = self.study(log, folder)
        while True:
            work = self._next(study)
            if work is not None:
                tell(line(self._attempt(work, study, log, split, note), study.trials(), self.most))
            elif any(trial.state == "running" for trial in study.trials()):
                time.sleep(WAIT)  # for other processes, to take up what they may leave
            else:
                break
        return study.trials()

    @property
    def most(self) -> int:
        """How many trials there can be: a small space has fewer points than `trials`."""
        return min(self.trials, size(self.space) or self.trials)

    def winner(self, trials: list[Trial]) -> Trial:
        """The best on validation.

        Raises:
            TrainingError: every trial failed.
        """
        found = best(trials)
        if found is None:
            reason = next((trial.error for trial in trials if trial.error), "none came to an end")
            raise TrainingError(f"{self.recipe.model}: no trial of {len(trials)} succeeded; the first: {reason}")
        return found

    def chosen(self, trials: list[Trial]) -> Experiment:
        """The recipe of the winner: with its settings, for the number of epochs that validation chose."""
        trial = self.winner(trials)
        epochs = {"epochs": trial.best} if trial.best else {}
        return replace(self.recipe, settings={**self.recipe.settings, **trial.settings, **epochs})

    def finish(self, log: Log, trials: list[Trial]) -> Outcome:
        """Train the winner once more, on train and validation where the recipe says `refit`, and test it."""
        recipe, trial = self.chosen(trials), self.winner(trials)
        split = recipe.split(log)
        model = recipe.build(log)
        training = fit(model, split.train_valid if recipe.refit else split.train, seed=recipe.seed)
        if training.epochs:
            training.epochs[-1] = replace(training.epochs[-1], metric=trial.metric)
        return Outcome(recipe, split, model, training, recipe.test(model, split, training))

    def _next(self, study: Study) -> Work | None:
        """A trial to make, or one that time cut short and that may go on."""
        trials = study.trials()
        left = self._left(trials)
        over = left <= 0 and any(trial.state != "running" for trial in trials)
        work = study.take(0 if over else self.trials)
        if work is None and self.seconds is not None and left > 0:
            return study.go_on()
        return work

    def _left(self, trials: list[Trial]) -> float:
        """Seconds that are left for trials, when the last training of the best is put aside."""
        if self.seconds is None:
            return float("inf")
        first = best(trials)
        last = first.seconds if first else 0.0
        return self.seconds - last - sum(trial.seconds for trial in trials)

    def _allowed(self, work: Work, study: Study) -> float:
        """Seconds for a piece of work."""
        if self.seconds is None:
            return float("inf")
        trials = study.trials()
        if work.trial.state == "cut":
            return min(self._left(trials), work.trial.seconds)
        to_come = self.trials - len(trials) + 1
        spent = sum(trial.seconds for trial in trials)
        return max(0.0, EXPLORE * self.seconds - spent) / max(1, to_come)

    def _attempt(self, work: Work, study: Study, log: Log, split: Split, note: Tell | None) -> Trial:
        """One trial, or more of one: whatever becomes of it is noted, and the search goes on."""
        begin = time.monotonic()
        validation = _Validation(self.recipe, split, work, until=begin + self._allowed(work, study), note=note)
        error: Exception | None = None
        state: State = "failed"
        try:
            recipe = replace(self.recipe, settings={**self.recipe.settings, **work.trial.settings})
            state = validation.train(recipe.build(log))
        except Behind:
            state = "pruned"
        except Exception as failure:
            error = failure
        except BaseException:
            work.release()
            raise
        seconds = work.trial.seconds + time.monotonic() - begin
        trial = study.close(work, state=state, seconds=seconds, error=_said(error), **validation.facts())
        if isinstance(error, DataError):  # which no settings will mend
            raise error
        return trial


class _Validation:
    """The training of one trial, watched: given up when it is behind, cut short when its time is up."""

    def __init__(self, recipe: Experiment, split: Split, work: Work, *, until: float, note: Tell | None) -> None:
        self.recipe, self.split, self.work, self.until, self.note = recipe, split, work, until, note
        self.metric: float | None = work.trial.metric
        self.best, self.epochs, self.cut = work.trial.best, work.trial.epochs, False

    def train(self, model: Model) -> State:
        """Train to the end, or until time is up."""
        recipe, course = self.recipe, self.work.folder / "training.jsonl"
        if not (self.work.folder / "state.safetensors").exists():
            course.unlink(missing_ok=True)
        training = fit(
            model,
            self.split.train,
            seed=recipe.seed,
            validate=self,
            every=recipe.every,
            patience=recipe.patience,
            folder=self.work.folder,
            keep=True,
        )
        if isinstance(model, DirectModel):
            self.metric = self.figure(model)
        else:
            self.metric, self.best, self.epochs = training.metric, training.best, len(training.epochs)
        return "cut" if self.cut else "complete"

    def figure(self, model: Model) -> float:
        """The metric on validation."""
        return self.recipe.protocol.monitored(model, self.split, self.recipe.monitor)

    def __call__(self, model: Model) -> float:
        figure = self.figure(model)
        course = self.work.folder / "training.jsonl"
        past = [json.loads(line) for line in course.read_text().splitlines()] if course.exists() else []
        known = {epoch["epoch"]: epoch["metric"] for epoch in past if epoch["metric"] is not None}
        self.epochs = len(past) + 1
        known[self.epochs] = figure
        self.best = max(known, key=lambda epoch: known[epoch])
        self.metric = known[self.best]
        if self.note:
            self.note(
                f"trial {self.work.trial.number}, epoch {self.epochs}: {short(figure)}, best {short(self.metric)}"
            )
        if self.work.report(self.epochs, self.metric):
            raise Behind
        self.cut = time.monotonic() >= self.until
        if self.cut:
            raise StopTraining(figure)
        return figure

    def facts(self) -> dict[str, Any]:
        """Of `Trial`."""
        return {"metric": self.metric, "best": self.best, "epochs": self.epochs}


def _said(error: Exception | None) -> str:
    if error is None:
        return ""
    return str(error) if isinstance(error, SegueError) else f"{type(error).__name__}: {error}".partition("\n")[0]
