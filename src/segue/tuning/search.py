"""`Search`: hyper-parameter search of one model; validation chooses, the test set is used once at the end.

    trial 0    |=====|=====|==========|===================| .0931    the default settings
    trial 1    |=====| pruned: not in the better half
    trial 2    |=====|=====|=========timed out              .0902    continues if time is left
               epoch r    2r         4r    ...

Optuna's TPE sampler proposes settings. At epochs r, 2r, 4r, ... a trial continues if it is in the better half of the
trials that have reached this epoch (asynchronous successive halving: Li et al., MLSys 2020).

If `seconds` are given, half of them are for running all trials, with an equal share for each; what a trial does not use
goes to the next ones. The other half is for continuing trials that ran out of time, the best first. Each continuation
may take as long as the trial has taken so far.

The best trial is trained once more at the end, the last training. So much time as the best trial took is kept for it,
more with `refit` and `final`, and a trial may take no longer than it can be trained again. A trial whose time is up
stops after its epoch; it is stopped in the middle of an epoch where the whole time is up, less what is kept. The last
training stops after an epoch if the next one would not end in time. A first trial that has no validation after half of
the time ends the search.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from time import process_time

from segue.data.log import Log
from segue.data.splits import Split
from segue.errors import DataError, SegueError, TrainingError, require
from segue.experiments.experiment import Experiment
from segue.experiments.outcome import Outcome
from segue.models.base.search_space import Space, num_points
from segue.models.registry import find
from segue.reporting.console import say
from segue.reporting.numbers import seconds_text
from segue.resource_usage import total
from segue.training.loop import fit
from segue.training.state import StateNotWrittenError
from segue.tuning.report import describe_trial
from segue.tuning.study import ActiveTrial, Study
from segue.tuning.time_limit import TimeIsUp, time_limit
from segue.tuning.time_plan import TimePlan
from segue.tuning.trial import State, Trial, best_trial
from segue.tuning.trial_training import Report, TrialPruned, TrialTraining
from segue.tuning.validate_space import validate_space
from segue.tuning.workers import WorkerPool, check_jobs

POLL_SECONDS = 0.5  # between two checks whether another process has left a trial unfinished


@dataclass(frozen=True, kw_only=True)
class Search:
    """A hyper-parameter search of one model.

    Attributes:
        experiment: the model, protocol and fixed settings; its `monitor` metric is maximised on validation.
        space: the search space, with values as the model's settings accept them.
        trials: number of trials of all processes together; fewer if the space has fewer points.
        seconds: limit on the time of all trials and of the last training, summed over processes; None for no limit.
            Trials that run at the same time may each take what is left, so the sum may exceed it, but not the time
            since the start.
    """

    experiment: Experiment
    space: Space = field(default_factory=dict)
    trials: int = 30
    seconds: float | None = None

    def __post_init__(self) -> None:
        require(self.trials >= 1, f"trials={self.trials}: must be at least 1")
        require(self.seconds is None or self.seconds > 0, f"seconds={self.seconds}: must be above 0")
        model, fixed = find(self.experiment.model), self.experiment.settings
        space = validate_space(self.space, model, settings=fixed, preset=self.experiment.preset)
        object.__setattr__(self, "space", space)

    @property
    def max_trials(self) -> int:
        """The possible number of trials: a small space has fewer points than `trials`."""
        return min(self.trials, num_points(self.space) or self.trials)

    def split(self, log: Log) -> Split:
        """The split of `log` by the protocol.

        Raises:
            DataError: no training events, validation instances or test instances are left.
        """
        split = self.experiment.split(log)
        if not len(self.experiment.protocol.instances(split, "valid")):
            raise DataError(
                f"{log.name}: no validation instance is left to choose settings by; choose another protocol"
            )
        return split

    def study(self, log: Log, folder: Path) -> Study:
        """The study in `folder`: a new one, or that of an equal search which was started before.

        Raises:
            ConfigError: the folder holds another search, or optuna is not installed.
        """
        experiment = self.experiment
        defaults = find(experiment.model).configure(dict(experiment.settings), experiment.preset)
        identity = {
            key: value for key, value in experiment.as_dict().items() if key not in ("protocol", "refit", "final")
        }
        return Study(
            folder,
            self.space,
            identity={**identity, "protocol": experiment.protocol.fingerprint, "log": log.fingerprint},
            defaults=defaults.as_dict(),
            seed=experiment.seed,
            min_epochs=max(experiment.eval_every, getattr(defaults, "epochs", 1) // 10, 1),
        )

    def run(self, log: Log, folder: Path, *, jobs: int = 1) -> list[Trial]:
        """Run all trials in `jobs` processes; prints a line about each trial to stderr.

        Raises:
            DataError: the log leaves nothing to train on or to choose by.
            TrainingError: every process failed.
        """
        check_jobs(jobs)
        if jobs == 1:
            return self.run_trials(log, folder)
        self.split(log)
        self.study(log, folder)
        num_workers = min(jobs, self.max_trials)
        failures = []
        with WorkerPool(jobs) as pool:
            for number in range(num_workers):
                pool.start(f"process {number}", run_trials_in_worker, self, log, folder)
            while pool.running:
                for message in pool.messages():
                    if message.kind == "progress":
                        say(message.content)
                    elif message.kind == "failed":
                        failures.append(message)
                        say(f"{message.name}: {message.content}")
        if len(failures) == num_workers:
            raise TrainingError(f"{self.experiment.name}: every process failed; the first: {failures[0].content}")
        return self.study(log, folder).trials()

    def run_trials(
        self, log: Log, folder: Path, *, on_trial: Report = say, on_validation: Report | None = None
    ) -> list[Trial]:
        """Run trials in this process until there are enough or the time is up. Other processes may do the same.

        Args:
            log: the interaction log.
            folder: of the study.
            on_trial: called with a line of text after each trial.
            on_validation: called with a short text after each validation.

        Raises:
            DataError: the log leaves nothing to train on or to choose by.
            TrainingError: every trial failed.
        """
        split = self.split(log)
        study = self.study(log, folder)
        plan = self._time_plan(split, log)
        while True:
            active = self._next_trial(study, plan)
            if active is not None:
                trial = self._run_trial(active, study, log, split, plan=plan, on_validation=on_validation)
                on_trial(describe_trial(trial, study.trials(), self.max_trials))
                if trial.state == "timed_out" and trial.metric is None:
                    break
            elif any(trial.state == "running" for trial in study.trials()):
                time.sleep(POLL_SECONDS)  # another process is running it; if that is interrupted, this one resumes it
            else:
                break
        return study.trials()

    def best_trial(self, trials: list[Trial]) -> Trial:
        """The trial with the best validation metric.

        Raises:
            TrainingError: every trial failed.
        """
        best = best_trial(trials)
        if best is None:
            reason = next((trial.error for trial in trials if trial.error), "none was finished")
            raise TrainingError(f"{self.experiment.name}: no trial of {len(trials)} succeeded; the first: {reason}")
        return best

    def best_experiment(self, trials: list[Trial]) -> Experiment:
        """The experiment with the settings of the best trial and the number of epochs that validation chose."""
        best = self.best_trial(trials)
        epochs = {"epochs": best.best_epoch} if best.best_epoch else {}
        return replace(self.experiment, settings={**self.experiment.settings, **best.settings, **epochs})

    def train_best(self, log: Log, trials: list[Trial]) -> Outcome:
        """Train the model of the best trial once more and evaluate it on the test set.

        With `refit` in the experiment it is trained on train and validation together, otherwise on train alone. With
        `final`, the model of the outcome is fitted on the whole log. With `seconds`, training stops at the end of the
        last epoch that there is time for; the validation metric of the outcome is then unknown.
        """
        experiment, best = self.best_experiment(trials), self.best_trial(trials)
        split = experiment.split(log)
        model = experiment.build(log)
        rows = split.train_valid if experiment.refit else split.train
        following = len(log) / len(rows) if experiment.final else 0.0
        budget = self._time_plan(split, log).last_training(trials, following=following)
        training = fit(model, rows, seed=experiment.seed, budget=budget)
        if training.epochs and training.time_limit is None:
            training.epochs[-1] = replace(training.epochs[-1], metric=best.metric)
        outcome = Outcome(experiment, split, model, training, experiment.evaluate(model, split, training))
        return outcome.add_final(log) if experiment.final else outcome

    def _time_plan(self, split: Split, log: Log) -> TimePlan:
        retrainings = self.experiment.retrainings(split, log) + (not self.experiment.refit)
        return TimePlan(float("inf") if self.seconds is None else self.seconds, self.trials, retrainings)

    def _next_trial(self, study: Study, plan: TimePlan) -> ActiveTrial | None:
        """A trial to run, or one that ran out of time and may continue; None if nothing is left to do."""
        trials = study.trials()
        if self.seconds is None or all(trial.state == "running" for trial in trials):
            return study.next_trial(self.trials)
        if plan.left_for_trials(trials) <= 0:
            return study.next_trial(0)
        longest = plan.longest(trials)
        resume = plan.is_explored(trials) or best_trial(trials) is None
        continued = study.resume_timed_out(longest) if resume else None
        return continued or study.next_trial(self.trials) or study.resume_timed_out(longest)

    def _run_trial(
        self,
        active: ActiveTrial,
        study: Study,
        log: Log,
        split: Split,
        *,
        plan: TimePlan,
        on_validation: Report | None,
    ) -> Trial:
        """Run or continue one trial. Its failure is stored and does not end the search, unless the disk failed."""
        start, cpu_start, trials = time.monotonic(), process_time(), study.trials()
        limit = plan.until_stopped(active.trial, trials)
        deadline = start + min(limit, plan.until_epoch_end(active.trial, trials))
        training = TrialTraining(self.experiment, split, active, deadline=deadline, on_validation=on_validation)
        error: Exception | str | None = None
        state: State = "failed"
        try:
            settings = {**self.experiment.settings, **active.trial.settings}
            with time_limit(limit):
                state = training.train(replace(self.experiment, settings=settings).build(log))
        except TrialPruned:
            state = "pruned"
        except TimeIsUp:
            state = "timed_out"
            error = (
                None if training.metric is not None else f"no validation within the {seconds_text(limit)} s that it had"
            )
        except (OSError, StateNotWrittenError):  # the disk failed, which says nothing about the settings
            active.release()
            raise
        except Exception as failure:
            error = failure
        except BaseException:
            active.release()
            raise
        before, cpu_seconds = active.trial, process_time() - cpu_start
        trial = study.finish(
            active,
            state=state,
            seconds=before.seconds + time.monotonic() - start,
            cpu_seconds=total(before.cpu_seconds, cpu_seconds) if before.seconds else cpu_seconds,
            error=_error_text(error),
            **training.result(),
        )
        if isinstance(error, DataError):  # no other settings will help
            raise error
        return trial


def run_trials_in_worker(search: Search, log: Log, folder: Path, *, send: Report) -> list[Trial]:
    """`Search.run_trials` in a process of a `WorkerPool`."""
    return search.run_trials(log, folder, on_trial=send)


def _error_text(error: Exception | str | None) -> str:
    if error is None or isinstance(error, str):
        return error or ""
    return str(error) if isinstance(error, SegueError) else f"{type(error).__name__}: {error}".partition("\n")[0]
